"""What every adapter of the bus port, and of the queue behind it where the plane polls, promises."""

import contextlib
import threading
import time
from dataclasses import replace

import pytest
from tests.aws.plane import NAMES, in_process, make_queues

from penstock.adapters.bus.memory import MemoryBus
from penstock.adapters.bus.sns_sqs import SnsSqsBus
from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.core.errors import Terminal
from penstock.core.messages import ArtifactStored, Envelope, Event, ReconcileDue, SourceChanged
from penstock.core.pipeline import Pipeline, Stage
from penstock.ports.bus import Dispatch


def stage(name, *subscribes, attempts=3, timeout=60.0, ordered=False):
    return Stage(
        name=name,
        trigger="topic",
        subscribes=subscribes,
        publishes=(),
        timeout=timeout,
        attempts=attempts,
        memory=256,
        ports=(),
        ordered=ordered,
    )


PIPELINE = Pipeline(
    stages={
        s.name: s
        for s in (
            stage("fetch", "source-changed"),
            stage("reconcile", "artifact-stored", "reconcile-due"),
            stage("notify", "event"),
            stage("audit", "event"),
        )
    }
)


ORDERED = Pipeline(
    stages={
        "automate": stage("automate", "source-changed", attempts=5, ordered=True),
        "notify": stage("notify", "event", attempts=5),
    }
)
"""Five attempts are the fewest that Pub/Sub takes."""


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture(params=["memory", "sqlite", "sns and sqs"])
def bus(request, tmp_path, clock):
    with made(request.param, tmp_path, clock) as adapter:
        yield adapter


@pytest.fixture(params=["memory", "sqlite"])
def embedded(request, tmp_path, clock):
    """A bus that also merges wake-ups, and hands over within milliseconds."""
    with made(request.param, tmp_path, clock) as adapter:
        yield adapter


@pytest.fixture(params=["memory", "sqlite", "sns and sqs"])
def ordered(request, tmp_path, clock):
    """A bus of a pipeline with a stage that wants its messages in order."""
    with made(request.param, tmp_path, clock, ORDERED) as adapter:
        yield adapter


@contextlib.contextmanager
def made(kind, tmp_path, clock, pipeline=PIPELINE):
    if kind == "memory":
        yield MemoryBus(pipeline, clock, visibility=60)
    elif kind == "sqlite":
        with contextlib.closing(SqliteBus(tmp_path / "bus.db", pipeline, clock, visibility=60)) as adapter:
            yield adapter
    else:
        with in_process(clock) as clients:
            make_queues(clients, pipeline)
            yield SnsSqsBus(clients, NAMES, pipeline, clock, visibility=60)


def source(name="web", **more):
    return SourceChanged(cluster="prod", namespace="flux-system", name=name, **more)


def due(name="web", **more):
    return ReconcileDue(cluster="prod", namespace="apps", name=name, **more)


def event(event_id="e1"):
    return Event(
        id=event_id,
        cluster="prod",
        api_version="v1",
        kind="Kustomization",
        namespace="apps",
        name="web",
        severity="info",
        reason="Progressing",
        message="m",
        timestamp="2026-01-01T00:00:00Z",
    )


