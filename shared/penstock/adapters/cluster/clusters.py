"""Connections by name: what stages ask for when they mean "that cluster, as that account"."""

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from penstock.adapters.cluster import kubeconfig as kubeconfigs
from penstock.adapters.cluster.credentials import Credentials, Reread
from penstock.adapters.cluster.kube import KubeCluster
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.servers import Servers
from penstock.adapters.cluster.transport import Patience
from penstock.adapters.http.addresses import Guard
from penstock.core.errors import NotFound, Terminal
from penstock.ports.cluster import RemoteCluster

if TYPE_CHECKING:
    from penstock.adapters.cluster.by_identity import ByIdentity

KEPT = 64
"""Servers that manifests name that are kept connected; the oldest goes first."""

LOOKED_UP = 600.0
"""Seconds for which a cloud's answer to where a cluster is holds."""


class Described(Hashable, Protocol):
    """What the operator says of a cluster; hashable, and equal where it says the same."""

    @property
    def seconds(self) -> float:
        """For how long a connection that was made by it holds."""

    def connection(self, name: str) -> Connection:
        """The connection that it describes; ``name`` is the cluster's, for messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubeconfig:
    """An operator's kubeconfig: ``data``, or files (``paths``, merged as kubectl does); ``context`` or its own.

    All empty: the cluster of the pod that we run in, at ``service_host``:``service_port``. ``newest``: reads ``data``
    anew. Once its login is refused it is looked at again, for another login of the same context at the same server.
    """

    data: bytes = field(default=b"", repr=False)
    newest: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)
    paths: tuple[str, ...] = ()
    context: str = ""
    service_host: str = ""
    service_port: str = ""

    @property
    def seconds(self) -> float:
        """See Described: for ever."""
        return float("inf")

    def connection(self, name: str) -> Connection:
        """See Described."""
        if not self.data and not self.paths:
            return kubeconfigs.in_cluster(self.service_host, self.service_port)
        first = self._read(self.data, name, self.context)

        def again() -> Credentials:
            data = self.newest() if self.newest else self.data
            found = self._read(data, name, first.context)  # `kubectl config use-context` leads nowhere else
            return found.credentials if found.server == first.server else first.credentials

        return replace(first, credentials=Reread(first.credentials, again))

    def _read(self, data: bytes, name: str, context: str) -> Connection:
        if data:
            return kubeconfigs.from_bytes(data, name=f"the kubeconfig of cluster {name}", context=context)
        return kubeconfigs.from_files(self.paths, context=context)


@dataclass(frozen=True, kw_only=True, slots=True)
class ByOperator:
    """A cluster that the operator names by its cloud. ``token_path``: a file with the token to present, or ""."""

    by_identity: "ByIdentity" = field(repr=False, compare=False)
    remote: RemoteCluster
    token_path: str = ""

    @property
    def seconds(self) -> float:
        """See Described: clusters are made anew under their old name, and move."""
        return LOOKED_UP

    def connection(self, name: str) -> Connection:
        """See Described."""
        del name
        return self.by_identity.connection(self.remote, token_path=self.token_path)


class KubeClusters:
    """Clusters (see the port).

    ``find``: cluster name -> what the operator says of it, None where the plane has none of that name; asked at each
    connect, so that a changed kubeconfig is used at once. ``manifests``: where servers may be that kubeconfigs of
    manifests name (None: anywhere). ``by_identity``: makes connections without a kubeconfig. ``proxy_for``: server
    URL -> proxy URL or "" (see proxies.py).
    """

    def __init__(
        self,
        find: Callable[[str], Described | None],
        *,
        manifests: Guard | None = None,
        by_identity: "ByIdentity | None" = None,
        proxy_for: Callable[[str], str] = lambda _server: "",
        patience: Patience | None = None,
    ) -> None:
        self._find, self._by_identity = find, by_identity
        self._proxy_for, self._manifests = proxy_for, manifests or Guard()
        self._named = Servers(patience or Patience())
        self._by_manifest = Servers(patience or Patience(), most=KEPT)

    def connect(self, cluster: str, *, impersonate: str = "") -> KubeCluster:
        """See Clusters."""
        found = self._find(cluster)
        if found is None:
            raise NotFound(f"the plane has no cluster {cluster}: `penstock cluster list` shows those it has")
        server = self._named.get(
            cluster, found, lambda: self._proxied(found.connection(cluster)), seconds=found.seconds
        )
        return server.as_account(impersonate)

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> KubeCluster:
        """See Clusters."""
        guard = self._manifests.allowing(allowed_hosts)

        def connection() -> Connection:
            found = kubeconfigs.untrusted(kubeconfig, name=name)
            return self._proxied(replace(found, guard=guard))

        key = hashlib.sha256(kubeconfig).hexdigest(), guard
        return self._by_manifest.get(key, key, connection).as_account(impersonate)

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> KubeCluster:
        """See Clusters."""
        found = self._by_identity
        if found is None:
            raise Terminal(f"{remote.name}: this plane connects by kubeconfigs only")
        server = self._by_manifest.get(remote, remote, lambda: found.connection(remote), seconds=LOOKED_UP)
        return server.as_account(impersonate)

    def close(self) -> None:
        """Closes the kept-alive connections; asking again opens new ones."""
        self._named.close()
        self._by_manifest.close()

    def _proxied(self, connection: Connection) -> Connection:
        return replace(connection, proxy=connection.proxy or self._proxy_for(connection.server))
