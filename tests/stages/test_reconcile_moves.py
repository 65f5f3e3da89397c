"""Objects and Kustomizations that move in one commit: handed over in whatever order they run, never deleted."""

import itertools
from dataclasses import replace

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, namespace
from tests.memory_plane import kustomization as any_kustomization
from tests.moved_objects import alerts, deletions

from penstock.core.messages import ReconcileDue
from penstock.core.records import ObjectRecord, object_key, status_key
from penstock.ports.cluster import ApplyOptions


def kustomization(name, path, **spec):
    """One that waits for the namespace."""
    return any_kustomization(name, path, dependsOn=[{"name": "base"}], **spec)


BASE = {
    "clusters/prod/base.yaml": any_kustomization("base", "base"),
    "base/namespace.yaml": namespace("apps"),
    "base/other.yaml": config_map("other", key="1"),
}
KEPT = {
    "clusters/prod/keep.yaml": config_map("keep", "default"),
    "clusters/prod/too.yaml": config_map("too", "default"),
}
CHAT = object_key(CLUSTER, "Provider", "flux-system", "chat")
WIDGETS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true}]
"""
WIDGET = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1}\n"


def started(files):
    plane = MemoryPlane()
    plane.push({**BASE, **files})
    plane.settle()
    plane.cluster.calls.clear()
    plane.events.clear()
    return plane


def run_in_order(plane, names):
    """Every wake-up of the bus, but the named Kustomizations first, in this order."""
    while plane.step_stage("fetch"):
        pass
    for name in names:
        plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="interval"))
        plane.run_only(name)
    plane.settle()


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b", "c", "flux-system"])), ids="-".join)
def test_objects_that_rotate_among_three_are_handed_over(order):
    files = {f"clusters/prod/{name}.yaml": kustomization(name, name) for name in "abc"}
    files |= {f"{name}/of-{name}.yaml": config_map(f"of-{name}", key="1") for name in "abc"}
    files |= {f"{name}/stays.yaml": config_map(f"stays-{name}", key="1") for name in "abc"}
    plane = started(files)
    uids = {name: plane.live("v1", "ConfigMap", "apps", f"of-{name}")["metadata"]["uid"] for name in "abc"}
    moves = {f"{name}/of-{name}.yaml": None for name in "abc"}
    moves |= {f"{to}/of-{name}.yaml": config_map(f"of-{name}", key="2") for name, to in zip("abc", "bca", strict=True)}
    plane.push(moves)
    run_in_order(plane, order)
    assert deletions(plane) == []
    for name, to in zip("abc", "bca", strict=True):
        live = plane.live("v1", "ConfigMap", "apps", f"of-{name}")
        assert live["metadata"]["uid"] == uids[name]
        assert live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == to
        assert plane.ready(to).startswith("True"), plane.ready(to)
        assert plane.status(to).inventory == (f"apps_of-{name}__ConfigMap@v1", f"apps_stays-{to}__ConfigMap@v1")
    assert alerts(plane) == []


@pytest.mark.parametrize("first", ["old", "new", "flux-system"])
def test_a_renamed_kustomization_deletes_nothing(first):
    plane = started({"clusters/prod/old.yaml": kustomization("old", "x"), "x/a.yaml": config_map("a", key="1")})
    uid = plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"]
    plane.push({"clusters/prod/old.yaml": None, "clusters/prod/new.yaml": kustomization("new", "x")})
    run_in_order(plane, ["flux-system", first])
    assert deletions(plane) == []
    assert plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"] == uid
    assert not plane.known("Kustomization", "old")
    assert plane.ready("new").startswith("True")
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.old") is None
    assert alerts(plane) == []


@pytest.mark.parametrize("first", ["one", "two", "child"])
def test_a_kustomization_that_moves_to_another_parent_keeps_its_objects(first):
    files = {
        "clusters/prod/one.yaml": kustomization("one", "one"),
        "clusters/prod/two.yaml": kustomization("two", "two"),
        "one/child.yaml": kustomization("child", "x"),
        "one/keep.yaml": config_map("keep-one"),
        "two/keep.yaml": config_map("keep-two"),
        "x/a.yaml": config_map("a", key="1"),
    }
    plane = started(files)
    uid = plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"]
    plane.push({"one/child.yaml": None, "two/child.yaml": kustomization("child", "x")})
    run_in_order(plane, [first])
    assert deletions(plane) == []
    assert plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"] == uid
    assert plane.ready("child").startswith("True")
    assert plane.ready("two").startswith("True"), plane.ready("two")
    assert alerts(plane) == []


def test_an_object_that_moves_with_the_path_of_its_new_owner_is_kept():
    files = {
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "clusters/prod/b.yaml": kustomization("b", "b"),
        "a/x.yaml": config_map("x", key="1"),
        "a/stays.yaml": config_map("stays-a"),
        "b/stays.yaml": config_map("stays-b"),
    }
    plane = started(files)
    moved = {
        "a/x.yaml": None,
        "clusters/prod/b.yaml": kustomization("b", "b2"),
        "b2/x.yaml": config_map("x", key="1"),
        "b2/stays.yaml": config_map("stays-b"),
    }
    plane.push(moved)
    run_in_order(plane, ["flux-system", "a"])
    assert deletions(plane) == []


def test_nothing_is_deleted_while_the_parent_has_not_stored_its_children():
    files = {
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "a/x.yaml": config_map("x", key="1"),
        "a/stays.yaml": config_map("stays-a"),
    }
    plane = started(files)
    moved = {
        "a/x.yaml": None,
        "clusters/prod/b.yaml": kustomization("b", "b"),
        "b/x.yaml": config_map("x", key="1"),
        "clusters/prod/refused.yaml": config_map("refused", "no-such-namespace"),
    }
    plane.push(moved)
    plane.settle(seconds=30)
    assert plane.ready("flux-system").startswith("False")
    plane.reconcile("a", why="interval")
    assert plane.config_map("x") == {"key": "1"}
    plane.push({"clusters/prod/refused.yaml": None})
    plane.settle()
    assert deletions(plane) == []
    assert plane.live("v1", "ConfigMap", "apps", "x")["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "b"


def test_what_moves_from_a_parent_to_a_new_child_of_it_is_handed_over():
    """The parent applies and prunes before it stores its children: a new one may have what left the parent's render."""
    plane = started({**KEPT, "clusters/prod/x.yaml": config_map("x", "default", key="1")})
    uid = plane.live("v1", "ConfigMap", "default", "x")["metadata"]["uid"]
    plane.push(
        {
            "clusters/prod/x.yaml": None,
            "clusters/prod/a.yaml": kustomization("a", "a"),
            "a/x.yaml": config_map("x", "default", key="2"),
        }
    )
    plane.settle()
    assert deletions(plane) == []
    live = plane.live("v1", "ConfigMap", "default", "x")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"key": "2"})
    assert plane.ready("flux-system").startswith("True"), plane.ready("flux-system")
    assert "default_x__ConfigMap@v1" not in plane.status("flux-system").inventory