def dispatch(message, *, delay=0.0, ident="m1"):
    return Dispatch(
        envelope=Envelope(message=message, id=ident, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"),
        delay=delay,
    )


def names(bus, stage_name, count=20):
    taken = (bus.receive(stage_name, wait=0) for _ in range(count))
    return [delivery.envelope.message.name for delivery in taken if delivery]


def test_a_message_comes_out_as_it_went_in(bus):
    bus.publish([dispatch(source(hint="refs/heads/main"), ident="id-1")])
    delivery = bus.receive("fetch", wait=0)
    assert delivery.stage == "fetch"
    assert delivery.envelope == replace(dispatch(source(hint="refs/heads/main"), ident="id-1").envelope, attempt=1)


def test_an_empty_queue_gives_nothing_at_once(bus):
    assert bus.receive("fetch", wait=0) is None


def test_a_topic_goes_to_each_of_its_stages_and_a_stage_hears_all_of_its_topics(bus):
    bus.publish([dispatch(event()), dispatch(due("a")), dispatch(ArtifactStored(cluster="c", namespace="n", name="b"))])
    assert names(bus, "notify") == names(bus, "audit") == ["web"]
    assert names(bus, "reconcile") == ["a", "b"]
    assert bus.depth() == {"fetch": 0, "reconcile": 2, "notify": 1, "audit": 1}


def test_a_taken_message_is_invisible_until_its_visibility_timeout(bus, clock):
    bus.publish([dispatch(source())])
    bus.receive("fetch", wait=0)
    clock.advance(59)
    assert bus.receive("fetch", wait=0) is None
    clock.advance(2)
    assert bus.receive("fetch", wait=0).envelope.attempt == 2


def test_extend_keeps_it_invisible_for_longer(bus, clock):
    bus.publish([dispatch(source())])
    delivery = bus.receive("fetch", wait=0)
    clock.advance(50)
    bus.extend(delivery, 100)
    clock.advance(99)
    assert bus.receive("fetch", wait=0) is None
    clock.advance(2)
    assert bus.receive("fetch", wait=0) is not None


def test_an_acknowledged_message_is_gone(bus, clock):
    bus.publish([dispatch(source())])
    bus.ack(bus.receive("fetch", wait=0))
    clock.advance(10_000)
    assert bus.receive("fetch", wait=0) is None
    assert bus.depth()["fetch"] == 0


def test_a_late_worker_cannot_touch_what_another_has_taken_over(bus, clock):
    bus.publish([dispatch(source())])
    late = bus.receive("fetch", wait=0)
    clock.advance(61)
    now = bus.receive("fetch", wait=0)
    bus.ack(late)
    bus.extend(late, 10_000)
    assert bus.retry(late, delay=0, error="x") is True
    assert bus.receive("fetch", wait=0) is None
    clock.advance(61)
    assert bus.receive("fetch", wait=0).envelope.attempt == 3
    assert now.envelope.attempt == 2


def test_a_receipt_is_spent_once(bus):
    bus.publish([dispatch(source())])
    delivery = bus.receive("fetch", wait=0)
    bus.retry(delivery, delay=0, error="x")
    bus.ack(delivery)
    assert bus.receive("fetch", wait=0).envelope.attempt == 2


def test_a_delayed_message_waits(bus, clock):
    bus.publish([dispatch(source("late"), delay=30), dispatch(source("now"))])
    assert names(bus, "fetch") == ["now"]
    clock.advance(30)
    assert names(bus, "fetch") == ["late"]


def test_retry_brings_it_back_after_the_delay_with_the_next_attempt(bus, clock):
    bus.publish([dispatch(source())])
    assert bus.retry(bus.receive("fetch", wait=0), delay=5, error="Timeout: x") is True
    assert bus.receive("fetch", wait=0) is None
    clock.advance(5)
    assert bus.receive("fetch", wait=0).envelope.attempt == 2


def test_the_last_attempt_makes_a_dead_letter(bus):
    bus.publish([dispatch(source(), ident="id-1")])
    outcomes = [bus.retry(bus.receive("fetch", wait=0), delay=0, error=f"error {n}") for n in range(3)]
    assert outcomes == [True, True, False]
    assert bus.receive("fetch", wait=0) is None
    (letter,) = bus.dead_letters()
    assert (letter.stage, letter.error) == ("fetch", "error 2")
    assert b'"id-1"' in letter.body


def test_a_message_whose_workers_all_die_becomes_a_dead_letter_too(bus, clock):
    bus.publish([dispatch(source()), dispatch(source("next"))])
    for _ in range(3):
        assert len(names(bus, "fetch")) == 2
        clock.advance(61)
    assert bus.receive("fetch", wait=0) is None
    assert [letter.error for letter in bus.dead_letters()] == [
        "not finished in 3 attempts: its worker died or hung each time"
    ] * 2
    assert len(bus.dead_letters(limit=1)) == 1


@pytest.mark.parametrize(("again", "attempt"), [(True, 1), (False, None)])
def test_a_dead_letter_is_dropped_or_given_back(bus, again, attempt):
    bus.publish([dispatch(source())])
    for _ in range(3):
        bus.retry(bus.receive("fetch", wait=0), delay=0, error="x")
    (letter,) = bus.dead_letters()
    bus.drop_dead_letters([letter], again=again)
    bus.drop_dead_letters([letter], again=again)  # a second time changes nothing
    assert bus.dead_letters() == ()
    delivery = bus.receive("fetch", wait=0)
    assert (delivery.envelope.attempt if delivery else None) == attempt
    assert bus.receive("fetch", wait=0) is None


def test_equal_wake_ups_that_nobody_took_are_one(embedded):
    embedded.publish([dispatch(source()), dispatch(source(hint="later"))])
    embedded.publish([dispatch(source())])
    assert embedded.depth()["fetch"] == 1
    embedded.publish([dispatch(due(why="dependency")), dispatch(due(why="parent"))])
    assert embedded.depth()["reconcile"] == 1


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [(30, 5, 5), (5, 30, 5), (30, 0, 0)],
)
def test_of_merged_wake_ups_the_earlier_due_time_wins(embedded, clock, first, second, left):
    embedded.publish([dispatch(source(), delay=first, ident="first")])
    embedded.publish([dispatch(source(), delay=second, ident="second")])
    clock.advance(left)
    delivery = embedded.receive("fetch", wait=0)
    assert delivery.envelope.id == ("first" if first < second else "second")
    clock.advance(100)
    embedded.ack(delivery)
    assert embedded.receive("fetch", wait=0) is None


