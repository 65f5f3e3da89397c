"""Each functions/<stage>/lambda_handler.py as Lambda calls it, on events of recorded shape, over SNS, SQS and the rest."""

import base64
import importlib.util
import json
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, in_process, make_bucket, make_queues, make_table
from tests.poison import TEXTS

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import BuildFailed, Refused, Terminal, Transient
from penstock.core.http import HttpResponse
from penstock.core.messages import MAX_BYTES, Envelope, Event, Outgoing, ReconcileDue, SourceChanged, encode
from penstock.wiring import Runtime, lambda_functions, load_pipeline, settings_from
from penstock.wiring.lambda_http import TooLarge, answer_of, request_of
from penstock.wiring.lazy import Once

FUNCTIONS = Path(__file__).parents[2] / "functions"
STAGES = load_pipeline().stages
TOPIC_STAGES = [stage.name for stage in load_pipeline().queues()]
MESSAGE = SourceChanged(cluster="prod", namespace="flux-system", name="web")
TRACE = "ab" * 16
BODY = encode(Envelope(message=MESSAGE, id="id-1", traceparent=f"00-{TRACE}-{'c' * 16}-01")).decode()


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def runtime(clock, monkeypatch):
    """The plane on AWS that the environment says, with a simulated clock."""
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)
        made = Runtime(settings_from(ENVIRONMENT), instead={"clock": lambda: clock, "telemetry": MemoryTelemetry})
        monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: made))
        yield made


@pytest.fixture
def as_stage(monkeypatch):
    """as_stage("fetch", run): that function is the stage of that name, for this test."""
    import sys
    import types

    def put(name, run, **more):
        module = types.ModuleType(f"penstock.stages.{name}")
        module.run = run
        vars(module).update(more)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def handler(stage):
    """As Lambda loads ``lambda_handler.handler`` of a function's directory."""
    spec = importlib.util.spec_from_file_location(f"lambda_{stage}", FUNCTIONS / stage / "lambda_handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def call(stage, event, *seconds):
    return json.loads(json.dumps(handler(stage)(event, events.Context(*seconds))))


def take(runtime, stage="fetch"):
    """A message as Lambda's poller takes it: (body, receipt, receive count)."""
    (record,) = runtime.bus._take(f"plane-1-{stage}", count=1, visibility=360, wait=0)
    return record["Body"], record["ReceiptHandle"], int(record["Attributes"]["ApproximateReceiveCount"])


def put(runtime, body=BODY, stage="fetch"):
    runtime.bus._send(f"plane-1-{stage}", body, {}, {})


def test_every_stage_has_a_handler_of_one_screen():
    found = {path.parent.name: len(path.read_text().splitlines()) for path in FUNCTIONS.glob("*/lambda_handler.py")}
    assert set(found) == set(STAGES)
    assert max(found.values()) <= 40


# function URLs


@pytest.mark.parametrize("stage", ["webhook", "api"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_request_reaches_its_stage_as_it_was_sent(runtime, as_stage, stage, encoded):
    seen = []
    as_stage(stage, lambda request, deps: (seen.append(request), (HttpResponse(status=202, body=b"ok"), []))[1])
    body = b"\x00\xff" if encoded else '{"ref": "größer"}'.encode()
    headers = {"content-type": "application/json", "X-Hub-Signature-256": "sha256=ab"}
    event = events.function_url(path="/hook/a%2Fb%20c", query="x=%20&y", headers=headers, body=body, encoded=encoded)
    assert call(stage, event) == {"statusCode": 202, "headers": {}, "body": "ok", "isBase64Encoded": False}
    (request,) = seen
    assert (request.method, request.path, request.query, request.body) == ("POST", "/hook/a/b c", "x=%20&y", body)
    assert request.headers["x-hub-signature-256"] == "sha256=ab"


def test_messages_are_published_before_the_answer(runtime, as_stage):
    as_stage("webhook", lambda request, deps: (HttpResponse(status=202), [Outgoing(message=MESSAGE)]))
    assert call("webhook", events.function_url())["statusCode"] == 202
    assert runtime.bus.receive("fetch", wait=0).envelope.message == MESSAGE


@pytest.mark.parametrize(
    ("stage", "size", "encoded", "status"),
    [
        ("webhook", 3 * 1024 * 1024, True, 202),
        ("webhook", 3 * 1024 * 1024 + 1, True, 413),
        ("webhook", 3 * 1024 * 1024 + 1, False, 413),
        ("api", 1024 * 1024, False, 202),
        ("api", 1024 * 1024 + 1, False, 413),
    ],
)
def test_a_body_over_the_limit_is_413_and_never_reaches_the_stage(runtime, as_stage, stage, size, encoded, status):
    as_stage(stage, lambda request, deps: (HttpResponse(status=202), []))
    assert call(stage, events.function_url(body=b"x" * size, encoded=encoded))["statusCode"] == status


def test_text_counts_by_its_bytes():
    with pytest.raises(TooLarge):
        request_of(events.function_url(body="é".encode() * 6), limit=10)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"rawPath": "/"},
        {**events.function_url(), "requestContext": {"http": "x"}},
        {**events.function_url(), "headers": None},
        {**events.function_url(), "body": "%%%", "isBase64Encoded": True},
        {**events.function_url(), "body": "\ud800"},
    ],
)
def test_what_is_no_request_is_400(runtime, as_stage, event):
    as_stage("webhook", lambda request, deps: pytest.fail("the stage was called"))
    assert call("webhook", event)["statusCode"] == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [(Transient("canary", retry_after=7), 503), (Refused("canary"), 503), (ValueError("canary"), 500)],
)
def test_errors_become_statuses_and_the_webhook_says_nothing_more(runtime, as_stage, error, status):
    def run(request, deps):
        raise error

    as_stage("webhook", run)
    answer = call("webhook", events.function_url())
    assert answer["statusCode"] == status
    assert "canary" not in json.dumps(answer)
    assert answer["headers"].get("retry-after") == ("7" if isinstance(error, Transient) else None)


