"""The metrics of a plane, as data. Flux's and controller-runtime's names where they measure the same.

Labels are few and bounded: stages, clusters, kinds. Where one stands for an object (``name``), the SDK stops at 2,000
sets of labels a metric and counts the rest under ``otel.metric.overflow``.
"""

from dataclasses import dataclass

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
LONG_SECONDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0)
ATTEMPTS = (1.0, 2.0, 3.0, 4.0, 5.0, 8.0)
REQUESTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""As the semantic conventions want it."""

MOST_RESOURCES = 20_000
"""Sets of labels of a gauge: sources and Kustomizations of a plane. Other metrics stop at the SDK's 2,000."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """``kind``: counter | histogram | gauge; ``unit``: UCUM; ``buckets``: upper bounds, of a histogram.

    ``served_only``: read at a scrape from the store of `penstock serve`; functions have nobody who could read it.
    """

    name: str
    kind: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    served_only: bool = False

    @property
    def prometheus(self) -> str:
        """What it is called in Prometheus, by OpenTelemetry's rules of translation."""
        name = self.name.replace(".", "_")
        if self.unit == "s" and not name.endswith("_seconds"):
            name += "_seconds"
        if self.kind == "counter" and not name.endswith("_total"):
            name += "_total"
        return name


def _seconds(name: str, description: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Instrument:
    return Instrument(name=name, kind="histogram", unit="s", description=description, labels=labels, buckets=buckets)


def _count(name: str, unit: str, description: str, *labels: str) -> Instrument:
    return Instrument(name=name, kind="counter", unit=unit, description=description, labels=labels)


RECONCILE_DURATION = _seconds(
    "gotk_reconcile_duration_seconds", "One reconcile of an object.", "kind", "name", "namespace", "cluster"
)
CONTROLLER_RECONCILES = _count(
    "controller_runtime_reconcile_total", "{reconcile}", "Reconciles, by kind of object.", "controller", "result"
)
CONTROLLER_ERRORS = _count(
    "controller_runtime_reconcile_errors_total", "{reconcile}", "Reconciles that ended in an error.", "controller"
)
CONTROLLER_SECONDS = _seconds("controller_runtime_reconcile_time_seconds", "One reconcile, by kind.", "controller")
STAGE_DURATION = _seconds("penstock.stage.duration", "One run of a stage.", "stage", "outcome")
QUEUE_AGE = _seconds(
    "penstock.queue.age", "How long a message could have been taken before it was.", "stage", buckets=LONG_SECONDS
)
ATTEMPT = Instrument(
    name="penstock.message.attempts",
    kind="histogram",
    unit="{attempt}",
    description="Which delivery of its message a run was.",
    labels=("stage",),
    buckets=ATTEMPTS,
)
DEAD_LETTERS = _count("penstock.dead_letters", "{message}", "Messages given up after their last attempt.", "stage")
COLD_STARTS = _count("faas.coldstarts", "{coldstart}", "Runs that were their process's first.", "stage")
PUSH_TO_READY = _seconds(
    "penstock.push.ready.duration",
    "From a delivery until a Kustomization is ready at what it pushed.",
    "cluster",
    buckets=LONG_SECONDS,
)
API_REQUESTS = Instrument(
    name="penstock.run.api_requests",
    kind="histogram",
    unit="{request}",
    description="Requests that one run sent to API servers.",
    labels=("stage",),
    buckets=REQUESTS,
)
OBJECTS = _count("penstock.objects", "{object}", "Objects applied, pruned, or found drifted.", "cluster", "action")
NOTIFICATIONS = _count("penstock.notifications", "{notification}", "Alerts told to their Providers.", "outcome")
DELIVERIES = _count("penstock.webhook.deliveries", "{delivery}", "Deliveries at Receivers.", "outcome")
HTTP_DURATION = _seconds(
    "http.server.request.duration",
    "One HTTP request.",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    buckets=HTTP_SECONDS,
)
RESOURCE_INFO = Instrument(
    name="gotk_resource_info",
    kind="gauge",
    unit="",
    description="Each source and Kustomization, with its state.",
    labels=(
        "customresource_group", "customresource_kind", "customresource_version", "exported_namespace", "name", "ready",
        "suspended", "revision", "source_name", "cluster",
    ),
    served_only=True,
)  # fmt: skip
QUEUE_DEPTH = Instrument(
    name="penstock.queue.messages",
    kind="gauge",
    unit="{message}",
    description="Messages that wait or are being worked on.",
    labels=("stage",),
    served_only=True,
)
WAITING_DEAD = Instrument(
    name="penstock.dead_letters.waiting",
    kind="gauge",
    unit="{message}",
    description="Dead letters that somebody must look at.",
    labels=("stage",),
    served_only=True,
)

CATALOGUE = (
    RECONCILE_DURATION, RESOURCE_INFO, CONTROLLER_RECONCILES, CONTROLLER_ERRORS, CONTROLLER_SECONDS, STAGE_DURATION,
    QUEUE_AGE, QUEUE_DEPTH, ATTEMPT, DEAD_LETTERS, WAITING_DEAD, COLD_STARTS, PUSH_TO_READY, API_REQUESTS, OBJECTS,
    NOTIFICATIONS, DELIVERIES, HTTP_DURATION,
)  # fmt: skip
