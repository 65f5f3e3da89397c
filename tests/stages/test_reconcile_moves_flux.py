"""Flux objects that move in one commit: handed over as they are, with their status, artifact and webhook; never buried."""

import itertools
import re

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization
from tests.moved_objects import (
    BELOW_A,
    KINDS,
    ROOT,
    URL,
    A,
    B,
    C,
    alerts,
    check_gone,
    check_kept,
    deletions,
    fleet,
    observed,
    thing,
)
from tests.stages.test_reconcile_moves import run_in_order

from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import Approval, ObjectRecord, Suspension, approval_key, object_key, status_key
from penstock.core.tree import blob
from penstock.stages.api.actions import set_switch

MOVES = {
    "to a new child": (ROOT, {}, "a", A),
    "to a child that is there": (ROOT, A, "a", {}),
    "to a child's new path": (ROOT, A, "b", {f"{ROOT}/a.yaml": kustomization("a", "b")}),
    "to a new child of a child": ("a", A, "c", BELOW_A),
    "to a new grandchild": (ROOT, {}, "c", {**A, **BELOW_A}),
    "to a new child of a child that is there": (ROOT, A, "c", BELOW_A),
    "to the parent": ("a", A, ROOT, {}),
    "to a sibling": ("a", {**A, **B}, "b", {}),
    "to a new sibling": ("a", A, "b", B),
    "from one that is removed": ("a", {**A, **B}, "b", {f"{ROOT}/a.yaml": None}),
    "from one that is removed to the parent": ("a", A, ROOT, {f"{ROOT}/a.yaml": None, "a/stays.yaml": None}),
    "from below one that is removed to the parent": (
        "c",
        {**A, **BELOW_A},
        ROOT,
        {f"{ROOT}/a.yaml": None, "a/stays.yaml": None, "a/c.yaml": None, "c/stays.yaml": None},
    ),
    "to the grandparent": ("c", {**A, **BELOW_A}, ROOT, {}),
    "from one that is removed to a new one": ("a", A, "b", {f"{ROOT}/a.yaml": None, **B}),
}
OWNERS = {ROOT: "flux-system", "a": "a", "b": "b", "c": "c"}


ORDERS = [(), ("flux-system", "a", "b"), ("b", "a")]


def commit(plane, source, to, kind, more):
    """The object of this kind moves; more changes with it."""
    plane.push({f"{source}/thing.yaml": None, f"{to}/thing.yaml": thing(kind), **more})


def check_handed_over(move, kind, order):
    source, before, to, more = MOVES[move]
    plane = fleet({**before, f"{source}/thing.yaml": thing(kind)})
    stood = observed(plane, kind)
    commit(plane, source, to, kind, more)
    run_in_order(plane, order)
    new = "a" if "new path" in move else OWNERS[to]
    check_kept(plane, kind, new)
    assert observed(plane, kind) == stood
    for name in {"flux-system", new}:
        assert plane.ready(name).startswith("True"), plane.ready(name)
        assert "thing" not in plane.ready(name), plane.ready(name)
        assert plane.status(name).waiting_for == ()


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "as it comes")
@pytest.mark.parametrize("kind", ["GitRepository", "Receiver"])
@pytest.mark.parametrize("move", MOVES)
def test_what_moves_is_handed_over(move, kind, order):
    check_handed_over(move, kind, order)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", ["to a new child", "to a sibling", "from one that is removed"])
def test_every_kind_is_handed_over(move, kind):
    check_handed_over(move, kind, ("flux-system", "a", "b"))


def record_of(plane, name):
    return ObjectRecord.from_value(plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", name)).value)


FAMILY = {
    f"{ROOT}/k.yaml": kustomization("k", "k"),
    "k/x.yaml": config_map("x", "default"),
    "k/g.yaml": kustomization("g", "g"),
    "g/y.yaml": config_map("y", "default"),
    "g/h.yaml": kustomization("h", "h"),
    "h/z.yaml": config_map("z", "default"),
}


@pytest.mark.parametrize(("to", "suspended"), [("a new child", ""), ("one that is there", "k"), ("a new child", "g")])
@pytest.mark.parametrize("order", list(itertools.permutations(["k", "g", "h", "a"])), ids="-".join)
def test_a_kustomization_that_moves_to_a_child_of_its_parent_keeps_its_family(order, to, suspended):
    """Its objects, its children and theirs, and what each of them has of Flux's objects."""
    files = {**FAMILY, "h/thing.yaml": thing("Receiver"), "g/thing.yaml": thing("GitRepository")}
    if suspended:
        path = f"{ROOT}/k.yaml" if suspended == "k" else "k/g.yaml"
        files[path] = kustomization(suspended, suspended, suspend=True)
        before = {**files, path: kustomization(suspended, suspended)}
    plane = fleet({**(before if suspended else files), **(A if "there" in to else {})})
    if suspended:
        plane.push({path: files[path]})
        plane.settle()
    uids = {name: plane.live("v1", "ConfigMap", "default", name)["metadata"]["uid"] for name in "xyz"}
    plane.push({f"{ROOT}/k.yaml": None, "a/k.yaml": files[f"{ROOT}/k.yaml"], **A})
    while plane.step_stage("fetch"):
        pass
    plane.run_only("flux-system")
    for _ in range(3):
        for name in order:
            plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="interval"))
            plane.run_only(name)
    plane.settle()
    assert deletions(plane) == []
    assert {name: plane.live("v1", "ConfigMap", "default", name)["metadata"]["uid"] for name in "xyz"} == uids
    kept = {("k", "a"), ("g", "k"), ("h", "g")}
    for name, parent in kept:
        record = record_of(plane, name)
        assert (record.parent, record.tombstone) == (f"flux-system/{parent}", False)
        assert status_key(CLUSTER, "Kustomization", "flux-system", name) not in plane.gone
        assert plane.ready(name).startswith("True"), (name, plane.ready(name))
    check_kept(plane, "Receiver", "h")
    check_kept(plane, "GitRepository", "g")


