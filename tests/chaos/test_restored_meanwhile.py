"""A backup of the records is restored in the middle of the root's run: nobody takes what it declares for lost.

A Kustomization that only its inventory knows becomes one to be removed (discovery.py), on somebody's word; that word must
not be asked for what stands in Git.
"""

from tests.chaos.interrupted import at_each_call, fetched, reconciles
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/a.yaml": config_map("a", key="1"),
}


class Backed(MemoryPlane):
    """``backup``: its records from before the root had stored a child."""

    def __init__(self):
        super().__init__()
        fetched(self, FILES)
        self.backup = self.state.list("")
        reconciles("flux-system")(self)
        self.settle()
        assert self.ready("apps").startswith("True")

    def restore(self):
        for record in self.state.list(""):
            self.state.delete(record.key, expected=None)
        for record in self.backup:
            self.state.put(record.key, record.value, expected=None, due=record.due)


def test_what_the_run_declares_is_not_taken_for_lost():
    for at, plane in at_each_call(Backed, reconciles("flux-system", "request"), Backed.restore):
        for _ in range(3):
            plane.settle(seconds=30)
            assert "in no render" not in plane.ready("apps"), at
            plane.clock.advance(400)
            plane.tick()
        plane.settle()
        assert plane.ready("apps").startswith("True"), (at, plane.ready("apps"))
        assert [what for verb, what in plane.cluster.calls if verb == "delete"] == [], at
