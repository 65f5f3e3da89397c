"""What a process tells, and to whom: its log, in its platform's words, and OpenTelemetry where that is asked for."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from penstock.adapters.telemetry.collector import CollectorSettings
from penstock.adapters.telemetry.fanout import FanOutTelemetry
from penstock.adapters.telemetry.jsonlines import LAMBDA, PLAIN, JsonLinesTelemetry, Words
from penstock.core.errors import PenstockError, Terminal
from penstock.ports.clock import Clock
from penstock.ports.secrets import Secrets
from penstock.ports.telemetry import Telemetry
from penstock.wiring.settings import Settings

if TYPE_CHECKING:
    from penstock.adapters.telemetry.otel.pipeline import Pipeline

INSTALL = "pip install 'penstock[otel]'"
HEADERS = "headers"
"""Entry of the Secret with the collector's credentials: ``name=value`` pairs, as OTEL_EXPORTER_OTLP_HEADERS."""


def log_of(settings: Settings, clock: Clock) -> Telemetry:
    """JSON lines on standard output."""
    return JsonLinesTelemetry(sys.stdout, clock, words_of(settings))


def words_of(settings: Settings) -> Words:
    """How the platform that collects the lines calls what it reads of them."""
    if settings.google is not None:
        return Words(project=settings.google.project)
    return LAMBDA if settings.aws is not None else PLAIN


class Observed(FanOutTelemetry):
    """The log and OpenTelemetry. ``pipeline``: for whoever adds gauges."""

    def __init__(self, log: Telemetry, pipeline: "Pipeline") -> None:
        super().__init__([log, pipeline.telemetry])
        self.pipeline = pipeline

    def begin(self, stages: Sequence[str], queues: Sequence[str]) -> None:
        """See OtelTelemetry."""
        self.pipeline.telemetry.begin(stages, queues)

    def flush(self) -> None:
        """At the end of a run, see Pipeline."""
        self.pipeline.flush()

    def close(self) -> None:
        """At the end of the process, see Pipeline."""
        self.pipeline.close()


def telemetry_of(
    settings: Settings,
    log: Telemetry,
    secrets: Callable[[], Secrets],
    *,
    short_lived: bool,
    scraped: bool = False,
) -> Telemetry:
    """The log alone, or with what else is to be told. ``scraped``: metrics are read from this process (metrics.py).

    Raises Terminal where the extra is not installed.
    """
    if settings.collector is None and not scraped:
        return log
    try:
        from penstock.adapters.telemetry.otel.pipeline import About, Pipeline  # noqa: PLC0415 - only where asked for
        from penstock.adapters.telemetry.otel.semantics import SYSTEMS  # noqa: PLC0415 - see above

        made = None
        if scraped:
            from penstock.adapters.telemetry.otel.scrape import Scraped  # noqa: PLC0415 - see above

            made = Scraped()
    except ModuleNotFoundError as error:
        raise Terminal(f"OpenTelemetry is asked for and not installed ({error.name}): {INSTALL}") from error
    about = About(
        short_lived=short_lived, system=SYSTEMS.get(settings.backend, "penstock"), resource=_resource(settings)
    )
    collector = settings.collector or CollectorSettings()
    headers = StoredHeaders(collector.secret, secrets, log) if collector.secret else None
    return Observed(log, Pipeline(collector, about, log, scraped=made, headers=headers))


class StoredHeaders:
    """The collector's headers as the plane's Secret holds them now: see otel.exporters.Headers.

    They are read at the process's start and at each export: stores answer that from their cache for a minute. Where
    they cannot be read the log says so, once for each reason, and the last ones that could be read are sent: telemetry
    fails no run.
    """

    def __init__(self, name: str, secrets: Callable[[], Secrets], log: Telemetry) -> None:
        self._name, self._secrets, self._log = name, secrets, log
        self._last, self._said = "", ""

    def __call__(self, *, newest: bool = False) -> str:
        """``newest``: a collector refuses those that are known."""
        try:
            found = self._secrets().get(self._name, newest=newest) or {}
            text, error = found.get(HEADERS, b"").decode().strip(), ""
        except (PenstockError, UnicodeDecodeError) as caught:
            text, error = "", str(caught) if isinstance(caught, PenstockError) else "it is no text"
        if text:
            self._last, self._said = text, ""
            return text
        problem = error or f"secret {self._name} of the plane has no entry {HEADERS}"
        if problem != self._said:
            self._said = problem
            self._log.record("telemetry not exported", outcome="failed", error=problem)
        return self._last


def _resource(settings: Settings) -> dict[str, str]:
    """Where this process runs, by OpenTelemetry's semantic conventions."""
    found = {"faas.name": settings.function} if settings.function else {}
    if settings.google is not None:
        found |= {
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_run",
            "cloud.account.id": settings.google.project,
            "cloud.region": settings.google.region,
        }
    if settings.aws is not None:
        found |= {
            "cloud.provider": "aws",
            "cloud.platform": "aws_lambda",
            "cloud.account.id": settings.aws.account,
            "cloud.region": settings.aws.region,
        }
    return found
