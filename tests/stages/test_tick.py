"""tick: what is due is published, once a minute at most."""

import hashlib
import threading

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import Refused
from penstock.core.messages import Outgoing, ReconcileDue, SourceChanged
from penstock.ports.deps import Deps
from penstock.stages import tick
from penstock.stages.tick import waking

GIT = "status/production/GitRepository/flux-system/site"


class World:
    def __init__(self, state=None):
        self.clock, self.state = SimulatedClock(), state or MemoryState()
        self.storage, self.telemetry = MemoryStorage(), MemoryTelemetry()
        unused = None
        self.deps = Deps(
            buckets=unused, clock=self.clock, clusters=unused, downloads=unused, git=unused, keys=unused, notifier=unused, registry=unused, secrets=unused,
            state=self.state, storage=self.storage, telemetry=self.telemetry,
        )  # fmt: skip

    def put(self, key, due_in):
        due = None if due_in is None else self.clock.now().timestamp() + due_in
        self.state.put(key, {"format": 1, "kept": True}, expected=None, due=due)

    def run(self):
        found = tick.run(self.deps)
        tick.afterwards(self.deps)
        return found


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (GIT, SourceChanged(cluster="production", namespace="flux-system", name="site")),
        ("status/-/GitRepository/a/b", SourceChanged(cluster="-", namespace="a", name="b")),
        (
            "status/c/ArtifactGenerator/a/b",
            SourceChanged(cluster="c", kind="ArtifactGenerator", namespace="a", name="b"),
        ),
        ("status/c/Kustomization/a/b", ReconcileDue(cluster="c", namespace="a", name="b", why="interval")),
        ("status/c/Alert/a/b", None),
        ("status/c/Kustomization/a", None),
        ("delivery/c/a/b", None),
    ],
)
def test_what_a_due_record_means(key, message):
    world = World()
    world.put(key, 0)
    assert world.run() == ([Outgoing(message=message)] if message else [])


@pytest.mark.parametrize("due_in", [None, 0.5, 3600])
def test_what_is_not_due_stays(due_in):
    world = World()
    world.put(GIT, due_in)
    assert world.run() == []


def test_a_message_on_its_way_is_not_published_at_each_tick_but_a_lost_one_is_again():
    world = World()
    world.put(GIT, -5)
    counts = []
    for _ in range(5):
        counts.append(len(world.run()))
        world.clock.advance(20)
    assert counts == [1, 0, 0, 1, 0]
    assert world.state.get(GIT).value == {"format": 1, "kept": True}


def test_who_writes_meanwhile_decides():
    class Racing(MemoryState):
        def due(self, before, *, limit):
            found = super().due(before, limit=limit)
            self.put(GIT, {"format": 1, "newer": True}, expected=None, due=before + 600)
            return found

    world = World(Racing())
    world.put(GIT, 0)
    assert world.run() == []
    assert world.state.get(GIT).value == {"format": 1, "newer": True}


def test_a_run_is_bounded_and_the_longest_overdue_come_first(monkeypatch):
    monkeypatch.setattr(waking, "MOST", 3)
    world = World()
    for number in range(8):
        world.put(f"status/c/Kustomization/a/k{number}", -number)
    runs = [[each.message.name for each in world.run()] for _ in range(4)]
    assert runs == [["k7", "k6", "k5"], ["k4", "k3", "k2"], ["k1", "k0"], []]


def stored(world, text):
    data = text.encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    world.storage.put(digest, data)
    return digest


def an_hour_later(world):
    world.clock.advance(3601)
    world.run()


def test_artifacts_that_nobody_names_go_after_two_sweeps():
    world = World()
    old, new, other = stored(world, "old"), stored(world, "new"), stored(world, "other")
    world.state.put(GIT, {"format": 1, "artifact": new}, expected=None)
    world.state.put("status/c/ExternalArtifact/a/b", {"format": 1, "deep": [{"digest": other}]}, expected=None)
    world.run()
    an_hour_later(world)
    assert set(world.storage.digests()) == {old, new, other}, "a fetch might be about to name it"
    an_hour_later(world)
    assert set(world.storage.digests()) == {new, other}


def test_an_artifact_that_is_named_again_between_two_sweeps_stays():
    world = World()
    back = stored(world, "reverted to")
    world.run()
    an_hour_later(world)
    world.state.put(GIT, {"format": 1, "artifact": back}, expected=None)
    an_hour_later(world)
    world.state.delete(GIT, expected=None)
    an_hour_later(world)
    assert world.storage.digests() == (back,)
    an_hour_later(world)
    assert world.storage.digests() == ()


