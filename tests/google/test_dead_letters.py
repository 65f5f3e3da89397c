"""Dead letters on the real Pub/Sub emulator: by the stage that gives up, and by Pub/Sub, told of by tick.

The emulator moves nothing to dead letter topics by itself: what Pub/Sub would publish there is published by the test.
"""

import base64
import contextlib
import json
import threading
from pathlib import Path

import functions_framework
import pytest
from tests.contract.test_bus import due, event, source
from tests.google import plane
from werkzeug.serving import make_server

from penstock.adapters.google.names import deliveries
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import Transient
from penstock.core.messages import Envelope, decode, encode
from penstock.wiring import Runtime, functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

FUNCTIONS = Path(__file__).parents[2] / "functions"
ATTEMPTS = load_pipeline().stage("fetch").attempts
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class Down:
    """A port that answers nothing."""

    def __getattr__(self, _):
        raise Transient("the state cannot be reached")


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
def runtime(names, monkeypatch):
    return started(names, monkeypatch)


def started(names, monkeypatch, **more):
    """The functions' runtime from here on."""
    environment = {
        **more,
        "PENSTOCK_BACKEND": "google",
        "GOOGLE_CLOUD_PROJECT": names.project,
        "PENSTOCK_GOOGLE_REGION": names.region,
        "PENSTOCK_GOOGLE_BUCKET": names.bucket,
        "PENSTOCK_GOOGLE_PREFIX": names.prefix,
        "PUBSUB_EMULATOR_HOST": names.endpoints.pubsub,
    }
    made = Runtime(settings_from(environment), instead={"telemetry": MemoryTelemetry, "state": Down})
    monkeypatch.setattr(functions, "runtime", Once(lambda: made))
    return made


def app(stage):
    return functions_framework.create_app(stage, str(FUNCTIONS / stage / "main.py"))


def push(stage, data, *, attempt, subscription="s"):
    """The status of a function's answer to one push."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "1"}
    body = {"message": message, "subscription": subscription, "deliveryAttempt": attempt}
    return app(stage).test_client().post("/", json=body).status_code


def messages(names, subscription):
    """What waits there now, acknowledged: (data, attributes)."""
    url = f"{names.endpoints.pubsub}/v1/{subscription}"
    found = plane.request("POST", f"{url}:pull", {"maxMessages": 100, "returnImmediately": True})
    held = found.get("receivedMessages", [])
    if held:
        plane.request("POST", f"{url}:acknowledge", {"ackIds": [one["ackId"] for one in held]})
    return [(base64.b64decode(one["message"]["data"]), one["message"].get("attributes", {})) for one in held]


def told(names):
    return [decode(data).message for data, _ in messages(names, names.subscription("notify", "event"))]


def envelope(message, ident="m1"):
    return encode(Envelope(message=message, id=ident, traceparent=TRACEPARENT))


@contextlib.contextmanager
def served(stage):
    """URL of a function in this process."""
    server = make_server("127.0.0.1", 0, app(stage))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def pushed_to(names, subscription, url):
    """A subscription that pushes there, as the deployed one does."""
    path = f"{names.endpoints.pubsub}/v1/{subscription}:modifyPushConfig"
    plane.request("POST", path, {"pushConfig": {"pushEndpoint": url}})
    try:
        yield
    finally:
        plane.request("POST", path, {"pushConfig": {}})


def until(condition, seconds=30):
    end = threading.Event()
    for _ in range(seconds * 10):
        if found := condition():
            return found
        end.wait(0.1)
    raise AssertionError(f"waited {seconds} s")


def publish_dead(names, stage, data, attributes=None):
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes or {}}
    plane.request("POST", f"{names.endpoints.pubsub}/v1/{names.dead_topic(stage)}:publish", {"messages": [message]})


def test_before_its_last_attempt_a_message_comes_again_and_nobody_is_told(runtime, names):
    assert push("fetch", envelope(source()), attempt=ATTEMPTS - 1) == 503
    assert told(names) == []
    assert messages(names, names.dead_subscription("fetch")) == []


def test_at_its_last_attempt_it_is_told_of_and_kept_with_its_reason(runtime, names):
    assert push("fetch", envelope(source()), attempt=ATTEMPTS) == 204
    (report,) = told(names)
    assert (report.kind, report.name, report.reason) == ("Stage", "fetch", "DeadLetter")
    assert "the state cannot be reached" in report.message
    ((data, attributes),) = messages(names, names.dead_subscription("fetch"))
    assert data == envelope(source())
    assert attributes == {"error": "ReconciliationFailed: the state cannot be reached"}


def test_poison_is_told_of_and_kept(runtime, names):
    assert push("fetch", b"not ours", attempt=1) == 204
    (report,) = told(names)
    assert "a message that cannot be read" in report.message
    ((data, attributes),) = messages(names, names.dead_subscription("fetch"))
    assert data == b"not ours"
    assert attributes["error"]


def test_where_dead_letters_cannot_be_kept_pubsub_moves_the_message(runtime, names):
    plane.request("DELETE", f"{names.endpoints.pubsub}/v1/{names.dead_topic('fetch')}")
    assert push("fetch", envelope(source()), attempt=ATTEMPTS) == 503
    (why,) = runtime.port("telemetry").named("bus unavailable")
    assert "plane-1-fetch-dead" in why["error"]


def test_a_message_that_pubsub_moved_is_told_of_by_tick_and_kept(runtime, names):
    with served("tick") as url, pushed_to(names, names.lost_subscription("tick", "reconcile"), url):
        publish_dead(names, "reconcile", envelope(due()))
        (report,) = until(lambda: told(names))
    assert (report.name, report.reason, report.cluster) == ("reconcile", "DeadLetter", "prod")
    assert f"not finished in {deliveries(ATTEMPTS)} deliveries" in report.message
    assert "its function died, hung, or was never free" in report.message
    ((data, _),) = messages(names, names.dead_subscription("reconcile"))
    assert data == envelope(due())
    assert not runtime.port("telemetry").named("stage finished")  # no tick ran


def test_both_tellers_make_one_event(runtime, names):
    """A stage that was killed after it told, before it acknowledged: notify sends one id once."""
    assert push("fetch", envelope(source()), attempt=ATTEMPTS) == 204
    assert push("tick", envelope(source()), attempt=1, subscription=names.lost_subscription("tick", "fetch")) == 204
    assert len({report.id for report in told(names)}) == 1


def test_what_its_stage_told_of_is_not_told_of_again(runtime, names):
    """The service's filter keeps it from tick; the function does not rest on that."""
    push("fetch", envelope(source()), attempt=ATTEMPTS)
    told(names)
    with served("tick") as url, pushed_to(names, names.lost_subscription("tick", "fetch"), url):
        publish_dead(names, "fetch", envelope(source("other"), "m2"), {"error": "Transient: x"})
        publish_dead(names, "fetch", envelope(source("last"), "m3"))
        (report,) = until(lambda: told(names))
    assert "last" in report.message