@pytest.mark.parametrize("deeper", [False, True], ids=["of a child", "of a child of it"])
@pytest.mark.parametrize("removed", [False, True], ids=["that stays", "that is removed"])
def test_what_moves_up_is_taken_over_at_once(removed, deeper):
    """A push wakes the parent alone: it wakes whom it waits for, and waits for nobody whom it buries."""
    place = "c" if deeper else "a"
    below = {"a/c.yaml": any_kustomization("c", "c"), "c/stays.yaml": config_map("stays-c", "default")}
    files = {
        **KEPT,
        "clusters/prod/a.yaml": any_kustomization("a", "a"),
        "a/stays.yaml": config_map("stays-a", "default"),
        f"{place}/x.yaml": config_map("x", "default", key="1"),
        **(below if deeper else {}),
    }
    plane = started(files)
    uid = plane.live("v1", "ConfigMap", "default", "x")["metadata"]["uid"]
    gone = dict.fromkeys(files.keys() - KEPT.keys()) if removed else {f"{place}/x.yaml": None}
    plane.push({**gone, "clusters/prod/x.yaml": config_map("x", "default", key="2")})
    plane.settle(seconds=10)
    live = plane.live("v1", "ConfigMap", "default", "x")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"key": "2"})
    assert [what for what in deletions(plane) if "stays" not in what] == []
    assert plane.ready("flux-system").startswith("True"), plane.ready("flux-system")
    assert plane.known("Kustomization", "a") is not removed
    assert alerts(plane) == []


