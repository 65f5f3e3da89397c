"""Back to Flux: the plane rests, Flux's objects get what the plane knows, and only then Flux goes on.

Flux must not wake to an old spec, an old artifact or an old inventory: it would apply or prune what is long settled.
A Kustomization that bears the mark of a migration is still the plane's; without it, it is Flux's, and left alone.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from penstock.cli.migrate.moving import ATTEMPTS, change, hand_over, under_lease
from penstock.cli.migrate.side import ROOT, Side
from penstock.cli.migrate.survey import Move, stored_inventory
from penstock.cli.migrate.survey_back import KINDS, SOURCES, WHO, Back, is_ours, status_of
from penstock.core.errors import Conflict, NotFound, Transient
from penstock.core.flux.kustomization import API_GROUP, KIND
from penstock.core.flux.live import (
    FLUX_MANAGER,
    MOVED,
    as_flux_inventory,
    as_given_back,
    flux_inventory,
    moved_by,
)
from penstock.core.flux.plane import DECLARED_BY
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.reconcile.normalise import normalise
from penstock.core.records import ObjectRecord, Suspension
from penstock.core.resources import Gvk, Manifest, gvk_of, ref_of
from penstock.ports.cluster import FIELD_MANAGER, ApplyOptions, Cluster
from penstock.ports.deps import Deps
from penstock.stages.api.actions import set_switch
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.ledger import GVK as CONFIG_MAP

POLL = 2.0


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
        _drop_ours(move.target, move)
        if move.target is not side.home:
            _drop_ours(side.home, move)  # what named it there
    return problems


def _labels_of(move: Move) -> str:
    return f"{move.owner.namespace}/{move.owner.name}"


def _rest(side: Side, move: Move, deps: Deps) -> None:
    """The plane's own switch, set while no run goes on. Who suspended it before keeps the word."""
    name = _labels_of(move)
    if status_of(side, deps, name).suspension is not None:
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
    for _ in range(ATTEMPTS):
        live = _live(side, name)
        if live is None:
            raise NotFound(f"Flux's Kustomization {name} went away meanwhile: run this again")
        status = {**(live.get("status") or {}), **fields}
        if status == live.get("status"):
            return
        with contextlib.suppress(Conflict):
            side.home.replace_status({**live, "status": status})
            return
    raise Transient(f"the status of Flux's Kustomization {name} is being written by others all the time")


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


def _drop_ours(cluster: Cluster, move: Move) -> None:
    """Our inventory goes: what Flux does from now on is not in it."""
    known = stored_inventory(cluster, move.owner)
    if known is None:
        return
    name = inventory_name(move.owner.namespace, move.owner.name)
    metadata = {"name": name, "namespace": NAMESPACE, "uid": known.uid, "resourceVersion": known.resource_version}
    cluster.delete({"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": metadata})
    lease.drop(cluster, name)
