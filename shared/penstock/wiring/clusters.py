"""From a cluster's name to the kubeconfig that the operator gave for it, read from the Plane at each connect."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import Terminal
from penstock.core.flux.plane import NAMESPACE, ClusterKubeConfig, Plane
from penstock.core.messages import PLANE
from penstock.core.secrets.names import secret_name
from penstock.ports.cluster import Clusters
from penstock.ports.secrets import Secrets
from penstock.ports.state import State
from penstock.wiring.settings import Settings
from penstock.wiring.stored_plane import StoredPlane

if TYPE_CHECKING:
    from penstock.adapters.cluster.clusters import Kubeconfig


def kube_clusters(settings: Settings, state: State, secrets: Secrets) -> Clusters:
    """The clusters of the Plane in ``state``."""
    from penstock.adapters.cluster.clusters import KubeClusters  # noqa: PLC0415 - heavy, and not every stage's
    from penstock.adapters.cluster.proxies import proxy_from  # noqa: PLC0415 - see above

    return KubeClusters(finder(settings, StoredPlane(state), secrets), proxy_for=proxy_from(settings.proxies))


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
        return Kubeconfig(data=_secret(cluster, given, secrets), context=given.context)
    if given.path:
        return Kubeconfig(paths=(str(Path(given.path).expanduser()),), context=given.context)
    if settings.kubeconfig:
        return Kubeconfig(paths=settings.kubeconfig, context=given.context)
    if settings.service_host and not given.context:
        return Kubeconfig(service_host=settings.service_host, service_port=settings.service_port)
    return Kubeconfig(paths=(str(Path("~/.kube/config").expanduser()),), context=given.context)


def _secret(cluster: str, given: ClusterKubeConfig, secrets: Secrets) -> bytes:
    data = secrets.get(secret_name(PLANE, NAMESPACE, given.secret)) or {}
    if given.key not in data:
        raise Terminal(
            f"Plane, spec.clusters[{cluster}].kubeConfig.secretRef: the plane's store has no Secret "
            f"{NAMESPACE}/{given.secret} with the key {given.key}"
        )
    return data[given.key]
