"""The stage on which the demo plays: a Git server, a cluster, a chat room that listens, and a plane."""

import hashlib
import hmac
import http.client
import json
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.cli.demo.fleet import NAMESPACES, fleet_files
from penstock.cli.demo.progress import Progress
from penstock.cli.plane import change_plane
from penstock.core.errors import Refused
from penstock.core.reconcile.inventory import NAMESPACE as HOME
from penstock.core.records import KustomizationStatus, ReceiverRecord, status_key
from penstock.core.resources import Gvk, Manifest
from penstock.core.secrets.names import API_TOKEN
from penstock.devcluster import DevCluster
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.foreign import reconciled_by_flux
from penstock.wiring import Runtime, settings_from
from penstock.wiring.embedded import EmbeddedPlane, Options

NAME = "demo"
OURS = "app.kubernetes.io/managed-by=penstock"
FLUX_NAMES = tuple(
    f"flux-system/{name}"
    for name in ("flux-system", "infrastructure-controllers", "infrastructure-configs", "apps", "notifications")
)
"""The fleet's Kustomizations: the plane would refuse to reconcile what Flux does."""
SECRET = Gvk(version="v1", kind="Secret")
NAMESPACE = Gvk(version="v1", kind="Namespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoCluster:
    """``prefix`` goes before every namespace that the story makes; ``label``: what it is, for people."""

    kubeconfig: Path
    context: str
    prefix: str
    label: str


@contextmanager
def simulated_cluster() -> Iterator[DemoCluster]:
    """A small in-process Kubernetes API, clearly labelled as what it is."""
    with DevCluster() as cluster, tempfile.NamedTemporaryFile(prefix="kubeconfig-") as file:
        file.write(cluster.kubeconfig())
        file.flush()
        yield DemoCluster(
            kubeconfig=Path(file.name), context="", prefix="", label="a simulated cluster in this process"
        )


@contextmanager
def real_cluster(kubeconfig: str, context: str) -> Iterator[DemoCluster]:
    """A cluster of the user's: everything gets a fresh name."""
    prefix = f"penstock-demo-{secrets.token_hex(3)}-"
    path = Path(kubeconfig).expanduser()
    yield DemoCluster(kubeconfig=path, context=context, prefix=prefix, label=f"{path}, context {context or 'current'}")


def connect(demo: DemoCluster) -> Cluster:
    """A connection of our own, to look at what the plane did."""
    kubeconfig = Kubeconfig(paths=(str(demo.kubeconfig),), context=demo.context)
    return KubeClusters(lambda _name: kubeconfig).connect(NAME)


class World:
    """Started by ``with``; what it made in a real cluster is removed when it ends."""

    def __init__(self, directory: Path, cluster: DemoCluster, progress: Progress) -> None:
        self.directory, self.demo, self.progress = directory, cluster, progress
        self.token = secrets.token_urlsafe(24)
        self.files = fleet_files(cluster.prefix)
        self._stack = ExitStack()
        self._found_home = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.git = stack.enter_context(GitServer(self.directory / "git"))
            self.git_url = self.git.create("fleet-infra")
            self.work = self.directory / "work"
            self.room = stack.enter_context(ChatRoom())
            self.commit("Start the fleet", self.files)
            self.plane = self._plane(stack)
            self._say_where()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _plane(self, stack: ExitStack) -> EmbeddedPlane:
        settings = settings_from({"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}, data_dir=self.directory / "plane")
        runtime = Runtime(settings, instead={"telemetry": lambda: self.progress})
        change_plane(runtime, self._document())
        runtime.close()
        self.api_token = secrets.token_urlsafe(24)
        given = {**settings.secrets, API_TOKEN: {"token": self.api_token.encode()}}
        options = Options(settings=replace(settings, secrets=given), instead={"telemetry": lambda: self.progress})
        plane = EmbeddedPlane(options)
        self._prepare(stack)
        return stack.enter_context(plane)

    def _prepare(self, stack: ExitStack) -> None:
        """What a platform team does by hand once: the Secrets that the notifications refer to."""
        self.cluster = connect(self.demo)
        if self.demo.prefix:
            self._refuse_what_others_made()
            stack.callback(self._remove_all)
        home = self.name("flux-system")
        self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
        for name, data in (
            ("webhook-token", {"token": self.token}),
            ("slack-webhook", {"address": f"{self.room.url}/services/demo"}),
        ):
            metadata = {"name": name, "namespace": home}
            self.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def _refuse_what_others_made(self) -> None:
        """Raise Refused where Flux or a plane works in this cluster, before anything is written.

        A plane that only has an identity there is in nobody's way.
        """
        flux = next((name for name in FLUX_NAMES if reconciled_by_flux(self.cluster, name)), "")
        if flux:
            told = f"Flux reconciles Kustomization {flux} in this cluster: the demo has no place beside it"
            raise Refused(told, reason="OwnedByFlux")
        for name in (self.name(name) for name in NAMESPACES):
            if self.cluster.get(NAMESPACE, "", name) is not None:
                raise Refused(f"namespace {name} exists in this cluster: the demo touches nothing that it has not made")
        self._found_home = self.cluster.get(NAMESPACE, "", HOME) is not None
        if self._found_home and self._at_home():
            raise Refused(
                f"a plane works in this cluster (namespace {HOME}, {self._owner()}): the demo has no place beside it",
                reason="OwnedByOther",
            )

    def _owner(self) -> str:
        """Of an inventory in penstock-system: ``plane/cluster``."""
        found = self.cluster.list(Gvk(version="v1", kind="ConfigMap"), namespace=HOME, label_selector=OURS).items
        owners = sorted({str((each.get("data") or {}).get("owner") or "").rsplit("/", 2)[0] for each in found} - {""})
        return ", ".join(owners[:3]) or "nobody known"

    def _at_home(self) -> list[tuple[str, str, str]]:
        """Inventories and Leases in penstock-system: apiVersion, kind and name of each."""
        kinds = (Gvk(version="v1", kind="ConfigMap"), Gvk(group="coordination.k8s.io", version="v1", kind="Lease"))
        return [
            (gvk.api_version, gvk.kind, str(each["metadata"]["name"]))
            for gvk in kinds
            for each in self.cluster.list(gvk, namespace=HOME, label_selector=OURS).items
        ]

    def _remove_all(self) -> None:
        """Everything that the story made in a real cluster."""
        crd = f"clusterissuers.{self.demo.prefix}issuing.example.com"
        home = f"what it made in {HOME}" if self._found_home else HOME
        self.progress.say(f"\nremoving namespaces {self.demo.prefix}*, {home} and {crd}")
        self._delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd)
        for api_version, kind, name in self._at_home() if self._found_home else ():
            self._delete(api_version, kind, name, HOME)
        made = (*(self.name(name) for name in NAMESPACES), *(() if self._found_home else (HOME,)))
        for name in made:
            self._delete("v1", "Namespace", name)
        self.until(
            lambda: all(self.cluster.get(NAMESPACE, "", name) is None for name in made),
            "its namespaces to be gone",
            seconds=60,
        )

    def _delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> None:
        metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
        self.cluster.delete({"apiVersion": api_version, "kind": kind, "metadata": metadata})

    def _document(self) -> Manifest:
        kube_config: dict[str, Any] = {"path": str(self.demo.kubeconfig)}
        if self.demo.context:
            kube_config["context"] = self.demo.context
        return {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": NAME},
            "spec": {
                "source": {"url": self.git_url, "ref": {"branch": "main"}, "interval": "10m"},
                "clusters": [{"name": NAME, "path": "clusters/production", "kubeConfig": kube_config}],
            },
        }

    def _say_where(self) -> None:
        self.progress.say(f"cluster     {self.demo.label}")
        self.progress.say(f"repository  {self.git_url} (examples/fleet-infra, {len(self.files)} files)")
        self.progress.say(f"plane       {self.plane.url}, everything below {self.directory}")

    def name(self, namespace: str) -> str:
        """The demo's own name of one of the fleet's namespaces."""
        return self.demo.prefix + namespace

    def commit(self, message: str, files: dict[str, str]) -> str:
        """Write files into the working clone, commit and push; the new commit id."""
        if not self.work.exists():
            self._git("clone", "--quiet", self.git_url, str(self.work), inside=False)
            self._git("checkout", "--quiet", "-B", "main")
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", message)
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str, inside: bool = True) -> str:
        where = ["-C", str(self.work)] if inside else []
        identity = ["-c", "user.name=demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *where, *identity, *arguments]
        done = subprocess.run(  # noqa: S603 - fixed words and our own paths
            command, env=self.git.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def receiver(self) -> ReceiverRecord | None:
        """The Receiver of the fleet as the plane has indexed it."""
        found = self.plane.runtime.port("state").list("receiver/")
        return ReceiverRecord.from_value(found[0].value) if found else None

    def push_hook(self, commit: str, *, token: str | None = None) -> int:
        """POST what GitHub would post for this push, signed; the status of the answer."""
        receiver = self.receiver()
        if receiver is None:
            raise Refused("the plane has no Receiver yet")
        body = json.dumps({"ref": "refs/heads/main", "after": commit}).encode()
        key = (self.token if token is None else token).encode()
        signature = hmac.new(key, body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": secrets.token_hex(16),
            "x-hub-signature-256": f"sha256={signature}",
        }
        return _post(self.plane.url, f"/hook/{receiver.digest}", body, headers)[0]

    def api(self, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A request to the plane's api."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.api_token}"}
        status, answer = _post(self.plane.url, path, json.dumps(body).encode(), headers)
        return status, json.loads(answer)

    def status(self, name: str) -> KustomizationStatus:
        """What the plane knows of Kustomization flux-system/<name>."""
        found = self.plane.runtime.port("state").get(status_key(NAME, "Kustomization", "flux-system", name))
        return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()

    def live(self, api_version: str, kind: str, name: str, namespace: str = "apps") -> Manifest | None:
        """An object of the fleet as the cluster has it now."""
        group, _, version = api_version.rpartition("/")
        scope = self.name(namespace) if namespace else ""
        return self.cluster.get(Gvk(group=group, version=version, kind=kind), scope, name)

    def _told(self) -> str:
        """What the plane says of everything that is not ready."""
        said = [
            f"{record.key}: {condition['reason']}: {condition['message']}"
            for record in self.plane.runtime.port("state").list("status/")
            for condition in record.value.get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] != "True"
        ]
        return "; ".join(said) or "everything is ready"

    def settle(self) -> None:
        """Wait until nobody has anything to do any more."""
        self.until(lambda: not any(self.plane.runtime.port("bus").depth().values()), "the plane to come to rest")

    def until(self, condition: Callable[[], object], what: str, *, seconds: float = 60.0) -> None:
        """Wait for a condition. Raises TimeoutError that names it."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}; {self._told()}")
            time.sleep(0.005)


class ChatRoom:
    """What Slack would be: it takes messages on loopback and keeps their texts."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        room = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("content-length") or 0), 1 << 20))
                room.messages.append(body.decode())
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Nobody wants to know."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def heard(self, *words: str) -> bool:
        """Whether one message holds all of these words."""
        return any(all(word in message for word in words) for message in self.messages)


def _post(url: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request("POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
