"""Pub/Sub on its real emulator, and Cloud Tasks up to the request; the rest of the bus is the service's own."""

import base64
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.cloud.pubsub_v1.types import PublishRequest
from tests.contract.test_bus import ORDERED, dispatch, due, event, source
from tests.google import plane

from penstock.adapters.bus.ordering import order_key
from penstock.adapters.bus.pubsub import PubsubBus, publishing_task
from penstock.adapters.bus.pubsub_letters import PubsubLetters
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.google.client import GoogleClient
from penstock.adapters.google.names import deliveries
from penstock.adapters.identity.kept import Kept
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.core.http import HttpResponse
from penstock.core.messages import TOPICS, decode, encode
from penstock.ports.identity import Bearer
from penstock.wiring import load_pipeline


@pytest.fixture(scope="module")
def emulator():
    with plane.pubsub() as base:
        yield base


@pytest.fixture
def names(emulator):
    """A plane of its own each time, with all topics and subscriptions that are pulled."""
    made = plane.names(pubsub=emulator)
    plane.make_topics(made, load_pipeline())
    yield made
    plane.drop_topics(made)


@pytest.fixture
def bus(names):
    return PubsubBus(plane.client(), names, load_pipeline(), SimulatedClock())


def pulled(names, stage, topic, most=1000):
    url = f"{names.endpoints.pubsub}/v1/{names.subscription(stage, topic)}"
    found = plane.request("POST", f"{url}:pull", {"maxMessages": most, "returnImmediately": True})
    messages = found.get("receivedMessages", [])
    if messages:
        plane.request("POST", f"{url}:acknowledge", {"ackIds": [m["ackId"] for m in messages]})
    return [decode(base64.b64decode(m["message"]["data"])) for m in messages]


def test_a_message_comes_out_as_it_went_in(bus, names):
    sent = dispatch(source(hint="refs/heads/main"), ident="id-1")
    bus.publish([sent, dispatch(due())])
    (got,) = pulled(names, "fetch", "source-changed")
    assert encode(got) == encode(sent.envelope)
    assert len(pulled(names, "reconcile", "reconcile-due")) == 1


def test_a_thousand_messages_at_once(bus, names):
    bus.publish([dispatch(source(str(number)), ident=f"m{number}") for number in range(1_000)])
    got = set()
    for _ in range(20):
        got |= {envelope.id for envelope in pulled(names, "fetch", "source-changed")}
    assert len(got) == 1_000


@pytest.mark.parametrize("stage", [stage.name for stage in load_pipeline().queues()])
def test_the_test_plane_is_what_the_documentation_asks_for(names, stage):
    limits = load_pipeline().stage(stage)
    for topic in limits.subscribes:
        url = f"{names.endpoints.pubsub}/v1/{names.subscription(stage, topic)}"
        found = plane.request("GET", url)
        assert found["deadLetterPolicy"] == {
            "deadLetterTopic": names.dead_topic(stage),
            "maxDeliveryAttempts": deliveries(limits.attempts),
        }
        assert 4 * limits.attempts <= deliveries(limits.attempts) <= 100  # what Pub/Sub takes
        assert "enableMessageOrdering" not in found
        assert found["ackDeadlineSeconds"] == min(600, limits.timeout + 30)


def test_a_topic_that_does_not_exist_is_named(emulator):
    names = plane.names(pubsub=emulator)
    with pytest.raises(
        NotFound, match=r"pubsub\.topics\.publish on projects/penstock-test/topics/plane-1-source-changed"
    ):
        PubsubBus(plane.client(), names, load_pipeline(), SimulatedClock()).publish([dispatch(source())])


@pytest.mark.parametrize(
    ("pipeline", "refused"),
    [(ORDERED, dispatch(source(), delay=5)), (load_pipeline(), dispatch(source("x" * 200_000)))],
    ids=["ordered and delayed", "too large"],
)
def test_one_that_cannot_go_refuses_all(names, pipeline, refused):
    bus = PubsubBus(plane.client(), names, pipeline, SimulatedClock())
    with pytest.raises(Terminal):
        bus.publish([dispatch(source()), refused])
    assert pulled(names, "fetch", "source-changed") == []


def test_what_is_ordered_carries_its_key_and_a_request_has_one_key(emulator):
    """The emulator does not keep order as the service does: the calls, and what the subscription says."""
    names = plane.names(pubsub=emulator)
    plane.make_topics(names, ORDERED)
    try:
        calls = []
        client = plane.client()
        real, client.call = client.call, lambda *call: (calls.append(call), real(*call))[1]
        bus = PubsubBus(client, names, ORDERED, SimulatedClock())
        sent = [dispatch(source(name, hint=hint)) for hint in "12" for name in ("web", "api")]
        bus.publish([*sent, dispatch(event())])
        entries = [call[3]["messages"] for call in calls]
        assert [len({message.get("orderingKey") for message in each}) for each in entries] == [1, 1, 1]
        assert [[decode(base64.b64decode(m["data"])).message.hint for m in each] for each in entries[:2]] == [
            ["1", "2"]
        ] * 2
        assert "orderingKey" not in entries[2][0]
        url = f"{emulator}/v1/{names.subscription('automate', 'source-changed')}"
        assert plane.request("GET", url)["enableMessageOrdering"] is True
        found = plane.request("POST", f"{url}:pull", {"maxMessages": 10, "returnImmediately": True})
        keys = {message["message"]["orderingKey"] for message in found["receivedMessages"]}
        assert keys == {order_key(ORDERED, each) for each in sent}
    finally:
        plane.drop_topics(names)


