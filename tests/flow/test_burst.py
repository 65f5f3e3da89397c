"""More than a thousand messages at once, some of which nobody can read, some that fail for a while, some for ever.

Through SNS and SQS (moto) in Lambda's batches, some of whose functions are killed before they can answer; and through
Pub/Sub's emulator, one push a message. What is counted: each is done once, or again where nobody could know; what fails
comes again alone; what cannot be done is a dead letter; none is lost.
"""

import base64
import collections
import json
import sys
import time
import types

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, NAMES, in_process, make_queues
from tests.google import plane as google
from werkzeug.test import EnvironBuilder

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import BuildFailed, Transient
from penstock.core.messages import SourceChanged, decode
from penstock.wiring import Runtime, functions, lambda_functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

FOR_A_WHILE, HOPELESS, REFUSED, POISON = 30, 4, 6, 8
ATTEMPTS = load_pipeline().stage("fetch").attempts
KILLED_EVERY = 7


class Stage:
    """fetch's place: what each message's name says becomes of it. ``runs``: how often each was worked on."""

    def __init__(self):
        self.runs, self.done = collections.Counter(), collections.Counter()

    def run(self, message, _deps):
        kind, _, number = message.name.partition("-")
        self.runs[message.name] += 1
        if kind == "hopeless" or (kind == "while" and self.runs[message.name] <= 1 + int(number) % 3):
            raise Transient("not now") if int(number) % 2 else RuntimeError("a bug")
        self.done[message.name] += 1
        if kind == "refused":
            raise BuildFailed("never")
        return []


def named(kind, count):
    return [f"{kind}-{number}" for number in range(count)]


def messages(ordinary):
    """All kinds, mixed."""
    rest = [*named("while", FOR_A_WHILE), *named("hopeless", HOPELESS), *named("refused", REFUSED)]
    names, step = named("ordinary", ordinary), ordinary // len(rest)
    for number, name in enumerate(rest):
        names.insert(number * (step + 1), name)
    return [SourceChanged(cluster="prod", namespace="flux-system", name=name) for name in names]


@pytest.fixture
def stage(monkeypatch):
    made = Stage()
    module = types.ModuleType("penstock.stages.fetch")
    module.run = made.run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def check(stage, runtime, ordinary, *, again):
    """``again``: how often the answer about a name was lost: it may have been worked on as often once more."""
    expected = {*named("ordinary", ordinary), *named("while", FOR_A_WHILE), *named("refused", REFUSED)}
    assert set(stage.done) == expected, "none is lost"
    for name, count in stage.runs.items():
        kind, _, number = name.partition("-")
        needed = {"while": 2 + int(number) % 3, "hopeless": ATTEMPTS}.get(kind, 1)
        assert count == needed or (name in again and needed < count <= needed + again[name]), (name, count)
    letters = runtime.bus.dead_letters(limit=1_000)
    hopeless = [decode(letter.body).message.name for letter in letters if ours(letter.body.decode())]
    assert sorted(hopeless) == sorted(named("hopeless", HOPELESS))
    assert len(letters) == HOPELESS + POISON
    told = runtime.port("telemetry").named("dead letter")
    assert len(told) == HOPELESS + POISON


def over(stage, ordinary):
    """Whether each that can be done is, and each that cannot was tried as often as it may be."""
    hopeless = [stage.runs[name] for name in named("hopeless", HOPELESS)]
    return len(stage.done) == ordinary + FOR_A_WHILE + REFUSED and min(hopeless) >= ATTEMPTS


class Poller:
    """What Lambda does: batches of ten; what the function does not name is deleted, unless it was killed."""

    def __init__(self, runtime, clock):
        self.bus, self.clock, self.batches, self.again = runtime.bus, clock, 0, collections.Counter()
        self.handler = lambda_functions.topic_handler("fetch")

    def work(self):
        """Whether there was any."""
        records = self.bus._take(NAMES.queue("fetch"), count=10, visibility=1_800, wait=0)
        if not records:
            return False
        attempts = [int(record["Attributes"]["ApproximateReceiveCount"]) for record in records]
        event = events.sqs(
            *((each["Body"], each["ReceiptHandle"], attempt) for each, attempt in zip(records, attempts, strict=True))
        )
        answer = self.handler(event, events.Context())
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        self.batches += 1
        if self.batches % KILLED_EVERY == 0:  # it had done all of it, and could not say so
            self.again.update(json.loads(each["Body"])["data"]["name"] for each in records if ours(each["Body"]))
            return True
        for number, record in enumerate(records):
            if f"message-{number}" not in failed:
                self.bus._delete(NAMES.queue("fetch"), record["ReceiptHandle"])
        return True


