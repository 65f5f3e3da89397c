"""Runs message stages: call, publish what came out, decide what becomes of the message, say so."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.core.errors import Terminal
from penstock.core.messages import Envelope, Event, Message, Outgoing
from penstock.core.pipeline import Stage
from penstock.ports.bus import Bus, Dispatch
from penstock.ports.clock import Clock
from penstock.ports.deps import Deps
from penstock.wiring.outcome import Outcome, outcome_of
from penstock.wiring.reports import failure_event, subject


def stage_module(name: str) -> Any:
    """``penstock.stages.<name>``, imported now."""
    return importlib.import_module(f"penstock.stages.{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Publisher:
    """Puts a stage's messages on the bus: all of one trace, and only to topics that pipeline.json lists."""

    stage: Stage
    bus: Bus
    clock: Clock
    trace: str

    def publish(self, messages: Sequence[Outgoing]) -> int:
        """How many went out. Raises Terminal for a topic that is not the stage's, Transient from the bus."""
        refused = sorted({out.message.topic for out in messages} - set(self.stage.publishes))
        if refused:
            topics = ", ".join(refused)
            raise Terminal(f"stage {self.stage.name} may not publish to {topics}: pipeline.json does not list it")
        if messages:
            self.bus.publish([self._dispatch(out) for out in messages])
        return len(messages)

    def _dispatch(self, out: Outgoing) -> Dispatch:
        envelope = Envelope(
            message=out.message,
            id=self.clock.new_id(),
            traceparent=f"00-{self.trace}-{self.clock.new_id()[:16]}-01",
        )
        return Dispatch(envelope=envelope, delay=out.delay)


def run_message(stage: Stage, envelope: Envelope, deps: Deps, bus: Bus) -> Outcome:
    """One delivery of a message to its stage. Never raises: every error is in the outcome."""
    trace = envelope.trace or deps.clock.new_id()
    publisher = Publisher(stage=stage, bus=bus, clock=deps.clock, trace=trace)
    deps = replace(deps, trace=trace)
    outcome = _timed(
        lambda: stage_module(stage.name).run(envelope.message, deps),
        publisher,
        deps,
        envelope.message,
        envelope.attempt,
    )
    if outcome.kind == "failed" and "event" in stage.publishes:
        return _report(publisher, failure_event(envelope, outcome, deps.clock), outcome)
    return outcome


def run_tick(stage: Stage, deps: Deps, bus: Bus) -> Outcome:
    """One run of a scheduled stage. Never raises."""
    trace = deps.clock.new_id()
    publisher = Publisher(stage=stage, bus=bus, clock=deps.clock, trace=trace)
    deps = replace(deps, trace=trace)
    return _timed(lambda: stage_module(stage.name).run(deps), publisher, deps, None, 1)


def _timed(
    call: Callable[[], Sequence[Outgoing]], publisher: Publisher, deps: Deps, message: Message | None, attempt: int
) -> Outcome:
    started = deps.clock.monotonic()
    try:
        outcome = Outcome(kind="done", published=publisher.publish(call()))
    except Exception as error:  # noqa: BLE001 - the one place that maps every error to what becomes of the message
        outcome = outcome_of(error, attempt=attempt)
    fields: dict[str, str | float | None] = {
        "stage": publisher.stage.name,
        "trace": publisher.trace,
        **subject(message),
        "attempt": attempt,
        "milliseconds": round((deps.clock.monotonic() - started) * 1000, 1),
        "published": outcome.published,
        "outcome": outcome.kind,
    }
    if outcome.error:
        fields |= {"reason": outcome.reason, "error": outcome.error}
    if outcome.where:
        fields["where"] = outcome.where
    if message is not None or outcome.published or outcome.error:  # a tick that found nothing is no news
        deps.telemetry.record("stage finished", **fields)
    return outcome


def _report(publisher: Publisher, event: Event, outcome: Outcome) -> Outcome:
    """The outcome, or where even the report cannot be published: again."""
    try:
        publisher.publish([Outgoing(message=event)])
    except Terminal:
        return outcome
    except Exception as error:  # noqa: BLE001 - see above
        return outcome_of(error, attempt=1)
    return outcome
