"""A Kustomization whose records are old gets another parent: its removal is overtaken by the run that declares it again.

The removal finds that inventory and records disagree, and restores the union of both. Declared again meanwhile, it lives:
its inventory stays.
"""

import pytest
from tests.chaos.interrupted import at_each_call, reconciles, standing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

INVENTORY = "kustomization.flux-system.child"


def buried(*, prune, edited):
    """The old parent has run, the new one has not. ``edited``: the inventory is another one than the records say."""
    child = kustomization("child", "child", prune=prune)
    before = {
        "clusters/prod/ns.yaml": namespace("apps"),
        "clusters/prod/parent.yaml": kustomization("parent", "parent"),
        "clusters/prod/child.yaml": child,
        "parent/a.yaml": config_map("a"),
        "child/b.yaml": config_map("b"),
    }
    after = {**before, "parent/child.yaml": child}
    del after["clusters/prod/child.yaml"]
    plane = standing(MemoryPlane(), before, after)
    reconciles("flux-system", "artifact")(plane)
    held = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    if edited:
        plane.cluster.replace({**held, "data": {**held["data"], "inventory": "[]", "digest": ""}})
    return plane


@pytest.mark.parametrize(("prune", "edited"), [(True, True), (False, False)])
def test_its_inventory_stays(prune, edited):
    def make():
        return buried(prune=prune, edited=edited)

    def declares(plane):
        reconciles("parent", "artifact")(plane)
        plane.declared = len(plane.cluster.calls)

    places = 0
    for at, plane in at_each_call(make, reconciles("child"), declares, least=4):
        plane.settle()
        deleted = [what for verb, what in plane.cluster.calls[plane.declared :] if verb == "delete"]
        places += f"ConfigMap/penstock-system/{INVENTORY}" in deleted
        assert not any("apps/" in what for what in deleted), at
        assert plane.live("v1", "ConfigMap", "penstock-system", INVENTORY) is not None, at
        assert plane.ready("child").startswith("True"), at
        assert plane.config_map("b") is not None, at
    assert places <= (0 if prune else 1), "between its last look and the deletion itself, and it is made anew"
