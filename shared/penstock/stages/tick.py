"""tick: publishes what is due. The one clockwork of the plane: intervals, retries, and whatever an edge has missed.

A record that was published is due again a minute later (in order: three), unless its own stage writes it before: so a
message that is lost costs that long, and one that is on its way is not published at each tick. Kustomizations of a
cluster that are in order are published together, those too whose interval is almost over. Once an hour it also forgets
artifacts that nobody needs any more.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.core.errors import Conflict
from penstock.core.messages import OWN_SOURCE, PLANE, Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY, KustomizationStatus, ObjectRecord, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.core.sweeps import EARLY, Member, early_enough, may_join, together
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record

MOST = 1000
"""Records of one run: the longest overdue first, so that none waits for ever."""

AGAIN = 60.0
SWEEP_AGAIN = 180.0
"""As long as a sweep may take, and longer than some come early: who is on its way is not taken along again."""
SWEEP_KEY = "sweep/artifacts"
SWEEP_EVERY = 3600.0
MOST_DELETED = 1000
_SOURCES = (*FETCHED, "ArtifactGenerator")
_KUSTOMIZATION = "Kustomization"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def run(deps: Deps) -> list[Outgoing]:
    """Wake-ups of what is due now. Raises Transient where the state cannot be reached."""
    now = deps.clock.now().timestamp()
    found, members = _begin(deps, now), list[Member]()
    for record in deps.state.due(now, limit=MOST):
        if record.key == SWEEP_KEY:
            _sweep(record, now, deps)
            continue
        message = _message(record.key)
        if message is None:
            continue
        member = _member(record, message)
        if not _put_off(record, now + (SWEEP_AGAIN if member else AGAIN), deps):
            continue
        if member is None:
            found.append(Outgoing(message=message))
        else:
            members.append(member)
    members += _early(members, now, deps)
    return found + [Outgoing(message=message) for message in together(members)]


def _member(record: Record, message: SourceChanged | ReconcileDue) -> Member | None:
    """The Kustomization of a record, where a sweep may look at it."""
    if not isinstance(message, ReconcileDue):
        return None
    status = KustomizationStatus.from_value(record.value)
    return Member(message=message, objects=len(status.rendered)) if may_join(status) else None


def _early(members: Sequence[Member], now: float, deps: Deps) -> Iterator[Member]:
    """Those whose turn is soon, in clusters that are looked at now anyway."""
    clusters = {member.message.cluster for member in members}
    for record in deps.state.due(now + EARLY, limit=MOST) if members else ():
        message = _message(record.key)
        if record.due is None or record.due <= now or message is None or message.cluster not in clusters:
            continue
        member = _member(record, message)
        document = deps.state.get(record.key.replace("status/", "object/", 1)) if member else None
        if member is None or document is None:
            continue
        soon = early_enough(ObjectRecord.from_value(document.value), record.due - now)
        if soon and _put_off(record, now + SWEEP_AGAIN, deps):
            yield member


def _begin(deps: Deps, now: float) -> list[Outgoing]:
    """The first look at the plane's own source, should the message that asked for it be lost; the first sweep."""
    if deps.state.get(SWEEP_KEY) is None:
        _write_sweep(deps, (), now + SWEEP_EVERY, expected=ABSENT)
    if deps.state.get(PLANE_KEY) is None or deps.state.get(status_key(PLANE, *OWN_SOURCE)) is not None:
        return []
    kind, namespace, name = OWN_SOURCE
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
