"""What becomes of a message: published results, retries, failures, dead letters, and what is told of them."""

import pytest

from penstock.core.errors import BuildFailed, Conflict, Refused, Transient
from penstock.core.messages import ArtifactStored, Envelope, Event, Outgoing, ReconcileDue, SourceChanged
from penstock.ports.bus import DeadLetter
from penstock.wiring import load_pipeline
from penstock.wiring.outcome import outcome_of
from penstock.wiring.reports import announce

TRACE = "ab" * 16
MESSAGE = SourceChanged(cluster="prod", namespace="flux-system", name="web")


def envelope(message=MESSAGE, attempt=1):
    return Envelope(message=message, id="id-1", traceparent=f"00-{TRACE}-{'c' * 16}-01", attempt=attempt)


def failing(error):
    def run(message, deps):
        raise error

    return run


def taken(runtime, stage):
    delivery = runtime.bus.receive(stage, wait=0)
    return delivery.envelope if delivery else None


def test_what_a_stage_returns_goes_out_in_the_same_trace_as_a_new_span(runtime, as_stage):
    seen = []

    def run(message, deps):
        seen.append((message, deps.trace))
        return [Outgoing(message=ArtifactStored(cluster="prod", namespace="a", name="b", why="artifact"))]

    as_stage("fetch", run)
    outcome = runtime.run_message("fetch", envelope())
    assert (outcome.kind, outcome.published, seen) == ("done", 1, [(MESSAGE, TRACE)])
    out = taken(runtime, "reconcile")
    version, trace, span, flags = out.traceparent.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != "c" * 16
    assert out.id != "id-1"


def test_a_delay_is_kept(runtime, as_stage):
    due = ArtifactStored(cluster="prod", namespace="a", name="b")
    as_stage("fetch", lambda message, deps: [Outgoing(message=due, delay=30)])
    runtime.run_message("fetch", envelope())
    assert taken(runtime, "reconcile") is None
    runtime.port("clock").advance(30)
    assert taken(runtime, "reconcile").message == due


@pytest.mark.parametrize(
    ("error", "attempt", "kind", "delay"),
    [
        (Transient("x"), 1, "retry", 1),
        (Transient("x"), 4, "retry", 8),
        (Transient("x"), 20, "retry", 300),
        (Transient("x", retry_after=42), 1, "retry", 42),
        (Transient("x", retry_after=86_400), 1, "retry", 900),
        (Transient("x", retry_after=1), 6, "retry", 32),
        (Conflict("x"), 1, "retry", 1),
        (BuildFailed("x"), 1, "failed", 0),
        (ValueError("x"), 2, "retry", 2),
        (MemoryError(), 1, "retry", 1),
    ],
)
def test_errors_become_outcomes(error, attempt, kind, delay):
    outcome = outcome_of(error, attempt=attempt)
    assert (outcome.kind, outcome.delay) == (kind, delay)


def test_a_provider_that_is_away_for_some_minutes_is_told_all_the_same():
    """Flux' notification controller gives up within half a minute; a restart of a chat takes longer."""
    attempts = load_pipeline().stage("notify").attempts
    waits = [outcome_of(Transient("away"), attempt=attempt).delay for attempt in range(1, attempts)]
    assert sum(waits) >= 5 * 60


def test_the_text_of_a_bug_is_not_repeated_but_its_place_is(runtime, as_stage):
    as_stage("fetch", failing(ValueError("canary")))
    outcome = runtime.run_message("fetch", envelope())
    assert outcome.error == "ValueError in penstock itself"
    assert "test_run.py" in outcome.where
    assert "canary" not in repr(runtime.port("telemetry").facts)


def test_a_terminal_error_is_reported_once_however_often_it_is_delivered(runtime, as_stage):
    as_stage("fetch", failing(Refused("the host evil.example is not allowed")))
    assert [runtime.run_message("fetch", envelope()).again for _ in range(2)] == [False, False]
    first, second = taken(runtime, "notify").message, taken(runtime, "notify").message
    assert first == second
    assert (first.kind, first.namespace, first.name, first.severity, first.reason) == (
        "GitRepository",
        "flux-system",
        "web",
        "error",
        "AccessDenied",
    )
    assert first.message == "the host evil.example is not allowed"


