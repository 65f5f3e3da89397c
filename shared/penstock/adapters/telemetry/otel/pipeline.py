"""Providers and exporters, made once a process, and flushing that never keeps work waiting for long.

In a function nothing runs between invocations (its processor time is taken away), so what a run told is sent at its
end: for at most FLUSH_SECONDS, and where the collector did not take it, not tried again for BREAK_SECONDS. In a process
that goes on, threads of the SDK send in the background.
"""

import logging
import math
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from penstock.adapters.telemetry.collector import CollectorSettings
from penstock.adapters.telemetry.libraries import text_of
from penstock.adapters.telemetry.otel.exporters import Current, Headers, Metrics, Spans
from penstock.adapters.telemetry.otel.instruments import MOST_RESOURCES
from penstock.adapters.telemetry.otel.telemetry import OtelTelemetry
from penstock.ports.telemetry import Telemetry
from penstock.version import __version__

if TYPE_CHECKING:
    from penstock.adapters.telemetry.otel.scrape import Scraped

FLUSH_SECONDS = 2.0
BREAK_SECONDS = 30.0
CLOSE_SECONDS = 3.0

_KINDS: tuple[type, ...] = (
    Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge,
)  # fmt: skip
_DELTAS: Mapping[str, tuple[type, ...]] = {
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
    "cumulative": (),
}
"""Kinds of instruments that each of the standard preferences sends as deltas."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What exports say of this process. ``short_lived``: a function; ``system``: messaging.system of its bus."""

    short_lived: bool
    system: str
    resource: Mapping[str, str] = field(default_factory=dict)


class Pipeline:
    """``telemetry``: what a plane hands its records and steps to. ``log``: where failures to export are told.

    ``scraped``: who else reads the metrics; ``headers``: of the signals for which the settings give none.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        about: About,
        log: Telemetry,
        *,
        scraped: "Scraped | None" = None,
        headers: Headers | None = None,
    ) -> None:
        headers = headers or _none
        self.scraped = scraped
        self._short_lived = about.short_lived
        resource = _resource(about)
        timeout = min(settings.timeout, FLUSH_SECONDS) if about.short_lived else settings.timeout
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        if settings.traces:
            self._tracers.add_span_processor(_processor(settings, timeout, about, headers))
        readers: list[MetricReader] = [scraped] if scraped else []
        if settings.metrics:
            readers.append(_reader(settings, timeout, about, headers))
        self._meters = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self.telemetry = OtelTelemetry(
            self._tracers.get_tracer("penstock", __version__),
            self._meters.get_meter("penstock", __version__),
            system=about.system,
        )
        _complain_to(log)
        self._bounded = Bounded(self._send)

    def flush(self) -> None:
        """In a function: send what is held, within FLUSH_SECONDS. Elsewhere the SDK's threads do it."""
        if self._short_lived:
            self._bounded()

    def close(self) -> None:
        """Send what is held, within CLOSE_SECONDS, and stop."""
        ending = threading.Thread(target=self._stop, name="otel-close", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)

    def _send(self) -> bool:
        before = _complaints.count
        self._tracers.force_flush()
        self._meters.force_flush()
        return _complaints.count == before

    def _stop(self) -> None:
        self._tracers.shutdown()
        self._meters.shutdown(timeout_millis=CLOSE_SECONDS * 1000)


class Bounded:
    """Calls ``send`` in a thread and waits for it no longer than FLUSH_SECONDS; after a failure, rests for a while.

    The SDK's own bounds do not hold: ``force_flush`` of its batch processor ignores its timeout.
    """

    def __init__(self, send: Any) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._rest_until = 0.0

    def __call__(self) -> None:
        """Returns in time, whatever the collector does.

        Where another run of this process is sending, what this one told may have come too late for it: sent after it.
        """
        end = time.monotonic() + FLUSH_SECONDS
        if time.monotonic() < self._rest_until:
            return
        before = self._thread
        if before is not None:
            before.join(max(0.0, end - time.monotonic()))
            if before.is_alive() or time.monotonic() < self._rest_until:
                return
        thread = self._started(before)
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            self._rest_until = time.monotonic() + BREAK_SECONDS

    def _started(self, before: threading.Thread | None) -> threading.Thread:
        """A thread that began to send after ``before`` had ended: a new one, or one that somebody else began."""
        with self._lock:
            if self._thread is None or self._thread is before or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="otel-flush", daemon=True)
                self._thread.start()
            return self._thread

    def _run(self) -> None:
        try:
            taken = self._send()
        except Exception:  # noqa: BLE001 - telemetry fails nothing
            taken = False
        self._rest_until = 0.0 if taken else time.monotonic() + BREAK_SECONDS


class _WithoutIdle(BatchSpanProcessor):
    """Leaves out what found nothing to do: a schedule that looks every second would be most of all traces."""

    def on_end(self, span: ReadableSpan) -> None:
        if not (span.attributes or {}).get("penstock.idle"):
            super().on_end(span)


class _Complaints(logging.Handler):
    """What the SDK logs, as records of the plane: a warning a minute, never what it was about to send."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.count = 0
        self.log: Telemetry | None = None
        self._next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        if self.log is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 60
        self.log.record("telemetry not exported", outcome="failed", error=text_of(record), where=record.name)


_complaints = _Complaints()


def _complain_to(log: Telemetry) -> None:
    _complaints.log = log
    logger = logging.getLogger("opentelemetry")
    if _complaints not in logger.handlers:
        logger.addHandler(_complaints)
        logger.propagate = False  # its lines are plain text


def _resource(about: About) -> Resource:
    """The operator's words (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) win over ours."""
    ours = {
        "service.name": "penstock",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
        **about.resource,
    }
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


def _processor(settings: CollectorSettings, timeout: float, about: About, headers: Headers) -> BatchSpanProcessor:
    def make(given: Mapping[str, str]) -> SpanExporter:
        return OTLPSpanExporter(endpoint=settings.traces, headers=given, timeout=timeout)

    exporter = Spans(Current(make, _fixed(settings.trace_headers) or headers))
    if about.short_lived:
        return _WithoutIdle(exporter, schedule_delay_millis=3_600_000)
    return _WithoutIdle(exporter)


def _reader(settings: CollectorSettings, timeout: float, about: About, headers: Headers) -> MetricReader:
    named = settings.temporality or ("delta" if about.short_lived else "cumulative")
    deltas = _DELTAS[named]
    temporality = {
        kind: AggregationTemporality.DELTA if kind in deltas else AggregationTemporality.CUMULATIVE for kind in _KINDS
    }

    def make(given: Mapping[str, str]) -> MetricExporter:
        return OTLPMetricExporter(
            endpoint=settings.metrics, headers=dict(given), timeout=timeout, preferred_temporality=temporality
        )

    exporter = Metrics(Current(make, _fixed(settings.metric_headers) or headers), temporality)
    interval = math.inf if about.short_lived else settings.interval * 1000
    return PeriodicExportingMetricReader(
        exporter, export_interval_millis=interval, cardinality_limits={ObservableGauge: MOST_RESOURCES}
    )


def _fixed(text: str) -> Headers | None:
    """Headers that an operator gave in the environment; None where there are none."""
    return (lambda *, newest=False: text) if text else None  # noqa: ARG005 - they never change


def _none(*, newest: bool = False) -> str:  # noqa: ARG001 - there never are any
    return ""
