"""A plane in several regions: ports that keep what is a cluster's in its region, each over one adapter a region.

``Regions`` says where a cluster is. A function works in its own region (``here``); the home region keeps the plane's
own (core.regions). Reading may cross regions; a write of a cluster's never does.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.adapters.state.together import by_store
from penstock.core.messages import PLANE
from penstock.core.regions import ANSWERS, CLUSTERS, cluster_of, of_plane
from penstock.core.secrets.names import parse_secret_name
from penstock.ports.bus import DeadLetter, Dispatch
from penstock.ports.secrets import SecretData
from penstock.ports.state import Reads, Record, Value

LOOK_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Regions:
    """``of``: cluster -> its region; None for one that the Plane does not have. ``at``: region -> its adapter."""

    here: str
    home: str
    all: tuple[str, ...]
    of: Callable[[str], str | None]
    at: Callable[[str], Any]

    def local(self) -> Any:
        """This function's own."""
        return self.at(self.here)

    def of_cluster(self, cluster: str) -> Any:
        """The adapter of a cluster's region; None for a cluster that nobody knows."""
        if cluster in ("", PLANE):
            return self.at(self.home)
        region = self.of(cluster)
        return None if region is None else self.at(region)

    def each(self) -> Iterator[Any]:
        """This region's first, then the others'."""
        yield self.local()
        for region in self.all:
            if region != self.here:
                yield self.at(region)


class RegionalState:
    """See ports.state.State. Records of a cluster that the Plane does not have any more are looked for everywhere."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def get(self, key: str) -> Record | None:
        """The record or None."""
        owner = self._owner(key)
        if owner is not None:
            return owner.get(key)  # type: ignore[no-any-return]
        return next((found for state in self._regions.each() if (found := state.get(key)) is not None), None)

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given."""
        state = self._owner(key) or self._regions.local()
        return state.put(key, value, expected=expected, due=due)  # type: ignore[no-any-return]

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove."""
        owner = self._owner(key)
        for state in [owner] if owner is not None else self._regions.each():
            if owner is not None or state.get(key) is not None:
                state.delete(key, expected=expected)

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix, sorted by key."""
        owner = self._owner(prefix)
        if owner is not None:
            return owner.list(prefix)  # type: ignore[no-any-return]
        found = [record for state in self._regions.each() for record in state.list(prefix)]
        return tuple(sorted(found, key=lambda record: record.key))

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix, one region after the other."""
        owner = self._owner(prefix)
        states = self._regions.each() if owner is None else iter([owner])
        return (record for state in states for record in state.scan(prefix))

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records and lists of all regions at a time; what may be anywhere is looked for one by one."""
        owners = {each: self._owner(each) for each in (*keys, *prefixes)}
        known = [[each for each in given if owners[each] is not None] for given in (keys, prefixes)]
        reads = by_store(owners.__getitem__, *known)
        anywhere = ((key, self.get(key)) for key in keys if owners[key] is None)
        records = {key: found for key, found in anywhere if found is not None}
        lists = {prefix: self.list(prefix) for prefix in prefixes if owners[prefix] is None}
        return Reads(records={**reads.records, **records}, lists={**reads.lists, **lists})

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first, of all regions."""
        found = [record for state in self._regions.each() for record in state.due(before, limit=limit)]
        return tuple(heapq.nsmallest(limit, found, key=lambda record: (record.due, record.key)))

    def _owner(self, key: str) -> Any:
        """Whose it is; None where the key does not say."""
        if of_plane(key):
            return self._regions.at(self._regions.home)
        cluster = cluster_of(key)
        if cluster is not None:
            return self._regions.of_cluster(cluster)
        family = key.split("/", 1)[0]
        anywhere = not family or family == ANSWERS or family in CLUSTERS
        return None if anywhere else self._regions.local()


class RegionalStorage:
    """See ports.storage.Storage."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:
        """Store in the cluster's region; without one in this."""
        storage = self._regions.of_cluster(cluster) if cluster else None
        return (storage or self._regions.local()).put(digest, data)  # type: ignore[no-any-return]

    def get(self, digest: str) -> bytes | None:
        """The bytes, from this region where they are here."""
        return next((data for each in self._regions.each() if (data := each.get(digest)) is not None), None)

    def has(self, digest: str) -> bool:
        """Whether any region has it, this one asked first."""
        return any(each.has(digest) for each in self._regions.each())

    def delete(self, digest: str) -> None:
        """Forget it, wherever it is."""
        for each in self._regions.each():
            each.delete(digest)

    def digests(self) -> tuple[str, ...]:
        """All, sorted."""
        return tuple(sorted({digest for each in self._regions.each() for digest in each.digests()}))


class RegionalSecrets:
    """See ports.secrets.Secrets: by the cluster in a secret's name."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The value or None."""
        return self._of(name).get(name, newest=newest)  # type: ignore[no-any-return]

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store a copy of our own."""
        return self._of(name).put(name, data, owner=owner)  # type: ignore[no-any-return]

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy."""
        self._of(name).delete(name, owner=owner)

    def names(self) -> tuple[str, ...]:
        """All, sorted."""
        return tuple(sorted({name for each in self._regions.each() for name in each.names()}))

    def _of(self, name: str) -> Any:
        _, cluster, _, _ = parse_secret_name(name)
        return self._regions.of_cluster(cluster) or self._regions.local()


class RegionalBus:
    """See ports.bus.Bus and DeadLetters: a message goes to its cluster's region. What is consumed is this region's."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Take all of them, region by region."""
        by_bus: dict[int, tuple[Any, list[Dispatch]]] = {}
        for dispatch in messages:
            bus = self._regions.of_cluster(dispatch.envelope.message.cluster) or self._regions.local()
            by_bus.setdefault(id(bus), (bus, []))[1].append(dispatch)
        for bus, mine in by_bus.values():
            bus.publish(mine)

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Those of all regions, one region after another."""
        found = [letter for bus in self._regions.each() for letter in bus.dead_letters(limit=limit)]
        return tuple(found[:limit])

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Wherever they are: how many there were in all regions."""
        done = 0
        for bus in self._regions.each():
            if done < len(letters):
                done += bus.drop_dead_letters(letters, again=again)
        return done

    def lost(self) -> Iterator[DeadLetter]:
        """What queues of all regions gave up by themselves (AWS)."""
        for bus in self._regions.each():
            yield from bus.lost()

    def __getattr__(self, name: str) -> Any:
        """A queue's other calls are this region's queue's."""
        return getattr(self._regions.local(), name)


def planes_regions(
    plane: Callable[[], Mapping[str, str] | None], home: str, now: Callable[[], float]
) -> Callable[[str], str | None]:
    """Cluster -> region, by what the Plane said some seconds ago; one that has left it is remembered.

    ``plane``: the Plane's clusters and their regions; ``now``: monotonic seconds.
    """
    known: dict[str, str] = {}
    looked = float("-inf")

    def of(cluster: str) -> str | None:
        nonlocal looked
        if cluster not in known or now() - looked > LOOK_SECONDS:
            known.update({name: region or home for name, region in (plane() or {}).items()})
            looked = now()
        return known.get(cluster)

    return of