def test_bytes_that_are_no_text_go_out_in_base64():
    assert answer_of(HttpResponse(status=200, body=b"\xff")) == {
        "statusCode": 200,
        "headers": {},
        "body": base64.b64encode(b"\xff").decode(),
        "isBase64Encoded": True,
    }


# SQS


@pytest.mark.parametrize("stage", TOPIC_STAGES)
def test_a_message_reaches_its_stage_with_its_trace(runtime, as_stage, stage):
    seen = []
    as_stage(stage, lambda message, deps: seen.append((message, deps.trace)) or [])
    assert call(stage, events.sqs((BODY, "r", 1), stage=stage)) == {"batchItemFailures": []}
    assert seen == [(MESSAGE, TRACE)]


def test_of_a_batch_only_those_come_again_that_must(runtime, as_stage):
    def run(message, deps):
        if message.name == "later":
            raise Transient("not now")
        if message.name == "wrong":
            raise BuildFailed("kustomization.yaml: wrong")
        return []

    as_stage("fetch", run)
    for name in ("fine", "later", "wrong"):
        put(runtime, BODY.replace('"web"', f'"{name}"'))
    batch = [take(runtime) for _ in range(3)]
    assert call("fetch", events.sqs(*batch)) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_a_message_comes_again_after_its_own_backoff_not_the_queues_visibility(runtime, as_stage, clock):
    def run(message, deps):
        raise Transient("busy", retry_after=20)

    as_stage("fetch", run)
    put(runtime)
    assert call("fetch", events.sqs(take(runtime)))["batchItemFailures"]
    clock.advance(19)
    assert runtime.bus.receive("fetch", wait=0) is None
    clock.advance(2)
    assert runtime.bus.receive("fetch", wait=0).envelope.attempt == 2


