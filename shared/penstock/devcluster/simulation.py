"""A stand-in for kube-controller-manager: statuses over time, namespaces, owner references.

No pods are made for workloads: their statuses follow their specs after a delay.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.devcluster.deletion import FOREGROUND, ORPHAN, delete
from penstock.devcluster.metadata import now
from penstock.devcluster.registry import Registry, Resource
from penstock.devcluster.statuses import ApiError, unknown_resource
from penstock.devcluster.store import Change, ObjectKey, ResourceKey, Store, key_of
from penstock.devcluster.workloads import STATUSES, Moment, is_stuck, revised
from penstock.devcluster.writes import Options, Writes

MANAGER = "kube-controller-manager"
NAMESPACES: ResourceKey = ("", "namespaces")
DEPLOYMENTS: ResourceKey = ("apps", "deployments")
CLAIMS: ResourceKey = ("", "persistentvolumeclaims")
ROOT_CA = "kube-root-ca.crt"
Place = tuple[ResourceKey, ObjectKey]


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far one generation of one object is. Times are monotonic seconds."""

    uid: str
    generation: int
    ready_at: float
    deadline: float


class Simulation:
    """Follows one store's changes in a daemon thread. ``delay``: seconds until a workload is ready."""

    def __init__(self, store: Store, registry: Registry, writes: Writes, *, delay: float, stuck_marker: str) -> None:
        self.store, self.registry, self.writes = store, registry, writes
        self.delay, self.stuck_marker = delay, stuck_marker
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._wake = threading.Condition()
        self._stopped = False
        self._progress: dict[Place, Progress] = {}
        self._dependents: dict[str, set[Place]] = {}
        self._thread = threading.Thread(target=self._run, name="devcluster-simulation", daemon=True)

    def start(self) -> None:
        """Begin; what is stored already is taken up as well."""
        with self.store.lock:
            self.store.listeners.append(self._hear)
            for resource in self.store.resources():
                for stored in self.store.scan(resource):
                    self._hear(Change(revision=0, resource=resource, type="ADDED", after=stored, before=None))
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()

    def _schedule(self, seconds: float, work: Callable[[], None]) -> None:
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), work))
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                work = heapq.heappop(self._due)[2]
            try:
                work()
            except ApiError:
                # The object changed or went away meanwhile: the change that did so is on its way here.
                continue

    def _hear(self, change: Change) -> None:
        obj, place = change.after.object, (change.resource, key_of(change.after.object))
        metadata = obj["metadata"]
        self._index(change, place)
        if change.type == "DELETED":
            self._progress.pop(place, None)
            if metadata["uid"] in self._dependents:
                self._schedule(0, lambda: self._collect(metadata["uid"]))
            if self._is_terminating(metadata.get("namespace", "")):
                self._schedule(0, lambda: self._empty_namespace(metadata["namespace"]))
            return
        if change.resource == NAMESPACES:
            self._schedule(
                self.delay if "deletionTimestamp" in metadata else 0, lambda: self._namespace(metadata["name"])
            )
        elif "deletionTimestamp" in metadata and {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or ()):
            self._schedule(0, lambda: self._release(place))
        elif change.resource in STATUSES:
            known = self._progress.get(place)
            if known is None or (known.uid, known.generation) != (metadata["uid"], metadata.get("generation", 1)):
                self._begin(place, obj)

    def _index(self, change: Change, place: Place) -> None:
        before = change.before.object if change.before else {"metadata": {}}
        after = change.after.object if change.type != "DELETED" else {"metadata": {}}
        for owner in before["metadata"].get("ownerReferences") or ():
            self._dependents.get(owner["uid"], set()).discard(place)
        for owner in after["metadata"].get("ownerReferences") or ():
            self._dependents.setdefault(owner["uid"], set()).add(place)

    def _begin(self, place: Place, obj: dict[str, Any]) -> None:
        start = time.monotonic()
        deadline = start + obj.get("spec", {}).get("progressDeadlineSeconds", 600)
        metadata = obj["metadata"]
        self._progress[place] = Progress(
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            ready_at=start + self.delay,
            deadline=deadline,
        )
        self._schedule(0, lambda: self._step(place))
        self._schedule(self.delay, lambda: self._step(place))
        if is_stuck(obj, self.stuck_marker):
            self._schedule(deadline - start, lambda: self._step(place))

    def _step(self, place: Place) -> None:
        resource, stored = self._resource(place[0]), self.store.get(*place)
        progress = self._progress.get(place)
        if stored is None or progress is None or stored.object["metadata"]["uid"] != progress.uid:
            return
        clock = time.monotonic()
        moment = Moment(
            now=now(),
            ready=clock >= progress.ready_at,
            stuck=is_stuck(stored.object, self.stuck_marker),
            overdue=clock >= progress.deadline,
        )
        status = STATUSES[place[0]](stored.object, moment)
        options = Options(manager=MANAGER, subresource="status")

        def change(live: dict[str, Any]) -> dict[str, Any]:
            metadata = (
                {**live["metadata"], "annotations": revised(live)} if place[0] == DEPLOYMENTS else live["metadata"]
            )
            return {**live, "metadata": metadata, "status": status}

        self.writes.patch(resource, place[1], change, options)
        if place[0] == CLAIMS and moment.ready:
            name = f"pvc-{progress.uid}"
            volume = lambda live: {**live, "spec": {"volumeName": name, **live["spec"]}}  # noqa: E731 — one use
            self.writes.patch(resource, place[1], volume, Options(manager=MANAGER))

    def _resource(self, key: ResourceKey) -> Resource:
        found = next((resource for resource in self.registry.all() if resource.key == key), None)
        if found is None:  # its definition went away meanwhile, and its objects with it
            raise unknown_resource()
        return found

    def _namespace(self, name: str) -> None:
        """What every namespace has, or the end of one."""
        if self._is_terminating(name):
            self._empty_namespace(name)
            return
        for plural, body in (
            ("serviceaccounts", {"kind": "ServiceAccount", "metadata": {"name": "default"}}),
            ("configmaps", {"kind": "ConfigMap", "metadata": {"name": ROOT_CA}, "data": {"ca.crt": ""}}),
        ):
            if self.store.get(("", plural), (name, body["metadata"]["name"])) is None:  # type: ignore[index] # literals
                resource = self._resource(("", plural))
                self.writes.create(resource, name, {"apiVersion": "v1", **body}, Options(manager=MANAGER))

    def _is_terminating(self, namespace: str) -> bool:
        stored = self.store.get(NAMESPACES, ("", namespace)) if namespace else None
        return stored is not None and "deletionTimestamp" in stored.object["metadata"]

    def _empty_namespace(self, name: str) -> None:
        """Delete what stands in a namespace; when nothing is left, the namespace itself."""
        with self.store.lock:
            if not self._is_terminating(name):
                return
            for key in self.store.resources():
                for stored in self.store.scan(key, name):
                    if "deletionTimestamp" not in stored.object["metadata"]:
                        delete(self.store, self._resource(key), key_of(stored.object), {}, dry_run=False)
            if any(self.store.scan(key, name) for key in self.store.resources()):
                return
            namespace = self.store.get(NAMESPACES, ("", name))
            if namespace is not None and not namespace.object["metadata"].get("finalizers"):
                self.store.remove(NAMESPACES, ("", name))

    def _collect(self, owner: str) -> None:
        """Delete what only a deleted owner held."""
        with self.store.lock:
            for place in sorted(self._dependents.pop(owner, set())):
                stored = self.store.get(*place)
                if stored is not None and not self._owned_by_others(stored.object, owner):
                    delete(self.store, self._resource(place[0]), place[1], {}, dry_run=False)

    def _owned_by_others(self, obj: dict[str, Any], owner: str) -> bool:
        others = {ref["uid"] for ref in obj["metadata"].get("ownerReferences") or ()} - {owner}
        return bool(others) and any(
            stored.object["metadata"]["uid"] in others
            for key in self.store.resources()
            for stored in self.store.scan(key)
        )

    def _release(self, place: Place) -> None:
        """Foreground deletion and orphaning: settle the dependents, then let the owner go."""
        with self.store.lock:
            stored = self.store.get(*place)
            if stored is None:
                return
            metadata = stored.object["metadata"]
            finalizers = set(metadata.get("finalizers") or ())
            for dependent in sorted(self._dependents.get(metadata["uid"], set())):
                if ORPHAN in finalizers:
                    self._disown(dependent, metadata["uid"])
                elif FOREGROUND in finalizers:
                    delete(self.store, self._resource(dependent[0]), dependent[1], {}, dry_run=False)
            if FOREGROUND in finalizers and self._dependents.get(metadata["uid"]):
                self._schedule(self.delay, lambda: self._release(place))
                return
            kept = [name for name in metadata.get("finalizers") or () if name not in {FOREGROUND, ORPHAN}]
            resource = self._resource(place[0])
            self.writes.patch(
                resource, place[1], lambda live: _with(live, "finalizers", kept), Options(manager=MANAGER)
            )

    def _disown(self, place: Place, owner: str) -> None:
        def change(live: dict[str, Any]) -> dict[str, Any]:
            kept = [ref for ref in live["metadata"].get("ownerReferences") or () if ref["uid"] != owner]
            return _with(live, "ownerReferences", kept)

        self.writes.patch(self._resource(place[0]), place[1], change, Options(manager=MANAGER))


def _with(live: dict[str, Any], key: str, value: list[Any]) -> dict[str, Any]:
    metadata = {**live["metadata"], key: value}
    if not value:
        del metadata[key]
    return {**live, "metadata": metadata}