def test_a_failure_of_notify_is_told_to_nobody(runtime, as_stage):
    as_stage("notify", failing(BuildFailed("no")))
    event = Event(
        id="e",
        cluster="c",
        api_version="v1",
        kind="K",
        namespace="n",
        name="x",
        severity="info",
        reason="R",
        message="m",
        timestamp="t",
    )
    assert runtime.run_message("notify", envelope(event)).kind == "failed"
    assert taken(runtime, "notify") is None


def test_a_topic_that_pipeline_json_does_not_list_is_refused(runtime, as_stage):
    as_stage("tick", lambda deps: [Outgoing(message=announced(runtime))])
    outcome = runtime.run_tick()
    assert (outcome.kind, outcome.error) == (
        "failed",
        "stage tick may not publish to event: pipeline.json does not list it",
    )
    assert taken(runtime, "notify") is None


def announced(runtime):
    letter = DeadLetter(receipt="1", stage="fetch", body=b"{}", error="x")
    announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))
    return taken(runtime, "notify").message


def test_a_bus_that_takes_nothing_means_again(runtime, as_stage, monkeypatch):
    def refuse(messages):
        raise Transient("disk full")

    monkeypatch.setattr(runtime.bus, "publish", refuse)
    as_stage("fetch", lambda message, deps: [Outgoing(message=MESSAGE)])
    assert runtime.run_message("fetch", envelope()).again
    as_stage("fetch", failing(BuildFailed("no")))  # not even its report can go out
    assert runtime.run_message("fetch", envelope()).again


def test_each_run_is_told(runtime, as_stage):
    def run(message, deps):
        deps.clock.sleep(0.25)
        raise Transient("the remote does not answer", reason="GitOperationFailed")

    as_stage("fetch", run)
    runtime.run_message("fetch", envelope(attempt=3))
    (step,) = runtime.port("telemetry").steps
    assert runtime.port("telemetry").named("stage finished") == (
        {
            "stage": "fetch",
            "trace": TRACE,
            "span": step.traceparent.split("-")[2],
            "topic": "source-changed",
            "cluster": "prod",
            "kind": "GitRepository",
            "namespace": "flux-system",
            "name": "web",
            "attempt": 3,
            "milliseconds": 250.0,
            "published": 0,
            "outcome": "retry",
            "reason": "GitOperationFailed",
            "error": "the remote does not answer",
        },
    )


def test_a_stage_has_only_the_ports_that_pipeline_json_gives_it(runtime, as_stage):
    as_stage("tick", lambda deps: deps.secrets.names())
    outcome = runtime.run_tick()
    assert (outcome.reason, outcome.error) == (
        "AccessDenied",
        "stage tick may not use port secrets: pipeline.json does not list it",
    )


def test_tick_publishes_in_a_trace_of_its_own(runtime, as_stage):
    as_stage("tick", lambda deps: [Outgoing(message=MESSAGE)])
    assert runtime.run_tick().published == 1
    assert len(taken(runtime, "fetch").trace) == 32


@pytest.mark.parametrize(
    ("stage", "body", "told"),
    [
        ("fetch", None, "given up on source-changed prod/GitRepository/flux-system/web: Timeout: late"),
        ("fetch", b"not json", "given up on a message that cannot be read: Timeout: late"),
        ("notify", None, ""),
    ],
)
def test_dead_letters_are_announced(runtime, stage, body, told):
    from penstock.core.messages import encode

    letter = DeadLetter(receipt="1", stage=stage, body=body or encode(envelope()), error="Timeout: late")
    for _ in range(2):
        announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))
    assert len(runtime.port("telemetry").named("dead letter")) == 2
    first, second = taken(runtime, "notify"), taken(runtime, "notify")
    if not told:
        assert first is None
    else:
        assert (first.message.kind, first.message.name, first.message.reason) == ("Stage", stage, "DeadLetter")
        assert first.message.message == told
        assert first.message.id == second.message.id


# Traces