@pytest.mark.parametrize("first", ["flux-system", "a", "b"])
def test_what_a_removed_kustomization_had_declared_moves_to_another(first):
    """Nobody waits for the word of one that is being removed, while that waits for theirs."""
    provider = yaml.safe_dump(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
            "kind": "Provider",
            "metadata": {"name": "chat", "namespace": "flux-system"},
            "spec": {"type": "generic", "address": "https://chat.example.com"},
        }
    )
    files = {
        **KEPT,
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "clusters/prod/b.yaml": kustomization("b", "b"),
        "a/x.yaml": config_map("x", key="1"),
        "a/stays.yaml": config_map("stays-a"),
        "a/chat.yaml": provider,
        "b/stays.yaml": config_map("stays-b"),
    }
    plane = started(files)
    gone = dict.fromkeys(("clusters/prod/a.yaml", "a/x.yaml", "a/stays.yaml", "a/chat.yaml"))
    plane.push({**gone, "b/x.yaml": config_map("x", key="1"), "b/chat.yaml": provider})
    run_in_order(plane, [first])
    assert plane.ready("b").startswith("True"), plane.ready("b")
    assert not plane.known("Kustomization", "a")
    assert deletions(plane) == ["ConfigMap/apps/stays-a"]
    assert ObjectRecord.from_value(plane.state.get(CHAT).value).parent == "flux-system/b"


@pytest.mark.parametrize("deeper", [False, True], ids=["a child of another path", "a child of a child"])
def test_what_moves_with_a_new_spec_of_a_child_is_handed_over(deeper):
    """The child is there, and has rendered what it was told before: that says nothing of where it looks now."""
    files = {
        **KEPT,
        "clusters/prod/x.yaml": config_map("x", "default", key="1"),
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "a/stays.yaml": config_map("stays-a"),
        "b/stays.yaml": config_map("stays-a"),
        "b/x.yaml": config_map("x", "default", key="2"),
    }
    if deeper:
        files |= {"b/x.yaml": kustomization("c", "c"), "c/x.yaml": config_map("x", "default", key="2")}
    plane = started(files)
    plane.push({"clusters/prod/x.yaml": None, "clusters/prod/a.yaml": kustomization("a", "b")})
    plane.settle()
    assert deletions(plane) == []
    assert plane.config_map("x", "default") == {"key": "2"}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids="-".join)
def test_a_cluster_scoped_custom_resource_is_handed_over_though_kustomize_gave_it_a_namespace(order):
    transformed = "resources: [w.yaml, keep.yaml]\nnamespace: apps\n"
    files = {
        "base/widgets.yaml": WIDGETS,
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "clusters/prod/b.yaml": kustomization("b", "b"),
        "a/kustomization.yaml": transformed,
        "a/w.yaml": WIDGET,
        "a/keep.yaml": config_map("keep-a"),
        "b/keep.yaml": config_map("keep-b"),
    }
    plane = started(files)
    uid = plane.live("example.com/v1", "Widget", "", "w")["metadata"]["uid"]
    plane.push(
        {
            "a/w.yaml": None,
            "a/kustomization.yaml": "resources: [keep.yaml]\nnamespace: apps\n",
            "b/w.yaml": WIDGET,
            "b/kustomization.yaml": transformed,
        }
    )
    run_in_order(plane, order)
    assert deletions(plane) == []
    assert plane.live("example.com/v1", "Widget", "", "w")["metadata"]["uid"] == uid


def test_an_object_stays_inventoried_until_its_new_owner_has_it():
    files = {
        "clusters/prod/a.yaml": kustomization("a", "a"),
        "clusters/prod/b.yaml": kustomization("b", "b"),
        "a/x.yaml": config_map("x", key="1"),
        "a/stays.yaml": config_map("stays-a"),
        "b/stays.yaml": config_map("stays-b"),
    }
    plane = started(files)
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="1"), "b/bad.yaml": config_map("y", "nowhere")})
    plane.settle(seconds=30)
    assert plane.ready("b").startswith("False")
    assert "apps_x__ConfigMap@v1" in plane.status("a").inventory
    assert "ConfigMap/apps/x" in plane.ready("a")
    plane.push({"clusters/prod/b.yaml": None})
    plane.settle()
    assert plane.config_map("x") is None, "nobody renders it any more, and it was still in an inventory"
    assert not plane.known("Kustomization", "b")


@pytest.mark.parametrize("seen", [True, False])
def test_an_object_that_changes_its_api_version_is_not_deleted(seen):
    plane = started({"clusters/prod/a.yaml": kustomization("a", "a"), "a/stays.yaml": config_map("stays-a")})
    two = WIDGETS.replace("versions: [", "versions: [{name: v1beta1, served: true, storage: false}, ")
    plane.push({"base/widgets.yaml": two, "a/w.yaml": WIDGET.replace("/v1\n", "/v1beta1\n")})
    plane.settle()
    plane.push({"a/w.yaml": WIDGET} if seen else {"a/w.yaml": WIDGET, "base/widgets.yaml": WIDGETS})
    plane.settle()
    assert deletions(plane) == []
    plane.cluster.calls.clear()
    plane.reconcile("a", why="interval")
    assert {verb for verb, _ in plane.cluster.calls} <= {"get", "list"}, "its fields are on record in the new version"


