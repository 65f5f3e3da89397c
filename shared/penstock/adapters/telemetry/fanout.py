"""Several listeners for one plane: the log, and whoever shows progress."""

from collections.abc import Sequence

from penstock.adapters.telemetry.redaction import Field
from penstock.ports.telemetry import Telemetry


class FanOutTelemetry:
    """Hands each record to all of ``targets``, in order."""

    def __init__(self, targets: Sequence[Telemetry]) -> None:
        self._targets = tuple(targets)

    def record(self, name: str, /, **fields: Field) -> None:
        """Hand it on."""
        for target in self._targets:
            target.record(name, **fields)
