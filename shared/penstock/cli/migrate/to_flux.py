"""Back to Flux: the plane rests, Flux's objects get what the plane knows, and only then Flux goes on.

Flux must not wake to an old spec, an old artifact or an old inventory: it would apply or prune what is long settled.
A Kustomization that bears the mark of a migration is still the plane's; without it, it is Flux's, and left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.cli.migrate.moving import change, hand_over, under_lease
from penstock.cli.migrate.side import ROOT, Side
from penstock.cli.migrate.survey import Move, find_root, list_flux, stored_inventory
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.flux.kustomization import API_GROUP, KIND, parse_kustomization
from penstock.core.flux.live import (
    FLUX_MANAGER,
    MOVED,
    as_flux_inventory,
    as_given_back,
    flux_inventory,
    is_flux_object,
    moved_by,
)
from penstock.core.flux.plane import DECLARED_BY
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.reconcile.normalise import normalise
from penstock.core.records import KustomizationStatus, ObjectRecord, Suspension, status_key
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.sources.kinds import FETCHED
from penstock.core.sources.wakeups import source_key
from penstock.ports.cluster import FIELD_MANAGER, ApplyOptions
from penstock.ports.deps import Deps
from penstock.stages.api.actions import set_switch
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.attempt import source_status
from penstock.stages.reconcile.ledger import GVK as CONFIG_MAP
from penstock.stages.reconcile.live import Reading, read_live

WHO = "penstock migrate"
SOURCES, SOURCE = "source.toolkit.fluxcd.io", "GitRepository"
KINDS = (*FETCHED, "ArtifactGenerator", "Receiver", "Provider", "Alert", KIND)
"""In the order in which they are written: what a Kustomization refers to comes before it."""

POLL = 2.0


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
    statuses = {name: _status(side, deps, name) for (kind, name) in records if kind == KIND}
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


def move_to_flux(side: Side, back: Back, deps: Deps, *, timeout: float) -> list[str]:
    """Do it; what was refused, one line each.

    Raises Transient where Flux's sources are not at the plane's revisions after ``timeout`` seconds: Flux is not
    resumed then, and the plane rests; made again, it goes on from there.
    """
    due = [move for move in back.moves if is_ours(move)]
    for move in due:
        _rest(side, move, deps)
    _write_documents(side, back)
    problems = []
    for move in due:
        number, refused = hand_over(move, owner=_labels_of(move), giver=FIELD_MANAGER, taker=FLUX_MANAGER)
        problems += [f"{move.name}: {each}" for each in refused]
        _give_inventory(side, back, move)
        side.say(f"{move.name}: {len(move.entries)} objects and the fields of {number} are Flux's")
    for name in back.abandoned:
        _empty_inventory(side, name)
    _wait_for_sources(side, back, timeout=timeout)
    for move in back.moves:
        _resume(side, back, move)
        _drop_ours(move)
    return problems


def _records(side: Side, deps: Deps) -> dict[tuple[str, str], ObjectRecord]:
    found = {}
    for kind in KINDS:
        prefix = f"object/{side.name}/{kind}/"
        for record in deps.state.list(prefix):
            found[kind, record.key.removeprefix(prefix)] = ObjectRecord.from_value(record.value)
    return found


def _status(side: Side, deps: Deps, name: str) -> KustomizationStatus:
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


def _labels_of(move: Move) -> str:
    return f"{move.owner.namespace}/{move.owner.name}"


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


def _rest(side: Side, move: Move, deps: Deps) -> None:
    """The plane's own switch, set while no run goes on. Who suspended it before keeps the word."""
    name = _labels_of(move)
    if _status(side, deps, name).suspension is not None:
        return
    since = side.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    switch = Suspension(who=WHO, why="it was given back to Flux", since=since)
    where = (side.name, move.owner.namespace, move.owner.name)
    under_lease(side, move.target, move.owner, lambda: set_switch(deps, where, switch))


def _write_documents(side: Side, back: Back) -> None:
    """Flux's objects as Git has them now: one that was changed or made meanwhile is not what stands in the cluster."""
    for kind in KINDS:
        for (other, name), record in sorted(back.records.items()):
            if other != kind or record.implicit or _is_planes_own(record, name, back.root):
                continue
            gvk = gvk_of(record.document)
            if side.home.resource_type(gvk.group, gvk.kind, gvk.version) is None:
                continue
            _write_document(side, back, record, name)


