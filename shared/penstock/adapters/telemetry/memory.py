"""Keeps records in memory, for tests and for whoever follows a run from inside the process."""

import threading
from collections import deque
from dataclasses import dataclass

from penstock.adapters.telemetry.redaction import Field, redact


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One record."""

    name: str
    fields: dict[str, Field]


class MemoryTelemetry:
    """``facts``: the newest ``most`` records, oldest first."""

    def __init__(self, *, most: int = 100_000) -> None:
        self._facts: deque[Fact] = deque(maxlen=most)
        self._lock = threading.Lock()

    def record(self, name: str, /, **fields: Field) -> None:
        """Keep it."""
        with self._lock:
            self._facts.append(Fact(name=name, fields=redact(fields)))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is kept."""
        with self._lock:
            return tuple(self._facts)

    def named(self, name: str) -> tuple[dict[str, Field], ...]:
        """The fields of the records of one name."""
        return tuple(fact.fields for fact in self.facts if fact.name == name)
