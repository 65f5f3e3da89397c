"""The bus contract on Pub/Sub, whose consuming side is the service's own: what its emulator acts on, and what it does not.

THE EMULATOR DOES NOT ACT ON dead-letter policies (no dead letter after any number of refusals), on retry policies (it
comes again at once) or on ordering keys. Tests whose names begin with ``configured`` hold what the service is told
instead: the subscription that it would act on, and the requests that we send. Delays are Cloud Tasks', for which there
is no emulator: tests/google/test_bus.py holds the request.
"""

import base64
import random
import time

import pytest
from tests.contract.test_bus import dispatch, due, event, source
from tests.contract.test_bus_faults import POISON
from tests.google import plane

from penstock.adapters.bus.pubsub import PubsubBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.google.names import deliveries
from penstock.core.errors import Terminal
from penstock.core.messages import decode
from penstock.wiring import load_pipeline


@pytest.fixture(scope="module")
def emulator():
    with plane.pubsub() as base:
        yield base


@pytest.fixture
def names(emulator):
    made = plane.names(pubsub=emulator)
    plane.make_topics(made, load_pipeline())
    yield made
    plane.drop_topics(made)


@pytest.fixture
def bus(names):
    return PubsubBus(plane.client(), names, load_pipeline(), SimulatedClock())


class Pulled:
    """A subscription, pulled: what a push endpoint that answers 2xx, 5xx or nothing does to its messages."""

    def __init__(self, names, stage, topic):
        self.url = f"{names.endpoints.pubsub}/v1/{names.subscription(stage, topic)}"

    def take(self, most=1000, seconds=20.0):
        """What is there: [(acknowledgement id, data)]; waits for the first."""
        end = time.monotonic() + seconds
        while True:
            asked = {"maxMessages": most, "returnImmediately": True}
            found = plane.request("POST", f"{self.url}:pull", asked).get("receivedMessages", [])
            if found or time.monotonic() > end:
                return [(each["ackId"], base64.b64decode(each["message"]["data"])) for each in found]
            time.sleep(0.05)

    def all(self, count):
        """As many, acknowledged."""
        found = []
        while len(found) < count:
            taken = self.take()
            assert taken, f"{len(found)} of {count} came"
            self.ack([each for each, _ in taken])
            found += [decode(data) for _, data in taken]
        return found

    def ack(self, ids):
        plane.request("POST", f"{self.url}:acknowledge", {"ackIds": ids})

    def hide(self, ids, seconds):
        plane.request("POST", f"{self.url}:modifyAckDeadline", {"ackIds": ids, "ackDeadlineSeconds": seconds})

    def configuration(self):
        return plane.request("GET", self.url)


@pytest.fixture
def fetch(names):
    return Pulled(names, "fetch", "source-changed")


def test_a_duplicate_is_delivered_and_done_with_for_itself(bus, names):
    bus.publish([dispatch(event("e1"), ident="id-1")])
    bus.publish([dispatch(event("e1"), ident="id-1")])
    notify = Pulled(names, "notify", "event")
    assert [envelope.id for envelope in notify.all(2)] == ["id-1", "id-1"]
    assert notify.take(seconds=0.5) == []


def test_a_topic_goes_to_each_of_its_stages_and_no_other(bus, names, fetch):
    bus.publish([dispatch(event()), dispatch(due("a")), dispatch(source("b"))])
    assert Pulled(names, "notify", "event").all(1)[0].message == event()
    assert Pulled(names, "reconcile", "reconcile-due").all(1)[0].message.name == "a"
    assert fetch.all(1)[0].message.name == "b"


def test_what_is_refused_comes_again_and_what_is_done_does_not(bus, fetch):
    bus.publish([dispatch(source(), ident="id-1")])
    ((ident, data),) = fetch.take()
    fetch.hide([ident], 0)  # a push endpoint's 5xx
    ((again, same),) = fetch.take()
    assert same == data
    assert again != ident
    fetch.ack([again])
    assert fetch.take(seconds=0.5) == []


