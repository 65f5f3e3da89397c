"""Whom new trees concern in one cluster, as messages: by the index entries, not by reading every Kustomization."""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from penstock.core.errors import Conflict
from penstock.core.messages import PLANE, ArtifactStored, Outgoing
from penstock.core.records import (
    PLANE_KEY,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
    status_key,
)
from penstock.core.sources.index import ANY, changed_places, hashed, indexed_key, named, place_of, reads_prefix
from penstock.core.sources.outcome import BACKSTOP
from penstock.core.sources.wakeups import ROOT, candidate, to_wake
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Value

_KIND = "Kustomization"
MOST_LISTS = 64
"""So many places are looked up one by one; above that, all entries of the source by one list."""
MOST_GETS = 32
"""So many Kustomizations are read one by one; above that, all of the cluster by two lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A source with an artifact: what fetch knows of it, and the artifact's tree.

    ``before``: the tree whose wake-ups have certainly gone out; None where nobody knows which that is.
    """

    status: SourceStatus
    tree: MemoryTree
    before: MemoryTree | None = None


def clusters_of(cluster: str, deps: Deps) -> tuple[str, ...]:
    """The clusters in which a source may be used: its own; for the plane's own source all of the Plane."""
    if cluster != PLANE:
        return (cluster,)
    found = deps.state.get(PLANE_KEY)
    return _cluster_names(PlaneRecord.from_value(found.value)) if found else ()


def follows(cluster: str, source: tuple[str, str, str], deps: Deps) -> bool:
    """Whether a cluster has an alias of the plane's own source (kind, namespace, name), not one of its own."""
    found = deps.state.get(object_key(cluster, *source))
    return found is not None and ObjectRecord.from_value(found.value).implicit


def wake(cluster: str, opened: Mapping[str, Opened], deps: Deps) -> list[Outgoing]:
    """Wake-ups of the Kustomizations that these sources (by ``source_key``) give work, parents before children.

    One that has attempted the very observation already is left to its own retries.
    """
    records, known = _concerned(cluster, opened, deps)
    now = deps.clock.now()
    candidates = [candidate(record, known.get(ref), now=now) for ref, record in sorted(records.items())]
    woken = [
        item.ref
        for item in to_wake(candidates, {key: each.tree for key, each in opened.items()})
        if item.changed or not _attempted(known.get(item.ref), opened[item.source].status)
    ]
    for ref in woken:
        if ref not in known:
            _expect(cluster, ref, deps)
    return [_message(cluster, ref) for ref in woken]


def _expect(cluster: str, ref: str, deps: Deps) -> None:
    """Who has never run stands in the due index from now on: `tick` finds it, should the message be lost."""
    due = deps.clock.now().timestamp() + BACKSTOP
    with contextlib.suppress(Conflict):  # it has just run
        key = status_key(cluster, _KIND, *ref.split("/"))
        deps.state.put(key, KustomizationStatus().to_value(), expected=ABSENT, due=due)


_Records = tuple[dict[str, ObjectRecord], dict[str, KustomizationStatus]]


def _concerned(cluster: str, opened: Mapping[str, Opened], deps: Deps) -> _Records:
    """The records of those who may be touched, and of all their ancestors."""
    if deps.state.get(indexed_key(cluster)) is None:  # nobody has reconciled here since the index is kept
        return _everybody(cluster, deps)
    found = {ROOT} | {ref for key, each in opened.items() for ref in _readers(cluster, key, each, deps)}
    return _everybody(cluster, deps) if len(found) > MOST_GETS else _with_ancestors(cluster, found, deps)


def _readers(cluster: str, source: str, opened: Opened, deps: Deps) -> frozenset[str]:
    """Who has read what is different now, and whom every push concerns."""
    changed = None if opened.before is None else {ANY, *changed_places(opened.before, opened.tree)}
    if changed is not None and len(changed) <= MOST_LISTS:
        keys = [held.key for each in sorted(changed) for held in deps.state.list(reads_prefix(cluster, source, each))]
    else:
        wanted = None if changed is None else {hashed(each) for each in changed}
        entries = deps.state.list(reads_prefix(cluster, source))
        keys = [held.key for held in entries if wanted is None or place_of(held.key) in wanted]
    return frozenset(map(named, keys))


def _with_ancestors(cluster: str, found: Collection[str], deps: Deps) -> _Records:
    records: dict[str, ObjectRecord] = {}
    known: dict[str, KustomizationStatus] = {}
    pending = set(found)
    while pending:
        ref = pending.pop()
        held = deps.state.get(object_key(cluster, _KIND, *ref.split("/")))
        if held is None:
            continue
        records[ref] = ObjectRecord.from_value(held.value)
        status = deps.state.get(status_key(cluster, _KIND, *ref.split("/")))
        if status is not None:
            known[ref] = KustomizationStatus.from_value(status.value)
        if records[ref].parent and records[ref].parent not in records:
            pending.add(records[ref].parent)
    return records, known


def _everybody(cluster: str, deps: Deps) -> _Records:
    objects, statuses = (_below(f"{family}/{cluster}/{_KIND}/", deps) for family in ("object", "status"))
    return (
        {ref: ObjectRecord.from_value(value) for ref, value in objects},
        {ref: KustomizationStatus.from_value(value) for ref, value in statuses},
    )


def _below(prefix: str, deps: Deps) -> Iterable[tuple[str, Value]]:
    return [(held.key.removeprefix(prefix), held.value) for held in deps.state.list(prefix)]


def _attempted(status: KustomizationStatus | None, source: SourceStatus) -> bool:
    return (
        status is not None
        and status.observation >= source.observation
        and status.last_attempted_revision == source.revision
    )


def _message(cluster: str, ref: str) -> Outgoing:
    namespace, _, name = ref.partition("/")
    return Outgoing(message=ArtifactStored(cluster=cluster, namespace=namespace, name=name, why="artifact"))


def _cluster_names(plane: PlaneRecord) -> tuple[str, ...]:
    clusters = (plane.document.get("spec") or {}).get("clusters") or ()
    return tuple(str(each["name"]) for each in clusters)
