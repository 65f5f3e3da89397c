"""DevCluster: an API server in this process, for the demo and fast tests."""

import secrets
import threading
from types import TracebackType
from typing import Self

import yaml

from penstock.devcluster.api import Api
from penstock.devcluster.definitions import Definitions
from penstock.devcluster.deletion import SYSTEM_NAMESPACES
from penstock.devcluster.reads import Reads
from penstock.devcluster.registry import Registry
from penstock.devcluster.server import HttpServer, Requests
from penstock.devcluster.simulation import Simulation
from penstock.devcluster.store import Store
from penstock.devcluster.tokens import Tokens
from penstock.devcluster.writes import Options, Writes

MANAGER = "kube-apiserver"
POLL_SECONDS = 0.02


class DevCluster:
    """An in-process Kubernetes API over HTTP. Not a cluster: no pods run, RBAC is not evaluated, nothing persists.

    It answers as kube-apiserver 1.36 does, and is held to that by a differential test. Left out: log, exec and proxy,
    OpenAPI documents, autoscaling/v1 and events.k8s.io, conversion and admission webhooks, CEL rules. kubectl sends no
    token over plain HTTP: use the ``kubernetes`` package, or curl.

    ``simulate``: workloads become ready ``ready_after`` seconds after a change (never where an image's tag holds
    ``stuck_marker``), Jobs complete, claims are bound, deleted namespaces are emptied, owned objects go with their
    owners. Without it only what the API server itself does happens.
    Use it as a context manager, or call ``start`` and ``stop``.
    """

    def __init__(
        self,
        simulate: bool = True,  # noqa: FBT002 — DevCluster(False) reads well enough
        *,
        ready_after: float = 0.2,
        stuck_marker: str = "never-ready",
    ) -> None:
        self.requests = Requests()
        self.token = secrets.token_urlsafe(24)
        self.store = Store()
        self.registry = Registry()
        self._stopping = threading.Event()
        reads = Reads(store=self.store, stopping=self._stopping.is_set)
        writes = Writes(store=self.store, kinds=self.registry)
        self.store.listeners.append(Definitions(self.store, self.registry, writes).hear)
        self.api = Api(
            store=self.store, registry=self.registry, reads=reads, writes=writes, tokens=Tokens(admin=self.token)
        )
        self._server: HttpServer | None = None
        self._simulation = (
            Simulation(self.store, self.registry, writes, delay=ready_after, stuck_marker=stuck_marker)
            if simulate
            else None
        )
        namespaces = self.registry.find("", "v1", "namespaces")
        assert namespaces is not None
        for name in SYSTEM_NAMESPACES:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            writes.create(namespaces, "", body, Options(manager=MANAGER))

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1, in a daemon thread."""
        self._server = HttpServer(self.api, self.requests)
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(POLL_SECONDS,), name="devcluster", daemon=True).start()
        if self._simulation is not None:
            self._simulation.start()
        return self

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        assert self._server is not None, "the cluster is not started"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self) -> bytes:
        """A kubeconfig (YAML) for its one user."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "devcluster", "cluster": {"server": self.url}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": "admin"}}],
            "current-context": "devcluster",
        }
        return yaml.safe_dump(document).encode()

    def stop(self) -> None:
        """Stop listening and end all watches."""
        self._stopping.set()
        if self._server is not None:
            if self._simulation is not None:
                self._simulation.stop()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
