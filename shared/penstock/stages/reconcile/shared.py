"""What the Kustomizations of one sweep read together: a LIST per kind, and one of their inventories.

A LIST taken for one of them is not newer than the sweep's begin for the next. That is enough to find drift: nothing is
written by it, whoever has something to write is reconciled by a run of its own, which reads for itself.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from penstock.core.errors import Refused
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name, label_value
from penstock.core.reconcile.normalise import NAME_LABEL
from penstock.core.reconcile.plan import owner_of
from penstock.core.resources import Gvk, Manifest
from penstock.ports.cluster import Cluster

NAME_OF_INVENTORY = "penstock.dev/kustomization-name"
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


class SharedReads:
    """Reads of one cluster for several Kustomizations (``namespace/name``), by one thread for each kind."""

    def __init__(self, names: Sequence[str]) -> None:
        self._values = ",".join(sorted({label_value(name.partition("/")[2]) for name in names}))
        self._lists: dict[tuple[str, Gvk], Mapping[str, Sequence[Manifest]]] = {}
        self._inventories: Mapping[str, Manifest] | None = None

    def owned(self, cluster: Cluster, gvk: Gvk, owner: str) -> Sequence[Manifest]:
        """The objects of a kind that carry a Kustomization's labels. Raises as the port's ``list``."""
        key = (cluster.identity, gvk)
        if key not in self._lists:
            found: dict[str, list[Manifest]] = defaultdict(list)
            for item in cluster.list(gvk, label_selector=f"{NAME_LABEL} in ({self._values})").items:
                found[owner_of(item)].append(item)
            self._lists[key] = found
        return self._lists[key].get(owner, ())

    def inventory(self, keeper: Cluster, namespace: str, name: str) -> Manifest | None:
        """A Kustomization's inventory object; one that was not listed is asked for."""
        if self._inventories is None:
            selector = f"{NAME_OF_INVENTORY} in ({self._values})"
            try:
                items = keeper.list(CONFIG_MAP, namespace=NAMESPACE, label_selector=selector).items
            except Refused:  # an identity that may not list asks for each
                items = ()
            self._inventories = {item["metadata"]["name"]: item for item in items}
        wanted = inventory_name(namespace, name)
        return self._inventories.get(wanted) or keeper.get(CONFIG_MAP, NAMESPACE, wanted)
