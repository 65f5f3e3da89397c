"""Keeps records and steps in memory, for tests and for whoever follows a run from inside the process."""

import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from penstock.adapters.telemetry.redaction import error_kind, redact
from penstock.core.messages import trace_of
from penstock.ports.telemetry import Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One record."""

    name: str
    fields: dict[str, Field]


@dataclass(kw_only=True, slots=True)
class Step:
    """One step. ``parent``: the traceparent of the one around it, "" for a trace's first; ``error``: its kind."""

    name: str
    traceparent: str
    parent: str
    links: tuple[str, ...] = ()
    fields: dict[str, Field] = field(default_factory=dict)
    error: str = ""
    ended: bool = False

    def note(self, **fields: Field) -> None:
        """See ports.telemetry."""
        self.fields |= redact(fields)


class MemoryTelemetry:
    """``facts`` and ``steps``: the newest ``most`` of each, oldest first."""

    def __init__(self, *, most: int = 100_000) -> None:
        self._facts: deque[Fact] = deque(maxlen=most)
        self._steps: deque[Step] = deque(maxlen=most)
        self._lock = threading.Lock()
        self._current: ContextVar[str] = ContextVar("step", default="")

    def record(self, name: str, /, **fields: Field) -> None:
        """Keep it."""
        with self._lock:
            self._facts.append(Fact(name=name, fields=redact(fields)))

    @contextmanager
    def span(self, name: str, /, *, parent: str = "", links: Sequence[str] = (), **fields: Field) -> Iterator[Step]:
        """Keep it, from its begin on."""
        around = self._current.get()
        if parent and trace_of(around) != trace_of(parent):
            around = parent
        trace = trace_of(around) or uuid.uuid4().hex
        made = Step(
            name=name,
            traceparent=f"00-{trace}-{uuid.uuid4().hex[:16]}-01",
            parent=around,
            links=tuple(links),
            fields=redact(fields),
        )
        with self._lock:
            self._steps.append(made)
        token = self._current.set(made.traceparent)
        try:
            yield made
        except BaseException as error:
            made.error = error_kind(error)
            raise
        finally:
            made.ended = True
            self._current.reset(token)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The records that are kept."""
        with self._lock:
            return tuple(self._facts)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are kept."""
        with self._lock:
            return tuple(self._steps)

    def named(self, name: str) -> tuple[dict[str, Field], ...]:
        """The fields of the records of one name."""
        return tuple(fact.fields for fact in self.facts if fact.name == name)
