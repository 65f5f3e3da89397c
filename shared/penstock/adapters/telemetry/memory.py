"""Keeps records in a list, for tests and for whoever follows a run from inside the process."""

import threading
from dataclasses import dataclass

from penstock.adapters.telemetry.redaction import Field, redact


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One record."""

    name: str
    fields: dict[str, Field]


class MemoryTelemetry:
    """``facts``: all records so far, oldest first."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []
        self._lock = threading.Lock()

    # positional only: `name` is also a field, as in `record("stage finished", name="web")`
    def record(self, name: str = "", /, **fields: Field) -> None:
        """Keep it."""
        with self._lock:
            self._facts.append(Fact(name=name, fields=redact(fields)))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All records so far."""
        with self._lock:
            return tuple(self._facts)

    def named(self, name: str) -> tuple[dict[str, Field], ...]:
        """The fields of all records of one name."""
        return tuple(fact.fields for fact in self.facts if fact.name == name)
