"""Whom new trees concern in one cluster, as messages: by the index entries, not by reading every Kustomization."""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.core.errors import Conflict
from penstock.core.messages import PLANE, ArtifactStored, Outgoing
from penstock.core.records import (
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
    status_key,
)
from penstock.core.sources.index import indexed_key
from penstock.core.sources.outcome import BACKSTOP
from penstock.core.sources.wakeups import ROOT, candidate, to_wake
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Value
from penstock.stages.fetch.opened import Opened
from penstock.stages.fetch.survey import Survey, places_of

_KIND = "Kustomization"
_Records = tuple[dict[str, ObjectRecord], dict[str, KustomizationStatus]]
"""Kustomizations of a cluster and their statuses, by ``namespace/name``."""
MOST_GETS = 32
"""So many Kustomizations are read by name; above that, all of the cluster by two lists."""


def clusters_of(cluster: str, plane: PlaneRecord | None) -> tuple[str, ...]:
    """The clusters in which a source may be used: its own; for the plane's own source all of the Plane."""
    if cluster != PLANE:
        return (cluster,)
    return _cluster_names(plane) if plane else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Concerned:
    """Whom new trees may concern in one cluster: those named by ``refs`` (``namespace/name``), None is everybody.

    ``opened``: the sources by ``source_key``.
    """

    cluster: str
    opened: Mapping[str, Opened]
    refs: frozenset[str] | None


def concerned_in(cluster: str, opened: Mapping[str, Opened], deps: Deps, survey: Survey | None = None) -> Concerned:
    """By the index entries. ``survey``: what is known already of one of these sources."""
    given = survey.places.source if survey else ""
    others = [places_of(source, each) for source, each in opened.items() if source != given]
    indexed = [] if survey else [indexed_key(cluster)]
    reads = None
    if others or indexed:
        reads = deps.state.read(indexed, [prefix for places in others for prefix in places.prefixes(cluster)])
    complete = survey.indexed(cluster) if survey else reads is not None and bool(reads.records)
    if not complete:  # nobody has reconciled here since the index is kept
        return Concerned(cluster=cluster, opened=opened, refs=None)
    found = {ROOT} | (survey.readers(cluster) if survey else frozenset())
    for places in others:
        found |= places.readers(cluster, reads) if reads else frozenset()
    return Concerned(cluster=cluster, opened=opened, refs=frozenset(found) if len(found) <= MOST_GETS else None)


def wake(concerned: Sequence[Concerned], deps: Deps) -> list[Outgoing]:
    """Wake-ups of the Kustomizations that these sources give work, parents before children.

    One that has attempted the very observation already is left to its own retries.
    """
    named_ones = _with_ancestors({each.cluster: each.refs for each in concerned if each.refs is not None}, deps)
    messages: list[Outgoing] = []
    for each in concerned:
        found = named_ones[each.cluster] if each.refs is not None else _everybody(each.cluster, deps)
        messages += _woken(each, found, deps)
    return messages


def _woken(each: Concerned, found: _Records, deps: Deps) -> list[Outgoing]:
    cluster, opened, (records, known) = each.cluster, each.opened, found
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


def _with_ancestors(refs: Mapping[str, Collection[str]], deps: Deps) -> dict[str, _Records]:
    """The records of those named of each cluster, and of all their ancestors: one read for each generation."""
    found: dict[str, _Records] = {cluster: ({}, {}) for cluster in refs}
    pending = {(cluster, ref) for cluster, names in refs.items() for ref in names}
    seen = set[tuple[str, str]]()
    while pending:
        seen |= pending
        names = {each: (each[0], _KIND, *each[1].split("/")) for each in sorted(pending)}
        read = deps.state.read([make(*name) for name in names.values() for make in (object_key, status_key)]).records
        pending = set()
        for (cluster, ref), name in names.items():
            held, status = read.get(object_key(*name)), read.get(status_key(*name))
            if held is None:
                continue
            records, known = found[cluster]
            records[ref] = ObjectRecord.from_value(held.value)
            if status is not None:
                known[ref] = KustomizationStatus.from_value(status.value)
            parent = (cluster, records[ref].parent)
            if parent[1] and parent not in seen:
                pending.add(parent)
    return found


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
