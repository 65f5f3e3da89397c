"""tick: publishes what is due. The one clockwork of the plane: intervals, retries, and whatever an edge has missed.

A record that was published is due again a minute later, unless its own stage writes it before: so a message that is
lost costs a minute, and one that is on its way is not published at each tick. Once an hour it also forgets artifacts
that nobody needs any more.
"""

import re
from collections.abc import Iterator
from typing import Any

from penstock.core.errors import Conflict
from penstock.core.messages import PLANE, Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record

MOST = 1000
"""Records of one run: the longest overdue first, so that none waits for ever."""

AGAIN = 60.0
SWEEP_KEY = "sweep/artifacts"
SWEEP_EVERY = 3600.0
MOST_DELETED = 1000
_SOURCES = (*FETCHED, "ArtifactGenerator")
_KUSTOMIZATION = "Kustomization"
_PLANE_SOURCE = ("GitRepository", "flux-system", "flux-system")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def run(deps: Deps) -> list[Outgoing]:
    """Wake-ups of what is due now. Raises Transient where the state cannot be reached."""
    now = deps.clock.now().timestamp()
    found = _begin(deps, now)
    for record in deps.state.due(now, limit=MOST):
        if record.key == SWEEP_KEY:
            _sweep(record, now, deps)
            continue
        message = _message(record.key)
        if message is not None and _put_off(record, now + AGAIN, deps):
            found.append(Outgoing(message=message))
    return found


def _begin(deps: Deps, now: float) -> list[Outgoing]:
    """The first look at the plane's own source, should the message that asked for it be lost; the first sweep."""
    if deps.state.get(SWEEP_KEY) is None:
        _write_sweep(deps, (), now + SWEEP_EVERY, expected=ABSENT)
    if deps.state.get(PLANE_KEY) is None or deps.state.get(status_key(PLANE, *_PLANE_SOURCE)) is not None:
        return []
    kind, namespace, name = _PLANE_SOURCE
    return [Outgoing(message=SourceChanged(cluster=PLANE, kind=kind, namespace=namespace, name=name))]


def _sweep(record: Record, now: float, deps: Deps) -> None:
    """Delete the artifacts that no record named at the last sweep, nor does now.

    Two sweeps: what a fetch is storing this very moment is not named yet, and what was replaced a moment ago may
    still be read. At most MOST_DELETED at once.
    """
    stored = set(deps.storage.digests())
    named = {digest for each in deps.state.list("") if each.key != SWEEP_KEY for digest in _digests(each.value)}
    unnamed = stored - named
    before = set(record.value.get("unnamed") or ())
    doomed = sorted(unnamed & before)[:MOST_DELETED]
    if not _write_sweep(deps, sorted(unnamed - set(doomed)), now + SWEEP_EVERY, expected=record.version):
        return  # another tick does it
    for digest in doomed:
        deps.storage.delete(digest)
    if doomed:
        deps.telemetry.record("artifacts deleted", stage="tick", number=len(doomed), kept=len(stored) - len(doomed))


def _write_sweep(deps: Deps, unnamed: tuple[str, ...] | list[str], due: float, *, expected: str) -> bool:
    value = {"format": 1, "unnamed": list(unnamed[: 10 * MOST_DELETED])}
    try:
        deps.state.put(SWEEP_KEY, value, expected=expected, due=due)
    except Conflict:
        return False
    return True


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


def _message(key: str) -> SourceChanged | ReconcileDue | None:
    """The wake-up of a status record, None for records of other kinds."""
    family, _, rest = key.partition("/")
    parts = rest.split("/")
    if family != "status" or len(parts) != 4:
        return None
    cluster, kind, namespace, name = parts
    if kind in _SOURCES:
        return SourceChanged(cluster=cluster, kind=kind, namespace=namespace, name=name)
    if kind == _KUSTOMIZATION:
        return ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="interval")
    return None


def _put_off(record: Record, due: float, deps: Deps) -> bool:
    """Move the due time; False where somebody wrote the record meanwhile: then it says itself when it is due."""
    try:
        deps.state.put(record.key, record.value, expected=record.version, due=due)
    except Conflict:
        return False
    return True
