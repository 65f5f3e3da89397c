"""The metrics of this process in Prometheus' text format, for whoever scrapes it."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import ObservableGauge
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from penstock.adapters.telemetry.otel.instruments import MOST_RESOURCES


class Scraped(PrometheusMetricReader):
    """A reader with a registry of its own: OpenTelemetry's metrics, and the process's (processor time, memory)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        super().__init__(
            registry=self.registry, scope_info_enabled=False, cardinality_limits={ObservableGauge: MOST_RESOURCES}
        )

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Content type and text, in the format that the scraper's Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)
