"""Connections by name: what stages ask for when they mean "that cluster, as that account"."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from penstock.adapters.cluster import kubeconfig as kubeconfigs
from penstock.adapters.cluster.discovery import Discovery
from penstock.adapters.cluster.kube import KubeCluster
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.pools import Pools
from penstock.adapters.cluster.transport import Patience, Transport
from penstock.core.errors import NotFound

KEPT = 64
"""Servers by untrusted kubeconfig that are kept connected; the oldest goes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubeconfig:
    """An operator's kubeconfig: ``data``, or files (``paths``, merged as kubectl does); ``context`` or its own.

    All empty: the cluster of the pod that we run in, at ``service_host``:``service_port``.
    """

    data: bytes = field(default=b"", repr=False)
    paths: tuple[str, ...] = ()
    context: str = ""
    service_host: str = ""
    service_port: str = ""

    def connection(self, name: str) -> Connection:
        """The connection that it describes; ``name`` is the cluster's, for messages."""
        if self.data:
            return kubeconfigs.from_bytes(self.data, name=f"the kubeconfig of cluster {name}", context=self.context)
        if self.paths:
            return kubeconfigs.from_files(self.paths, context=self.context)
        return kubeconfigs.in_cluster(self.service_host, self.service_port)


class _Server:
    """One API server: its connections and discovery are shared by all identities on it."""

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self._connection, self._patience = connection, patience
        self._pools, self._discovery = Pools(connection), Discovery()
        self._clusters: dict[str, KubeCluster] = {}

    def close(self) -> None:
        self._pools.close()

    def as_account(self, impersonate: str) -> KubeCluster:
        if impersonate not in self._clusters:
            transport = Transport(self._connection, impersonate=impersonate, patience=self._patience, pools=self._pools)
            self._clusters[impersonate] = KubeCluster(transport, self._discovery)
        return self._clusters[impersonate]


class KubeClusters:
    """Clusters (see the port).

    ``find``: cluster name -> its Kubeconfig, None where the plane has none of that name; asked at each connect, so
    that a changed kubeconfig is used at once. ``allow_server``: raises Refused for a server URL in a manifest's
    kubeconfig that policy forbids. ``proxy_for``: server URL -> proxy URL or "" (see proxies.py).
    """

    def __init__(
        self,
        find: Callable[[str], Kubeconfig | None],
        *,
        allow_server: Callable[[str], None] = kubeconfigs.https_only,
        proxy_for: Callable[[str], str] = lambda _server: "",
        patience: Patience | None = None,
    ) -> None:
        self._proxy_for = proxy_for
        self._find, self._allow_server = find, allow_server
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._named: dict[str, tuple[Kubeconfig, _Server]] = {}
        self._untrusted: dict[str, _Server] = {}

    def connect(self, cluster: str, *, impersonate: str = "") -> KubeCluster:
        """See Clusters."""
        with self._lock:
            found = self._find(cluster)
            if found is None:
                raise NotFound(f"the plane has no cluster {cluster}: `penstock cluster list` shows those it has")
            kept = self._named.get(cluster)
            if kept is None or kept[0] != found:
                if kept is not None:
                    kept[1].close()
                kept = (found, self._server(found.connection(cluster)))
                self._named[cluster] = kept
            return kept[1].as_account(impersonate)

    def connect_kubeconfig(self, kubeconfig: bytes, *, name: str, impersonate: str = "") -> KubeCluster:
        """See Clusters."""
        key = hashlib.sha256(kubeconfig).hexdigest()
        with self._lock:
            if key not in self._untrusted:
                made = kubeconfigs.untrusted(kubeconfig, name=name, allow_server=self._allow_server)
                while len(self._untrusted) >= KEPT:
                    self._untrusted.pop(next(iter(self._untrusted))).close()
                self._untrusted[key] = self._server(made)
            return self._untrusted[key].as_account(impersonate)

    def _server(self, connection: Connection) -> _Server:
        proxy = connection.proxy or self._proxy_for(connection.server)
        return _Server(replace(connection, proxy=proxy), self._patience)

    def close(self) -> None:
        """Closes the kept-alive connections; asking again opens new ones."""
        with self._lock:
            for server in (*(kept for _, kept in self._named.values()), *self._untrusted.values()):
                server.close()
