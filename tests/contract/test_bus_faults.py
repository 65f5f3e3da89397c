"""What every adapter of the bus port, and of its queue, promises when things go wrong: nothing accepted is lost.

Pub/Sub, whose consuming side is the service's own, has its part in test_bus_pubsub.py.
"""

import contextlib
import json
import random
import threading

import pytest
from tests.aws.plane import NAMES
from tests.contract.test_bus import PIPELINE, bus, clock, dispatch, due, event, made, source  # noqa: F401 (fixtures)
from tests.poison import POISON, TEXTS

from penstock.adapters.bus.memory import MemoryBus
from penstock.adapters.bus.sns_sqs import SnsSqsBus
from penstock.adapters.bus.sqlite import SqliteBus
from penstock.core.errors import Terminal, Transient
from penstock.wiring.outcome import outcome_of


def put_raw(bus, stage, body):  # noqa: F811
    """Bytes in a stage's queue that no publisher of ours wrote."""
    if isinstance(bus, SnsSqsBus):
        bus._clients.client("sqs").send_message(QueueUrl=bus._url(NAMES.queue(stage)), MessageBody=body.decode())
        return
    bus.publish([dispatch(source("raw"))])
    if isinstance(bus, MemoryBus):
        bus._items[-1].body = body
    else:
        with bus._accepting.write() as run:
            run.execute("UPDATE message SET body = ? WHERE id = (SELECT max(id) FROM message)", (body,))


def another(bus, clock):  # noqa: F811
    """The same queues as another process sees them; those in memory end with theirs."""
    if isinstance(bus, SqliteBus):
        path = bus._accepting._path
        bus.close()
        return SqliteBus(path, PIPELINE, clock, visibility=60)
    if isinstance(bus, SnsSqsBus):
        return SnsSqsBus(bus._clients, NAMES, PIPELINE, clock, visibility=60)
    return pytest.skip("queues in memory end with their process: nobody is promised more")


def drained(bus, clock, stage="fetch", *, seconds=400):  # noqa: F811
    """Every delivery until nothing comes for that long; each acknowledged."""
    found, end = [], clock.now().timestamp() + seconds
    while clock.now().timestamp() < end:
        delivery = bus.receive(stage, wait=0)
        if delivery is None:
            clock.advance(10)
            continue
        found.append(delivery.envelope)
        bus.ack(delivery)
    return found


