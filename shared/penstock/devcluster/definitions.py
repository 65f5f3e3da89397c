"""CustomResourceDefinitions: served as soon as they are stored, and withdrawn with their objects."""

from typing import Any

from penstock.devcluster.deletion import CUSTOM_RESOURCES, DEFINITIONS, delete
from penstock.devcluster.metadata import now
from penstock.devcluster.registry import Registry
from penstock.devcluster.store import Change, Store, key_of
from penstock.devcluster.writes import Options, Writes

MANAGER = "kube-apiserver"


class Definitions:
    """Keeps a registry in step with the stored CustomResourceDefinitions; a listener of the store."""

    def __init__(self, store: Store, registry: Registry, writes: Writes) -> None:
        self.store, self.registry, self.writes = store, registry, writes

    def hear(self, change: Change) -> None:
        """Follow one change."""
        if change.resource != DEFINITIONS:
            if change.type == "DELETED":
                self._finish_if_last(change)
            return
        crd = change.after.object
        if change.type == "DELETED":
            self.registry.withdraw(crd)
        elif "deletionTimestamp" in crd["metadata"]:
            self._empty(crd)
        elif change.before is None or change.before.object["spec"] != crd["spec"]:
            self.registry.publish(crd)
            self._establish(crd)

    def _establish(self, crd: dict[str, Any]) -> None:
        spec, before = crd["spec"], crd.get("status") or {}
        conditions = before.get("conditions") or [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
        storage = [version["name"] for version in spec["versions"] if version.get("storage")]
        stored = list(dict.fromkeys([*(before.get("storedVersions") or ()), *storage]))
        status = {"conditions": conditions, "acceptedNames": spec["names"], "storedVersions": stored}
        self._patch(crd, "status", lambda live: {**live, "status": status})

    def _patch(self, crd: dict[str, Any], subresource: str, change: Any) -> None:
        resource = self.registry.find(DEFINITIONS[0], "v1", DEFINITIONS[1])
        assert resource is not None
        self.writes.patch(resource, key_of(crd), change, Options(manager=MANAGER, subresource=subresource))

    def _empty(self, crd: dict[str, Any]) -> None:
        """Delete the custom resources of a definition that is going away; then let it go."""
        if CUSTOM_RESOURCES not in (crd["metadata"].get("finalizers") or ()):
            return
        key = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        resource = next((found for found in self.registry.all() if found.key == key), None)
        for stored in self.store.scan(key):
            if resource is not None and "deletionTimestamp" not in stored.object["metadata"]:
                delete(self.store, resource, key_of(stored.object), {}, dry_run=False)
        if not self.store.scan(key):
            self._release(crd)

    def _finish_if_last(self, change: Change) -> None:
        group, plural = change.resource
        stored = self.store.get(DEFINITIONS, ("", f"{plural}.{group}"))
        if (
            stored is not None
            and "deletionTimestamp" in stored.object["metadata"]
            and not self.store.scan(change.resource)
        ):
            self._release(stored.object)

    def _release(self, crd: dict[str, Any]) -> None:
        if self.store.get(DEFINITIONS, key_of(crd)) is None:
            return
        kept = [name for name in crd["metadata"].get("finalizers") or () if name != CUSTOM_RESOURCES]
        self._patch(crd, "", lambda live: {**live, "metadata": {**live["metadata"], "finalizers": kept}})


def _condition(kind: str, reason: str, message: str) -> dict[str, Any]:
    return {"lastTransitionTime": now(), "message": message, "reason": reason, "status": "True", "type": kind}
