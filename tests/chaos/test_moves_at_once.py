"""Flux objects that move, and one that goes, while runs interrupt each other or are killed: each keeps what stands for it.

A Receiver whose record or index entry is missing for a moment loses a push; a source's artifact is what Kustomizations
wait for. What is removed must be gone, with its webhook, whoever was killed before it was.
"""

import functools
import itertools
from dataclasses import replace

import pytest
from tests.chaos.interrupted import at_each_call, fetched, reconciles
from tests.chaos.test_killed_between_calls import Mortal, MortalPlane
from tests.memory_plane import MemoryPlane
from tests.moved_objects import BASE, ROOT, A, B, C, check_kept, fleet, thing

from penstock.core.records import ReceiverRecord

MOVING = ("GitRepository", "Receiver")


def things(place, *kinds):
    return {f"{place}/{kind.lower()}.yaml": thing(kind) for kind in kinds}


BEFORE = {
    **BASE,
    **B,
    **C,
    **things(ROOT, "GitRepository"),
    **things("b", "Receiver"),
    f"{ROOT}/going.yaml": thing("Receiver", "going"),
    "c/going-too.yaml": thing("Receiver", "going-too"),
}
AFTER = {**BASE, **A, **B, **C, **things("a", *MOVING)}
"""The root's GitRepository and a child's Receiver move to a new child; one Receiver each of the root and of c goes."""


def made(*, ran=(), plane=MemoryPlane):
    """A plane that stands at the first commit and has fetched the second, of which these have had their run."""
    fleeting = fleet(BEFORE, plane())
    fetched(fleeting, AFTER)
    for name in ran:
        reconciles(name)(fleeting)
    return fleeting


def check(plane, at, *, killed=False):
    for kind in MOVING:
        check_kept(plane, kind, "a", least=killed)
    entries = [ReceiverRecord.from_value(each.value) for each in plane.state.list("receiver/")]
    assert [each.name for each in entries] == ["thing"], at
    assert not any(plane.known("Receiver", name) for name in ("going", "going-too")), at
    for name in ("flux-system", "a", "b", "c"):
        assert plane.ready(name).startswith("True"), (at, plane.ready(name))
        assert plane.status(name).waiting_for == (), at


@pytest.mark.parametrize(
    ("ran", "first", "second"),
    [
        ((), "flux-system", "flux-system"),
        ((), "b", "flux-system"),
        (("flux-system",), "flux-system", "a"),
        (("flux-system",), "b", "a"),
        (("flux-system", "b"), "a", "flux-system"),
        (("flux-system",), "a", "b"),
    ],
    ids=lambda each: each if isinstance(each, str) else "-".join(each),
)
def test_runs_that_interrupt_each_other(ran, first, second):
    for at, plane in at_each_call(functools.partial(made, ran=ran), reconciles(first), reconciles(second), least=10):
        reconciles("c")(plane)
        plane.settle(seconds=70)
        check(plane, at)


class MortalRuns(MortalPlane):
    """Of its stages only reconcile is killed, at what it writes into the store: what stands for Flux objects is there."""

    def step(self):
        return any(self.step_stage(name) for name in ("fetch", "notify")) or super().step()

    def _mortal(self):
        return replace(self.deps, state=Mortal(self.state, self.reaper))


def started():
    """The same, each of whose runs may be killed from now on."""
    plane = fleet(BEFORE, MortalRuns())
    plane.push({**dict.fromkeys(plane.files.keys() - AFTER.keys()), **AFTER})
    while plane.step_stage("fetch"):
        pass
    return plane


def comes_back(plane):
    """The killed message does, and the schedule goes on: two backstops, and the longest that a message is hidden."""
    for seconds in (1, 700, 70, 70):
        plane.clock.advance(seconds)
        plane.tick()
        plane.settle(seconds=2)


def test_runs_that_are_killed():
    """After any call that has an effect, wherever in the move that is."""
    plane = started()
    plane.arm(-1, after=True)
    plane.settle(seconds=2)
    assert plane.reaper.count > 40
    for at in range(1, plane.reaper.count + 1):
        plane = started()
        plane.arm(at, after=True)
        comes_back(plane)
        check(plane, at, killed=True)


@pytest.mark.parametrize("removed", [False, True], ids=["of one that stays", "of one that is removed"])
def test_the_webhook_of_a_receiver_that_goes_is_gone_after_the_next_run_of_its_parent(removed):
    """Whatever the run before that was killed at; the root, which looks after all of them, does not run."""

    def killed_at(at):
        plane = fleet({**C, "c/going.yaml": thing("Receiver", "going")}, MortalRuns())
        plane.push({"c/going.yaml": None, **(dict.fromkeys(C) if removed else {})})
        while plane.step_stage("fetch"):
            pass
        plane.run_only("flux-system")
        while any(plane.step_stage(name) for name in ("fetch", "notify")):
            pass
        plane.arm(at, after=True)
        plane.step()
        return plane

    at = itertools.count(1)
    while (plane := killed_at(next(at))).reaper.at == -1:
        reconciles("c")(plane)
        assert plane.state.list("receiver/") == ()
        assert not plane.known("Receiver", "going")
    assert next(at) > 6
