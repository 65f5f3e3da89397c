"""CustomResourceDefinitions: served as soon as they are stored, and withdrawn with their objects."""

from typing import Any

from penstock.devcluster.deletion import delete
from penstock.devcluster.metadata import now
from penstock.devcluster.registry import Registry
from penstock.devcluster.statuses import ApiError
from penstock.devcluster.store import Change, Store, key_of
from penstock.devcluster.writes import Options, Writes

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
MANAGER = "kube-apiserver"


class Definitions:
    """Keeps a registry in step with the stored CustomResourceDefinitions; a listener of the store."""

    def __init__(self, store: Store, registry: Registry, writes: Writes) -> None:
        self.store, self.registry, self.writes = store, registry, writes

    def hear(self, change: Change) -> None:
        """Follow one change."""
        if change.resource != DEFINITIONS:
            return
        crd = change.after.object
        if change.type == "DELETED":
            self._withdraw(crd)
            return
        if change.before is None or change.before.object["spec"] != crd["spec"]:
            self.registry.publish(crd)
            self._establish(crd)

    def _establish(self, crd: dict[str, Any]) -> None:
        resource = self.registry.find(*DEFINITIONS[:1], "v1", DEFINITIONS[1])
        assert resource is not None
        spec, before = crd["spec"], crd.get("status") or {}
        conditions = before.get("conditions") or [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
        storage = [version["name"] for version in spec["versions"] if version.get("storage")]
        stored = list(dict.fromkeys([*(before.get("storedVersions") or ()), *storage]))
        status = {"conditions": conditions, "acceptedNames": spec["names"], "storedVersions": stored}
        options = Options(manager=MANAGER, subresource="status")
        self.writes.patch(resource, key_of(crd), lambda live: {**live, "status": status}, options)

    def _withdraw(self, crd: dict[str, Any]) -> None:
        spec = crd["spec"]
        group, plural = spec["group"], spec["names"]["plural"]
        resource = next((r for r in self.registry.all() if r.key == (group, plural)), None)
        for stored in self.store.scan((group, plural)):
            if resource is not None:
                try:
                    delete(self.store, resource, key_of(stored.object), {}, dry_run=False)
                except ApiError:
                    continue
        self.registry.withdraw(crd)


def _condition(kind: str, reason: str, message: str) -> dict[str, Any]:
    return {"lastTransitionTime": now(), "message": message, "reason": reason, "status": "True", "type": kind}
