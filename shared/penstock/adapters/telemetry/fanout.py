"""Several listeners for one plane: the log, the collector, and whoever shows progress."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from penstock.ports.telemetry import Field, Span, Telemetry


class FanOutTelemetry:
    """Hands each record and step to all of ``targets``, in order."""

    def __init__(self, targets: Sequence[Telemetry]) -> None:
        self._targets = tuple(targets)

    def record(self, name: str, /, **fields: Field) -> None:
        """Hand it on."""
        for target in self._targets:
            target.record(name, **fields)

    @contextmanager
    def span(self, name: str, /, *, parent: str = "", links: Sequence[str] = (), **fields: Field) -> Iterator[Span]:
        """A step of all of them; its traceparent is that of the first who traces."""
        with ExitStack() as stack:
            yield _Spans(
                [
                    stack.enter_context(target.span(name, parent=parent, links=links, **fields))
                    for target in self._targets
                ]
            )


class _Spans:
    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    @property
    def traceparent(self) -> str:
        return next((span.traceparent for span in self._spans if span.traceparent), "")

    def note(self, **fields: Field) -> None:
        for span in self._spans:
            span.note(**fields)