def settled_after(kind, files, move):
    """A plane with the object in the root, after a commit in which it leaves that; nobody is due anything any more."""
    plane = fleet({f"{ROOT}/thing.yaml": thing(kind), **files})
    plane.push({f"{ROOT}/thing.yaml": None, **move})
    plane.settle()
    return plane


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_renders_any_more_goes_with_the_first_run(kind):
    plane = fleet({f"{ROOT}/thing.yaml": thing(kind), **A})
    plane.push({f"{ROOT}/thing.yaml": None})
    assert plane.step_stage("fetch")
    assert plane.step_stage("reconcile")
    while plane.step_stage("fetch"):
        pass
    check_gone(plane, kind)
    assert plane.ready("flux-system").startswith("True")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_child_does_not_render_goes_as_soon_as_that_has_rendered(kind):
    plane = fleet({f"{ROOT}/thing.yaml": thing(kind), **A})
    plane.push({f"{ROOT}/thing.yaml": None, "a/stays.yaml": config_map("stays-a", "default", x="2")})
    assert plane.step_stage("fetch")
    assert plane.step_stage("reconcile")
    told = f"{kind}/flux-system/thing left the render, and stays until flux-system/a rendered this revision"
    assert told in plane.ready("flux-system")
    plane.settle(seconds=2)
    check_gone(plane, kind)
    assert "thing" not in plane.ready("flux-system")


@pytest.mark.parametrize("kind", KINDS)
def test_what_moves_to_a_suspended_child_is_left_for_it(kind):
    asleep = {f"{ROOT}/a.yaml": kustomization("a", "a", suspend=True)}
    plane = settled_after(kind, {}, {**asleep, "a/thing.yaml": thing(kind)})
    check_kept(plane, kind, "flux-system")
    assert plane.ready("flux-system").startswith("True")
    assert "stays until flux-system/a (suspended) rendered" in plane.ready("flux-system")
    for _ in range(20):
        plane.clock.advance(60)
        plane.tick()
        plane.settle(seconds=1)
    check_kept(plane, kind, "flux-system")
    plane.push({f"{ROOT}/a.yaml": kustomization("a", "a")})
    plane.settle()
    check_kept(plane, kind, "a")
    assert "thing" not in plane.ready("flux-system")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_suspended_child_does_not_render_any_more_goes(kind):
    asleep = {f"{ROOT}/a.yaml": kustomization("a", "a", suspend=True)}
    plane = settled_after(kind, {}, {**asleep, "a/thing.yaml": thing(kind)})
    plane.push({"a/thing.yaml": None})
    plane.settle()
    plane.reconcile("flux-system", why="interval")
    check_gone(plane, kind)


BROKEN = {"a/broken.yaml": "kind: ConfigMap\n"}