@pytest.mark.parametrize("error", [Transient("canary"), ValueError("canary")])
def test_the_last_attempt_makes_a_dead_letter_that_is_told_of(runtime, as_stage, error):
    def run(message, deps):
        raise error

    as_stage("fetch", run)
    put(runtime)
    body, receipt, _ = take(runtime)
    assert call("fetch", events.sqs((body, receipt, STAGES["fetch"].attempts))) == {"batchItemFailures": []}
    assert runtime.bus.depth()["fetch"] == 0
    (letter,) = runtime.bus.dead_letters()
    assert letter.body.decode() == BODY
    told = runtime.bus.receive("notify", wait=0).envelope.message
    assert (told.kind, told.name, told.reason) == ("Stage", "fetch", "DeadLetter")
    assert letter.error in told.message


@pytest.mark.parametrize("body", TEXTS.values(), ids=TEXTS.keys())
def test_poison_is_a_dead_letter_at_once_and_the_others_of_its_batch_are_done(runtime, as_stage, body):
    seen = []
    as_stage("fetch", lambda message, deps: seen.append(message) or [])
    put(runtime, body.decode())
    put(runtime)
    batch = events.sqs(*(take(runtime) for _ in range(2)))
    assert call("fetch", batch) == {"batchItemFailures": []}
    assert seen == [MESSAGE]
    (letter,) = runtime.bus.dead_letters()
    assert letter.body == body
    assert runtime.bus.receive("notify", wait=0).envelope.message.reason == "DeadLetter"


def test_poison_in_sns_own_envelope_is_a_dead_letter(runtime, as_stage):
    as_stage("fetch", lambda message, deps: pytest.fail("the stage was called"))
    put(runtime, json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": "\ud800"}))
    assert call("fetch", events.sqs(take(runtime))) == {"batchItemFailures": []}
    assert len(runtime.bus.dead_letters()) == 1


@pytest.mark.parametrize("error", [ValueError("canary"), Transient("canary")])
def test_a_name_as_long_as_a_message_is_reported_all_the_same(runtime, as_stage, error):
    def run(message, deps):
        raise error

    as_stage("fetch", run)
    put(runtime, BODY.replace("web", "x" * (MAX_BYTES - len(BODY) + 3)))
    body, receipt, _ = take(runtime)
    assert call("fetch", events.sqs((body, receipt, STAGES["fetch"].attempts))) == {"batchItemFailures": []}
    assert len(runtime.bus.dead_letters()) == 1
    assert runtime.bus.receive("notify", wait=0).envelope.message.reason == "DeadLetter"


def test_a_message_in_sns_own_envelope_is_unwrapped(runtime, as_stage):
    seen = []
    as_stage("fetch", lambda message, deps: seen.append(message) or [])
    wrapped = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:…", "Message": BODY}
    assert call("fetch", events.sqs((json.dumps(wrapped), "r", 1))) == {"batchItemFailures": []}
    assert seen == [MESSAGE]


def test_what_there_is_no_time_for_is_left_for_another_invocation(runtime, as_stage):
    seen = []
    as_stage("fetch", lambda message, deps: seen.append(message) or [])
    for _ in range(3):
        put(runtime)
    batch = events.sqs(*(take(runtime) for _ in range(3)))
    half = STAGES["fetch"].timeout / 2
    answer = call("fetch", batch, 2 * half, half - 1)
    assert [entry["itemIdentifier"] for entry in answer["batchItemFailures"]] == ["message-1", "message-2"]
    assert len(seen) == 1
    assert runtime.bus.receive("fetch", wait=0) is not None  # at once, not after the queue's visibility timeout


def test_a_bus_that_is_down_leaves_the_message_to_the_visibility_timeout(runtime, as_stage, monkeypatch):
    def run(message, deps):
        raise Transient("busy")

    def down(*args, **more):
        raise Transient("AWS answered 503")

    as_stage("fetch", run)
    monkeypatch.setattr(runtime.bus, "retry", down)
    assert call("fetch", events.sqs((BODY, "r", 1))) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert len(runtime.port("telemetry").named("bus unavailable")) == 1


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": "x"},
        {"Records": ["x"]},
        {"Records": [{"eventSource": "aws:sns"}]},
        {"Records": [{"eventSource": "aws:sqs"}]},
        {"Records": [{**events.sqs((BODY, "r", 1))["Records"][0], "attributes": {}}]},
        {"Records": [{**events.sqs((BODY, "r", 1))["Records"][0], "body": None}]},
        events.schedule(),
        events.function_url(),
    ],
)
def test_a_stage_that_is_wired_to_something_else_fails_loudly(runtime, event):
    with pytest.raises(Terminal, match="stage fetch is fed by SQS"):
        call("fetch", event)


