"""Exporters whose headers may change while the process goes on: credentials of the collector that are rotated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

Exporter = TypeVar("Exporter", SpanExporter, MetricExporter)


class Headers(Protocol):
    """``name=value`` pairs, separated by commas, as OTEL_EXPORTER_OTLP_HEADERS writes them. Never raises."""

    def __call__(self, *, newest: bool = False) -> str:
        """What they are now. ``newest``: for a caller whom the collector refuses."""


class Current(Generic[Exporter]):
    """An exporter with the headers of now: made anew where they are others than before."""

    def __init__(self, make: Callable[[Mapping[str, str]], Exporter], headers: Headers) -> None:
        self._make: Callable[[Mapping[str, str]], Exporter] = make
        self._headers, self._text = headers, headers()
        self.exporter: Exporter = make(_pairs(self._text))

    def renew(self, *, newest: bool = False) -> bool:
        """Whether they were others."""
        text = self._headers(newest=newest)
        if text == self._text:
            return False
        before, self._text, self.exporter = self.exporter, text, self._make(_pairs(text))
        before.shutdown()
        return True


class Spans(SpanExporter):
    """Spans that were not taken are sent again where the headers have changed meanwhile."""

    def __init__(self, current: Current[SpanExporter]) -> None:
        self._current = current

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        self._current.renew()
        result = self._current.exporter.export(spans)
        if result is not SpanExportResult.SUCCESS and self._current.renew(newest=True):
            return self._current.exporter.export(spans)
        return result

    def shutdown(self) -> None:
        """See SpanExporter."""
        self._current.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See SpanExporter."""
        return self._current.exporter.force_flush(timeout_millis)


class Metrics(MetricExporter):
    """As Spans, for metrics. ``temporality``: of each kind of instrument."""

    def __init__(self, current: Current[MetricExporter], temporality: dict[type, AggregationTemporality]) -> None:
        super().__init__(preferred_temporality=temporality)
        self._current = current

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """See MetricExporter."""
        self._current.renew()
        result = self._current.exporter.export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS and self._current.renew(newest=True):
            return self._current.exporter.export(metrics_data, timeout_millis, **kwargs)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """See MetricExporter."""
        return self._current.exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """See MetricExporter."""
        self._current.exporter.shutdown(timeout_millis, **kwargs)


def _pairs(text: str) -> dict[str, str]:
    return dict(parse_env_headers(text, liberal=True))
