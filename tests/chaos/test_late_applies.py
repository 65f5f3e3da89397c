"""An apply that takes effect after a newer run has found that there is nothing of it: the object is not left behind."""

import pytest
from tests.chaos.interrupted import at_each_call, fetched, reconciles, standing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

FIRST = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/kept.yaml": config_map("kept", key="1"),
}
SECOND = {**FIRST, "apps/new.yaml": config_map("new", key="1")}
THIRD = {"reverted": FIRST, "another": {**FIRST, "apps/other.yaml": config_map("other", key="1")}}


@pytest.mark.parametrize("what", THIRD)
def test_what_a_newer_run_has_not_seen_yet_is_not_forgotten(what):
    def newer(plane):
        fetched(plane, THIRD[what])
        reconciles("apps")(plane)

    for at, plane in at_each_call(lambda: standing(MemoryPlane(), FIRST, SECOND), reconciles("apps"), newer):
        plane.settle(seconds=30)
        plane.clock.advance(150)
        plane.tick()
        plane.settle(seconds=30)
        assert plane.config_map("new") is None, at
        assert plane.config_map("kept") == {"key": "1"}, at
        assert (plane.config_map("other") is not None) is (what == "another"), at
