"""What goes back to Flux: the records, our inventories, Flux's own objects as they stand. Nothing is written here."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.cli.migrate.side import ROOT, Side
from penstock.cli.migrate.survey import Move, find_root, list_flux, stored_inventory
from penstock.core.errors import NotFound, Refused
from penstock.core.flux.kustomization import KIND, parse_kustomization
from penstock.core.flux.live import flux_inventory, is_flux_object, moved_by
from penstock.core.records import KustomizationStatus, ObjectRecord, status_key
from penstock.core.resources import Manifest, ObjectRef
from penstock.core.sources.kinds import FETCHED
from penstock.core.sources.wakeups import source_key
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import source_status
from penstock.stages.reconcile.live import Reading, read_live

WHO = "penstock migrate"
SOURCES, SOURCE = "source.toolkit.fluxcd.io", "GitRepository"
KINDS = (*FETCHED, "ArtifactGenerator", "Receiver", "Provider", "Alert", KIND)
"""In the order in which they are written: what a Kustomization refers to comes before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Back:
    """What goes back, and what is known of it.

    ``moves``: parents first; ``records``: (kind, ``namespace/name``) -> what Git holds of it; ``held``: suspended
    in the plane by somebody; ``abandoned``: Kustomizations that left Git meanwhile; ``revisions``: source -> head.
    """

    root: str
    moves: tuple[Move, ...]
    records: Mapping[tuple[str, str], ObjectRecord]
    held: frozenset[str]
    abandoned: tuple[str, ...]
    revisions: Mapping[str, str]


def survey_back(side: Side, deps: Deps) -> Back:
    """Look at everything; nothing is written.

    Raises NotFound where Flux is not there to take it back, Refused where a removal goes on in the plane, or its
    source is not Flux's.
    """
    found = list_flux(side.home)
    root = find_root(found, side.path)
    if root not in found:
        raise NotFound(f"Flux has no Kustomization {ROOT} in this cluster: install Flux, and its sync manifests, first")
    records = _records(side, deps)
    removed = sorted(name for (kind, name), record in records.items() if kind == KIND and record.tombstone)
    if removed:
        raise Refused(f"the removal of {', '.join(removed)} goes on in the plane: let it end (`penstock status`) first")
    _check_source(side, records)
    names = {ROOT: root}
    moves = [
        _move(side, record, found.get(names.get(name, name)), names.get(name, name))
        for (kind, name), record in sorted(records.items())
        if kind == KIND
    ]
    ordered = sorted(moves, key=lambda move: _depth(records, f"{move.owner.namespace}/{move.owner.name}"))
    mine = f"{side.uid}/{side.name}/"
    known = {move.name for move in moves}
    abandoned = [n for n, live in found.items() if moved_by(live).startswith(mine) and n not in known]
    statuses = {name: status_of(side, deps, name) for (kind, name) in records if kind == KIND}
    return Back(
        root=root,
        moves=tuple(ordered),
        records=records,
        held=frozenset(n for n, s in statuses.items() if s.suspension is not None and s.suspension.who != WHO),
        abandoned=tuple(sorted(abandoned)),
        revisions=_revisions(side, deps, moves),
    )


def is_ours(move: Move) -> bool:
    """Whether it has not gone back yet: Flux has no such object, or one that a migration marked."""
    return not move.live.get("metadata", {}).get("uid") or bool(moved_by(move.live))


def _records(side: Side, deps: Deps) -> dict[tuple[str, str], ObjectRecord]:
    found = {}
    for kind in KINDS:
        prefix = f"object/{side.name}/{kind}/"
        for record in deps.state.list(prefix):
            found[kind, record.key.removeprefix(prefix)] = ObjectRecord.from_value(record.value)
    return found


def status_of(side: Side, deps: Deps, name: str) -> KustomizationStatus:
    """The plane's status of ``namespace/name``."""
    found = deps.state.get(status_key(side.name, KIND, *name.split("/", 1)))
    return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()


def _check_source(side: Side, records: Mapping[tuple[str, str], ObjectRecord]) -> None:
    """Flux's GitRepository flux-system/flux-system must lead to the same commits as the plane's own source."""
    record = records.get((SOURCE, ROOT))
    served = side.home.resource_type(SOURCES, SOURCE)
    if record is None or not record.implicit or served is None:
        return
    live = side.home.get(served.gvk, *ROOT.split("/"))
    if live is None:
        raise NotFound(f"Flux has no {SOURCE} {ROOT} in this cluster: apply the repository's gotk-sync.yaml first")
    ours, theirs = record.document["spec"], live.get("spec") or {}
    for field in ("url", "ref"):
        if ours.get(field) != theirs.get(field):
            raise Refused(
                f"Flux's {SOURCE} {ROOT} has spec.{field} {theirs.get(field)!r}, the Plane's source "
                f"{ours.get(field)!r}: make them equal first"
            )


def _move(side: Side, record: ObjectRecord, live: Manifest | None, name: str) -> Move:
    kustomization = parse_kustomization(record.document)
    target = side.target(kustomization)
    owner = side.owner(f"{kustomization.namespace}/{kustomization.name}")
    known = stored_inventory(target, owner)
    entries = dict(known.entries) if known is not None else {}
    objects = read_live(target, entries, Reading(owner=f"{kustomization.namespace}/{kustomization.name}")).objects
    there = live or {}
    left = {ref: "" for ref in flux_inventory(there) if ref not in entries and _stays_listed(ref)}
    return Move(
        name=name,
        owner=owner,
        live=there,
        kustomization=kustomization,
        target=target,
        entries=entries,
        objects=objects,
        left=left,
    )


def _stays_listed(ref: ObjectRef) -> bool:
    """What the plane never had of an inventory of Flux: Flux's own objects and components, its namespace."""
    return is_flux_object(ref) or ref.namespace == "flux-system"


def _depth(records: Mapping[tuple[str, str], ObjectRecord], name: str) -> tuple[int, str]:
    depth, parent = 0, records[KIND, name].parent
    while (KIND, parent) in records and depth < len(records):
        depth, parent = depth + 1, records[KIND, parent].parent
    return depth, name


def _revisions(side: Side, deps: Deps, moves: list[Move]) -> dict[str, str]:
    """``Kind/namespace/name`` of each source that is reconciled from -> the revision that the plane has of it."""
    found = {}
    for source in {move.kustomization.source for move in moves}:
        if source.kind not in FETCHED:
            continue
        held = source_status(deps, side.name, source)
        if held is not None:
            found[source_key(source.kind, source.namespace, source.name)] = held.revision
    return found
