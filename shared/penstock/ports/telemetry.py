"""What a run tells its operator: one structured record a step. Never secrets, never manifests."""

from typing import Protocol


class Telemetry(Protocol):
    """Takes records; never raises, never blocks for long."""

    def record(self, name: str, /, **fields: str | float | bool | None) -> None:
        """One fact. ``name`` is fixed text (``stage finished``, ``object applied``); fields are its keys.

        Common keys: stage, cluster, kind, namespace, name, revision, trace, milliseconds, outcome, reason.
        """
