"""Records restored from a backup, of a time at which something had left Git that has come back since: nothing is deleted.

Whoever runs first by them asks for the head; what is not in the head goes all the same.
"""

import pytest
import yaml
from tests.chaos.interrupted import fetched, reconciles
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace
from tests.stages.test_reconcile_safety import lose_records

from penstock.core.tree import blob

EXTRA = "https://git.example.com/extra"
SOURCE = yaml.safe_dump(
    {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "extra", "namespace": "flux-system"},
        "spec": {"url": EXTRA, "interval": "1h", "ref": {"branch": "main"}},
    }
)
RECEIVER = yaml.safe_dump(
    {
        "apiVersion": "notification.toolkit.fluxcd.io/v1",
        "kind": "Receiver",
        "metadata": {"name": "hook", "namespace": "flux-system"},
        "spec": {
            "type": "github",
            "secretRef": {"name": "token"},
            "resources": [{"kind": "GitRepository", "name": "flux-system"}],
        },
    }
)
BARE = {"clusters/prod/ns.yaml": namespace("apps"), "clusters/prod/keep.yaml": config_map("keep", "default")}
APPS = {
    **BARE,
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/hook.yaml": RECEIVER,
}
OTHERS = {
    **BARE,
    "clusters/prod/extra.yaml": SOURCE,
    "clusters/prod/apps.yaml": kustomization("apps", "x", sourceRef={"kind": "GitRepository", "name": "extra"}),
}
MOVED = {
    **OTHERS,
    "clusters/prod/apps.yaml": kustomization("apps", "y", sourceRef={"kind": "GitRepository", "name": "extra"}),
}
INVENTORY, PARENTS = "kustomization.flux-system.apps", "kustomization.flux-system.flux-system"


def commits(plane, *several, settle=True):
    for files in several:
        fetched(plane, files)
        reconciles("flux-system")(plane)
        if settle:
            plane.settle()


def world():
    plane = MemoryPlane()
    plane.git.commit(EXTRA, {f"{name}/{name}.yaml": blob(config_map(name, key="1").encode()) for name in "xy"})
    return plane


def restore(plane, backup):
    """Nobody is on the way any more."""
    plane.settle()
    while (delivery := plane.bus.receive("reconcile", wait=0)) is not None:
        plane.bus.ack(delivery)
    lose_records(plane)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.cluster.calls.clear()


def deleted(plane):
    return [what for verb, what in plane.cluster.calls if verb == "delete" and "/apps/" in what]


def converges(plane, *names):
    """The head is in the cluster, and nothing of it was deleted on the way."""
    assert deleted(plane) == []
    plane.settle(seconds=300)
    assert deleted(plane) == []
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert all(plane.config_map(name) is not None for name in names)


@pytest.mark.parametrize("why", ["interval", "removed"])
@pytest.mark.parametrize("buried", [True, False], ids=["removed", "its removal had ended its objects"])
def test_one_that_was_declared_again_and_has_run(buried, why):
    """Its inventory tells: it holds what the records do not know of."""
    plane = world()
    commits(plane, APPS)
    commits(plane, BARE, settle=False)
    assert plane.known("Kustomization", "apps")
    backup = plane.state.list("")
    if not buried:
        plane.settle()
        assert plane.config_map("a") is None
    commits(plane, {**APPS, "apps/b.yaml": config_map("b", key="1")})
    restore(plane, backup)
    reconciles("apps", why)(plane)
    assert plane.ready("apps").startswith("Unknown Progressing: removal: the cluster holds main@sha1:")
    assert plane.known("Receiver", "hook")
    converges(plane, "a", "b")


def test_one_that_was_declared_again_and_has_not_run_since():
    """The inventory of who declares it tells."""
    plane = world()
    commits(plane, APPS)
    commits(plane, BARE, settle=False)
    backup = plane.state.list("")
    commits(plane, {**APPS, "clusters/prod/more.yaml": config_map("more", "default")}, settle=False)
    while (delivery := plane.bus.receive("reconcile", wait=0)) is not None:
        plane.bus.ack(delivery)
    restore(plane, backup)
    reconciles("apps", "removed")(plane)
    assert plane.known("Receiver", "hook")
    converges(plane, "a")


