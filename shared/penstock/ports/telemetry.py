"""What a run tells its operator: facts, and steps that take time. Never secrets, never manifests.

Steps make a tree: one push is one trace, from the delivery to the notification (W3C Trace Context). Metrics are derived
from records by adapters; no stage counts anything.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

Field = str | float | bool | None


class Span(Protocol):
    """A step that is being made."""

    @property
    def traceparent(self) -> str:
        """W3C ``00-<32 hex>-<16 hex>-<2 hex>``: what a message that this step sends carries; "" where nobody traces."""

    def note(self, **fields: Field) -> None:
        """What is known of the step only now. ``outcome`` failed, retry or dead marks it as failed."""


class Telemetry(Protocol):
    """Takes records and steps; never raises, never blocks for long."""

    def record(self, name: str, /, **fields: Field) -> None:
        """One fact. ``name`` is fixed text (``stage finished``, ``object applied``); fields are its keys.

        Common keys: stage, cluster, kind, namespace, name, revision, trace, milliseconds, outcome, reason.
        """

    def span(
        self, name: str, /, *, parent: str = "", links: Sequence[str] = (), **fields: Field
    ) -> AbstractContextManager[Span]:
        """A step: the block. ``name`` is fixed text; an error that leaves the block is told by its kind alone.

        ``parent``: the traceparent of the step that it is part of, where this thread is in no step of that trace; ""
        begins a trace, or goes on in this thread's step. ``links``: traceparents of steps that have to do with it.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoped:
    """A Telemetry whose records and steps all carry ``fields`` (their own win), as parts of ``parent``."""

    telemetry: Telemetry
    parent: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)

    def record(self, name: str, /, **fields: Field) -> None:
        """See Telemetry."""
        self.telemetry.record(name, **{**self.fields, **fields})

    def span(
        self, name: str, /, *, parent: str = "", links: Sequence[str] = (), **fields: Field
    ) -> AbstractContextManager[Span]:
        """See Telemetry."""
        return self.telemetry.span(name, parent=parent or self.parent, links=links, **{**self.fields, **fields})