@pytest.mark.parametrize(("port", "call"), [("storage", "digests"), ("state", "scan"), ("storage", "delete")])
def test_what_goes_wrong_with_old_artifacts_stops_no_wake_up(port, call, monkeypatch):
    world = World()
    old = stored(world, "old")
    world.run()
    an_hour_later(world)
    monkeypatch.setattr(getattr(world, port), call, refused)
    for _ in range(3):
        world.put(GIT, 0)
        world.clock.advance(3601)
        assert len(world.run()) == 1
    assert [fact["reason"] for fact in world.telemetry.named("artifacts not deleted")] == ["AccessDenied"] * (
        2 if call == "delete" else 3  # it deletes each second time
    )
    monkeypatch.undo()
    an_hour_later(world)
    an_hour_later(world)
    assert old not in world.storage.digests()


def test_a_run_that_is_killed_over_old_artifacts_is_not_killed_again_a_minute_later(monkeypatch):
    world = World()
    world.run()

    class Killed(BaseException):
        """Out of memory."""

    def killed(prefix):
        raise Killed

    monkeypatch.setattr(world.state, "scan", killed)
    world.clock.advance(3601)
    with pytest.raises(Killed):
        world.run()
    world.clock.advance(60)
    world.put(GIT, 0)
    assert len(world.run()) == 1


def test_a_record_that_this_release_cannot_read_stops_nobody_else():
    world = World()
    world.put("status/c/Kustomization/a/b", -1)
    world.state.put("status/c/Kustomization/a/new", {"format": 99}, expected=None, due=world.clock.now().timestamp())
    world.put(GIT, 0)
    assert sorted(each.message.name for each in world.run()) == ["b", "new", "site"]


def test_what_was_put_off_before_the_store_failed_is_published(monkeypatch):
    world = World()
    for number in range(3):
        world.put(f"status/c/GitRepository/a/s{number}", -number)
    put = world.state.put
    monkeypatch.setattr(world.state, "put", lambda key, *a, **o: refused() if key.endswith("s0") else put(key, *a, **o))
    assert [each.message.name for each in tick.run(world.deps)] == ["s2", "s1"]
    with pytest.raises(Refused):
        tick.run(world.deps)
    monkeypatch.undo()
    assert [each.message.name for each in tick.run(world.deps)] == ["s0"]
    assert [fact["reason"] for fact in world.telemetry.named("tick cut short")] == ["AccessDenied"]


def test_a_store_that_is_slow_costs_the_rest_a_minute_and_nobody_everything(monkeypatch):
    """A second for each write: what would not be published in time is not put off either."""
    world = World()
    for number in range(100):
        world.put(f"status/c/GitRepository/a/s{number:03}", number - 100)
    put = world.state.put

    def slow(*arguments, **options):
        world.clock.advance(1)
        return put(*arguments, **options)

    monkeypatch.setattr(world.state, "put", slow)
    names = [{each.message.name for each in tick.run(world.deps)} for _ in range(3)]
    assert [len(each) for each in names] == [32, 32, 32]
    assert len(names[0] | names[1] | names[2]) == 96
    assert {fact["reason"] for fact in world.telemetry.named("tick cut short")} == {"Timeout"}


def test_of_many_the_store_is_asked_at_once(monkeypatch):
    world = World()
    for number in range(40):
        world.put(f"status/c/GitRepository/a/s{number:03}", -1)
    put, waiting = world.state.put, threading.Barrier(32, timeout=20)

    def together(*arguments, **options):
        if world.meets.acquire(blocking=False):
            waiting.wait()
        return put(*arguments, **options)

    world.meets = threading.Semaphore(32)
    monkeypatch.setattr(world.state, "put", together)
    assert len(tick.run(world.deps)) == 40


def refused(*_arguments, **_options):
    raise Refused("no")


def test_a_plane_whose_first_message_was_lost_begins_all_the_same():
    world = World()
    world.state.put("plane", {"format": 1}, expected=None)
    first = SourceChanged(cluster="-", namespace="flux-system", name="flux-system")
    assert world.run() == [Outgoing(message=first)]
    world.put("status/-/GitRepository/flux-system/flux-system", 60)
    assert world.run() == []