@pytest.mark.parametrize("below", [True, False], ids=["children below it", "nobody below it"])
def test_one_that_has_run_since_and_whose_parent_was_killed(below):
    """Before it came to its own inventory: that of the child alone tells."""
    plane = world()
    files = {name: text for name, text in APPS.items() if below or text != RECEIVER}
    commits(plane, files)
    commits(plane, BARE, settle=False)
    backup, told = plane.state.list(""), plane.live("v1", "ConfigMap", "penstock-system", PARENTS)["data"]
    plane.settle()
    commits(plane, files)
    plane.cluster.replace({**plane.live("v1", "ConfigMap", "penstock-system", PARENTS), "data": told})
    restore(plane, backup)
    reconciles("apps", "removed")(plane)
    assert plane.known("Receiver", "hook") is below
    converges(plane, "a")


def test_one_of_another_source_that_was_declared_again():
    """Nothing is new in its own source: its own inventory tells nothing."""
    plane = world()
    commits(plane, OTHERS)
    commits(plane, {**BARE, "clusters/prod/extra.yaml": SOURCE}, settle=False)
    backup = plane.state.list("")
    plane.settle()
    assert plane.config_map("x") is None
    commits(plane, OTHERS)
    restore(plane, backup)
    reconciles("apps", "removed")(plane)
    converges(plane, "x")


def test_what_another_spec_of_it_had_is_not_pruned():
    plane = world()
    commits(plane, OTHERS)
    backup = plane.state.list("")
    commits(plane, MOVED)
    assert plane.config_map("x") is None
    restore(plane, backup)
    reconciles("apps", "interval")(plane)
    assert plane.config_map("x") is None, "nor is what has left applied"
    converges(plane, "y")


def test_what_is_not_in_the_head_goes():
    """It was declared again and removed again: the head decides."""
    plane = world()
    commits(plane, APPS)
    commits(plane, BARE, settle=False)
    backup = plane.state.list("")
    commits(plane, {**APPS, "apps/b.yaml": config_map("b", key="1")})
    commits(plane, {**BARE, "clusters/prod/more.yaml": config_map("more", "default")}, settle=False)
    while (delivery := plane.bus.receive("reconcile", wait=0)) is not None:
        plane.bus.ack(delivery)
    restore(plane, backup)
    reconciles("apps", "removed")(plane)
    assert deleted(plane) == []
    plane.settle(seconds=300)
    assert (plane.config_map("a"), plane.config_map("b")) == (None, None)
    assert not plane.known("Kustomization", "apps")
    assert plane.live("v1", "ConfigMap", "penstock-system", INVENTORY) is None


def test_nobody_waits_for_the_head_of_a_source_that_is_gone():
    """It was removed with its source, whose number its inventory has."""
    plane = world()
    commits(plane, OTHERS)
    live = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    ahead = {**live["data"], "observation": "9", "revision": "main@sha1:" + "0" * 40}
    plane.cluster.replace({**live, "data": ahead})
    commits(plane, BARE)
    plane.settle(seconds=300)
    assert plane.config_map("x") is None
    assert not plane.known("Kustomization", "apps")


def asked(plane, name):
    return plane.cluster.calls.count(("get", f"ConfigMap/penstock-system/kustomization.flux-system.{name}"))


@pytest.mark.parametrize("files", [APPS, OTHERS], ids=["of the same source", "of another source"])
def test_a_removal_asks_for_one_inventory_more(files):
    plane = world()
    commits(plane, files)
    commits(plane, {name: text for name, text in files.items() if not name.endswith("/apps.yaml")}, settle=False)
    plane.cluster.calls.clear()
    reconciles("apps", "removed")(plane)
    assert not plane.known("Kustomization", "apps")
    assert asked(plane, "flux-system") == 1


@pytest.mark.parametrize(("files", "more"), [(APPS, 0), (OTHERS, 1)], ids=["of the same source", "of another source"])
def test_who_prunes_asks_for_one_only_where_its_own_cannot_tell(files, more):
    plane = world()
    commits(plane, files)
    if files is OTHERS:
        commits(plane, MOVED, settle=False)
    else:
        commits(plane, {**APPS, "apps/a.yaml": config_map("b", key="1")}, settle=False)
    plane.cluster.calls.clear()
    reconciles("apps", "parent")(plane)
    assert len(deleted(plane)) == 1
    assert asked(plane, "flux-system") == more
