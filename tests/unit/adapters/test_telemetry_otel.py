"""Records as measurements, steps as attributes, lines in the words of each platform."""

import io
import json

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.jsonlines import LAMBDA, JsonLinesTelemetry, Words
from penstock.adapters.telemetry.otel import semantics
from penstock.adapters.telemetry.otel.instruments import CATALOGUE
from penstock.adapters.telemetry.otel.measuring import measure

ABOUT = {"kind": "Kustomization", "namespace": "flux-system", "name": "apps", "cluster": "prod"}
FINISHED = {"stage": "reconcile", "topic": "reconcile-due", "attempt": 2, "milliseconds": 1500.0, "outcome": "done"}


def measured(name, /, **fields):
    found = []
    measure(name, fields, lambda instrument, value, labels: found.append((instrument.name, value, dict(labels))))
    return found


def of(found, name):
    return [(value, labels) for each, value, labels in found if each == name]


def test_a_run_is_measured():
    found = measured("stage finished", **ABOUT, **FINISHED, age=3.5, requests=12)
    assert of(found, "penstock.stage.duration") == [(1.5, {"stage": "reconcile", "outcome": "done"})]
    assert of(found, "penstock.queue.age") == [(3.5, {"stage": "reconcile"})]
    assert of(found, "penstock.message.attempts") == [(2, {"stage": "reconcile"})]
    assert of(found, "penstock.run.api_requests") == [(12, {"stage": "reconcile"})]
    assert of(found, "faas.coldstarts") == []
    assert of(found, "controller_runtime_reconcile_total") == [], "the Kustomization says for itself how it went"


def test_a_message_that_was_taken_at_once_has_an_age_of_nothing():
    assert of(measured("stage finished", **ABOUT, **FINISHED, age=0.0), "penstock.queue.age") == [
        (0.0, {"stage": "reconcile"})
    ]


def test_the_first_run_of_a_process_is_a_cold_start():
    assert of(measured("stage finished", **FINISHED, cold=True), "faas.coldstarts") == [(1, {"stage": "reconcile"})]


@pytest.mark.parametrize("outcome", ["retry", "failed"])
def test_a_run_that_ends_in_an_error_is_a_reconcile_that_failed(outcome):
    found = measured("stage finished", **ABOUT, **{**FINISHED, "outcome": outcome})
    assert of(found, "controller_runtime_reconcile_total") == [(1, {"controller": "kustomization", "result": "error"})]
    assert of(found, "controller_runtime_reconcile_errors_total") == [(1, {"controller": "kustomization"})]


@pytest.mark.parametrize(
    ("method", "told"), [("POST", "POST"), ("post", "_OTHER"), ("BREW", "_OTHER"), ("x" * 5000, "_OTHER")]
)
def test_a_request_is_measured_with_few_labels(method, told):
    fields = {"stage": "webhook", "method": method, "status": 401, "milliseconds": 20.0, "outcome": "done"}
    labels = {"http.request.method": told, "http.response.status_code": 401, "http.route": "/hook/{digest}"}
    assert of(measured("stage finished", **fields), "http.server.request.duration") == [(0.02, labels)]


@pytest.mark.parametrize(("ready", "result"), [("True", "success"), ("Unknown", "success"), ("False", "error")])
def test_a_kustomization_is_measured_as_flux_does(ready, result):
    found = measured("kustomization reconciled", **ABOUT, ready=ready, milliseconds=250.0)
    assert of(found, "gotk_reconcile_duration_seconds") == [(0.25, ABOUT)]
    assert of(found, "controller_runtime_reconcile_total") == [(1, {"controller": "kustomization", "result": result})]
    assert of(found, "penstock.push.ready.duration") == []


def test_what_a_push_made_ready_and_what_drifted():
    found = measured("kustomization reconciled", **ABOUT, ready="True", milliseconds=1, since_push=2.5, drifted=3)
    assert of(found, "penstock.push.ready.duration") == [(2.5, {"cluster": "prod"})]
    assert of(found, "penstock.objects") == [(3, {"cluster": "prod", "action": "drifted"})]


