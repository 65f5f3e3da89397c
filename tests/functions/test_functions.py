"""Each functions/<stage>/main.py as the platform loads it: through functions-framework, on the wire."""

import base64
from pathlib import Path

import functions_framework
import pytest
from tests.poison import POISON

from penstock.adapters.google.names import GoogleNames, PushPolicy
from penstock.core.errors import BuildFailed, Refused, Transient
from penstock.core.http import HttpResponse
from penstock.core.messages import Envelope, Outgoing, SourceChanged, encode
from penstock.wiring import Runtime, Settings, functions, load_pipeline

FUNCTIONS = Path(__file__).parents[2] / "functions"
STAGES = load_pipeline().stages
TOPIC_STAGES = [stage.name for stage in load_pipeline().queues()]
MESSAGE = SourceChanged(cluster="prod", namespace="flux-system", name="web")
ENVELOPE = Envelope(message=MESSAGE, id="id-1", traceparent=f"00-{'ab' * 16}-{'c' * 16}-01")


def client(stage):
    return functions_framework.create_app(stage, str(FUNCTIONS / stage / "main.py")).test_client()


def pushed(body, **more):
    """What Eventarc posts for a Pub/Sub message."""
    return {
        "json": {"message": {"data": base64.b64encode(body).decode(), "messageId": "1"}, "subscription": "s", **more},
        "headers": {
            "ce-id": "1",
            "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        },
    }


def test_every_stage_is_a_function_of_one_screen():
    found = {path.parent.name: len(path.read_text().splitlines()) for path in FUNCTIONS.glob("*/main.py")}
    assert set(found) == set(STAGES)
    assert max(found.values()) <= 40


@pytest.mark.parametrize("stage", ["webhook", "api"])
def test_http_functions_answer_what_their_stage_answers(runtime, as_stage, stage):
    as_stage(stage, lambda asked, deps: (HttpResponse(status=202, body=asked.body + b"!"), []))
    answer = client(stage).post("/hook/x", data=b"hello")
    assert (answer.status_code, answer.data) == (202, b"hello!")


def test_a_body_over_the_limit_is_413_through_the_framework_too(runtime, as_stage):
    as_stage("webhook", lambda asked, deps: (HttpResponse(status=202), []))
    assert client("webhook").post("/hook/x", data=b"x" * (3 * 1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize(
    ("method", "error", "status"),
    [("post", None, 204), ("post", Transient("x"), 503), ("post", Refused("x"), 503), ("get", None, 405)],
)
def test_tick_is_called_by_the_scheduler(runtime, as_stage, method, error, status):
    def run(deps):
        if error:
            raise error
        return [Outgoing(message=MESSAGE)]

    as_stage("tick", run)
    assert getattr(client("tick"), method)("/").status_code == status
    assert runtime.bus.depth()["fetch"] == (1 if status == 204 else 0)


@pytest.mark.parametrize("stage", TOPIC_STAGES)
def test_topic_functions_decode_pubsub(runtime, as_stage, stage):
    seen = []
    as_stage(stage, lambda message, deps: seen.append((message, deps.trace)) or [])
    assert client(stage).post("/", **pushed(encode(ENVELOPE))).status_code == 204
    assert seen == [(MESSAGE, "ab" * 16)]


def test_topic_functions_take_our_own_cloud_event_as_it_is(runtime, as_stage):
    seen = []
    as_stage("fetch", lambda message, deps: seen.append((message, deps.trace)) or [])
    answer = client("fetch").post("/", data=encode(ENVELOPE), content_type="application/cloudevents+json")
    assert answer.status_code == 204
    assert seen == [(MESSAGE, "ab" * 16)]


@pytest.mark.parametrize(
    ("error", "status"), [(Transient("canary"), 503), (ValueError("canary"), 503), (BuildFailed("canary"), 204)]
)
def test_only_what_must_come_again_is_refused(runtime, as_stage, error, status):
    def run(message, deps):
        raise error

    as_stage("fetch", run)
    answer = client("fetch").post("/", **pushed(encode(ENVELOPE), deliveryAttempt=3))
    assert answer.status_code == status
    assert b"canary" not in answer.data
    (told,) = runtime.port("telemetry").named("stage finished")
    assert told["attempt"] == 3


@pytest.mark.parametrize(
    "post",
    [
        *map(pushed, POISON.values()),
        {**pushed(b""), "json": {"message": {"data": "%%%"}}},
        {**pushed(b""), "json": {"message": {"data": "\ud800"}}},
        {**pushed(b""), "json": {"message": {"data": ["eA=="]}}},
        {**pushed(b""), "json": {"message": [1]}},
        {**pushed(b""), "json": [{"message": {"data": "eA=="}}]},
        {**pushed(b""), "json": {"specversion": "1.0", "data": "x"}},
        {**pushed(encode(ENVELOPE)), "json": {**pushed(encode(ENVELOPE))["json"], "deliveryAttempt": 1e999}},
        {"data": b'{"message": ' + b"[" * 100_000, "content_type": "application/json"},
        {"data": b"\xff", "content_type": "application/json"},
        {"data": b"", "content_type": "application/json"},
        {**pushed(b""), "json": {"other": 1}},
        {**pushed(b""), "json": {"message": {"data": ""}, "deliveryAttempt": "many"}},
    ],
)
def test_poison_is_acknowledged_and_told(runtime, as_stage, post):
    as_stage("fetch", lambda message, deps: pytest.fail("the stage was called"))
    assert client("fetch").post("/", **post).status_code == 204
    assert len(runtime.port("telemetry").named("message refused")) == 1


def test_however_deep_a_push_of_ours_is_nested_it_is_answered(runtime, as_stage):
    """Depths about that of which Python itself has enough."""
    as_stage("fetch", lambda message, deps: pytest.fail("the stage was called"))
    headers = {"ce-type": "dev.penstock.source-changed.v1", "ce-id": "1"}
    for depth in range(500, 1000, 7):
        body = b'{"cluster": ' + b"[" * depth + b"]" * depth + b"}"
        answer = client("fetch").post("/", data=body, content_type="application/json", headers=headers)
        assert answer.status_code == 204


@pytest.mark.parametrize("stage", ["fetch", "tick"])
@pytest.mark.parametrize(("error", "status"), [(Refused("canary"), 401), (Transient("canary"), 503)])
def test_a_push_that_does_not_prove_who_sends_it_is_refused_unread(
    runtime, as_stage, monkeypatch, error, status, stage
):
    def refuse(headers):
        assert headers["authorization"] == "Bearer forged"
        raise error

    monkeypatch.setattr(runtime, "check_push", refuse)
    monkeypatch.setattr(functions, "envelope_of", lambda *_: pytest.fail("the body was read"))
    monkeypatch.setattr(functions, "_told_of_lost", lambda *_: pytest.fail("the body was read"))
    as_stage(stage, lambda *_: pytest.fail("the stage was called"))
    answer = client(stage).post("/", data=b"not even JSON", headers={"Authorization": "Bearer forged"})
    assert answer.status_code == status
    assert b"canary" not in answer.data


def test_a_plane_on_google_cloud_checks_pushes_where_its_settings_say_so(tmp_path):
    push = PushPolicy(accounts=("a@example.com",), audiences=("https://fetch.example",))
    names = GoogleNames(project="acme-prod", region="r", bucket="b", push=push)
    checked = Runtime(Settings(data_dir=tmp_path, backend="google", google=names))
    with pytest.raises(Refused, match="no bearer token"):
        checked.check_push({})
    Runtime(Settings(data_dir=tmp_path)).check_push({})
