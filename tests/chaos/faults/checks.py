"""What must hold when a schedule has come to rest, whatever went wrong in it."""

from collections import Counter

import yaml
from tests.chaos.faults import flux_objects
from tests.chaos.faults.decisions import WIDER
from tests.chaos.faults.world import CONFIG_MAP, LABEL, Change, World, status_of
from tests.chaos.stories import OWNERS, expected
from tests.memory_plane import CLUSTER

from penstock.core.messages import OWN_SOURCE, PLANE, ArtifactStored, SourceChanged
from penstock.core.notify.notification import repeat_key
from penstock.core.reconcile.inventory import NAMESPACE
from penstock.core.records import ObjectRecord, object_key, status_key
from penstock.core.sources.index import entries_of

INTERVAL = 1010.0
"""Seconds in which every interval of the fleet is over once."""


def check_state(world: World) -> None:
    """The cluster is the render of the head, inventories are exact, and everybody is ready."""
    plane, files = world.first, world.pushed[-1][1]
    looked = plane.state.get(status_key(PLANE, *OWN_SOURCE))
    assert looked is not None
    assert not looked.value.get("error"), f"the source has failed: {looked.value['error']}"
    wanted = expected(files)
    items = plane.cluster.list(CONFIG_MAP, namespace="apps").items
    live = {i["metadata"]["name"]: (i["metadata"]["labels"].get(LABEL), i["data"]) for i in items}
    if (
        world.restored
    ):  # of an inventory that somebody spoilt, the records may have lost the other copy: then things stay
        live = {name: each for name, each in live.items() if name in wanted or each[0] not in world.maimed}
    assert live == wanted, f"in the cluster {live}, of the head {wanted}"
    assert plane.config_map("keep", "default") is not None, "the root's own object is gone"
    for owner in OWNERS:
        known, declared = plane.known("Kustomization", owner), f"clusters/prod/{owner}.yaml" in files
        assert known is declared, f"Kustomization {owner}: known {known}, in Git {declared}"
        held = plane.live("v1", "ConfigMap", "penstock-system", f"kustomization.flux-system.{owner}")
        assert (held is not None) is declared, f"inventory of {owner}: {held}"
        if held is None:
            continue
        ids = {f"apps_{name}__ConfigMap@v1" for name, (of, _) in wanted.items() if of == owner}
        ids |= flux_objects.ids_of(owner, files)
        found = set(yaml.safe_load(held["data"]["inventory"]))
        assert found == ids, f"inventory of {owner}: {sorted(found)}, of the head {sorted(ids)}"
        assert held["data"]["digest"] == status_of(plane, owner).inventory_digest, f"digest of {owner}"
    for name in ("flux-system", *(owner for owner in OWNERS if f"clusters/prod/{owner}.yaml" in files)):
        assert plane.ready(name).startswith("True"), f"{name}: {plane.ready(name)}"
        _check_index(world, name)
    _check_flux_objects(world)


def _check_flux_objects(world: World) -> None:
    plane, files = world.first, world.pushed[-1][1]
    if world.has("receivers"):
        if not world.restored and not any(letter.stage == "reconcile" for letter in world.first.bus.dead):  # type: ignore[attr-defined]
            flux_objects.check_announced(plane, files)
        flux_objects.check_receivers(plane, files, world.begin + world.time)
    if world.has("sources"):
        flux_objects.check_source(plane, files)
    flux_objects.check_copies(plane, files, restored=world.restored)


def _check_index(world: World, name: str) -> None:
    """Whoever must be found by a push is found."""
    state = world.first.state
    record = state.get(object_key(CLUSTER, "Kustomization", "flux-system", name))
    assert record is not None
    generation = ObjectRecord.from_value(record.value).generation
    for key in entries_of(CLUSTER, f"flux-system/{name}", status_of(world.first, name), generation):
        assert state.get(key) is not None, f"{key}: who is found by it would not be found any more"


def check_deeds(world: World) -> None:
    """What was done on the way: nothing deleted that stayed in Git, nothing by another plane or a suspended one."""
    born: dict[str, float] = {}
    for change in world.api.audit:
        assert change.plane != "two", f"the second plane wrote: {_told(change)}"
        if change.before is None and change.after is not None:
            born[change.after["metadata"]["uid"]] = _born(change)
        elif change.after is None and change.before is not None and change.by:
            _check_deletion(world, change, born.get(change.before["metadata"]["uid"], 0.0))
        _check_suspended(world, change)
        about = change.after or change.before or {}
        if change.by and about["kind"] == "ConfigMap" and about["metadata"]["namespace"] == "apps":
            forgotten = {"inventory deleted", "inventory edited"} & world.hands
            assert change.remembered or forgotten, f"not in the inventory when it was written: {_told(change)}"
            assert change.held or "lease deleted" in world.hands, f"another run had the Lease: {_told(change)}"


def _born(change: Change) -> float:
    """When an object's life began; an inventory that a removal has restored is that of the life which it ends."""
    assert change.after is not None
    restored = change.buried and change.after["metadata"].get("namespace") == NAMESPACE
    return 0.0 if restored else change.at


def _check_deletion(world: World, change: Change, born: float) -> None:
    """An object may go only where a commit that was the head at some time of its life does not have it."""
    assert change.before is not None
    kind, metadata = change.before["kind"], change.before["metadata"]
    before = [files for at, files in world.pushed if at <= born]
    heads = [*before[-1:], *(files for at, files in world.pushed if born < at <= change.at)]
    if kind == "ConfigMap" and metadata["namespace"] == "apps":
        kept = all(metadata["name"] in expected(files) for files in heads)
        assert not kept, f"wrong deletion: {_told(change)}"
    elif kind == "ConfigMap" and metadata["namespace"] == NAMESPACE:
        path = f"clusters/prod/{metadata['name'].rpartition('.')[2]}.yaml"
        assert not all(path in files for files in heads), f"wrong deletion: {_told(change)}"
    elif kind == "Secret":
        kept = all(flux_objects.declares(files, kind, metadata["name"]) for files in heads)
        assert not kept, f"wrong deletion: {_told(change)}"
    else:
        assert kind == "Lease", f"wrong deletion: {_told(change)}"


