"""Whoever leaves Git with its directory cannot say any more what has left it: nobody waits for its word."""

import pytest
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.core.resources import Gvk

BEFORE = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/heir.yaml": kustomization("heir", "heir"),
    "clusters/prod/parent.yaml": kustomization("parent", "parent"),
    "heir/heir.yaml": config_map("heir"),
    "parent/keep.yaml": config_map("keep"),
    "parent/old.yaml": kustomization("old", "old"),
    "old/gone.yaml": config_map("gone"),
    "old/x.yaml": config_map("x", key="1"),
    "old/child.yaml": kustomization("child", "child"),
    "child/y.yaml": config_map("y", key="1"),
    "child/z.yaml": config_map("z", key="1"),
}
CHILD = {"child/y.yaml": BEFORE["child/y.yaml"]}
MOVES = {
    "an object to who declared it": {"parent/x.yaml": BEFORE["old/x.yaml"]},
    "an object to the root": {"clusters/prod/x.yaml": BEFORE["old/x.yaml"]},
    "an object to another one": {"heir/x.yaml": BEFORE["old/x.yaml"]},
    "its child's object to who declared it": {"parent/y.yaml": BEFORE["child/y.yaml"]},
    "its child's object to another one": {"heir/y.yaml": BEFORE["child/y.yaml"]},
    "its child to who declared it": {"parent/child.yaml": BEFORE["old/child.yaml"], **CHILD},
    "its child to another one": {"heir/child.yaml": BEFORE["old/child.yaml"], **CHILD},
}
GONE = {path: None for path in BEFORE if path.startswith(("old/", "child/", "parent/old"))}


def there(plane):
    items = plane.cluster.list(Gvk(version="v1", kind="ConfigMap"), namespace="apps").items
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


@pytest.mark.parametrize("waits", [False, True], ids=["", "and its parent waits for that one"])
@pytest.mark.parametrize("what", MOVES)
def test_what_moves_from_one_that_leaves_with_its_directory_is_taken_over(what, waits):
    plane = MemoryPlane()
    parent = kustomization("parent", "parent", dependsOn=[{"name": "heir"}] if waits else [])
    plane.push({**BEFORE, "clusters/prod/parent.yaml": parent})
    plane.settle()
    before = there(plane)
    assert len(before) == 6
    plane.push({**GONE, **MOVES[what]})
    for _ in range(3):
        plane.settle()
        plane.clock.advance(120)
        plane.tick()
    plane.settle()
    kept = {path.rpartition("/")[2].removesuffix(".yaml") for path in MOVES[what]} | {"heir", "keep"}
    assert there(plane) == {name: uid for name, uid in before.items() if name in kept}
    for name in ("flux-system", "heir", "parent", *({"child"} & kept)):
        assert plane.ready(name).startswith("True"), (name, plane.ready(name))
    assert not plane.known("Kustomization", "old")
    assert not [each for each in plane.events if each.severity == "error" and each.name != "old"]


UP = {
    "to its parent": {"old/x.yaml": None, "parent/x.yaml": BEFORE["old/x.yaml"]},
    "two up": {"child/y.yaml": None, "parent/y.yaml": BEFORE["child/y.yaml"]},
    "to the root": {"child/y.yaml": None, "clusters/prod/y.yaml": BEFORE["child/y.yaml"]},
    "a child": {
        "old/child.yaml": None,
        "clusters/prod/child.yaml": BEFORE["old/child.yaml"],
        "old/x.yaml": config_map("x", key="2"),
    },
}


@pytest.mark.parametrize("what", UP)
def test_what_moves_up_does_not_wait_for_an_interval(what):
    """A push wakes the ancestor alone, which waits for the one below to say that it has it no more."""
    plane = MemoryPlane()
    plane.push(BEFORE)
    plane.settle()
    before = there(plane)
    revision = plane.push(UP[what])
    plane.settle(seconds=20)
    plane.settle(seconds=20)
    heir = "parent" if any(path.startswith("parent/") for path in UP[what]) else "flux-system"
    assert plane.status(heir).last_applied_revision == revision, plane.ready(heir)
    assert there(plane) == before
    assert not [each for each in plane.events if each.severity == "error"]
