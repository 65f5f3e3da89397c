"""Due times that are moved on before anything is published, many at a time and no longer than a run has."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from penstock.core.errors import Conflict, PenstockError
from penstock.ports.deps import Deps
from penstock.ports.state import Record

AT_ONCE = 32
LONGEST = 25.0
"""Seconds; publishing has the rest of what the stage has."""

T = TypeVar("T")


class Turn:
    """One run's. ``is_over``: time is up, or the store fails: nothing more is put off."""

    def __init__(self, deps: Deps, now: float) -> None:
        self._deps, self._now = deps, now
        self._end = deps.clock.monotonic() + LONGEST
        self._error: PenstockError | None = None
        self.is_over = False

    def put_off(self, wanted: Sequence[tuple[Record, float, T]]) -> list[T]:
        """Of each (record, seconds from now, what it is), what was put off.

        Where somebody wrote a record meanwhile, that says itself when it is due.
        """
        done: list[T] = []
        with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(wanted)))) as pool:
            for start in range(0, len(wanted), AT_ONCE):
                if self.is_over or self._deps.clock.monotonic() > self._end:
                    self.is_over = True
                    break
                lot = wanted[start : start + AT_ONCE]
                moved = [pool.submit(copy_context().run, self._move, record, again) for record, again, _ in lot]
                done += [what for (_, _, what), each in zip(lot, moved, strict=True) if each.result()]
        return done

    def _move(self, record: Record, again: float) -> bool:
        try:
            self._deps.state.put(record.key, record.value, expected=record.version, due=self._now + again)
        except Conflict:
            return False
        except PenstockError as error:
            self.end(error)
            return False
        return True

    def end(self, error: PenstockError) -> None:
        """The store fails."""
        self._error, self.is_over = error, True

    def tell(self, *, nothing: bool) -> None:
        """Say that this turn was cut short. Raises its error where there is ``nothing`` to publish."""
        if self._error is not None and nothing:
            raise self._error
        if self.is_over:
            reason = self._error.reason if self._error else "Timeout"
            self._deps.telemetry.record("tick cut short", stage="tick", reason=reason, detail=str(self._error or ""))