def test_a_worker_that_dies_in_the_middle_leaves_its_message_to_the_next(bus, fetch):
    bus.publish([dispatch(source(), ident="id-1")])
    ((ident, data),) = fetch.take()
    fetch.hide([ident], 10)  # the shortest deadline; then nothing is heard of it any more
    assert fetch.take(seconds=0.5) == [], "hidden as long as its deadline lasts"
    ((again, same),) = fetch.take(seconds=30)
    assert same == data
    fetch.ack([again])


def test_however_they_are_refused_and_reordered_each_is_done_once(bus, fetch):
    chance = random.Random(1)
    wanted = {f"m{number}" for number in range(40)}
    for name in sorted(wanted):
        bus.publish([dispatch(source(name), ident=name)])
    done, refused = [], set()
    while len(done) < len(wanted):
        taken = fetch.take(most=7)
        assert taken, f"{len(done)} of {len(wanted)} came"
        chance.shuffle(taken)
        for ident, data in taken:
            name = decode(data).id
            if name not in refused and chance.random() < 0.4:
                refused.add(name)
                fetch.hide([ident], 0)
            else:
                done.append(name)
                fetch.ack([ident])
    assert sorted(done) == sorted(wanted)
    assert refused
    assert fetch.take(seconds=0.5) == []


def test_of_a_thousand_messages_at_once_each_comes_once(bus, fetch):
    bus.publish([dispatch(source(str(number)), ident=f"m{number}") for number in range(1_000)])
    assert sorted(envelope.id for envelope in fetch.all(1_000)) == sorted(f"m{number}" for number in range(1_000))


@pytest.mark.parametrize("what", POISON)
def test_poison_is_told_from_a_message_and_keeps_nobody_waiting(bus, names, fetch, what):
    data = base64.b64encode(POISON[what]).decode()
    topic = f"{names.endpoints.pubsub}/v1/{names.topic('source-changed')}"
    plane.request("POST", f"{topic}:publish", {"messages": [{"data": data}]})
    bus.publish([dispatch(source("after"))])
    found = []
    while len(found) < 2:
        taken = fetch.take()
        assert taken
        fetch.ack([ident for ident, _ in taken])
        found += [body for _, body in taken]
    assert POISON[what] in found
    (after,) = (body for body in found if body != POISON[what])
    assert decode(after).message.name == "after"
    with pytest.raises(Terminal):
        decode(POISON[what])


@pytest.mark.parametrize("stage", [stage.name for stage in load_pipeline().queues()])
def test_configured_dead_letters_after_the_stages_attempts(names, stage):
    limits = load_pipeline().stage(stage)
    for topic in limits.subscribes:
        policy = Pulled(names, stage, topic).configuration()["deadLetterPolicy"]
        attempts = deliveries(limits.attempts)  # what Pub/Sub could not deliver counts, too
        assert policy == {"deadLetterTopic": names.dead_topic(stage), "maxDeliveryAttempts": attempts}


@pytest.mark.parametrize("stage", [stage.name for stage in load_pipeline().queues()])
def test_configured_redelivery_with_backoff(names, stage):
    for topic in load_pipeline().stage(stage).subscribes:
        policy = Pulled(names, stage, topic).configuration()["retryPolicy"]
        assert policy == {"minimumBackoff": "10s", "maximumBackoff": "300s"}


@pytest.mark.parametrize("stage", [stage.name for stage in load_pipeline().queues()])
def test_configured_deadlines_are_longer_than_a_run(names, stage):
    """Else a run that is still going on would be joined by a second one."""
    limits = load_pipeline().stage(stage)
    for topic in limits.subscribes:
        seconds = Pulled(names, stage, topic).configuration()["ackDeadlineSeconds"]
        assert limits.timeout < seconds <= 600


def test_no_message_of_this_release_has_an_ordering_key(bus, names, fetch):
    bus.publish([dispatch(source())])
    url = f"{names.endpoints.pubsub}/v1/{names.subscription('fetch', 'source-changed')}"
    found = plane.request("POST", f"{url}:pull", {"maxMessages": 1, "returnImmediately": True})["receivedMessages"]
    assert ["orderingKey" in each["message"] for each in found] == [False]