def _check_suspended(world: World, change: Change) -> None:
    about = change.after or change.before or {}
    if change.subject not in OWNERS or about["metadata"].get("namespace") != "apps":
        return
    switched = [on for at, name, on in world.switches if name == change.subject and at <= change.started]
    if world.restored:  # the switch is one of the records
        return
    later = [at for at, name, on in world.switches if name == change.subject and change.started < at <= change.at]
    assert later or switched[-1:] != [True], f"it was suspended when it began: {_told(change)}"


def _told(change: Change) -> str:
    about = change.after or change.before or {}
    name = f"{about['kind']} {about['metadata'].get('namespace', '')}/{about['metadata']['name']}"
    verb = "created" if change.before is None else "deleted" if change.after is None else "changed"
    return f"{name} {verb} by {change.by} of plane {change.plane} at {change.at:.1f} s"


def check_tellings(world: World) -> None:
    """Every event that was published is told once; again only where nobody could know that it had been."""
    letters = b"".join(letter.body for letter in world.first.bus.dead if letter.stage == "notify")  # type: ignore[attr-defined]
    told = {repeat_key(t.event) for t in world.tellings.values() if t.told}
    for ident, telling in world.tellings.items():
        about = f"{telling.event.reason} {telling.event.message!r} of {telling.event.name} ({ident})"
        certain = telling.told - telling.uncertain
        doubted = world.restored or world.has("machines")  # what was told is a record, and its claim goes by the clock
        assert certain <= 1 or doubted, f"told {telling.told} times, {telling.uncertain} of them for a reason: {about}"
        if telling.asked_for and not telling.told and not world.restored:
            kept = ident.encode() in letters
            assert kept or repeat_key(telling.event) in told, f"told to nobody: {about}"


def check_said(world: World) -> None:
    """What a run has written down it says, though it may be killed before: each change of an object, each failure.

    A change may be told to nobody where the run never came to its status, or never heard the answer; anything, where
    its message was another run's by then (it was slower than its message was hidden) and could not come again.
    """
    if world.restored:  # what was to be told was one of the records
        return
    given_up = [letter.body for letter in world.first.bus.dead if letter.stage == "reconcile"]  # type: ignore[attr-defined]
    names = ("flux-system", *OWNERS)
    excused = {name for name in names if any(f'"name":"{name}"'.encode() in body for body in given_up)}
    for change in world.api.audit:
        about = change.after or change.before or {}
        kind, metadata = about["kind"], about["metadata"]
        if kind == "ConfigMap" and metadata["namespace"] == "apps" and change.subject not in {"", *excused}:
            _check_change_said(world, change, metadata["name"])
    known = {(e.name, e.reason, e.metadata.get("revision", "")) for _, e in world.said}
    for (name, reason, revision), label in sorted(world.failures.items()):
        told = (name, reason, revision) in known or name in excused or label in world.late
        assert told, f"nobody was told: {reason} of {name} at {revision}"


def _check_change_said(world: World, change: Change, name: str) -> None:
    noted = world.records.get(change.by, 0.0) >= change.at and change.by not in world.late
    if not noted or (change.by, name) in world.unsure:
        return
    verb = "created" if change.before is None else "deleted" if change.after is None else "configured"
    found = [event.message for at, event in world.said if at >= change.at and event.name == change.subject]
    assert any(f"ConfigMap/apps/{name} {verb}" in each for each in found), f"nobody was told: {_told(change)}"


def check_letters(world: World) -> None:
    """Poison is a dead letter, once each; and nobody else suffers from it."""
    letters = Counter((letter.stage, letter.body) for letter in world.first.bus.dead)  # type: ignore[attr-defined]
    for each in world.poisoned:
        assert letters[each] == 1, f"{each} is {letters[each]} dead letters"


def check_rest(world: World) -> None:
    """Messages that come once more, and intervals that pass, find nothing to do and have nothing to say.

    Whom the head does not touch was not woken by it: its inventory shows the head's revision after its next look.
    """
    _check_nothing_new(world, INTERVAL, shown=True)
    plane = world.first
    plane.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
    for name in ("flux-system", *OWNERS, "never-there"):
        plane.publish(ArtifactStored(cluster=CLUSTER, namespace="flux-system", name=name, why="artifact"))
    _check_nothing_new(world, 5.0, shown=False)
    check_state(world)


def _check_nothing_new(world: World, seconds: float, *, shown: bool) -> None:
    done, said = len(world.api.audit), len(world.tellings)
    world.still(seconds)
    written = [change for change in world.api.audit[done:] if not (shown and _is_inventory(change))]
    assert [_told(change) for change in written] == [], "applied though nothing had changed"
    news = [telling.event for telling in list(world.tellings.values())[said:]]
    assert news == [], "said though nothing had changed"


def _is_inventory(change: Change) -> bool:
    about = change.after or {}
    return about.get("kind") == "ConfigMap" and about["metadata"]["namespace"] == NAMESPACE


def check(world: World) -> None:
    """All of it; the world has been run and calmed."""
    if not world.schedule.kinds.isdisjoint(WIDER):
        world.drain()
        world.still(INTERVAL)  # a late run may wait for somebody who has ended before: it looks again by itself
    check_deeds(world)
    check_tellings(world)
    check_said(world)
    check_letters(world)
    check_rest(world)
    check_deeds(world)