def test_an_object_that_changes_its_namespace_is_made_before_the_old_one_goes():
    plane = started({"base/second.yaml": namespace("second"), "base/x.yaml": config_map("x", key="1")})
    plane.push({"base/x.yaml": config_map("x", "second", key="1")})
    plane.settle()
    order = [call for call in plane.writes() if call[1].endswith("/x")]
    assert order == [("patch", "ConfigMap/second/x"), ("delete", "ConfigMap/apps/x")]


def test_a_failure_that_others_wait_for_keeps_nobody_busy():
    """The root wakes the child whose render it waits for; that it fails again wakes the root no more."""
    plane = MemoryPlane()
    plane.push(
        {
            "clusters/prod/base.yaml": any_kustomization("base", "base"),
            "clusters/prod/web.yaml": any_kustomization("web", "web"),
            "base/a.yaml": config_map("a", "default", x="1"),
            "web/c.yaml": config_map("c", "default", x="1"),
        }
    )
    plane.settle()
    plane.push(
        {
            "clusters/prod/broken.yaml": any_kustomization("broken", "nowhere"),
            "clusters/prod/web.yaml": None,
            "clusters/prod/more.yaml": config_map("m", "default", x="1"),
            "clusters/prod/kept.yaml": config_map("k", "default", x="1"),
        }
    )
    plane.settle()
    delivered = []
    deliver = plane.deliver
    plane.deliver = lambda delivery: delivered.append(delivery) or (deliver(delivery) if len(delivered) < 50 else None)
    plane.push({"clusters/prod/more.yaml": None})
    plane.settle()
    assert len(delivered) < 20
    assert "wait until flux-system/broken" in plane.ready("flux-system")
    plane.deliver = deliver
    plane.push({"nowhere/b.yaml": config_map("b", "default", x="1")})
    plane.settle()
    assert plane.config_map("m", "default") is None
    assert plane.config_map("c", "default") is None
    assert plane.ready("flux-system").startswith("True")


def applied_late(plane, name, owner):
    """An apply of the Kustomization before, which the API server answers only now."""
    manifest = yaml.safe_load(config_map(name, key="old"))
    labels = {
        f"kustomize.toolkit.fluxcd.io/{key}": value for key, value in (("name", owner), ("namespace", "flux-system"))
    }
    manifest["metadata"]["labels"] = labels
    plane.cluster.apply(manifest, ApplyOptions())


FROM_A = {
    "clusters/prod/a.yaml": kustomization("a", "a"),
    "clusters/prod/b.yaml": kustomization("b", "b"),
    "a/stays.yaml": config_map("stays-a"),
    "b/stays.yaml": config_map("stays-b"),
}
MOVED = {"b/x.yaml": config_map("x", key="new")}


def moved_and_labelled(label, files=FROM_A):
    """x was a's, is b's, and has got other labels since; then it leaves b's render."""
    plane = started({**files, "a/x.yaml": config_map("x", key="old")})
    plane.push({"a/x.yaml": None, **MOVED})
    plane.settle()
    label(plane)
    plane.push({"b/x.yaml": None})
    plane.settle()
    return plane


def test_an_apply_that_took_effect_after_the_move_leaves_nothing_behind():
    plane = moved_and_labelled(lambda plane: applied_late(plane, "x", "a"))
    assert deletions(plane) == ["ConfigMap/apps/x"]
    assert plane.config_map("x") is None
    assert all(plane.ready(name).startswith("True") for name in ("a", "b"))


@pytest.mark.parametrize("owner", ["a", "of-flux"])
def test_an_object_that_somebody_else_gave_away_stays(owner):
    def label(plane):
        live = plane.live("v1", "ConfigMap", "apps", "x")
        live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = owner
        plane.cluster.replace(live)

    plane = moved_and_labelled(label)
    assert deletions(plane) == []
    assert plane.config_map("x") is not None


def test_an_object_with_the_labels_of_one_that_nobody_here_declares_stays():
    plane = moved_and_labelled(lambda plane: applied_late(plane, "x", "of-another-plane"))
    assert deletions(plane) == []


def test_an_object_with_the_labels_of_one_that_remembers_it_is_that_ones():
    def remembered(plane):
        applied_late(plane, "x", "a")
        status = plane.status("a")
        inventory = (*status.inventory, "apps_x__ConfigMap@v1")
        known = plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", "a"))
        value = replace(status, inventory=inventory).to_value()
        plane.state.put(known.key, value, expected=known.version, due=known.due)

    plane = moved_and_labelled(remembered)
    assert deletions(plane) == []