@pytest.mark.parametrize(
    ("record", "metric", "labels"),
    [
        ("object created", "penstock.objects", {"cluster": "prod", "action": "created"}),
        ("object configured", "penstock.objects", {"cluster": "prod", "action": "configured"}),
        ("object deleted", "penstock.objects", {"cluster": "prod", "action": "deleted"}),
        ("dead letter", "penstock.dead_letters", {"stage": "fetch"}),
        ("notification sent", "penstock.notifications", {"outcome": "sent"}),
        ("notification failed", "penstock.notifications", {"outcome": "failed"}),
        ("webhook delivered", "penstock.webhook.deliveries", {"outcome": "delivered"}),
        ("webhook refused", "penstock.webhook.deliveries", {"outcome": "refused"}),
    ],
)
def test_facts_are_counted(record, metric, labels):
    assert measured(record, **ABOUT, stage="fetch") == [(metric, 1, labels)]


@pytest.mark.parametrize(("outcome", "result"), [("changed", "success"), ("unchanged", "success"), ("failed", "error")])
def test_a_look_at_a_source_is_a_reconcile(outcome, result):
    found = measured("source looked at", kind="GitRepository", outcome=outcome)
    assert of(found, "controller_runtime_reconcile_total") == [(1, {"controller": "gitrepository", "result": result})]


def test_what_is_no_measure_counts_nothing():
    assert measured("overtaken", **ABOUT) == []
    assert measured("stage finished", stage=None, milliseconds="soon")


def test_every_instrument_is_measured_by_some_record_or_read_at_a_scrape():
    story = [
        *measured("stage finished", **ABOUT, **{**FINISHED, "outcome": "retry"}, age=1, requests=1, cold=True),
        *measured("stage finished", stage="fetch", topic="t", kind="Bucket", outcome="done", milliseconds=1, attempt=1),
        *measured("stage finished", stage="api", method="GET", status=200, milliseconds=1, outcome="done"),
        *measured("kustomization reconciled", **ABOUT, ready="True", milliseconds=1, since_push=1, drifted=1),
        *measured("dead letter", stage="fetch"),
        *measured("notification sent"),
        *measured("webhook refused"),
    ]
    told = {name for name, _, _ in story}
    assert told == {each.name for each in CATALOGUE if not each.served_only}
    for name, _, labels in story:
        (instrument,) = [each for each in CATALOGUE if each.name == name]
        assert set(labels) <= set(instrument.labels)


@pytest.mark.parametrize(
    ("step", "fields", "title"),
    [
        ("process", {"topic": "event"}, "process event"),
        ("send", {"topic": ""}, "send"),
        ("request", {"stage": "webhook", "method": "POST"}, "POST /hook/{digest}"),
        ("request", {"stage": "api", "method": "GET"}, "GET api"),
        ("checkout", {"url": "https://git.example/x"}, "checkout"),
    ],
)
def test_names_of_spans_are_few(step, fields, title):
    assert semantics.title(step, fields) == title


@pytest.mark.parametrize(
    ("step", "fields", "failed"),
    [
        ("process", {"outcome": "done"}, False),
        ("process", {"outcome": "retry"}, True),
        ("process", {"outcome": "failed"}, True),
        ("request", {"status": 401, "outcome": "done"}, False),
        ("request", {"status": 403, "outcome": "failed"}, False),
        ("request", {"status": 503, "outcome": "failed"}, True),
    ],
)
def test_a_refused_request_is_its_callers_failure(step, fields, failed):
    assert semantics.failed(step, fields) == failed


# Lines


def line(words, **fields):
    stream = io.StringIO()
    JsonLinesTelemetry(stream, SimulatedClock(), words).record("stage finished", **fields)
    return json.loads(stream.getvalue())


def test_google_shows_a_line_beside_its_trace():
    told = line(Words(project="acme-prod"), trace="ab" * 16, span="cd" * 8, outcome="failed")
    assert told["logging.googleapis.com/trace"] == f"projects/acme-prod/traces/{'ab' * 16}"
    assert told["logging.googleapis.com/spanId"] == "cd" * 8
    assert told["logging.googleapis.com/trace_sampled"] is True
    assert (told["severity"], told["message"], told["trace"]) == ("ERROR", "stage finished", "ab" * 16)


def test_without_spans_google_is_told_the_trace_alone():
    told = line(Words(project="acme-prod"), trace="ab" * 16)
    assert [name for name in told if name.startswith("logging.")] == ["logging.googleapis.com/trace"]
    assert not [name for name in line(Words(project="acme-prod")) if name.startswith("logging.")]


def test_lambda_filters_by_level_and_reads_the_time():
    told = line(LAMBDA, outcome="retry", requestId="e1506fd5", level="none", timestamp="then")
    assert (told["level"], told["timestamp"], told["requestId"]) == ("ERROR", "2026-01-01T00:00:00.000Z", "e1506fd5")
    assert "severity" not in told