@pytest.mark.parametrize(("first", "second", "kept"), [(30.0, 5.0, 1), (5.0, 30.0, 0)])
def test_a_merged_wake_up_is_linked_to_the_traces_of_those_it_stands_for(embedded, clock, first, second, kept):
    sent = []
    for number, delay in enumerate((first, second)):
        made = dispatch(source(), delay=delay, ident=f"m{number}")
        trace = f"00-{str(number + 1) * 32}-{'b' * 16}-01"
        sent.append(replace(made, envelope=replace(made.envelope, traceparent=trace)))
        embedded.publish([sent[-1]])
    clock.advance(5)
    found = embedded.receive("fetch", wait=0).envelope
    assert (found.id, found.traceparent) == (f"m{kept}", sent[kept].envelope.traceparent)
    assert found.links == (sent[1 - kept].envelope.traceparent,)


def test_wake_ups_of_one_trace_are_not_linked_to_themselves(embedded):
    embedded.publish([dispatch(source()), dispatch(source())])
    assert embedded.receive("fetch", wait=0).envelope.links == ()


def test_a_wake_up_never_merges_into_one_that_was_taken(embedded, clock):
    embedded.publish([dispatch(source())])
    taken = embedded.receive("fetch", wait=0)
    embedded.publish([dispatch(source())])
    assert embedded.receive("fetch", wait=0) is not None
    embedded.retry(taken, delay=30, error="x")  # waiting again, but somebody had it once
    embedded.publish([dispatch(source())])
    assert embedded.depth()["fetch"] == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (event("e1"), event("e1")),
        (due(request="r1"), due(request="r2")),
        (due(), due(request="r1")),
        (due(why="dependency"), due(why="request")),
        (due(why="dependency"), due(why="render")),
        (due(why="interval"), due(why="render")),
        (due(why="dependency"), due(why="left out")),
        (due("a"), due("b")),
        (due(), ArtifactStored(cluster="prod", namespace="apps", name="web")),
    ],
)
def test_these_never_merge(bus, one, other):
    bus.publish([dispatch(one), dispatch(other)])
    assert max(bus.depth().values()) == 2


def numbers(bus, count=20):
    taken = (bus.receive("automate", wait=0) for _ in range(count))
    return [delivery.envelope.message.hint for delivery in taken if delivery]


def in_order(*hints, name="web"):
    return [dispatch(source(name, hint=hint), ident=f"{name}-{hint}") for hint in hints]


def test_ordered_messages_of_one_key_come_one_after_the_other(ordered, clock):
    ordered.publish([*in_order("1", "2", "3"), *in_order("other", name="api")])
    first, other = ordered.receive("automate", wait=0), ordered.receive("automate", wait=0)
    assert (first.envelope.message.hint, other.envelope.message.hint) == ("1", "other")
    assert numbers(ordered) == []
    ordered.retry(first, delay=10, error="x")
    assert numbers(ordered) == []  # the second never overtakes the first
    clock.advance(11)
    again = ordered.receive("automate", wait=0)
    assert (again.envelope.message.hint, again.envelope.attempt) == ("1", 2)
    ordered.ack(again)
    assert numbers(ordered) == ["2"]


