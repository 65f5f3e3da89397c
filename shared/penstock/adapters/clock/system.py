"""The machine's clock."""

import secrets
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime


class SystemClock:
    """See ports.clock.Clock."""

    def now(self) -> datetime:
        """UTC, timezone-aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Really wait."""
        time.sleep(max(0.0, seconds))

    def idle(self) -> AbstractContextManager[None]:
        """Nobody is kept waiting by this process."""
        return nullcontext()

    def new_id(self) -> str:
        """32 random hex digits."""
        return secrets.token_hex(16)
