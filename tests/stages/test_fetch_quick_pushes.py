"""Pushes within a minute, before it is certain that the wake-ups of the first have gone out: nobody is left behind."""

import itertools

import pytest
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/x.yaml": kustomization("x", "x", interval="60m"),
    "clusters/prod/y.yaml": kustomization("y", "y", interval="60m"),
    "x/x.yaml": config_map("x", value="0"),
    "y/y.yaml": config_map("y", value="0"),
}
SETTLED = 90.0
"""Seconds after which it is certain who was told."""


def plane_at_rest():
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    plane.clock.advance(SETTLED)
    plane.tick()
    plane.settle()
    return plane


def values(plane):
    return plane.config_map("x")["value"], plane.config_map("y")["value"]


def state(x, y):
    return {"x/x.yaml": config_map("x", value=x), "y/y.yaml": config_map("y", value=y)}


def test_a_revert_within_a_minute_is_applied():
    plane = plane_at_rest()
    for x in ("1", "0"):
        plane.push(state(x, "0"))
        plane.settle(seconds=5)
        assert values(plane) == (x, "0")


@pytest.mark.parametrize("count", [3, 7])
def test_whatever_is_pushed_within_a_minute_each_push_is_applied(count):
    """Every sequence of so many states of two folders (of seven: some), run to its end after each push."""
    sequences = itertools.product(itertools.product("01", repeat=2), repeat=count)
    for sequence in itertools.islice(sequences, 0, None, 1 if count == 3 else 1201):
        plane = plane_at_rest()
        for x, y in sequence:
            plane.push(state(x, y))
            plane.settle(seconds=3)
            assert values(plane) == (x, y), sequence


def test_what_is_pushed_while_nobody_runs_is_applied_at_last():
    plane = plane_at_rest()
    for x in ("1", "2", "0"):
        plane.push(state(x, "0"))
        assert plane.step_stage("fetch")
        plane.run_only("x")
        assert values(plane)[0] == x


def test_a_record_of_a_release_that_noted_no_pushes_in_between_compares_with_nothing():
    plane = plane_at_rest()
    plane.push(state("1", "0"))
    plane.settle(seconds=5)
    key = "status/-/GitRepository/flux-system/flux-system"
    found = plane.state.get(key)
    value = {name: each for name, each in found.value.items() if name != "since"}
    plane.state.put(key, value, expected=None, due=found.due)
    plane.push(state("0", "0"))
    plane.settle(seconds=5)
    assert values(plane) == ("0", "0")