def test_one_whose_worker_died_comes_again_before_those_behind_it(ordered, clock):
    ordered.publish(in_order("1", "2"))
    ordered.receive("automate", wait=0)
    clock.advance(61)
    assert numbers(ordered) == ["1"]


def test_a_dead_letter_does_not_block_what_was_ordered_behind_it_and_comes_again_once(ordered):
    ordered.publish(in_order("1", "2"))
    for _ in range(5):
        ordered.retry(ordered.receive("automate", wait=0), delay=0, error="x")
    ordered.ack(ordered.receive("automate", wait=0))
    assert ordered.depth()["automate"] == 0
    (letter,) = ordered.dead_letters()
    assert letter.error == "x"
    ordered.drop_dead_letters([letter], again=True)
    ordered.publish(in_order("3"))
    given = ordered.receive("automate", wait=0)
    assert (given.envelope.message.hint, given.envelope.attempt) == ("1", 1)
    assert numbers(ordered) == []  # in its place again
    ordered.ack(given)
    assert numbers(ordered) == ["3"]
    assert ordered.dead_letters() == ()


def test_ordered_messages_keep_their_places_and_never_merge(ordered):
    ordered.publish(in_order(*map(str, range(25))))
    assert ordered.depth() == {"automate": 25, "notify": 0}
    for number in range(25):
        delivery = ordered.receive("automate", wait=0)
        assert delivery.envelope.message.hint == str(number)
        ordered.ack(delivery)


def test_what_is_ordered_cannot_be_delayed_and_then_nothing_goes_out(ordered):
    with pytest.raises(Terminal, match="source-changed keeps order: a message to it cannot be delayed"):
        ordered.publish([*in_order("1"), dispatch(source(), delay=5)])
    assert ordered.depth()["automate"] == 0
    ordered.publish([dispatch(event(), delay=5)])  # of a topic without order


def test_one_that_is_too_large_refuses_all(bus):
    with pytest.raises(Terminal, match="over the limit"):
        bus.publish([dispatch(source("small")), dispatch(source("x" * 200_000))])
    assert bus.receive("fetch", wait=0) is None


def test_a_thousand_messages_at_once(bus):
    bus.publish([dispatch(source(str(number)), ident=f"m{number}") for number in range(1_000)])
    assert bus.depth() == {"fetch": 1_000, "reconcile": 0, "notify": 0, "audit": 0}
    taken = [bus.receive("fetch", wait=0).envelope.id for _ in range(20)]
    assert len(set(taken)) == 20


def test_an_unknown_stage_is_an_error(bus):
    with pytest.raises(Terminal, match="no stage"):
        bus.receive("turbine", wait=0)


def test_a_publish_wakes_who_waits_without_polling(embedded):
    waited, ready = [], threading.Event()

    def consume():
        ready.set()
        for _ in range(5):
            delivery = embedded.receive("fetch", wait=10)
            waited.append(time.perf_counter())
            embedded.ack(delivery)

    thread = threading.Thread(target=consume)
    thread.start()
    ready.wait()
    delays = []
    for number in range(5):
        time.sleep(0.03)
        published = time.perf_counter()
        embedded.publish([dispatch(source(str(number)))])
        while len(waited) <= number:
            time.sleep(0.0005)
        delays.append(waited[number] - published)
    thread.join()
    assert min(delays) < 0.1  # polling alone would take 0.2 s; the best of five: this machine may be busy
    assert embedded.depth()["fetch"] == 0


def test_many_threads_take_each_message_once(embedded):
    embedded.publish([dispatch(source(str(n))) for n in range(100)])
    taken, lock = [], threading.Lock()

    def consume():
        while delivery := embedded.receive("fetch", wait=0):
            with lock:
                taken.append(delivery.envelope.message.name)
            embedded.ack(delivery)

    threads = [threading.Thread(target=consume) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(n) for n in range(100)]