def _is_planes_own(record: ObjectRecord, name: str, root: str) -> bool:
    """The root that the Plane document stands for, and not a manifest in Git (or one of another name in Flux)."""
    declared = DECLARED_BY in (record.document["metadata"].get("annotations") or {})
    return declared or (str(record.document["kind"]), name) == (KIND, ROOT) != (KIND, root)


def _write_document(side: Side, back: Back, record: ObjectRecord, name: str) -> None:
    kind = str(record.document["kind"])
    found = side.home.get(gvk_of(record.document), *name.split("/", 1))
    if kind == KIND and found is not None and not moved_by(found):
        return  # it is Flux's already
    parent = (record.parent or back.root).split("/", 1)
    wanted = normalise(record.document, namespace=parent[0], name=parent[1])
    if kind == KIND:
        annotations = {**(wanted["metadata"].get("annotations") or {}), MOVED: str(side.owner(name))}
        metadata = {**wanted["metadata"], "annotations": annotations}
        wanted = {**wanted, "metadata": metadata, "spec": {**wanted["spec"], "suspend": True}}
    side.home.apply(wanted, ApplyOptions(field_manager=FLUX_MANAGER))


def _live(side: Side, name: str) -> Manifest | None:
    served = side.home.resource_type(API_GROUP, KIND)
    gvk = served.gvk if served else Gvk(group=API_GROUP, version="v1", kind=KIND)
    return side.home.get(gvk, *name.split("/", 1))


def _give_inventory(side: Side, back: Back, move: Move) -> None:
    """``status.inventory``, by the status subresource: what the plane applied, and what was Flux's alone."""
    mine = _labels_of(move)
    children = {
        ref_of(record.document): gvk_of(record.document).version
        for record in back.records.values()
        if record.parent == mine and not record.implicit
    }
    listed = flux_inventory(move.live)
    entries = {**{ref: listed[ref] for ref in move.left}, **children, **move.entries}
    _set_status(side, move.name, {"inventory": as_flux_inventory(entries)})


def _empty_inventory(side: Side, name: str) -> None:
    """It left Git, and what it had applied is gone: Flux's parent deletes it, and must find nothing to delete."""
    _set_status(side, name, {"inventory": as_flux_inventory({})})
    side.say(f"{name} left Git meanwhile: it stays suspended, with an empty inventory, until Flux prunes it")


def _set_status(side: Side, name: str, fields: Mapping[str, Any]) -> None:
    live = _live(side, name)
    if live is None:
        raise NotFound(f"Flux's Kustomization {name} went away meanwhile: run this again")
    status = {**(live.get("status") or {}), **fields}
    if status != live.get("status"):
        side.home.replace_status({**live, "status": status})


def _wait_for_sources(side: Side, back: Back, *, timeout: float) -> None:
    end = side.clock.monotonic() + timeout
    while True:
        late = {}
        for key, revision in sorted(back.revisions.items()):
            shown = _revision_there(side, key)
            if shown != revision:
                late[key] = shown or "no artifact"
        if not late:
            return
        if side.clock.monotonic() > end:
            told = ", ".join(f"{name} ({there} there, {back.revisions[name]} here)" for name, there in late.items())
            raise Transient(
                f"Flux's sources are not where the plane is: {told}. Start source-controller and let it fetch (`flux "
                "reconcile source git NAME`), then run this again; until then the plane rests and Flux stays suspended"
            )
        side.clock.sleep(POLL)


def _revision_there(side: Side, key: str) -> str:
    """Of the artifact that Flux's source ``Kind/namespace/name`` has now, "" where it has none."""
    kind, namespace, name = key.split("/")
    served = side.home.resource_type(SOURCES, kind)
    live = side.home.get(served.gvk, namespace, name) if served is not None else None
    return str((((live or {}).get("status") or {}).get("artifact") or {}).get("revision") or "")


def _resume(side: Side, back: Back, move: Move) -> None:
    live = _live(side, move.name)
    if live is None or not moved_by(live):
        return
    held = bool(move.kustomization.suspend) or _labels_of(move) in back.held
    change(side.home, live, lambda found: as_given_back(found, suspend=held) if moved_by(found) else None)
    side.say(f"{move.name}: {'stays suspended' if held else 'resumed'} in Flux")


def _drop_ours(move: Move) -> None:
    """Our inventory goes: what Flux does from now on is not in it."""
    known = stored_inventory(move.target, move.owner)
    if known is None:
        return
    name = inventory_name(move.owner.namespace, move.owner.name)
    metadata = {"name": name, "namespace": NAMESPACE, "uid": known.uid, "resourceVersion": known.resource_version}
    move.target.delete({"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": metadata})
    lease.drop(move.target, name)
