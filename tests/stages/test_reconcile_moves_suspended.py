"""What moves to a Kustomization that does nothing now (it is suspended, or fails) is left for it: never deleted."""

import pytest
from tests.memory_plane import CLUSTER, config_map, fill
from tests.memory_plane import kustomization as any_kustomization
from tests.moved_objects import alerts, deletions
from tests.stages.test_reconcile_moves import kustomization, run_in_order, started

from penstock.core.messages import ReconcileDue
from penstock.core.reconcile.standing import standing
from penstock.core.records import Suspension, status_key
from penstock.core.sweeps import may_join
from penstock.ports.state import MAX_VALUE_BYTES
from penstock.stages.api.actions import set_switch
from penstock.stages.reconcile.attempt import open_attempt
from penstock.stages.reconcile.rendering import render_at_rest
from penstock.stages.reconcile.resting import rest
from penstock.stages.reconcile.run import reconcile

LEFT = "ConfigMap/apps/x left for flux-system/b, suspended"
ORDERS = [("a", "b"), ("b", "a")]


def fleet(**of_b):
    return started(
        {
            "clusters/prod/a.yaml": kustomization("a", "a"),
            "clusters/prod/b.yaml": kustomization("b", "b", **of_b),
            "a/x.yaml": config_map("x", key="1"),
            "a/stays.yaml": config_map("stays-a"),
            "b/stays.yaml": config_map("stays-b"),
        }
    )


def suspend(plane, name="b"):
    set_switch(plane.deps, (CLUSTER, "flux-system", name), Suspension(who="ann"))


def resume(plane, name="b"):
    set_switch(plane.deps, (CLUSTER, "flux-system", name), None)
    plane.reconcile(name)


def owner(plane, name="x"):
    live = plane.live("v1", "ConfigMap", "apps", name)
    return live and live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"]


def moved(plane, order=("a", "b")):
    """x moves from a to b, which is suspended; then everything rests."""
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    run_in_order(plane, order)
    assert deletions(plane) == []
    assert alerts(plane) == []


