"""OtelTelemetry: steps become spans; records become events of the span around them, and measurements."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)

from penstock.adapters.telemetry.otel import instruments, semantics
from penstock.adapters.telemetry.otel.instruments import CATALOGUE, Instrument
from penstock.adapters.telemetry.otel.measuring import COUNTED_BY, Labels, measure
from penstock.adapters.telemetry.redaction import error_kind, redact
from penstock.ports.telemetry import Field

Reading = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]
"""Values of a gauge at this moment, each with its labels."""

MOST_EVENTS = 64
"""Records that one span tells as events; a run that applies a thousand objects says so in the log and in metrics."""

_UNTOLD = frozenset({"stage finished"})
_KEY = otel_context.create_key("penstock-step")


class _Step:
    """A span that is being made, as the port knows it."""

    def __init__(self, span: trace.Span, name: str, system: str) -> None:
        self.span, self._name, self._system = span, name, system
        self._events = 0

    @property
    def traceparent(self) -> str:
        found = self.span.get_span_context()
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"

    def note(self, **fields: Field) -> None:
        told = redact(fields)
        if told.get("idle"):
            self.span.set_attribute("penstock.idle", True)
        self.span.set_attributes(semantics.attributes(self._name, told, system=self._system))
        if semantics.failed(self._name, told):
            self.span.set_status(Status(StatusCode.ERROR, str(told.get("error") or "")))

    def tell(self, name: str, fields: Mapping[str, Field]) -> None:
        """A record, as an event."""
        self._events += 1
        if self._events <= MOST_EVENTS:
            self.span.add_event(name, semantics.attributes("", fields, system=self._system))


class OtelTelemetry:
    """``tracer``, ``meter``: of the SDK. ``system``: messaging.system of the plane's bus."""

    def __init__(self, tracer: Tracer, meter: Meter, *, system: str) -> None:
        self._tracer, self._meter, self._system = tracer, meter, system
        self._counters = {each.name: self._counter(each) for each in CATALOGUE if each.kind == "counter"}
        self._histograms = {each.name: self._histogram(each) for each in CATALOGUE if each.kind == "histogram"}

    def _counter(self, made: Instrument) -> Callable[[float, Labels], None]:
        return self._meter.create_counter(made.name, unit=made.unit, description=made.description).add

    def _histogram(self, made: Instrument) -> Callable[[float, Labels], None]:
        return self._meter.create_histogram(
            made.name,
            unit=made.unit,
            description=made.description,
            explicit_bucket_boundaries_advisory=list(made.buckets),
        ).record

    def gauge(self, made: Instrument, read: Reading) -> None:
        """``read`` gives the values whenever somebody collects. Where it fails, there are none this time."""

        def observe(_options: CallbackOptions) -> list[Observation]:
            return [Observation(value, labels) for value, labels in read()]

        self._meter.create_observable_gauge(made.name, [observe], unit=made.unit, description=made.description)

    def begin(self, stages: Sequence[str], queues: Sequence[str]) -> None:
        """Counters at 0 for what this process runs: an alert on a rise sees the first one, too.

        ``queues``: stages of whose dead letters this process tells.
        """
        for queue in queues:
            self._measured(instruments.DEAD_LETTERS, 0, {"stage": queue})
        for stage in stages:
            self._measured(instruments.COLD_STARTS, 0, {"stage": stage})
            for instrument, labels in COUNTED_BY.get(stage, ()):
                self._measured(instrument, 0, labels)

    def record(self, name: str, /, **fields: Field) -> None:
        """Measure it, and tell it in the step around it."""
        told = redact(fields)
        measure(name, told, self._measured)
        step = otel_context.get_value(_KEY)
        if isinstance(step, _Step) and name not in _UNTOLD:
            step.tell(name, told)

    def _measured(self, instrument: Instrument, value: float, labels: Labels) -> None:
        known = self._counters if instrument.kind == "counter" else self._histograms
        known[instrument.name](value, labels)

    @contextmanager
    def span(self, name: str, /, *, parent: str = "", links: Sequence[str] = (), **fields: Field) -> Iterator[_Step]:
        """See ports.telemetry."""
        told = redact(fields)
        span = self._tracer.start_span(
            semantics.title(name, told),
            context=_around(parent),
            kind=SpanKind[semantics.KINDS.get(name, "INTERNAL")],
            attributes=semantics.attributes(name, told, system=self._system),
            links=[Link(found) for found in map(_remote, links) if found is not None],
        )
        step = _Step(span, name, self._system)
        here = otel_context.set_value(_KEY, step, trace.set_span_in_context(span))
        token = otel_context.attach(here)
        try:
            yield step
        except BaseException as error:
            span.set_attribute("error.type", error_kind(error))
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            otel_context.detach(token)
            span.end()


def _around(parent: str) -> Context:
    """This thread's step where it is of the parent's trace, else the parent: another process's, or another thread's."""
    here = otel_context.get_current()
    found = _remote(parent)
    if found is None or trace.get_current_span(here).get_span_context().trace_id == found.trace_id:
        return here
    return trace.set_span_in_context(NonRecordingSpan(found), here)


def _remote(traceparent: str) -> SpanContext | None:
    """The span that a W3C traceparent names; None where it names none."""
    parts = traceparent.split("-")
    try:
        _, trace_id, span_id, flags = (int(part, 16) for part in parts)
    except ValueError:
        return None
    found = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return found if found.is_valid and [len(part) for part in parts] == [2, 32, 16, 2] else None
