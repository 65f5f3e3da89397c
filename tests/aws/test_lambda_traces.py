"""What a Lambda function's batch tells: each message its own run in its own trace, all of it sent before the answer."""

import json
import time
from datetime import timedelta

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, in_process, make_bucket, make_queues, make_table
from tests.aws.test_lambda import handler
from tests.observability.receiver import Collector
from tests.observability.test_flush import SLACK

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.otel import pipeline
from penstock.core.errors import BuildFailed, Transient
from penstock.core.messages import ArtifactStored, Envelope, Outgoing, SourceChanged, encode
from penstock.wiring import Runtime, lambda_functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once
from penstock.wiring.runtime import Process
from penstock.wiring.sending import rfc3339

TRACES = [f"{number:x}" * 32 for number in range(1, 7)]
NAMES = {"good": None, "late": Transient("busy"), "bad": BuildFailed("wrong")}


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


def run(message, deps):
    """A stage that reads, fails, or has something to say, as the message's name asks."""
    with deps.telemetry.span("render"):
        error = NAMES.get(message.name)
    if error:
        raise error
    stored = ArtifactStored(cluster="prod", kind="GitRepository", namespace="flux-system", name="web")
    return [Outgoing(message=stored)]


@pytest.fixture
def plane(clock, collector, monkeypatch):
    """(the function's runtime on moto, its SQS client); nobody waits less long for the collector on a busy machine."""
    import sys
    import types

    module = types.ModuleType("penstock.stages.fetch")
    module.run = run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(pipeline, "FLUSH_SECONDS", 60.0)
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)
        environment = {**ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "AWS_LAMBDA_FUNCTION_NAME": "f"}
        made = Runtime(settings_from(environment), instead={"clock": lambda: clock}, process=Process(short_lived=True))
        monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: made))
        yield made
        made.close()


def put(runtime, clock, *names):
    """Messages of a trace each, three seconds old; the event that Lambda's poller makes of them."""
    for number, name in enumerate(names):
        message = SourceChanged(cluster="prod", namespace="flux-system", name=name)
        envelope = Envelope(
            message=message,
            id=f"id-{number}",
            traceparent=f"00-{TRACES[number]}-{'c' * 16}-01",
            time=rfc3339(clock.now() - timedelta(seconds=3)),
            links=(f"00-{'e' * 32}-{'f' * 16}-01",) if name == "good" else (),
        )
        runtime.bus._send("plane-1-fetch", encode(envelope).decode(), {}, {})
    taken = runtime.bus._take("plane-1-fetch", count=10, visibility=360, wait=0)
    assert len(taken) == len(names)
    ordered = sorted(taken, key=lambda each: json.loads(each["Body"])["id"])
    return [(each["Body"], each["ReceiptHandle"], 1) for each in ordered]


def call(event):
    return handler("fetch")(event, events.Context())


def test_each_message_of_a_batch_is_a_run_in_its_own_trace(plane, clock, collector):
    answer = call(events.sqs(*put(plane, clock, "good", "late", "bad", "good")))
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["message-1"]
    spans = collector.spans  # all of them are here when the handler answers
    runs = [span for span in spans if span.name == "process source-changed"]
    assert [span.trace for span in runs] == TRACES[:4]
    assert {span.parent for span in runs} == {"c" * 16}
    assert [span.links for span in runs] == [("e" * 32,), (), (), ("e" * 32,)]
    outcomes = [span.attributes["penstock.outcome"] for span in runs]
    assert outcomes == ["done", "retry", "failed", "done"]
    assert [span.failed for span in runs] == [False, True, True, False]
    assert [span.attributes.get("faas.coldstart") for span in runs] == [True, None, None, None]
    assert {span.attributes["faas.invocation_id"] for span in runs} == {events.Context.aws_request_id}
    for span in spans:
        if span.name == "render":
            assert span.parent in {each.id for each in runs if each.trace == span.trace}
    sent = {span.trace: span.id for span in spans if span.name == "send artifact-stored"}
    assert set(sent) == {TRACES[0], TRACES[3]}
    for _ in range(2):
        delivery = plane.bus.receive("reconcile", wait=0)
        _, trace, parent, flags = delivery.envelope.traceparent.split("-")
        assert (sent[trace], flags) == (parent, "01")
    # what went wrong for good is told as an event, in the trace of the message that it came of
    told = plane.bus.receive("notify", wait=0).envelope
    assert told.traceparent.split("-")[1] == TRACES[2]


def test_its_numbers_come_with_it(plane, clock, collector):
    call(events.sqs(*put(plane, clock, "good", "bad")))
    found = {name: metric for name, metric, _ in collector.metrics}
    (age,) = found["penstock.queue.age"]["histogram"]["dataPoints"]
    assert (int(age["count"]), float(age["sum"])) == (2, pytest.approx(6, abs=0.5))
    (cold,) = found["faas.coldstarts"]["sum"]["dataPoints"]
    assert int(cold["asInt"]) == 1
    points = found["penstock.stage.duration"]["histogram"]["dataPoints"]
    assert sum(int(point["count"]) for point in points) == 2


def test_a_dead_letter_is_counted_in_the_call_that_gave_it_up_and_told_in_its_trace(plane, clock, collector):
    ((body, receipt, _),) = put(plane, clock, "late")
    attempts = plane.pipeline.stage("fetch").attempts
    assert call(events.sqs((body, receipt, attempts))) == {"batchItemFailures": []}
    (dead,) = [metric for name, metric, _ in collector.metrics if name == "penstock.dead_letters"]
    (point,) = dead["sum"]["dataPoints"]
    assert int(point["asInt"]) == 1
    told = plane.bus.receive("notify", wait=0).envelope
    assert (told.message.reason, told.traceparent.split("-")[1]) == ("DeadLetter", TRACES[0])
    (announced,) = [span for span in collector.spans if span.name == "send event"]
    assert announced.trace == TRACES[0]


def test_a_dead_collector_costs_a_batch_one_bound_not_one_for_each_message(plane, clock, collector, monkeypatch):
    monkeypatch.setattr(pipeline, "FLUSH_SECONDS", 2.0)
    collector.patience = 60
    started = time.monotonic()
    answer = call(events.sqs(*put(plane, clock, "good", "good", "good", "late", "bad")))
    assert time.monotonic() - started < pipeline.FLUSH_SECONDS + SLACK
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["message-3"]


def test_a_counter_stands_at_0_before_it_counts(plane, clock, collector):
    """A rise is seen where something was before: the first dead letter of a process is one."""
    call(events.sqs(*put(plane, clock, "good")))
    begun = {}
    for name, metric, _ in collector.metrics:
        for point in metric.get("sum", {}).get("dataPoints", ()):
            labels = tuple(each["value"].get("stringValue") for each in point["attributes"])
            begun[name, labels] = int(point["asInt"])
    assert begun["penstock.dead_letters", ("fetch",)] == 0
    assert {each for each in begun if each[0] == "penstock.dead_letters"} == {("penstock.dead_letters", ("fetch",))}
    assert begun["controller_runtime_reconcile_errors_total", ("gitrepository",)] == 0
    asked = len(collector.metrics)
    call(events.sqs(*put(plane, clock, "good")))
    assert "penstock.dead_letters" not in {name for name, _, _ in collector.metrics[asked:]}, "once a process"
