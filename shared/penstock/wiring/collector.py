"""OpenTelemetry's standard variables -> CollectorSettings. Off unless an endpoint is named."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from penstock.adapters.telemetry.collector import CollectorSettings
from penstock.core.errors import Terminal
from penstock.core.messages import PLANE
from penstock.core.secrets.names import OWN, secret_name

SIGNALS = ("TRACES", "METRICS")
TEMPORALITIES = ("cumulative", "delta", "lowmemory")
PROTOCOL = "http/protobuf"
NAMESPACE = "penstock-system"
"""Of the Secret that holds the headers."""


def collector_from(environment: Mapping[str, str]) -> CollectorSettings | None:
    """None where nothing is to be exported. Raises Terminal naming the variable that cannot be followed."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    traces, metrics = (_endpoint(environment, signal) for signal in SIGNALS)
    if not traces and not metrics:
        return None
    temporality = environment.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    if temporality not in ("", *TEMPORALITIES):
        _refuse("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality, f"{', '.join(TEMPORALITIES)}")
    return CollectorSettings(
        traces=traces,
        metrics=metrics,
        trace_headers=_of_signal(environment, "TRACES", "HEADERS"),
        metric_headers=_of_signal(environment, "METRICS", "HEADERS"),
        temporality=temporality,
        timeout=_milliseconds(environment, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
        interval=_milliseconds(environment, "OTEL_METRIC_EXPORT_INTERVAL", 60_000),
        secret=_secret(environment, "PENSTOCK_OTLP_HEADERS_SECRET"),
    )


def _secret(environment: Mapping[str, str], variable: str) -> str:
    """The store's name of the plane's Secret that a variable names; "" where it names none."""
    name = environment.get(variable, "").strip()
    if not name:
        return ""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name):
        raise Terminal(f"environment variable {variable} is no name of a Secret in {NAMESPACE}")  # it may be the value
    return secret_name(OWN, PLANE, NAMESPACE, name)


def _of_signal(environment: Mapping[str, str], signal: str, name: str) -> str:
    """The signal's own variable, else the one for all."""
    both = (f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}")
    return next((environment[each].strip() for each in both if environment.get(each, "").strip()), "")


def _endpoint(environment: Mapping[str, str], signal: str) -> str:
    """The URL of a signal; "" where it is not exported."""
    chosen = environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() or "otlp"
    if chosen not in ("otlp", "none"):
        _refuse(f"OTEL_{signal}_EXPORTER", chosen, "otlp and none")
    own, base = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    variable = own if environment.get(own, "").strip() else base
    url = environment.get(variable, "").strip()
    if not url or chosen == "none":
        return ""
    protocol = _of_signal(environment, signal, "PROTOCOL") or PROTOCOL
    if protocol != PROTOCOL:
        _refuse("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, PROTOCOL)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Terminal(f"environment variable {variable} is not a URL of http or https")  # it may hold a password
    return url if variable == own else f"{url.rstrip('/')}/v1/{signal.lower()}"


def _milliseconds(environment: Mapping[str, str], variable: str, default: int) -> float:
    text = environment.get(variable, "").strip() or str(default)
    if not text.isdecimal() or not 0 < int(text) <= 3_600_000:
        _refuse(variable, text, "milliseconds, 1 to 3600000")
    return int(text) / 1000


def _refuse(variable: str, value: str, served: str) -> None:
    raise Terminal(f"environment variable {variable} is {value[:40]!r}; this release serves {served}")
