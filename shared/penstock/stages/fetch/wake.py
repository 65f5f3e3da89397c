"""Whom new trees concern in one cluster, as messages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.core.messages import PLANE, ArtifactStored, Outgoing
from penstock.core.records import (
    PLANE_KEY,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
)
from penstock.core.sources.wakeups import Candidate, candidate, to_wake
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps

_KIND = "Kustomization"


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A source with an artifact: what fetch knows of it, and the artifact's tree."""

    status: SourceStatus
    tree: MemoryTree


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
    prefix = f"status/{cluster}/{_KIND}/"
    known = {
        held.key.removeprefix(prefix): KustomizationStatus.from_value(held.value) for held in deps.state.list(prefix)
    }
    candidates = list(_candidates(cluster, known, deps))
    woken = to_wake(candidates, {key: each.tree for key, each in opened.items()})
    return [
        _message(cluster, item.ref)
        for item in woken
        if item.changed or not _attempted(known.get(item.ref), opened[item.source].status)
    ]


def _candidates(cluster: str, known: Mapping[str, KustomizationStatus], deps: Deps) -> Iterable[Candidate]:
    prefix = f"object/{cluster}/{_KIND}/"
    for held in deps.state.list(prefix):
        record = ObjectRecord.from_value(held.value)
        yield candidate(record, known.get(held.key.removeprefix(prefix)), now=deps.clock.now())


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
