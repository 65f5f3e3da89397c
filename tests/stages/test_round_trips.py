"""What a push asks the stores of a plane in a cloud: how many requests, and how many of them wait for each other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.round_trips import Journey, Trips, by_run, fanout, of_a_push, table, waits

from penstock.adapters.state.memory import MemoryState

MOST, MOST_WAITS = 32, 20
BY_STAGE = {"webhook": (3, 3), "fetch": (11, 7), "reconcile": (9, 7), "notify": (6, 4)}
"""Requests of one run, and how many of them wait for each other."""


@pytest.mark.parametrize("settled", [False, True], ids=["one after the other", "minutes apart"])
def test_a_push_that_changes_one_object(settled):
    asked = of_a_push(settled=settled)
    assert (len(asked), waits(asked)) <= (MOST, MOST_WAITS), table(asked)
    assert waits(asked) <= MOST_WAITS, table(asked)
    for (stage, _), mine in by_run(asked).items():
        assert len(mine) <= BY_STAGE[stage][0], table(mine)
        assert waits(mine) <= BY_STAGE[stage][1], table(mine)


def test_what_a_push_asks_does_not_grow_with_its_objects():
    assert [each.call for each in of_a_push(5)] == [each.call for each in of_a_push(60)]


def test_the_change_goes_ahead_of_what_people_are_told():
    published = [each for each in of_a_push() if each.call == "bus.publish" and each.stage == "fetch"]
    assert [each.what for each in published] == ["artifact-stored", "event"]


@pytest.mark.parametrize("clusters", [20, 60])
def test_a_commit_for_many_clusters_asks_few_requests_of_each(clusters):
    asked = fanout(clusters)
    assert len(asked) <= 5 * clusters, table(asked)
    assert len([each for each in asked if each.call.startswith("state.")]) <= 4.5 * clusters


def test_requests_of_threads_count_once_as_far_as_the_pool_has_threads():
    trips = Trips()
    trips.stage = "fetch"
    with trips.threads():
        trips.add("state.get", "first")
        with ThreadPoolExecutor(max_workers=2) as pool:
            for _ in pool.map(lambda each: trips.add("state.get", each), ["a", "b", "c"]):
                pass
        trips.add("state.get", "last")
    assert [(each.what, each.at) for each in trips.requests] == [
        ("first", 0), ("a", 1), ("b", 1), ("c", 2), ("last", 3),
    ]  # fmt: skip
    assert waits(trips.requests) == 4


def test_what_is_read_together_is_a_request_for_each_batch_and_each_list():
    plane = Journey()
    plane.trips.stage = "fetch"
    plane.state.read([f"k{number}" for number in range(101)], prefixes=["a/", "b/"])
    assert [each.at for each in plane.trips.requests] == [0, 0, 0, 0]
    plane.state.read()
    plane.state.get("k")
    assert plane.trips.requests[-1].at == 1
    assert isinstance(plane.state.port, MemoryState)
