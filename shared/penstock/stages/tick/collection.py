"""Artifacts that nobody needs any more are deleted, once an hour, after what is due was published.

Whatever goes wrong here costs only room: the next collection is an hour later, and no wake-up waits for it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.core.errors import Conflict, PenstockError
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record

KEY = "sweep/artifacts"
EVERY = 3600.0
MOST_DELETED = 1000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def collect(deps: Deps) -> None:
    """Delete the artifacts that no record named at the last collection, nor does now. Never raises a PenstockError.

    Two looks: what a fetch is storing this very moment is not named yet, and what was replaced a moment ago may still
    be read. At most MOST_DELETED at once.
    """
    now = deps.clock.now().timestamp()
    try:
        found = deps.state.get(KEY)
        if found is not None and (found.due or 0.0) > now:
            return
        before = found.value.get("unnamed") or () if found else ()
        # put off first: should this run be killed, the next ones are not
        mine = _write(deps, before, now + EVERY, expected=found.version if found else ABSENT)
        if found is not None:
            _collect(mine, frozenset(before), deps)
    except Conflict:
        return  # another tick does it
    except PenstockError as error:
        deps.telemetry.record(
            "artifacts not deleted", stage="tick", outcome="failed", reason=error.reason, detail=str(error)
        )


def _collect(mine: Record, before: frozenset[str], deps: Deps) -> None:
    unnamed = set(deps.storage.digests())
    for record in deps.state.scan(""):
        if record.key != KEY:
            unnamed.difference_update(_digests(record.value))
    doomed = sorted(unnamed & before)[:MOST_DELETED]
    _write(deps, sorted(unnamed - set(doomed)), mine.due, expected=mine.version)
    for digest in doomed:
        deps.storage.delete(digest)
    if doomed:
        deps.telemetry.record("artifacts deleted", stage="tick", number=len(doomed))


def _write(deps: Deps, unnamed: Sequence[str], due: float | None, *, expected: str) -> Record:
    value = {"format": 1, "unnamed": list(unnamed[: 10 * MOST_DELETED])}
    return deps.state.put(KEY, value, expected=expected, due=due)


def _digests(value: Any) -> Iterator[str]:
    """Every digest that a record names, wherever it stands in it."""
    if isinstance(value, str):
        yield from _DIGEST.findall(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _digests(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _digests(each)