@pytest.mark.parametrize("mended", ["by its file", "by its end", "without the object"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_may_have_moved_to_a_child_that_does_not_render_stays_as_plain_objects_do(kind, mended):
    there = {f"{ROOT}/x.yaml": config_map("x", "default", key="1")}
    plane = settled_after(kind, there, {**A, "a/thing.yaml": thing(kind), **BROKEN, **dict.fromkeys(there)})
    for _ in range(15):
        plane.clock.advance(60)
        plane.tick()
        plane.settle(seconds=1)
    assert plane.ready("a").startswith("False")
    assert plane.config_map("x", "default") == {"key": "1"}
    plane.events.clear()
    check_kept(plane, kind, "flux-system")
    gone = dict.fromkeys(BROKEN)
    if mended == "by its end":
        gone |= dict.fromkeys((*A, "a/thing.yaml", "a/stays.yaml"))
    elif mended == "without the object":
        gone |= {"a/thing.yaml": None}
    plane.push(gone)
    plane.settle()
    assert plane.config_map("x", "default") is None
    if mended == "by its file":
        check_kept_but_for_x(plane, kind)
    else:
        check_gone(plane, kind)


def check_kept_but_for_x(plane, kind):
    assert deletions(plane) == ["ConfigMap/default/x"]
    plane.cluster.calls.clear()
    check_kept(plane, kind, "a")


def test_two_that_are_removed_with_their_children_do_not_wait_for_each_other():
    one = {f"{ROOT}/a.yaml": kustomization("a", "a"), **BELOW_A}
    two = {f"{ROOT}/b.yaml": kustomization("b", "b"), "b/d.yaml": kustomization("d", "d")}
    plane = fleet({**one, **two, "d/y.yaml": config_map("y", "default"), "c/thing.yaml": thing("Receiver")})
    plane.push(dict.fromkeys([*one, *two, "a/stays.yaml", "b/stays.yaml", "c/stays.yaml", "c/thing.yaml", "d/y.yaml"]))
    plane.settle(seconds=30)
    assert [name for name in "abcd" if plane.known("Kustomization", name)] == []
    assert plane.config_map("y", "default") is None
    check_gone(plane, "Receiver")
    assert alerts(plane) == []


def test_what_is_declared_again_in_the_middle_of_its_removal_is_not_removed_from_below():
    """The removal has buried the children and waits for an approval; they have runs of their own, and k is to run yet."""
    more = {f"k/x{number}.yaml": config_map(f"x{number}", "default") for number in range(2)}
    plane = fleet({**FAMILY, **more}, MemoryPlane(policy={"prune": {"objects": 2, "percent": 10}}))
    plane.push({f"{ROOT}/k.yaml": None})
    while plane.step_stage("fetch"):
        pass
    plane.run_only("flux-system")
    (digest,) = re.findall(r"--prune (sha256:[0-9a-f]{64})", plane.ready("flux-system"))
    approval = Approval(digest=digest, who="ann", when="2026-01-01T00:00:00Z")
    plane.state.put(approval_key(CLUSTER, "flux-system", "flux-system"), approval.to_value(), expected=None)
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="flux-system", why="request"))
    plane.run_only("flux-system")
    plane.run_only("k")
    assert "prune stopped" in plane.ready("k")
    assert record_of(plane, "g").tombstone
    plane.push({f"{ROOT}/k.yaml": kustomization("k", "k")})
    while plane.step_stage("fetch"):
        pass
    plane.run_only("flux-system")
    plane.run_only("g")
    assert deletions(plane) == []
    plane.settle()
    for name in "kgh":
        assert plane.ready(name).startswith("True"), plane.ready(name)
    assert deletions(plane) == []


def test_what_one_of_another_source_renders_is_left_for_it():
    """It was refused while two had it: nobody waits for its render, for that is not of this commit."""
    plane = fleet({f"{ROOT}/extra.yaml": thing("GitRepository"), f"{ROOT}/chat.yaml": thing("Provider")})
    plane.git.commit(URL, {"thing.yaml": blob(thing("Provider").encode())})
    other = kustomization("other", "./", sourceRef={"kind": "GitRepository", "name": "thing"})
    plane.push({f"{ROOT}/other.yaml": other})
    plane.publish(SourceChanged(cluster=CLUSTER, namespace="flux-system", name="thing"))
    plane.settle()
    assert "is rendered by Kustomization flux-system/flux-system already" in plane.ready("other")
    plane.events.clear()
    plane.push({f"{ROOT}/chat.yaml": None})
    plane.settle()
    plane.clock.advance(70)
    plane.tick()
    plane.settle()
    check_kept(plane, "Provider", "other")
    assert plane.status("flux-system").waiting_for == ()


def test_what_stays_with_one_that_is_suspended_since_holds_up_nobody():
    """b has nothing else to store: what it renders now is known, though the object is in its list yet."""
    plane = fleet({**A, **B, **C, "b/thing.yaml": thing("Provider"), "a/x.yaml": config_map("x", "default")})
    plane.push({"b/thing.yaml": None, "c/broken.yaml": "kind: ["})
    plane.settle(seconds=5)
    assert "stays until flux-system/c rendered" in plane.ready("b")
    set_switch(plane.deps, (CLUSTER, "flux-system", "b"), Suspension(who="ann"))
    plane.push({"b/stays.yaml": config_map("stays-b", "default", x="2"), "c/broken.yaml": None, "a/x.yaml": None})
    plane.settle(seconds=30)
    assert plane.known("Provider", "thing")
    assert plane.config_map("x", "default") is None