def ours(body):
    return body.startswith("{")


SIZES = [120, pytest.param(1_000, marks=pytest.mark.slow)]
"""Ordinary messages: moto looks at all that wait at each request."""


@pytest.mark.parametrize("ordinary", SIZES)
def test_lambdas_batches(stage, monkeypatch, ordinary):
    clock = SimulatedClock()
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        runtime = Runtime(settings_from(ENVIRONMENT), instead={"clock": lambda: clock, "telemetry": MemoryTelemetry})
        monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: runtime))
        url = runtime.bus._url(NAMES.queue("fetch"))
        sent = messages(ordinary)
        runtime.publish(sent[: ordinary // 2])
        for number in range(POISON):
            clients.client("sqs").send_message(QueueUrl=url, MessageBody=f"not ours {number}")
        runtime.publish(sent[ordinary // 2 :])
        poller = Poller(runtime, clock)
        for _ in range(5_000):
            if not poller.work():
                if not runtime.bus.depth()["fetch"]:
                    break
                clock.advance(60)
        assert poller.again, "some functions were killed"
        check(stage, runtime, ordinary, again=poller.again)


class Pusher:
    """What Pub/Sub does with a push, on its emulator, which counts no attempts: each message of a pull is one push."""

    def __init__(self, names):
        self.url = f"{names.endpoints.pubsub}/v1/{names.subscription('fetch', 'source-changed')}"
        self.subscription, self.attempts = names.subscription("fetch", "source-changed"), collections.Counter()
        self.again, self.answers = collections.Counter(), 0

    def work(self):
        """How many there were."""
        pulled = google.request("POST", f"{self.url}:pull", {"maxMessages": 100, "returnImmediately": True})
        received = pulled.get("receivedMessages", [])
        done, back = [], []
        for each in received:
            (done if self._pushed(each["message"]) else back).append(each["ackId"])
        if done:
            google.request("POST", f"{self.url}:acknowledge", {"ackIds": done})
        if back:
            google.request("POST", f"{self.url}:modifyAckDeadline", {"ackIds": back, "ackDeadlineSeconds": 0})
        return len(received)

    def _pushed(self, message):
        """Whether its function answered that it is done, and the answer came."""
        self.attempts[message["messageId"]] += 1
        body = {
            "message": message,
            "subscription": self.subscription,
            "deliveryAttempt": self.attempts[message["messageId"]],
        }
        request = EnvironBuilder(method="POST", json=body).get_request()
        status = functions.topic_function("fetch", request).status_code
        assert status in (204, 503)
        self.answers += 1
        if self.answers % (10 * KILLED_EVERY):
            return status == 204
        data = base64.b64decode(message["data"]).decode()
        if ours(data):
            self.again[json.loads(data)["data"]["name"]] += 1
        return False


@pytest.mark.real
def test_pubsubs_pushes(stage, monkeypatch):
    with google.pubsub() as base:
        clock = SimulatedClock()
        names = google.names(pubsub=base)
        environment = {
            "PENSTOCK_BACKEND": "google",
            "GOOGLE_CLOUD_PROJECT": google.PROJECT,
            "PENSTOCK_GOOGLE_REGION": names.region,
            "PENSTOCK_GOOGLE_BUCKET": names.bucket,
            "PENSTOCK_GOOGLE_PREFIX": names.prefix,
            "PUBSUB_EMULATOR_HOST": base,
        }
        runtime = Runtime(settings_from(environment), instead={"clock": lambda: clock, "telemetry": MemoryTelemetry})
        monkeypatch.setattr(functions, "runtime", Once(lambda: runtime))
        google.make_topics(names, load_pipeline())
        fetch = f"{base}/v1/{names.subscription('fetch', 'source-changed')}"
        google.request("DELETE", fetch)
        google.request("PUT", fetch, {"topic": names.topic("source-changed"), "ackDeadlineSeconds": 330})  # no backoff
        try:
            poison = [{"data": base64.b64encode(b"not ours %d" % number).decode()} for number in range(POISON)]
            google.request("POST", f"{base}/v1/{names.topic('source-changed')}:publish", {"messages": poison})
            runtime.publish(messages(1_000))
            pusher, end = Pusher(names), time.monotonic() + 120
            while pusher.work() or not over(stage, 1_000):
                assert time.monotonic() < end, stage.runs - stage.done
                time.sleep(0.02)
            assert pusher.again, "some answers were lost"
            check(stage, runtime, 1_000, again=pusher.again)
        finally:
            google.drop_topics(names)
