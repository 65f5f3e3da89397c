"""What is read together is no snapshot: a parent stores a new child, and says so, between two lists of one read."""

from tests.chaos import interrupted
from tests.chaos.interrupted import at_each_call, reconciles, standing
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
