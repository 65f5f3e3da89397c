"""Runs message stages: call, publish what came out, decide what becomes of the message, say so."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from penstock.adapters.cluster.counting import Count, counted
from penstock.core.errors import Terminal
from penstock.core.messages import PUSH, Envelope, Event, Outgoing, is_sampled, trace_of
from penstock.core.pipeline import Stage
from penstock.ports.bus import Bus
from penstock.ports.clock import Clock
from penstock.ports.deps import Deps
from penstock.ports.telemetry import Field, Scoped, Span
from penstock.wiring.outcome import Outcome, outcome_of
from penstock.wiring.reports import failure_event, subject
from penstock.wiring.sending import Sender, moment_of, rfc3339


def stage_module(name: str) -> Any:
    """``penstock.stages.<name>``, imported now."""
    return importlib.import_module(f"penstock.stages.{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What a run goes back to: the message, or nothing where it begins a trace (a request, the schedule).

    ``method``: of the request; ``links``: traceparents that have to do with it and are not trusted, or not the
    only ones.
    """

    envelope: Envelope | None = None
    method: str = ""
    links: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """The traceparent of the step that sent the message."""
        return self.envelope.traceparent if self.envelope else ""

    @property
    def fields(self) -> dict[str, str]:
        """What the message is about, or how the request was made."""
        if self.method:
            return {"method": self.method}
        return subject(self.envelope.message if self.envelope else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a stage that has begun. ``deps``: the stage's, whose telemetry says of what run it speaks."""

    stage: Stage
    deps: Deps
    sender: Sender
    span: Span
    count: Count

    def publish(self, messages: Sequence[Outgoing]) -> int:
        """How many went out. Raises Terminal for a topic that is not the stage's, Transient from the bus."""
        refused = sorted({out.message.topic for out in messages} - set(self.stage.publishes))
        if refused:
            topics = ", ".join(refused)
            raise Terminal(f"stage {self.stage.name} may not publish to {topics}: pipeline.json does not list it")
        if messages:
            self.sender.send(messages)
        return len(messages)

    def finished(self, fields: Mapping[str, Field]) -> None:
        """Say how it ended: once in the log, and on its step."""
        requests = {"requests": self.count.number} if self.count.number else {}
        self.deps.telemetry.record("stage finished", **fields, **requests)
        self.span.note(**fields, **requests)


@contextmanager
def begun(name: str, stage: Stage, deps: Deps, bus: Bus, cause: Cause) -> Iterator[Run]:
    """A run as a step called ``name`` (``process``, ``request``, ``tick``), from its first line to its last."""
    about: dict[str, Field] = {"stage": stage.name, **cause.fields}
    envelope = cause.envelope
    of_message: dict[str, Field] = {"message_id": envelope.id, "attempt": envelope.attempt} if envelope else {}
    step = deps.telemetry.span(name, parent=cause.parent, links=cause.links, **about, **of_message)
    with step as span, counted() as count:
        trace = trace_of(span.traceparent) or trace_of(cause.parent) or deps.clock.new_id()
        about["trace"] = trace
        if is_sampled(span.traceparent):
            about["span"] = span.traceparent.split("-")[2]
        scoped = Scoped(telemetry=deps.telemetry, parent=span.traceparent, fields=about)
        origin, began = (envelope.origin, envelope.began) if envelope else (stage.name, rfc3339(deps.clock.now()))
        sender = Sender(bus=bus, clock=deps.clock, telemetry=scoped, trace=trace, origin=origin, began=began)
        pushed = moment_of(began) if origin == PUSH else None
        attempt = envelope.attempt if envelope else 1
        deps = replace(deps, trace=trace, attempt=attempt, pushed=pushed, telemetry=scoped)
        yield Run(stage=stage, deps=deps, sender=sender, span=span, count=count)


def run_message(stage: Stage, envelope: Envelope, deps: Deps, bus: Bus) -> Outcome:
    """One delivery of a message to its stage. Never raises: every error is in the outcome."""
    cause = Cause(envelope=envelope, links=envelope.links)
    age = age_of(envelope, deps.clock)
    with begun("process", stage, deps, bus, cause) as run:
        outcome = _timed(lambda: stage_module(stage.name).run(envelope.message, run.deps), run, envelope.attempt, age)
        if outcome.kind == "failed" and "event" in stage.publishes:
            return _report(run, failure_event(envelope, outcome, deps.clock), outcome)
        return outcome


def run_tick(stage: Stage, deps: Deps, bus: Bus) -> Outcome:
    """One run of a scheduled stage: what it publishes first, then what no wake-up may wait for. Never raises."""
    with begun("tick", stage, deps, bus, Cause()) as run:
        outcome = _timed(lambda: stage_module(stage.name).run(run.deps), run, 1, None)
        return outcome if outcome.error else _tidied(run, outcome)


def _tidied(run: Run, outcome: Outcome) -> Outcome:
    """A scheduled stage's ``afterwards``, where it has one; that raises only for a bug."""
    afterwards = getattr(stage_module(run.stage.name), "afterwards", None)
    try:
        if afterwards is not None:
            afterwards(run.deps)
    except Exception as error:  # noqa: BLE001 - see _timed
        failed = outcome_of(error, attempt=1)
        fields: dict[str, Field] = {"outcome": failed.kind, "reason": failed.reason, "error": failed.error}
        run.deps.telemetry.record("work after the stage failed", **fields, where=failed.where)
        return failed
    return outcome


def age_of(envelope: Envelope, clock: Clock) -> float | None:
    """Seconds for which a message could have been taken; None where it does not say. Clocks differ: never below 0."""
    since = moment_of(envelope.time)
    return None if since is None else max(0.0, round((clock.now() - since).total_seconds(), 3))


def _timed(call: Callable[[], Sequence[Outgoing]], run: Run, attempt: int, age: float | None) -> Outcome:
    clock = run.deps.clock
    started = clock.monotonic()
    try:
        outcome = Outcome(kind="done", published=run.publish(call()))
    except Exception as error:  # noqa: BLE001 - the one place that maps every error to what becomes of the message
        outcome = outcome_of(error, attempt=attempt)
    fields: dict[str, Field] = {
        "attempt": attempt,
        "milliseconds": round((clock.monotonic() - started) * 1000, 1),
        "published": outcome.published,
        "outcome": outcome.kind,
    }
    if age is not None:
        fields["age"] = age
    if outcome.error:
        fields |= {"reason": outcome.reason, "error": outcome.error}
    if outcome.where:
        fields["where"] = outcome.where
    if run.stage.trigger == "topic" or outcome.published or outcome.error:
        run.finished(fields)
    else:  # a tick that found nothing is no news
        run.span.note(idle=True)
    return outcome


def _report(run: Run, event: Event, outcome: Outcome) -> Outcome:
    """The outcome, or where even the report cannot be published: again."""
    try:
        run.publish([Outgoing(message=event)])
    except Terminal:
        return outcome
    except Exception as error:  # noqa: BLE001 - see above
        return outcome_of(error, attempt=1)
    return outcome
