"""What became of a run, and the one place that turns errors into it.

Transient                        again later (its ``retry_after``, or an exponential backoff)
Terminal                         acknowledged and reported: only a change helps
anything else (a bug of ours)    again later, and a dead letter in the end
"""

import traceback
from dataclasses import dataclass

from penstock.core.errors import PenstockError, Terminal, Transient

BACKOFF_SECONDS = 1.0
BACKOFF_CEILING = 300.0
DOUBLINGS = 10
"""Enough to come to the ceiling, however often a bus says that it has delivered."""
RETRY_AFTER_CEILING = 900.0
"""What a queue can delay at most (SQS: 15 minutes)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``kind``: done | retry | failed. ``delay``: seconds until the next attempt. ``error``: reason and message.

    ``published``: how many messages went out.
    """

    kind: str
    reason: str = ""
    error: str = ""
    delay: float = 0.0
    published: int = 0
    where: str = ""
    """For a bug: the innermost frames, without any values."""

    @property
    def again(self) -> bool:
        """Whether the message must be delivered again."""
        return self.kind == "retry"


def outcome_of(error: Exception, *, attempt: int) -> Outcome:
    """What to do about an error that ended a run. ``attempt``: 1 for the first delivery."""
    if isinstance(error, Terminal):
        return Outcome(kind="failed", reason=error.reason, error=str(error))
    backoff = min(BACKOFF_CEILING, BACKOFF_SECONDS * 2.0 ** min(max(attempt, 1) - 1, DOUBLINGS))
    if isinstance(error, Transient):
        asked = min(RETRY_AFTER_CEILING, error.retry_after or 0.0)
        return Outcome(kind="retry", reason=error.reason, error=str(error), delay=max(backoff, asked))
    return Outcome(
        kind="retry",
        reason=error.reason if isinstance(error, PenstockError) else "InternalError",
        error=f"{type(error).__name__} in penstock itself",  # its text could hold anything
        delay=backoff,
        where=_where(error),
    )


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{frame.filename.rpartition('penstock/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