class Recorder:
    """A Send that keeps what goes out, and answers with ``status`` and ``body``."""

    def __init__(self, status=200, body=b'{"name": "a-task"}'):
        self.sent, self.status, self.body = [], status, body

    def __call__(self, request):
        self.sent.append(request)
        return HttpResponse(status=self.status, body=self.body)

    def bus(self, **more):
        client = GoogleClient(self, lambda: Bearer(token="canary-token", expires=9e12), Kept(lambda: 0.0))
        return PubsubBus(client, plane.replaced(plane.names(), **more), load_pipeline(), SimulatedClock())


def test_what_is_delayed_is_a_task_that_publishes_to_the_topic():
    recorder = Recorder()
    later = dispatch(event(), delay=90)
    recorder.bus().publish([later])
    (asked,) = recorder.sent
    queue = "projects/penstock-test/locations/europe-west3/queues/plane-1-delay"
    assert (asked.method, asked.url) == ("POST", f"https://cloudtasks.googleapis.com/v2/{queue}/tasks")
    assert asked.headers["authorization"] == "Bearer canary-token"
    task = json.loads(asked.body)["task"]
    assert task["httpRequest"]["url"] == (
        "https://pubsub.googleapis.com/v1/projects/penstock-test/topics/plane-1-event:publish"
    )
    assert task["httpRequest"]["oauthToken"]["serviceAccountEmail"] == plane.names().tasks_account
    published = json.loads(base64.b64decode(task["httpRequest"]["body"]))
    PublishRequest.from_json(json.dumps({"topic": "t", **published}))  # Google's own client reads it
    assert base64.b64decode(published["messages"][0]["data"]) == encode(later.envelope)
    now = SimulatedClock().now()
    assert (datetime.fromisoformat(task["scheduleTime"]) - now).total_seconds() == 90


def test_a_task_waits_by_utc_whatever_the_clock_says():
    moment = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    task = publishing_task("https://x", [], due=moment, account="a")
    assert task["scheduleTime"] == "2026-01-01T12:00:00.250000Z"


def test_without_the_tasks_account_a_delay_says_what_is_missing_and_nothing_goes_out():
    recorder = Recorder()
    with pytest.raises(Refused, match="PENSTOCK_GOOGLE_TASKS_ACCOUNT"):
        recorder.bus(tasks_account="").publish([dispatch(source()), dispatch(due(), delay=1)])
    assert recorder.sent == []


def test_a_missing_right_is_named_and_no_token_is_quoted():
    with pytest.raises(Refused, match=r"needs the permission pubsub\.topics\.publish on projects/") as caught:
        Recorder(status=403).bus().publish([dispatch(source())])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<!DOCTYPE html>", b'"busy"', b'{"messageIds": ["1"]}'])
@pytest.mark.parametrize("delay", [0, 90])
def test_what_something_in_between_answers_is_no_receipt(body, delay):
    """Its 200 says nothing of the messages: they count as published where Google gave each an id."""
    two = [dispatch(source(name), delay=delay) for name in ("web", "api")]
    with pytest.raises(Transient, match=r"is no JSON|is not (Pub/Sub|Cloud Tasks)"):
        Recorder(body=body).bus().publish(two)


def test_a_push_subscription_delivers_to_an_http_endpoint_and_again_where_it_is_refused(names, bus):
    seen, done = [], threading.Event()

    class Endpoint(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(503 if len(seen) == 1 else 204)
            self.end_headers()
            if len(seen) == 2:
                done.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        plane.push_to(names, "notify", "event", f"http://127.0.0.1:{server.server_port}/")
        bus.publish([dispatch(event(), ident="pushed")])
        assert done.wait(30)
    finally:
        plane.pull_again(names, "notify", "event")
        server.shutdown()
        thread.join()
        server.server_close()
    assert {decode(base64.b64decode(one["message"]["data"])).id for one in seen} == {"pushed"}
    assert seen[0]["subscription"] == names.subscription("notify", "event")


def test_every_topic_has_a_name():
    names = plane.names()
    assert {names.topic(topic).rpartition("/")[2] for topic in TOPICS} == {f"plane-1-{topic}" for topic in TOPICS}


class ManyLetters:
    """Answers as Pub/Sub does with ``count`` dead letters, whose deliveries have ids of that many bytes."""

    def __init__(self, count, size):
        self.waiting = [{"ackId": f"{n:0{size}}", "message": {"messageId": str(n), "data": ""}} for n in range(count)]
        self.released = []

    def call(self, _method, url, _act, body):
        if url.endswith(":pull"):
            page, self.waiting = self.waiting[: body["maxMessages"]], self.waiting[body["maxMessages"] :]
            return {"receivedMessages": page}
        self.released.append(body["ackIds"])
        return {}


@pytest.mark.parametrize("size", [200, 900])
def test_looking_at_many_dead_letters_releases_them_by_requests_that_pubsub_takes(size):
    many = ManyLetters(2_500, size)
    letters = PubsubLetters(many, plane.names(), load_pipeline()).dead_letters(limit=2_500)
    assert len(letters) == 2_500
    assert sum(map(len, many.released)) == len({each for ids in many.released for each in ids}) == 2_500
    assert max(map(len, many.released)) <= 1_000
    assert max(sum(map(len, ids)) for ids in many.released) < 512 * 1024
