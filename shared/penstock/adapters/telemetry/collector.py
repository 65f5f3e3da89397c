"""Where spans and metrics go: the operator's OpenTelemetry collector, as the standard variables name it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorSettings:
    """``traces``, ``metrics``: URLs of OTLP over HTTP (protobuf); "" exports none of that signal.

    ``trace_headers``, ``metric_headers``: ``name=value`` pairs separated by commas, as OTEL_EXPORTER_OTLP_HEADERS;
    they hold credentials. ``temporality``: cumulative | delta | lowmemory, "" where the operator did not say.
    ``timeout``: seconds for one export; ``interval``: seconds between two of metrics (not in functions).
    ``secret``: the plane's Secret that holds the headers which were not given; "" where there is none.
    """

    traces: str = ""
    metrics: str = ""
    trace_headers: str = field(default="", repr=False)
    metric_headers: str = field(default="", repr=False)
    temporality: str = ""
    timeout: float = 10.0
    interval: float = 60.0
    secret: str = ""
