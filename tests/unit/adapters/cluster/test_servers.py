"""Servers that are kept connected: for how long, how many, and what a look-up that fails does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.adapters.cluster.credentials import Static
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.servers import Servers
from penstock.adapters.cluster.transport import Patience
from penstock.core.errors import NotFound, PenstockError, Transient


class Lookup:
    """Finds the server at ``where``, or fails; counts."""

    def __init__(self, where: str = "https://a.example") -> None:
        self.where, self.asked, self.error = where, 0, None

    def __call__(self) -> Connection:
        self.asked += 1
        if isinstance(self.error, PenstockError):
            raise self.error
        return Connection(server=self.where, credentials=Static())


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def servers(time: Time, **more: int) -> Servers:
    return Servers(Patience(), clock=time, **more)


def test_it_is_kept_while_the_same_is_wanted(time: Time) -> None:
    made, lookup = servers(time), Lookup()
    first = made.get("prod", "a", lookup, seconds=600)
    assert made.get("prod", "a", lookup, seconds=600) is first
    assert made.get("prod", "b", lookup, seconds=600) is not first
    assert lookup.asked == 2


def test_a_cluster_that_is_still_there_keeps_its_connections(time: Time) -> None:
    made, lookup = servers(time), Lookup()
    first = made.get("prod", "a", lookup, seconds=600)
    time.now = 600.0
    assert made.get("prod", "a", lookup, seconds=600) is first
    time.now = 1199.0
    made.get("prod", "a", lookup, seconds=600)
    assert lookup.asked == 2


def test_a_cluster_that_moved_is_followed(time: Time) -> None:
    made, lookup = servers(time), Lookup()
    first = made.get("prod", "a", lookup, seconds=600)
    time.now, lookup.where = 601.0, "https://b.example"
    assert made.get("prod", "a", lookup, seconds=600) is not first


def test_a_cloud_that_does_not_answer_leaves_the_old_one(time: Time) -> None:
    made, lookup = servers(time), Lookup()
    first = made.get("prod", "a", lookup, seconds=600)
    time.now, lookup.error = 601.0, Transient("busy")
    assert made.get("prod", "a", lookup, seconds=600) is first
    lookup.error = NotFound("there is no such cluster")
    with pytest.raises(NotFound):
        made.get("prod", "a", lookup, seconds=600)


def test_the_oldest_goes_first(time: Time) -> None:
    made, lookup = servers(time, most=2), Lookup()
    first = made.get(1, 1, lookup)
    second = made.get(2, 2, lookup)
    made.get(3, 3, lookup)
    assert made.get(2, 2, lookup) is second
    assert made.get(1, 1, lookup) is not first


def test_a_slow_cloud_delays_nobody_else(time: Time) -> None:
    made, slow, asked = servers(time), threading.Event(), threading.Event()

    def waits() -> Connection:
        asked.set()
        assert slow.wait(10)
        return Lookup()()

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(made.get, "slow", "a", waits)
        assert asked.wait(10)
        assert made.get("fast", "a", Lookup()) is not None
        assert not waiting.done()
        slow.set()
        assert waiting.result(10) is not None


def test_threads_that_want_the_same_look_once(time: Time) -> None:
    made, lookup = servers(time), Lookup()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: made.get("prod", "a", lookup), range(16)))
    assert len({id(each) for each in found}) == 1
    assert lookup.asked == 1