# EventBridge


@pytest.mark.parametrize("source", ["aws.scheduler", "aws.events"])
def test_a_schedule_publishes_what_is_due(runtime, as_stage, source):
    as_stage("tick", lambda deps: [Outgoing(message=MESSAGE)])
    assert call("tick", events.schedule(source)) is None
    assert runtime.bus.depth()["fetch"] == 1


def test_a_tick_that_failed_is_called_again(runtime, as_stage):
    def run(deps):
        raise Transient("canary", reason="Busy")

    as_stage("tick", run)
    with pytest.raises(Transient, match="stage tick has retry: Busy"):
        call("tick", events.schedule())


def test_a_tick_that_is_refused_is_an_error_of_its_function(runtime, as_stage):
    """The alarm on a silent tick counts errors: there is no dead letter that would tell of it."""

    def run(deps):
        raise Refused("canary")

    as_stage("tick", run)
    with pytest.raises(Transient, match="stage tick has failed: AccessDenied"):
        call("tick", events.schedule())


def test_the_tick_tells_of_what_functions_were_killed_over(runtime, as_stage, clock):
    as_stage("tick", lambda deps: [])
    put(runtime)
    for _ in range(STAGES["fetch"].attempts + 1):
        runtime.bus._take("plane-1-fetch", count=1, visibility=360, wait=0)
        clock.advance(361)
    for _ in range(2):
        call("tick", events.schedule())
        clock.advance(60)
    told = runtime.bus.receive("notify", wait=0).envelope.message
    assert isinstance(told, Event)
    assert "not finished in 8 attempts" in told.message
    assert runtime.bus.receive("notify", wait=0) is None


def test_a_tick_whose_queues_cannot_be_read_is_still_a_tick(runtime, as_stage, monkeypatch):
    def down():
        raise Refused("sqs:ReceiveMessage")

    as_stage("tick", lambda deps: [])
    monkeypatch.setattr(runtime.bus, "lost", down)
    assert call("tick", events.schedule()) is None
    assert len(runtime.port("telemetry").named("bus unavailable")) == 1


@pytest.mark.parametrize("event", [{}, {"source": "aws.s3"}, events.sqs((BODY, "r", 1))])
def test_a_tick_that_anything_else_calls_fails_loudly(runtime, event):
    with pytest.raises(Terminal, match="stage tick is called by EventBridge"):
        call("tick", event)


def test_a_continuation_of_twenty_minutes_is_scheduled(runtime, as_stage):
    again = ReconcileDue(cluster="prod", namespace="apps", name="web", why="health")
    as_stage("reconcile", lambda message, deps: [Outgoing(message=again, delay=1_200)])
    assert call("reconcile", events.sqs((BODY, "r", 1))) == {"batchItemFailures": []}
    assert runtime.bus.depth()["reconcile"] == 0
    scheduler = runtime.bus._clients.client("scheduler")
    (listed,) = scheduler.list_schedules(GroupName="plane-1")["Schedules"]
    assert listed["Name"].startswith("reconcile-due-")


def test_a_line_is_what_lambda_reads_and_names_the_call(clock, monkeypatch, capsys, as_stage):
    """With the function's log format JSON: filtered by level, dated by timestamp, found by the request's id."""
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        made = Runtime(settings_from(ENVIRONMENT), instead={"clock": lambda: clock})
        monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: made))
        as_stage("fetch", lambda message, deps: [])
        put(made)
        assert call("fetch", events.sqs(take(made)))["batchItemFailures"] == []
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    wanted = {"level": "INFO", "message": "stage finished", "requestId": events.Context.aws_request_id, "trace": TRACE}
    assert wanted.items() <= line.items()
    assert line["timestamp"].endswith("Z")
    assert "severity" not in line