def pass_time(plane, seconds):
    """The schedule goes on for so long; who is looked at in that time, the root aside."""
    names, publish = [], plane.bus.publish

    def listening(messages):
        for message in (each.envelope.message for each in messages):
            if isinstance(message, ReconcileDue):
                names.extend([message.name, *(other.partition("/")[2] for other in message.others)])
        publish(messages)

    plane.bus.publish = listening
    for _ in range(int(seconds // 60)):
        plane.clock.advance(60)
        plane.tick()
        plane.settle(seconds=1)
    plane.bus.publish = publish
    return sorted(name for name in names if name != "flux-system")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("where", ["switch", "manifest", "manifest, in that commit"])
def test_an_object_that_moves_to_a_suspended_one_is_left_for_it_and_taken_over_later(where, order):
    plane = fleet()
    uid = plane.live("v1", "ConfigMap", "apps", "x")["metadata"]["uid"]
    in_git = {"clusters/prod/b.yaml": kustomization("b", "b", suspend=True)}
    if where == "switch":
        suspend(plane)
    else:
        plane.push(in_git) if where == "manifest" else plane.files.update(in_git)
        plane.settle()
    before = plane.status("b")
    moved(plane, ("flux-system", *order))
    assert plane.ready("a").startswith("True")
    assert LEFT in plane.ready("a")
    assert "apps_x__ConfigMap@v1" in plane.status("a").inventory
    assert owner(plane) == "a"
    assert plane.config_map("x") == {"key": "1"}, "a suspended one applies nothing"
    assert plane.status("b").conditions == before.conditions
    assert plane.status("b").last_applied_revision == before.last_applied_revision
    if where == "switch":
        resume(plane)
    else:
        plane.push({"clusters/prod/b.yaml": kustomization("b", "b")})
        plane.settle()
    assert deletions(plane) == []
    assert plane.live("v1", "ConfigMap", "apps", "x")["metadata"]["uid"] == uid
    assert owner(plane) == "b"
    assert plane.status("a").inventory == ("apps_stays-a__ConfigMap@v1",)
    assert plane.status("b").inventory == ("apps_stays-b__ConfigMap@v1", "apps_x__ConfigMap@v1")
    assert plane.status("b").resting == {}
    assert "left for" not in plane.ready("a")
    assert alerts(plane) == []


def test_who_has_left_something_for_a_suspended_one_is_quiet():
    """No wake-ups, no run of its own: it is looked at with the others, once an interval."""
    plane = fleet()
    suspend(plane)
    moved(plane)
    assert may_join(plane.status("a"))
    plane.cluster.calls.clear()
    assert pass_time(plane, 400) == []
    assert pass_time(plane, 350) == ["a", "b", "base"], "once an interval"
    plane.cluster.calls.clear()
    assert pass_time(plane, 650).count("a") == 1
    assert plane.writes() == []
    assert LEFT in plane.ready("a")
    assert [event for event in plane.events if event.name in ("a", "b")] == []


def test_what_a_suspended_one_has_removed_again_is_pruned_by_whom_it_was_left():
    plane = fleet()
    suspend(plane)
    moved(plane)
    plane.push({"b/x.yaml": None})
    plane.settle()
    assert deletions(plane) == []
    plane.reconcile("a", why="interval")
    assert deletions(plane) == ["ConfigMap/apps/x"]
    assert plane.status("a").inventory == ("apps_stays-a__ConfigMap@v1",)
    assert "left for" not in plane.ready("a")
    resume(plane)
    assert deletions(plane) == ["ConfigMap/apps/x"]


def test_what_comes_back_is_applied_again():
    plane = fleet()
    suspend(plane)
    moved(plane)
    plane.push({"b/x.yaml": None, "a/x.yaml": config_map("x", key="3")})
    plane.settle()
    assert plane.config_map("x") == {"key": "3"}
    assert deletions(plane) == []
    assert plane.ready("a").startswith("True")
    resume(plane)
    assert (owner(plane), deletions(plane)) == ("a", [])


def asked(name="b"):
    return ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="render")


def test_who_looked_before_a_suspended_one_wrote_its_render_down_is_woken_all_the_same():
    """Somebody else's question is answered between a's look and a's record; a's own brings no news to write."""
    plane = fleet()
    suspend(plane)
    put, between = plane.state.put, []

    def racing(key, value, **more):
        if key.endswith("/flux-system/a") and "flux-system/b" in value.get("waiting_for", ()) and not between:
            between.append(key)
            reconcile(asked(), plane.deps)
        return put(key, value, **more)

    plane.state.put = racing
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    plane.settle()
    assert between
    assert LEFT in plane.ready("a")
    assert deletions(plane) == []


@pytest.mark.parametrize("late", [render_at_rest, rest])
def test_a_look_at_a_suspended_one_that_ends_after_it_was_resumed_overwrites_nothing(late):
    plane = fleet()
    suspend(plane)
    attempt = open_attempt(asked(), plane.deps)
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    plane.settle()
    resume(plane)
    known = plane.status("b")
    assert "apps_x__ConfigMap@v1" in known.inventory
    late(attempt)
    assert plane.status("b") == known


def test_a_look_at_a_suspended_one_that_ends_after_it_was_resumed_ends_no_health_check():
    plane = fleet()
    suspend(plane)
    attempt = open_attempt(asked(), plane.deps)
    set_switch(plane.deps, (CLUSTER, "flux-system", "b"), None)
    key = status_key(CLUSTER, "Kustomization", "flux-system", "b")
    known = plane.state.get(key)
    plane.state.put(key, {**known.value, "pending": {"revision": "1"}}, expected=known.version, due=7.0)
    rest(attempt)
    assert plane.status("b").pending == {"revision": "1"}
    assert plane.state.get(key).due == 7.0


def test_what_a_suspended_one_wrote_down_stays_when_a_look_at_it_began_before():
    plane = fleet()
    suspend(plane)
    attempt = open_attempt(asked(), plane.deps)
    moved(plane)
    known = plane.status("b")
    assert known.resting
    rest(attempt)
    assert plane.status("b").resting == known.resting


def test_a_render_at_rest_is_kept_as_the_difference_to_the_last_run():
    """A record holds one render of many objects, not two."""
    plane = fleet()
    suspend(plane)
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2"), "b/stays.yaml": None})
    plane.settle()
    status = plane.status("b")
    assert status.resting["rendered"] == {"more": ["apps_x__ConfigMap@v1"], "less": ["apps_stays-b__ConfigMap@v1"]}
    assert standing(status).rendered == ("apps_x__ConfigMap@v1",)


def test_a_render_at_rest_for_which_a_record_has_no_room_is_none():
    plane = fleet()
    suspend(plane)
    fill(plane, "b")
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    plane.settle()
    assert deletions(plane) == []
    assert "1 deletions wait until flux-system/b (suspended) rendered this revision" in plane.ready("a")
    told = [fact.fields["detail"] for fact in plane.telemetry.facts if fact.name == "not rendered while suspended"]
    assert told
    assert all(f"at most {MAX_VALUE_BYTES} bytes" in detail for detail in told)
    assert plane.bus.dead_letters() == ()


def test_an_object_that_moves_away_from_a_suspended_one_is_taken_over():
    plane = fleet()
    suspend(plane, "a")
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    plane.settle()
    assert plane.config_map("x") == {"key": "2"}
    assert (owner(plane), alerts(plane)) == ("b", [])
    resume(plane, "a")
    assert (owner(plane), deletions(plane)) == ("b", [])
    assert plane.status("a").inventory == ("apps_stays-a__ConfigMap@v1",)


def test_a_suspended_one_that_has_never_run_is_asked_too():
    plane = fleet()
    plane.push(
        {
            "clusters/prod/new.yaml": kustomization("new", "new", suspend=True),
            "new/x.yaml": config_map("x", key="2"),
            "a/x.yaml": None,
        }
    )
    plane.settle()
    assert deletions(plane) == []
    assert "ConfigMap/apps/x left for flux-system/new, suspended" in plane.ready("a")


def test_deletions_wait_for_a_suspended_one_that_cannot_be_rendered_and_nobody_is_kept_busy():
    plane = fleet()
    suspend(plane)
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2"), "b/bad.yaml": "kind: ["})
    plane.settle()
    assert deletions(plane) == []
    assert "1 deletions wait until flux-system/b (suspended) rendered this revision" in plane.ready("a")
    assert pass_time(plane, 400) == []
    plane.push({"b/bad.yaml": None})
    plane.settle()
    plane.reconcile("a", why="interval")
    assert LEFT in plane.ready("a")
    assert deletions(plane) == []


@pytest.mark.parametrize("where", ["switch", "manifest"])
@pytest.mark.parametrize("way_out", ["out of Git", "by hand"])
def test_ways_out_where_a_suspended_one_cannot_be_rendered(where, way_out):
    """It is taken out of Git, or what is no move is deleted with kubectl. Resuming it makes it fail, no more."""
    suspended = {"clusters/prod/b.yaml": kustomization("b", "b", suspend=True)} if where == "manifest" else {}
    plane = fleet()
    if where == "switch":
        suspend(plane)
    plane.push({**suspended, "a/x.yaml": None, "b/bad.yaml": "kind: ["})
    plane.settle()
    assert "1 deletions wait until flux-system/b (suspended) rendered this revision" in plane.ready("a")
    if way_out == "by hand":
        plane.cluster.delete(plane.live("v1", "ConfigMap", "apps", "x"))
        plane.cluster.calls.clear()
        plane.reconcile("a", why="interval")
        assert deletions(plane) == []
    else:
        plane.push({"clusters/prod/b.yaml": None})
        plane.settle()
        assert deletions(plane) == ["ConfigMap/apps/x"]
        assert plane.config_map("stays-b") is not None, "what was suspended leaves its objects"
    assert plane.status("a").inventory == ("apps_stays-a__ConfigMap@v1",)
    assert "wait" not in plane.ready("a")


def test_resuming_what_cannot_be_rendered_releases_no_deletions():
    plane = fleet()
    suspend(plane)
    plane.push({"a/x.yaml": None, "b/bad.yaml": "kind: ["})
    plane.settle()
    resume(plane)
    pass_time(plane, 700)
    assert deletions(plane) == []
    assert "1 deletions wait until flux-system/b rendered this revision" in plane.ready("a")
    assert "BuildFailed" in plane.ready("b")


def test_a_suspended_one_renders_only_when_it_is_asked():
    plane = fleet()
    suspend(plane)
    plane.push({"b/more.yaml": config_map("more")})
    plane.settle()
    plane.reconcile("a", why="interval")
    assert plane.status("b").resting == {}
    plane.push({"a/more.yaml": config_map("more-of-a")})
    plane.settle()
    assert plane.status("b").resting == {}, "nothing left a render: nobody has to know"


def test_a_kustomization_that_moves_to_a_suspended_parent_keeps_its_objects():
    plane = started(
        {
            "clusters/prod/one.yaml": kustomization("one", "one"),
            "clusters/prod/two.yaml": kustomization("two", "two"),
            "one/child.yaml": kustomization("child", "child"),
            "one/keep.yaml": config_map("keep-one"),
            "two/keep.yaml": config_map("keep-two"),
            "child/x.yaml": config_map("x", key="1"),
        }
    )
    suspend(plane, "two")
    plane.push({"one/child.yaml": None, "two/child.yaml": kustomization("child", "child")})
    plane.settle()
    pass_time(plane, 1300)
    assert deletions(plane) == []
    assert plane.config_map("x") == {"key": "1"}
    resume(plane, "two")
    pass_time(plane, 700)
    assert deletions(plane) == []
    assert plane.known("Kustomization", "child")
    assert plane.ready("child").startswith("True")
    assert alerts(plane) == []


def test_deletions_go_on_when_a_child_has_left_a_suspended_parent():
    """It was still stored as that one's when that one was asked; asked again, nothing of it is due any more."""
    plane = started(
        {
            "clusters/prod/a.yaml": kustomization("a", "a"),
            "clusters/prod/one.yaml": kustomization("one", "one"),
            "clusters/prod/two.yaml": kustomization("two", "two"),
            "a/stays.yaml": config_map("stays-a"),
            "a/x.yaml": config_map("x"),
            "one/child.yaml": kustomization("child", "child"),
            "one/keep.yaml": config_map("keep-one"),
            "two/keep.yaml": config_map("keep-two"),
            "child/y.yaml": config_map("y"),
        }
    )
    suspend(plane, "one")
    plane.push({"a/x.yaml": None, "one/child.yaml": None, "two/child.yaml": kustomization("child", "child")})
    run_in_order(plane, ["a", "one"])
    pass_time(plane, 1300)
    assert deletions(plane) == ["ConfigMap/apps/x"]
    assert "wait" not in plane.ready("a")


def test_a_suspended_parent_with_a_new_child_holds_up_deletions_and_keeps_nobody_busy():
    plane = fleet()
    suspend(plane)
    plane.push({"a/x.yaml": None, "b/child.yaml": kustomization("child", "child"), "child/y.yaml": config_map("y")})
    plane.settle()
    assert deletions(plane) == []
    assert "1 deletions wait until flux-system/b (suspended)" in plane.ready("a")
    assert pass_time(plane, 400) == []
    resume(plane)
    assert deletions(plane) == ["ConfigMap/apps/x"]


def test_a_removed_kustomization_leaves_what_moved_to_a_suspended_one():
    plane = fleet()
    suspend(plane)
    plane.push({"clusters/prod/a.yaml": None, "a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    plane.settle()
    assert plane.config_map("stays-a") is None
    assert plane.config_map("x") == {"key": "1"}
    assert "ConfigMap/apps/x left for flux-system/b, suspended" in plane.ready("a")
    assert pass_time(plane, 400) == []
    resume(plane)
    assert (owner(plane), plane.config_map("x")) == ("b", {"key": "2"})
    assert not plane.known("Kustomization", "a")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("earlier", [False, True])
def test_an_object_that_moves_to_one_that_cannot_be_built_is_kept(order, earlier):
    """Whatever its newest render is, or its last good one was."""
    plane = fleet()
    bad = {"b/bad.yaml": "kind: ["}
    if earlier:
        plane.push(bad)
        plane.settle()
    plane.push({**bad, "a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    run_in_order(plane, order)
    pass_time(plane, 300)
    assert deletions(plane) == []
    assert "1 deletions wait until flux-system/b rendered this revision" in plane.ready("a")
    plane.push({"b/bad.yaml": None})
    plane.settle()
    assert deletions(plane) == []
    assert (owner(plane), plane.config_map("x")) == ("b", {"key": "2"})
    assert plane.status("a").inventory == ("apps_stays-a__ConfigMap@v1",)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_last_good_render_counts_for_nothing_that_git_has_removed_since(order):
    """x was in b's last good render, b cannot be built, and x moves to a: a applies it, and nobody deletes it."""
    plane = fleet()
    plane.push({"b/y.yaml": config_map("y", key="1")})
    plane.settle()
    plane.push({"b/bad.yaml": "kind: [", "b/y.yaml": None, "a/y.yaml": config_map("y", key="2")})
    run_in_order(plane, order)
    assert deletions(plane) == []
    assert owner(plane, "y") == "b", "b may still render it: it has not said"
    plane.push({"b/bad.yaml": None})
    plane.settle()
    assert (owner(plane, "y"), plane.config_map("y"), deletions(plane)) == ("a", {"key": "2"}, [])


def test_a_dependent_waits_for_no_render_of_a_suspended_one():
    """What a suspended one would apply is not applied: whoever depends on it does not take it for that."""
    plane = fleet()
    plane.push(
        {
            "clusters/prod/after.yaml": any_kustomization("after", "after", dependsOn=[{"name": "b"}]),
            "after/z.yaml": config_map("z", key="1"),
        }
    )
    plane.settle()
    suspend(plane)
    moved(plane)
    plane.push({"after/z.yaml": config_map("z", key="2"), "b/x.yaml": config_map("x", key="4")})
    plane.settle()
    assert plane.config_map("z") == {"key": "1"}
    assert "DependencyNotReady" in plane.ready("after")
    resume(plane)
    assert (plane.config_map("z"), plane.config_map("x")) == ({"key": "2"}, {"key": "4"})
