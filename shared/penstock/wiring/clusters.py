"""From a cluster's name to the kubeconfig that the operator gave for it, read from the Plane at each connect."""
# ruff: noqa: TID251 - the ban on I/O is core's

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import Terminal
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.secrets.names import secret_name
from penstock.ports.cluster import Clusters
from penstock.ports.secrets import Secrets
from penstock.ports.state import State
from penstock.wiring.settings import Settings

if TYPE_CHECKING:
    from penstock.adapters.cluster.clusters import Kubeconfig

NAMESPACE = "flux-system"
"""Where a Secret named by the Plane stands: as those of its source."""
KEYS = ("value", "value.yaml")
"""Keys that Flux tries in a kubeconfig's Secret."""


def kube_clusters(settings: Settings, state: State, secrets: Secrets) -> Clusters:
    """The clusters of the Plane in ``state``."""
    from penstock.adapters.cluster.clusters import KubeClusters  # noqa: PLC0415 - heavy, and not every stage's

    return KubeClusters(find(settings, state, secrets))


def find(settings: Settings, state: State, secrets: Secrets) -> Callable[[str], "Kubeconfig | None"]:
    """Cluster name -> its Kubeconfig; None where the Plane has no cluster of that name."""

    def lookup(name: str) -> "Kubeconfig | None":
        record = state.get(PLANE_KEY)
        clusters = PlaneRecord.from_value(record.value).document["spec"].get("clusters", ()) if record else ()
        entry = next((c for c in clusters if c["name"] == name), None)
        return None if entry is None else _kubeconfig(entry, settings, secrets)

    return lookup


def _kubeconfig(entry: Mapping[str, Any], settings: Settings, secrets: Secrets) -> "Kubeconfig":
    from penstock.adapters.cluster.clusters import Kubeconfig  # noqa: PLC0415 - see above

    given = entry.get("kubeConfig") or {}
    context = str(given.get("context") or "")
    if "secretRef" in given:
        return Kubeconfig(data=_secret(str(entry["name"]), given["secretRef"], secrets), context=context)
    if "path" in given:
        return Kubeconfig(paths=(str(Path(str(given["path"])).expanduser()),), context=context)
    if settings.kubeconfig:
        return Kubeconfig(paths=settings.kubeconfig, context=context)
    if settings.service_host and not context:
        return Kubeconfig(service_host=settings.service_host, service_port=settings.service_port)
    return Kubeconfig(paths=(str(Path("~/.kube/config").expanduser()),), context=context)


def _secret(cluster: str, ref: Mapping[str, Any], secrets: Secrets) -> bytes:
    name = str(ref["name"])
    data = secrets.get(secret_name(PLANE, NAMESPACE, name)) or {}
    for key in (str(ref["key"]),) if ref.get("key") else KEYS:
        if key in data:
            return data[key]
    raise Terminal(
        f"Plane, spec.clusters[{cluster}].kubeConfig.secretRef: the plane's store has no Secret "
        f"{NAMESPACE}/{name} with the key {ref.get('key') or KEYS[0]}"
    )
