"""A run loses its Lease in its middle and goes on writing: it ran out under a slow request, or somebody deleted it.

What a newer run finds not there yet, or deletes, the older one may still make. Nobody forgets that before the older one
has certainly ended.
"""

import pytest
from tests.chaos.interrupted import at_each_call, fetched, reconciles, standing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

LEASE = "coordination.k8s.io/v1"
NAME = "kustomization.flux-system.apps"
FIRST = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/kept.yaml": config_map("kept", key="1"),
    "apps/old.yaml": config_map("old", key="1"),
}
SECOND = {**FIRST, "apps/new.yaml": config_map("new", key="1"), "apps/old.yaml": config_map("old", key="2")}
THIRD = {name: text for name, text in FIRST.items() if name != "apps/old.yaml"}
FOURTH = {**THIRD, "apps/kept.yaml": config_map("kept", key="4")}


def deleted(plane):
    held = plane.live(LEASE, "Lease", "penstock-system", NAME)
    if held is not None:
        plane.cluster.delete(held)


def runs_out(plane):
    plane.clock.advance(200)


def remembered(plane, name):
    held = plane.live("v1", "ConfigMap", "penstock-system", NAME)
    return held is not None and f"apps_{name}__ConfigMap" in held["data"]["inventory"]


def watched(plane):
    """Whether everything of ours is in the inventory."""
    return all(remembered(plane, name) for name in ("new", "old") if plane.config_map(name) is not None)


def goes_by(plane, seconds):
    plane.settle(seconds=30)
    for _ in range(int(seconds // 300)):
        plane.clock.advance(300)
        plane.tick()
        plane.settle(seconds=30)


def gone(plane):
    return plane.config_map("new") is None and plane.config_map("old") is None


@pytest.mark.parametrize("later", [[THIRD], [THIRD, FOURTH]], ids=["one newer run", "two newer runs"])
@pytest.mark.parametrize(("loses", "places"), [(deleted, 3), (runs_out, 1)])
def test_what_it_makes_afterwards_is_remembered_and_goes(loses, places, later):
    def newer(plane):
        loses(plane)
        for files in later:
            fetched(plane, files)
            reconciles("apps")(plane)

    late = 0
    for at, plane in at_each_call(lambda: standing(MemoryPlane(), FIRST, SECOND), reconciles("apps"), newer):
        late += not gone(plane)
        assert watched(plane), at
        goes_by(plane, 1500)
        assert gone(plane), at
        assert plane.config_map("kept") == {"key": "1" if later == [THIRD] else "4"}, at
        assert not remembered(plane, "new"), at
        assert not remembered(plane, "old"), at
        assert plane.ready("apps").startswith("True"), at
    assert late >= places


@pytest.mark.parametrize("again", [False, True], ids=["", "its removal looks twice"])
@pytest.mark.parametrize(("loses", "places"), [(deleted, 3), (runs_out, 1)])
def test_what_it_makes_of_a_kustomization_that_is_removed_goes_too(loses, places, again):
    def removed(plane):
        loses(plane)
        fetched(plane, {name: text for name, text in FIRST.items() if not name.endswith("/apps.yaml")})
        reconciles("flux-system")(plane)
        for _ in range(1 + again):
            reconciles("apps", "removed")(plane)

    late = 0
    for at, plane in at_each_call(lambda: standing(MemoryPlane(), FIRST, SECOND), reconciles("apps"), removed):
        late += not gone(plane)
        assert watched(plane), at
        goes_by(plane, 1500)
        assert gone(plane), at
        assert plane.config_map("kept") is None, at
        assert not plane.known("Kustomization", "apps"), at
        assert plane.live("v1", "ConfigMap", "penstock-system", NAME) is None, at
    assert late >= places
