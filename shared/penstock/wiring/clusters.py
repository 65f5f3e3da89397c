"""From a cluster's name to what the operator says of it, read from the Plane at each connect."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import Terminal
from penstock.core.flux.plane import NAMESPACE, Plane
from penstock.core.flux.plane_kubeconfig import ClusterKubeConfig
from penstock.core.messages import PLANE
from penstock.core.secrets.names import OWN, secret_name
from penstock.ports.cluster import Cluster, Clusters, RemoteCluster
from penstock.ports.identity import Account
from penstock.ports.secrets import Secrets
from penstock.ports.state import State
from penstock.wiring.settings import Settings
from penstock.wiring.stored_plane import StoredPlane

if TYPE_CHECKING:
    from penstock.adapters.cluster.by_identity import ByIdentity
    from penstock.adapters.cluster.clusters import Described, Kubeconfig
    from penstock.adapters.http.addresses import Guard


def kube_clusters(settings: Settings, state: State, secrets: Secrets) -> Clusters:
    """The clusters of the Plane in ``state``."""
    from penstock.adapters.cluster.clusters import KubeClusters  # noqa: PLC0415 - heavy, and not every stage's
    from penstock.adapters.cluster.proxies import proxy_from  # noqa: PLC0415 - see above

    by_identity = identity_connections(settings)
    plane = StoredPlane(state)
    kubeconfigs = finder(settings, plane, secrets)
    clusters = KubeClusters(
        lambda name: _by_provider(name, plane(), by_identity, clusters.connect) or kubeconfigs(name),
        manifests=manifest_guard(settings),
        by_identity=by_identity,
        proxy_for=proxy_from(settings.proxies),
    )
    return clusters


def manifest_guard(settings: Settings) -> "Guard":
    """Where the API server of a manifest's kubeconfig may be.

    Never on this machine, nor where a cloud keeps its metadata, unless the operator says so. A plane that runs by
    itself stands in the operator's own network, where private addresses are what API servers usually have; functions
    stand in a network that is not the tenants'.
    """
    from penstock.adapters.http.addresses import Guard  # noqa: PLC0415 - see above

    return Guard(allowed_hosts=settings.allowed_hosts, private=settings.backend == "embedded", reason="AccessDenied")


def identity_connections(settings: Settings) -> "ByIdentity":
    """What reaches clusters by identities; the clouds' libraries load when they are used."""
    from penstock.adapters.cluster.by_identity import ByIdentity  # noqa: PLC0415 - see above
    from penstock.adapters.cluster.proxies import proxy_from  # noqa: PLC0415 - see above
    from penstock.adapters.identity.clouds import CloudIdentities  # noqa: PLC0415 - see above
    from penstock.adapters.identity.http import HttpSender  # noqa: PLC0415 - see above

    send = HttpSender(proxy_from(settings.proxies))
    identities = CloudIdentities(send, settings.azure)
    return ByIdentity(identities, send, azure_cloud=lambda: identities.azure_cloud)


def _by_provider(
    name: str, plane: Plane | None, by_identity: "ByIdentity", connect: Callable[[str], Cluster]
) -> "Described | None":
    """A cluster that the Plane names by its provider; None for another one."""
    from penstock.adapters.cluster.clusters import ByOperator  # noqa: PLC0415 - see above

    cluster = next((c for c in plane.clusters if c.name == name), None) if plane else None
    if plane is None or cluster is None or cluster.kube_config.access is None:
        return None
    given, access = cluster.kube_config, cluster.kube_config.access
    account = None
    if given.account is not None:
        home = given.account.cluster
        account = Account(
            home=lambda: connect(home),
            cluster=home,
            namespace=given.account.namespace,
            name=given.account.name,
            gke=plane.cluster(home).kube_config.gke,
            audiences=access.audiences,
        )
    remote = RemoteCluster(access=access, name=f"Plane, spec.clusters[{name}].kubeConfig", account=account)
    return ByOperator(by_identity=by_identity, remote=remote, token_path=given.token_path)


def finder(
    settings: Settings, plane: Callable[[], Plane | None], secrets: Secrets
) -> Callable[[str], "Kubeconfig | None"]:
    """Cluster name -> its Kubeconfig; None where the Plane has no cluster of that name."""

    def find(name: str) -> "Kubeconfig | None":
        found = plane()
        cluster = next((c for c in found.clusters if c.name == name), None) if found else None
        return None if cluster is None else _kubeconfig(name, cluster.kube_config, settings, secrets)

    return find


def _kubeconfig(cluster: str, given: ClusterKubeConfig, settings: Settings, secrets: Secrets) -> "Kubeconfig":
    from penstock.adapters.cluster.clusters import Kubeconfig  # noqa: PLC0415 - see above

    if given.secret:

        def read(*, newest: bool = False) -> bytes:
            return _secret(cluster, given, secrets, newest=newest)

        return Kubeconfig(data=read(), newest=lambda: read(newest=True), context=given.context)
    if given.path:
        return Kubeconfig(paths=(str(Path(given.path).expanduser()),), context=given.context)
    if settings.kubeconfig:
        return Kubeconfig(paths=settings.kubeconfig, context=given.context)
    if settings.service_host and not given.context:
        return Kubeconfig(service_host=settings.service_host, service_port=settings.service_port)
    return Kubeconfig(paths=(str(Path("~/.kube/config").expanduser()),), context=given.context)


def _secret(cluster: str, given: ClusterKubeConfig, secrets: Secrets, *, newest: bool) -> bytes:
    stored_as = secret_name(OWN, PLANE, NAMESPACE, given.secret)
    data = secrets.get(stored_as, newest=newest) or {}
    if given.key not in data:
        raise Terminal(
            f"Plane, spec.clusters[{cluster}].kubeConfig.secretRef: the plane's store has no Secret "
            f"{NAMESPACE}/{given.secret} ({stored_as}) with the key {given.key}"
        )
    return data[given.key]