def test_a_run_is_a_step_below_the_one_that_sent_its_message_and_what_it_sends_goes_back_to_it(runtime, as_stage):
    def run(message, deps):
        with deps.telemetry.span("checkout"):
            pass
        return [Outgoing(message=ArtifactStored(cluster="prod", namespace="a", name="b")) for _ in range(3)]

    as_stage("fetch", run)
    sent = envelope()
    runtime.run_message("fetch", sent)
    process, checkout, send = runtime.port("telemetry").steps
    assert (process.name, process.parent) == ("process", sent.traceparent)
    assert (process.fields["topic"], process.fields["message_id"], process.fields["outcome"]) == (
        "source-changed",
        "id-1",
        "done",
    )
    assert (checkout.name, checkout.parent) == ("checkout", process.traceparent)
    assert (send.name, send.parent, send.fields["messages"]) == ("send", process.traceparent, 3)
    assert taken(runtime, "reconcile").traceparent == send.traceparent


def test_a_message_says_when_it_could_be_taken_and_where_its_trace_began(runtime, as_stage):
    as_stage("tick", lambda deps: [Outgoing(message=MESSAGE, delay=30)])
    runtime.run_tick()
    runtime.port("clock").advance(35)
    found = taken(runtime, "fetch")
    assert (found.time, found.origin, found.began) == (
        "2026-01-01T00:00:30.000Z",
        "tick",
        "2026-01-01T00:00:00.000Z",
    )
    as_stage("fetch", lambda message, deps: [Outgoing(message=MESSAGE)])
    runtime.run_message("fetch", found)
    assert runtime.port("telemetry").named("stage finished")[-1]["age"] == 5.0
    again = taken(runtime, "fetch")
    assert (again.origin, again.began) == ("tick", "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize(("origin", "pushed"), [("webhook", True), ("tick", False), ("", False)])
def test_a_stage_learns_when_the_push_came_in(runtime, as_stage, origin, pushed):
    seen = []
    as_stage("fetch", lambda message, deps: seen.append(deps.pushed) or [])
    began = "2026-01-01T00:00:00.000Z"
    message = Envelope(message=MESSAGE, id="1", traceparent="", origin=origin, began=began)
    runtime.run_message("fetch", message)
    assert [each and each.isoformat() for each in seen] == ["2026-01-01T00:00:00+00:00" if pushed else None]


@pytest.mark.parametrize("time", ["", "nonsense", "2026-01-01T00:00:00", "2030-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_is_no_age(runtime, as_stage, time):
    as_stage("fetch", lambda message, deps: [])
    assert runtime.run_message("fetch", Envelope(message=MESSAGE, id="1", traceparent="", time=time)).kind == "done"
    assert runtime.port("telemetry").named("stage finished")[0].get("age") in (None, 0.0)


def test_a_tick_that_found_nothing_is_marked_as_no_news(runtime, as_stage):
    as_stage("tick", lambda deps: [])
    runtime.run_tick()
    (step,) = runtime.port("telemetry").steps
    assert step.fields["idle"] is True


def test_merged_wake_ups_are_linked(runtime, as_stage):
    as_stage("fetch", lambda message, deps: [])
    other = f"00-{'ef' * 16}-{'9' * 16}-01"
    runtime.run_message("fetch", Envelope(message=MESSAGE, id="1", traceparent="", links=(other,)))
    assert runtime.port("telemetry").steps[0].links == (other,)


def test_a_dead_letter_is_told_in_the_trace_of_its_message(runtime):
    from penstock.core.messages import encode

    letter = DeadLetter(receipt="1", stage="fetch", body=encode(envelope()), error="Timeout: late")
    announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))
    (step,) = runtime.port("telemetry").steps
    assert (step.name, step.parent) == ("send", envelope().traceparent)
    assert taken(runtime, "notify").trace == TRACE
    assert runtime.port("telemetry").named("dead letter")[0]["trace"] == TRACE


def test_requests_to_api_servers_are_counted_for_the_run_alone(runtime, as_stage):
    from penstock.adapters.cluster.counting import one_request
    from penstock.stages.reconcile.parallel import parallel

    def run(message, deps):
        parallel(range(20), lambda _: one_request())
        return []

    one_request()
    as_stage("reconcile", run)
    due = ReconcileDue(cluster="prod", namespace="a", name="b")
    runtime.run_message("reconcile", envelope(due))
    runtime.run_message("reconcile", envelope(due))
    assert [told["requests"] for told in runtime.port("telemetry").named("stage finished")] == [20, 20]
