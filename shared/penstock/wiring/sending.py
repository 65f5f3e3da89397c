"""Puts messages on the bus: each with an id of its own, in one trace, with where that trace began."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.core.messages import Envelope, Outgoing, trace_of
from penstock.ports.bus import Bus, Dispatch
from penstock.ports.clock import Clock
from penstock.ports.telemetry import Telemetry


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """``parent``: the traceparent of what causes the messages, "" for nothing; ``trace``: theirs, where nobody traces.

    ``origin``, ``began``: see Envelope.
    """

    bus: Bus
    clock: Clock
    telemetry: Telemetry
    parent: str = ""
    trace: str = ""
    origin: str = ""
    began: str = ""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Raises Transient from the bus.

        One step for all of them, and it is what each goes back to: a fan-out to a thousand clusters is one span.
        """
        topics = sorted({out.message.topic for out in messages})
        topic = topics[0] if len(topics) == 1 else ""
        with self.telemetry.span("send", parent=self.parent, topic=topic, messages=len(messages)) as span:
            trace = trace_of(span.traceparent) or self.trace or trace_of(self.parent) or self.clock.new_id()
            self.bus.publish([self._dispatch(out, span.traceparent, trace) for out in messages])

    def _dispatch(self, out: Outgoing, traceparent: str, trace: str) -> Dispatch:
        envelope = Envelope(
            message=out.message,
            id=self.clock.new_id(),
            traceparent=traceparent or f"00-{trace}-{self.clock.new_id()[:16]}-01",
            time=rfc3339(self.clock.now() + timedelta(seconds=out.delay)),
            origin=self.origin,
            began=self.began,
        )
        return Dispatch(envelope=envelope, delay=out.delay)


def rfc3339(moment: datetime) -> str:
    """A UTC time as text, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime | None:
    """The time that ``rfc3339`` wrote; None for anything else (another release sent it, or nobody said)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