def test_a_dead_letter_of_notify_is_only_recorded(runtime, names):
    assert push("tick", envelope(event()), attempt=1, subscription=names.lost_subscription("tick", "notify")) == 204
    assert told(names) == []
    assert len(runtime.port("telemetry").named("dead letter")) == 1


@pytest.mark.parametrize("subscription", ["", "projects/penstock-test/subscriptions/plane-2-tick-fetch-dead"])
def test_tick_takes_no_other_pushes(runtime, names, subscription):
    assert push("tick", envelope(source()), attempt=1, subscription=subscription) == 204
    assert told(names) == []
    assert len(runtime.port("telemetry").named("message refused")) == 1


def test_dead_letters_of_a_further_region_are_told_of_too(names, monkeypatch):
    runtime = started(names, monkeypatch, PENSTOCK_GOOGLE_REGIONS="europe-west9")
    there = runtime.settings.google.at("europe-west9").lost_subscription("tick", "notify")
    assert there.endswith("-europe-west9")
    assert push("tick", envelope(event()), attempt=1, subscription=there) == 204
    assert len(runtime.port("telemetry").named("dead letter")) == 1


def test_a_dead_letter_that_cannot_be_told_of_comes_again(runtime, names):
    plane.request("DELETE", f"{names.endpoints.pubsub}/v1/{names.topic('event')}")
    assert push("tick", envelope(source()), attempt=1, subscription=names.lost_subscription("tick", "fetch")) == 503


@pytest.mark.parametrize("body", [b"", b"{}", json.dumps({"message": "text"}).encode()])
def test_the_schedulers_call_is_a_tick_whatever_its_body(runtime, names, body):
    assert app("tick").test_client().post("/", data=body).status_code == 503
    (run,) = runtime.port("telemetry").named("stage finished")
    assert run["error"] == "the state cannot be reached"


HUNDREDS = 230


@pytest.mark.parametrize("again", [True, False])
def test_hundreds_of_dead_letters_cost_a_few_requests_for_each_hundred(runtime, names, monkeypatch, again):
    """Half of them are taken; the other half is there for the next look, at once."""
    bodies = [
        encode(Envelope(message=source(str(number)), id=f"m{number}", traceparent="")) for number in range(HUNDREDS)
    ]
    entries = [{"data": base64.b64encode(body).decode()} for body in bodies]
    plane.request("POST", f"{names.endpoints.pubsub}/v1/{names.dead_topic('fetch')}:publish", {"messages": entries})
    bus = runtime.bus
    letters = bus.dead_letters(limit=10_000)
    assert len(letters) == HUNDREDS
    sent = []
    original = type(bus._client).send
    monkeypatch.setattr(
        type(bus._client), "send", lambda *words, **more: sent.append(words[2]) or original(*words, **more)
    )
    assert bus.drop_dead_letters(letters[::2], again=again) == HUNDREDS // 2
    assert len(sent) <= 20, sent
    assert {letter.receipt for letter in bus.dead_letters(limit=10_000)} == {each.receipt for each in letters[1::2]}
    url = f"{names.endpoints.pubsub}/v1/{names.subscription('fetch', 'source-changed')}:pull"
    given = set()
    while found := plane.request("POST", url, {"maxMessages": 1000, "returnImmediately": True}).get("receivedMessages"):
        given |= {base64.b64decode(each["message"]["data"]) for each in found}
    assert given == ({letter.body for letter in letters[::2]} if again else set())
