"""What a plane tells of its own runs: fields for telemetry, Events for failures and dead letters."""

import hashlib

from penstock.core.errors import Terminal
from penstock.core.messages import Envelope, Event, Message, Outgoing, decode
from penstock.ports.bus import Bus, DeadLetter
from penstock.ports.clock import Clock
from penstock.ports.telemetry import Telemetry
from penstock.wiring.outcome import Outcome
from penstock.wiring.sending import Sender

EVENT_API = "penstock.dev/v1alpha1"
MOST_SAID = 20_000
"""Characters of a report: a message as large as the bus takes is reported all the same."""


def subject(message: Message | None) -> dict[str, str]:
    """What a message is about, as telemetry fields."""
    if message is None:
        return {}
    about = {
        "topic": message.topic,
        "cluster": message.cluster,
        "kind": message.kind,
        "namespace": message.namespace,
        "name": message.name,
    }
    if message.kind == "Kustomization":
        about["kustomization"] = f"{message.namespace}/{message.name}"
    if isinstance(message, Event) and message.metadata.get("revision"):
        about["revision"] = message.metadata["revision"]
    return about


def failure_event(envelope: Envelope, outcome: Outcome, clock: Clock) -> Event:
    """The report of a message that was given up because only a change helps. Equal for a second delivery."""
    message = envelope.message
    return Event(
        id=_event_id("failed", envelope.id, outcome.error),
        cluster=message.cluster,
        api_version=EVENT_API,
        kind=message.kind,
        namespace=message.namespace,
        name=message.name,
        severity="error",
        reason=outcome.reason,
        message=outcome.error[:MOST_SAID],
        timestamp=_timestamp(clock),
    )


def announce(letter: DeadLetter, bus: Bus, clock: Clock, telemetry: Telemetry) -> None:
    """Tell of a dead letter: an Event of kind Stage, and a record. Its id is the letter's: notify sends it once.

    A dead letter of ``notify`` itself is only recorded, or one alert would beget the next. Raises Transient.
    """
    try:
        envelope = decode(letter.body)
    except Terminal:
        envelope = None
    message = envelope.message if envelope else None
    about = f"{message.topic} {message.key}" if message else "a message that cannot be read"
    parent = envelope.traceparent if envelope else ""
    told = {"trace": envelope.trace} if envelope and envelope.trace else {}
    telemetry.record("dead letter", stage=letter.stage, outcome="dead", error=letter.error, **subject(message), **told)
    if letter.stage == "notify":
        return
    event = Event(
        id=_event_id("dead", letter.stage, envelope.id if envelope else hashlib.sha256(letter.body).hexdigest()),
        cluster=message.cluster if message else "",
        api_version=EVENT_API,
        kind="Stage",
        namespace="",
        name=letter.stage,
        severity="error",
        reason="DeadLetter",
        message=f"given up on {about[:MOST_SAID]}: {letter.error[:MOST_SAID]}",
        timestamp=_timestamp(clock),
    )
    Sender(bus=bus, clock=clock, telemetry=telemetry, parent=parent).send([Outgoing(message=event)])


def _event_id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _timestamp(clock: Clock) -> str:
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