def test_a_duplicate_is_delivered_and_done_with_for_itself(bus, clock):  # noqa: F811
    bus.publish([dispatch(event("e1"), ident="id-1")])
    bus.publish([dispatch(event("e1"), ident="id-1")])
    first = bus.receive("notify", wait=0)
    bus.ack(first)
    bus.ack(first)
    second = bus.receive("notify", wait=0)
    assert (first.envelope.message, first.envelope.id) == (second.envelope.message, second.envelope.id)
    assert second.envelope.attempt == 1
    bus.ack(second)
    assert bus.depth()["notify"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_however_messages_are_delayed_retried_and_dropped_by_workers_each_is_done_once(bus, clock, seed):  # noqa: F811
    chance, names = random.Random(seed), {str(number) for number in range(20)}
    for name in sorted(names):
        bus.publish([dispatch(source(name), ident=name, delay=chance.choice([0, 0, 5, 40]))])
    taken = {}
    for _ in range(60):
        delivery = bus.receive("fetch", wait=0)
        if delivery is None:
            clock.advance(7)
        elif chance.random() < 0.5 and taken.setdefault(delivery.envelope.id, delivery.envelope.attempt) == 1:
            if chance.random() < 0.5:
                bus.retry(delivery, delay=chance.choice([0, 3, 30]), error="x")
            # else its worker is gone: it comes back by its visibility timeout
            taken[delivery.envelope.id] = 2
        else:
            bus.ack(delivery)
            names.discard(delivery.envelope.id)
    rest = drained(bus, clock)
    assert {envelope.id for envelope in rest} == names
    assert len(rest) == len(names)
    assert bus.dead_letters() == ()


def test_one_that_is_retried_is_overtaken(bus, clock):  # noqa: F811
    bus.publish([dispatch(source("slow"))])
    bus.retry(bus.receive("fetch", wait=0), delay=30, error="x")
    bus.publish([dispatch(source("quick"))])
    assert bus.receive("fetch", wait=0).envelope.message.name == "quick"
    clock.advance(30)
    assert bus.receive("fetch", wait=0).envelope.message.name == "slow"


def test_redelivery_backs_off_as_its_outcomes_say_and_ends_as_a_dead_letter(bus, clock):  # noqa: F811
    bus.publish([dispatch(source())])
    waited = []
    for attempt in (1, 2, 3):
        delivery = bus.receive("fetch", wait=0)
        assert delivery.envelope.attempt == attempt
        outcome = outcome_of(Transient(f"busy {attempt}"), attempt=attempt)
        again = bus.retry(delivery, delay=outcome.delay, error=f"{outcome.reason}: {outcome.error}")
        assert again is (attempt < 3)
        waited.append(outcome.delay)
        if again:
            clock.advance(outcome.delay - 0.5)
            assert bus.receive("fetch", wait=0) is None
            clock.advance(0.6)
    assert waited == [1, 2, 4]
    (letter,) = bus.dead_letters()
    assert letter.error == "ReconciliationFailed: busy 3"


def test_what_a_server_asks_for_is_waited_for(bus, clock):  # noqa: F811
    bus.publish([dispatch(source())])
    outcome = outcome_of(Transient("busy", retry_after=120), attempt=1)
    bus.retry(bus.receive("fetch", wait=0), delay=outcome.delay, error="x")
    clock.advance(119)
    assert bus.receive("fetch", wait=0) is None
    clock.advance(2)
    assert bus.receive("fetch", wait=0).envelope.attempt == 2


@pytest.mark.parametrize("what", POISON)
def test_poison_is_a_dead_letter_at_once_and_keeps_nobody_waiting(bus, what):  # noqa: F811
    if isinstance(bus, SnsSqsBus) and what not in TEXTS:
        pytest.skip("SQS carries text alone")
    put_raw(bus, "fetch", POISON[what])
    bus.publish([dispatch(source("after"))])
    assert bus.receive("fetch", wait=0).envelope.message.name == "after"
    assert bus.receive("fetch", wait=0) is None
    (letter,) = bus.dead_letters()
    assert (letter.stage, letter.body) == ("fetch", POISON[what])
    assert letter.error


def test_poison_that_is_given_back_is_buried_again(bus):  # noqa: F811
    put_raw(bus, "fetch", b"not ours")
    assert bus.receive("fetch", wait=0) is None
    bus.drop_dead_letters([bus.dead_letters()[0]], again=True)
    assert bus.receive("fetch", wait=0) is None
    assert len(bus.dead_letters()) == 1


def test_of_a_thousand_messages_at_once_each_comes_once(bus):  # noqa: F811
    """Of SQS the first 250: moto looks through all of them at each request."""
    bus.publish([dispatch(source(str(number)), ident=f"m{number}") for number in range(1_000)])
    assert bus.depth()["fetch"] == 1_000
    if isinstance(bus, SnsSqsBus):  # as Lambda takes them: ten a request; moto's clock goes on at each look
        taken = [bus._take(NAMES.queue("fetch"), count=10, visibility=43_200, wait=0) for _ in range(25)]
        found = [json.loads(record["Body"])["id"] for records in taken for record in records]
    else:
        found = [bus.receive("fetch", wait=0).envelope.id for _ in range(1_000)]
    assert len(found) == len(set(found)) == (250 if isinstance(bus, SnsSqsBus) else 1_000)


def test_a_process_that_ends_in_the_middle_of_a_message_leaves_it_to_the_next(bus, clock):  # noqa: F811
    bus.publish([dispatch(source(), ident="id-1"), dispatch(due("later"), delay=100)])
    held = bus.receive("fetch", wait=0)
    with (
        contextlib.closing(another(bus, clock))
        if isinstance(bus, SqliteBus)
        else contextlib.nullcontext(another(bus, clock)) as after
    ):
        assert after.receive("fetch", wait=0) is None
        clock.advance(61)
        delivery = after.receive("fetch", wait=0)
        assert (delivery.envelope.id, delivery.envelope.attempt) == ("id-1", 2)
        after.ack(held)  # the first one, should it still live: it is not its message any more
        clock.advance(61)
        assert after.receive("fetch", wait=0).envelope.attempt == 3
        assert after.receive("reconcile", wait=0).envelope.message.name == "later"


def test_what_a_worker_gives_back_at_its_end_is_somebody_elses_at_once(bus):  # noqa: F811
    bus.publish([dispatch(source(), ident="id-1")])
    bus.extend(bus.receive("fetch", wait=0), 0)
    delivery = bus.receive("fetch", wait=0)
    assert (delivery.envelope.id, delivery.envelope.attempt) == ("id-1", 2)


def test_a_publish_that_is_refused_leaves_the_queues_as_they_were(bus):  # noqa: F811
    bus.publish([dispatch(source("before"))])
    with pytest.raises(Terminal):
        bus.publish([dispatch(source("x" * 200_000))])
    assert bus.receive("fetch", wait=0).envelope.message.name == "before"
    assert bus.receive("fetch", wait=0) is None


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_many_publishers_and_workers_at_once_lose_nothing(kind, tmp_path, clock):  # noqa: F811
    with made(kind, tmp_path, clock) as queues:
        over, done, lock = threading.Event(), [], threading.Lock()

        def publish(which):
            for number in range(50):
                queues.publish([dispatch(event(f"{which}-{number}"), ident=f"{which}-{number}")])

        def work():
            while not over.is_set() or queues.depth()["notify"]:
                delivery = queues.receive("notify", wait=0.01)
                if delivery is not None:
                    with lock:
                        done.append(delivery.envelope.id)
                    queues.ack(delivery)

        publishers = [threading.Thread(target=publish, args=(which,)) for which in range(4)]
        workers = [threading.Thread(target=work) for _ in range(4)]
        for thread in (*publishers, *workers):
            thread.start()
        for thread in publishers:
            thread.join()
        over.set()
        for thread in workers:
            thread.join()
        assert sorted(done) == sorted(f"{which}-{number}" for which in range(4) for number in range(50))
