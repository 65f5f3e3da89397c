"""Two runs that go by what the other has written down, while it writes: nothing is deleted, and nothing forgotten.

What is read together is no snapshot: a parent stores a new child, and says so, between two lists of one read.
"""

from tests.chaos import interrupted
from tests.chaos.interrupted import at_each_call, fetched, reconciles, standing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.state.together import one_by_one

BEFORE = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/old.yaml": kustomization("old", "old"),
    "old/stays.yaml": config_map("stays"),
    "old/x.yaml": config_map("x"),
}
AFTER = {
    **{path: text for path, text in BEFORE.items() if path != "old/x.yaml"},
    "clusters/prod/new.yaml": kustomization("new", "new"),
    "new/x.yaml": config_map("x"),
}


class OneByOne(interrupted.Interrupted):
    """Between any two records of one read, too."""

    def read(self, keys=(), prefixes=()):
        return one_by_one(self, keys, prefixes)


def test_nothing_is_deleted_that_moves_to_a_child_which_is_just_being_stored(monkeypatch):
    monkeypatch.setattr(interrupted, "Interrupted", OneByOne)
    for at, plane in at_each_call(
        lambda: standing(MemoryPlane(), BEFORE, AFTER),
        reconciles("old", "artifact"),
        reconciles("flux-system", "artifact"),
    ):
        plane.settle()
        deleted = [what for verb, what in plane.cluster.calls if verb == "delete"]
        assert deleted == [], at
        assert plane.ready("new").startswith("True"), at


def handed_on():
    """What ``first`` keeps for ``late``, which never takes it, ``second`` has taken over since, and has it no more."""
    late = kustomization("late", "late", dependsOn=[{"name": "never"}])
    files = {"clusters/prod/ns.yaml": namespace("apps"), "clusters/prod/late.yaml": late}
    for name in ("first", "second"):
        files |= {f"clusters/prod/{name}.yaml": kustomization(name, name), f"{name}/s.yaml": config_map(f"s-{name}")}
    plane = MemoryPlane()
    plane.push({**files, "late/s.yaml": config_map("s-late"), "first/x.yaml": config_map("x", key="1")})
    plane.settle()
    plane.push({"first/x.yaml": None, "late/x.yaml": config_map("x", key="2")})
    plane.settle()
    assert "will be taken over by flux-system/late" in plane.ready("first")
    broken = {"late/broken.yaml": "kind: ConfigMap\n  apiVersion: [v1\n"}
    fetched(plane, {**without(plane.files, "late/x.yaml"), **broken, "second/x.yaml": config_map("x", key="3")})
    reconciles("second", "artifact")(plane)
    assert "apps_x__ConfigMap@v1" in plane.status("second").inventory
    fetched(plane, without(plane.files, "second/x.yaml"))
    return plane


def without(files, *paths):
    return {path: text for path, text in files.items() if path not in paths}


def test_what_one_keeps_for_a_third_is_no_safe_place_for_who_has_taken_it_over():
    for at, plane in at_each_call(handed_on, reconciles("second", "artifact"), reconciles("first", "again")):
        plane.push(dict.fromkeys(("clusters/prod/late.yaml", "late/s.yaml", "late/broken.yaml")))
        for _ in range(3):
            plane.settle()
            plane.clock.advance(700)
            plane.tick()
        plane.settle()
        assert plane.config_map("x") is None, at
