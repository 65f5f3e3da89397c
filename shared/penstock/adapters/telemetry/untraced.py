"""Steps for listeners that write records only."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from penstock.ports.telemetry import Field, Span


class Untraced:
    """A step that nobody hears of."""

    traceparent = ""

    def note(self, **fields: Field) -> None:
        """Nothing."""


class RecordsOnly:
    """The ``span`` of a Telemetry that has no use for steps."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the port's
        /,
        *,
        parent: str = "",  # noqa: ARG002 - the port's
        links: Sequence[str] = (),  # noqa: ARG002 - the port's
        **fields: Field,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[Span]:
        """See ports.telemetry."""
        return nullcontext(Untraced())
