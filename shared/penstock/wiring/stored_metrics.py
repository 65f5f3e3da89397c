"""Gauges that are read from the store when somebody scrapes: what there is and how it stands, and the queues."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.core.errors import PenstockError
from penstock.core.messages import PLANE
from penstock.core.records import Condition, KustomizationStatus, ObjectRecord, SourceStatus, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.ports.bus import Queue
from penstock.ports.clock import Clock
from penstock.ports.state import State
from penstock.stages.api.status import is_suspended, suspended_in_source

if TYPE_CHECKING:
    from penstock.adapters.telemetry.otel.telemetry import OtelTelemetry

FRESH_SECONDS = 10.0
"""What was read is good for so long: several scrapers together read the store once."""
MOST_DEAD_LETTERS = 1_000
KUSTOMIZATION = "Kustomization"
KINDS = (*FETCHED, KUSTOMIZATION)

Value = tuple[float, Mapping[str, str]]


class StoredMetrics:
    """Reads a plane's records and queues. What cannot be read is left out of that scrape."""

    def __init__(self, state: State, queue: Queue, clock: Clock) -> None:
        self._state, self._queue, self._clock = state, queue, clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._resources: list[Value] = []

    def add_to(self, telemetry: "OtelTelemetry") -> None:
        """Make the gauges."""
        from penstock.adapters.telemetry.otel import instruments  # noqa: PLC0415 - only where asked for

        telemetry.gauge(instruments.RESOURCE_INFO, self.resources)
        telemetry.gauge(instruments.QUEUE_DEPTH, self.depth)
        telemetry.gauge(instruments.WAITING_DEAD, self.dead_letters)

    def resources(self) -> list[Value]:
        """``gotk_resource_info``: 1 for each source and Kustomization."""
        with self._lock:
            if self._clock.monotonic() - self._read_at >= FRESH_SECONDS:
                self._read_at = self._clock.monotonic()
                self._resources = self._read()
            return self._resources

    def _read(self) -> list[Value]:
        try:
            return [(1.0, labels) for labels in self._labels()]
        except PenstockError:
            return []

    def depth(self) -> list[Value]:
        """``penstock.queue.messages``."""
        try:
            return [(float(number), {"stage": stage}) for stage, number in self._queue.depth().items()]
        except PenstockError:
            return []

    def dead_letters(self) -> list[Value]:
        """``penstock.dead_letters.waiting``: at most MOST_DEAD_LETTERS are counted."""
        try:
            found = Counter(letter.stage for letter in self._queue.dead_letters(limit=MOST_DEAD_LETTERS))
            return [(float(found[stage]), {"stage": stage}) for stage in self._queue.depth()]
        except PenstockError:
            return []

    def _labels(self) -> Iterator[Mapping[str, str]]:
        held = {record.key: record.value for record in self._state.list("status/")}
        for record in self._state.list("object/"):
            _, cluster, kind, namespace, name = record.key.split("/")
            known = ObjectRecord.from_value(record.value)
            alias = known.implicit and kind in FETCHED and cluster != PLANE
            if kind not in KINDS or known.tombstone or alias:
                continue
            group, _, version = str(known.document.get("apiVersion", "")).partition("/")
            yield {
                "customresource_group": group,
                "customresource_kind": kind,
                "customresource_version": version,
                "exported_namespace": namespace,
                "name": name,
                "cluster": cluster,
                **self._standing(kind, known, held.get(status_key(cluster, kind, namespace, name))),
            }

    def _standing(self, kind: str, known: ObjectRecord, value: Mapping[str, object] | None) -> dict[str, str]:
        if kind != KUSTOMIZATION:
            source = SourceStatus.from_value(value) if value else SourceStatus()
            return {
                "ready": _ready(source.conditions),
                "suspended": _flag(suspended_in_source(known)),
                "revision": source.revision,
            }
        status = KustomizationStatus.from_value(value) if value else KustomizationStatus()
        spec = known.document.get("spec") or {}
        return {
            "ready": _ready(status.conditions),
            "suspended": _flag(is_suspended(known, status.suspension, self._clock.now())),
            "revision": status.last_applied_revision,
            "source_name": str((spec.get("sourceRef") or {}).get("name", "")),
        }


def _ready(conditions: Sequence[Condition]) -> str:
    return next((each.status for each in conditions if each.type == "Ready"), "Unknown")


def _flag(value: bool) -> str:
    return str(value).lower()
