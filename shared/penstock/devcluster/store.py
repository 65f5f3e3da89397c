"""Objects in memory, their resourceVersions, and a bounded history of changes for watches."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ResourceKey = tuple[str, str]
"""(group, plural)."""
ObjectKey = tuple[str, str]
"""(namespace, name); namespace "" for cluster-scoped objects."""


class Stored:
    """One revision of an object. ``object`` is never changed after it was stored."""

    __slots__ = ("_rest", "object")

    def __init__(self, obj: dict[str, Any]) -> None:
        self.object = obj
        self._rest: bytes | None = None

    def rest(self) -> bytes:
        """Its JSON without kind, apiVersion and the opening brace. Made once: lists are joined from these."""
        if self._rest is None:
            body = {key: value for key, value in self.object.items() if key not in {"kind", "apiVersion"}}
            self._rest = dump(body)[1:]
        return self._rest

    @property
    def resource_version(self) -> int:
        """The revision's number."""
        return int(self.object["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the history: ``type`` ADDED | MODIFIED | DELETED; ``before``: what it replaced."""

    revision: int
    resource: ResourceKey
    type: str
    after: Stored
    before: Stored | None


class TooOldError(Exception):
    """The history no longer reaches back to a revision. ``oldest``: the oldest that it can continue from."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"oldest is {oldest}")
        self.oldest = oldest


def dump(value: Any) -> bytes:
    """JSON as the API server writes it: compact, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Store:
    """All objects. Callers hold ``lock`` over a read-modify-write; ``listeners`` hear each change under it."""

    def __init__(self, history: int = 20_000) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.revision = 1
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[ResourceKey, dict[ObjectKey, Stored]] = {}
        self._history: deque[Change] = deque(maxlen=history)

    def get(self, resource: ResourceKey, key: ObjectKey) -> Stored | None:
        """The newest revision of an object."""
        return self._objects.get(resource, {}).get(key)

    def scan(self, resource: ResourceKey, namespace: str = "") -> list[Stored]:
        """Every object, by namespace and name; of one namespace where it is given."""
        with self.lock:
            found = self._objects.get(resource, {})
            keys = [key for key in found if key[0] == namespace] if namespace else list(found)
            return [found[key] for key in sorted(keys)]

    def count(self) -> int:
        """How many objects there are."""
        return sum(map(len, self._objects.values()))

    def resources(self) -> list[ResourceKey]:
        """What has objects."""
        with self.lock:
            return [key for key, found in self._objects.items() if found]

    def put(self, resource: ResourceKey, obj: Mapping[str, Any]) -> Stored:
        """Store a new revision; sets its resourceVersion."""
        with self.lock:
            self.revision += 1
            metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
            stored = Stored({**obj, "metadata": metadata})
            found = self._objects.setdefault(resource, {})
            key = key_of(obj)
            before = found.get(key)
            found[key] = stored
            self._record(resource, "MODIFIED" if before else "ADDED", stored, before)
            return stored

    def remove(self, resource: ResourceKey, key: ObjectKey) -> Stored | None:
        """Remove an object; its last revision carries the deletion's resourceVersion."""
        with self.lock:
            before = self._objects.get(resource, {}).pop(key, None)
            if before is None:
                return None
            self.revision += 1
            metadata = {**before.object["metadata"], "resourceVersion": str(self.revision)}
            after = Stored({**before.object, "metadata": metadata})
            self._record(resource, "DELETED", after, before)
            return after

    def _record(self, resource: ResourceKey, kind: str, after: Stored, before: Stored | None) -> None:
        change = Change(revision=self.revision, resource=resource, type=kind, after=after, before=before)
        self._history.append(change)
        for listener in self.listeners:
            listener(change)
        self.changed.notify_all()

    def since(self, revision: int) -> list[Change]:
        """Changes after a revision, oldest first. Raises TooOldError."""
        with self.lock:
            if len(self._history) == self._history.maxlen and revision < self._history[0].revision - 1:
                raise TooOldError(self._history[0].revision - 1)
            return list(_newer(self._history, revision))


def _newer(history: "deque[Change]", revision: int) -> Iterator[Change]:
    newer: list[Change] = []
    for change in reversed(history):
        if change.revision <= revision:
            break
        newer.append(change)
    yield from reversed(newer)


def key_of(obj: Mapping[str, Any]) -> ObjectKey:
    """Namespace and name of an object."""
    metadata = obj["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])
