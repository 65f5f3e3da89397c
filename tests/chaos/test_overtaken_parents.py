"""A parent's run that is overtaken in its middle: the newer run's children stay as that one has stored them."""

import itertools
from dataclasses import replace

from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.records import ObjectRecord, object_key

ROOT = {"clusters/prod/keep.yaml": config_map("keep", "default"), "one/a.yaml": config_map("a", "default", x="1")}
ONE = {"clusters/prod/one.yaml": kustomization("one", "one")}
OTHER = {"clusters/prod/one.yaml": kustomization("one", "one", interval="20m")}


class Interrupted:
    """A state in which something happens, once, before its call number ``at``."""

    def __init__(self, state, at, happens):
        self._state, self._left, self._happens = state, at, happens

    def __getattr__(self, name):
        found = getattr(self._state, name)

        def call(*args, **kwargs):
            self._left -= 1
            if self._left == 0:
                self._happens()
            return found(*args, **kwargs)

        return call


def interrupted(before, after, at):
    """A run of the root at ``before``, in whose middle ``after`` is pushed and reconciled; None where it has ended."""
    plane, reached = MemoryPlane(), []
    plane.push(before)
    while plane.step_stage("fetch"):
        pass
    deps = plane.deps

    def happens():
        reached.append(at)
        plane.deps = deps
        plane.push(after)
        plane.settle(seconds=0)

    plane.deps = replace(deps, state=Interrupted(deps.state, at, happens))
    assert plane.step_stage("reconcile"), "the root's run at the first commit"
    plane.deps = deps
    plane.settle()
    return plane if reached else None


def at_each_call(before, after):
    """The planes that were interrupted at every call of the root's run, one after the other."""
    for at in itertools.count(1):
        plane = interrupted(before, after, at)
        if plane is None:
            assert at > 30, "there were calls"
            return
        yield at, plane


def test_it_does_not_bury_a_child_that_a_newer_run_has_stored():
    for at, plane in at_each_call(ROOT, {**ROOT, **ONE}):
        assert plane.config_map("a", "default") == {"x": "1"}, at
        assert [what for verb, what in plane.cluster.calls if verb == "delete"] == [], at
        assert plane.ready("one").startswith("True"), at


def test_it_does_not_store_an_old_spec_over_a_new_one():
    for at, plane in at_each_call({**ROOT, **ONE}, OTHER):
        found = plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", "one"))
        record = ObjectRecord.from_value(found.value)
        assert record.document["spec"]["interval"] == "20m", at
        assert record.generation <= 2, f"{at}: the old one was stored over the new one"
