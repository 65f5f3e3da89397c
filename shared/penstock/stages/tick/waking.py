"""tick: publishes what is due. The one clockwork of the plane: intervals, retries, and whatever an edge has missed.

A record that was published is due again a minute later (in order: three), unless its own stage writes it before: so a
message that is lost costs that long, and one that is on its way is not published at each tick. Kustomizations of a
cluster that are in order are published together, those too whose interval is almost over.
"""

from collections.abc import Iterator, Sequence

from penstock.core.errors import Conflict, PenstockError, Terminal
from penstock.core.messages import OWN_SOURCE, PLANE, Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY, KustomizationStatus, ObjectRecord, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.core.sweeps import EARLY, Member, early_enough, may_join, together
from penstock.ports.deps import Deps
from penstock.ports.state import Record

MOST = 1000
"""Records of one run: the longest overdue first, so that none waits for ever."""

AGAIN = 60.0
SWEEP_AGAIN = 180.0
"""As long as a sweep may take, and longer than some come early: who is on its way is not taken along again."""
_SOURCES = (*FETCHED, "ArtifactGenerator")
_KUSTOMIZATION = "Kustomization"


def run(deps: Deps) -> list[Outgoing]:
    """Wake-ups of what is due now. Raises Transient where the state cannot be reached.

    Where it cannot be reached any more half-way, what was put off by then is published, and the rest stays due.
    """
    now = deps.clock.now().timestamp()
    found, members = _begin(deps), list[Member]()
    try:
        for record in deps.state.due(now, limit=MOST):
            message = _message(record.key)
            member = _member(record, message)
            if message is None or not _put_off(record, now + (SWEEP_AGAIN if member else AGAIN), deps):
                continue
            if member is None:
                found.append(Outgoing(message=message))
            else:
                members.append(member)
        for member in _early(tuple(members), now, deps):
            members.append(member)
    except PenstockError as error:
        if not found and not members:
            raise
        deps.telemetry.record("tick cut short", stage="tick", reason=error.reason, detail=str(error))
    return found + [Outgoing(message=message) for message in together(members)]


def _member(record: Record, message: SourceChanged | ReconcileDue | None) -> Member | None:
    """The Kustomization of a record, where a sweep may look at it."""
    if not isinstance(message, ReconcileDue):
        return None
    try:
        status = KustomizationStatus.from_value(record.value)
    except Terminal:
        return None  # its own run says what is wrong with it; nobody else waits for that
    return Member(message=message, objects=len(status.rendered)) if may_join(status) else None


def _early(members: Sequence[Member], now: float, deps: Deps) -> Iterator[Member]:
    """Those whose turn is soon, in clusters that are looked at now anyway."""
    clusters = {member.message.cluster for member in members}
    for record in deps.state.due(now + EARLY, limit=MOST) if members else ():
        message = _message(record.key)
        if record.due is None or record.due <= now or message is None or message.cluster not in clusters:
            continue
        member = _member(record, message)
        if member is not None and _is_soon(record, now, deps) and _put_off(record, now + SWEEP_AGAIN, deps):
            yield member


def _is_soon(record: Record, now: float, deps: Deps) -> bool:
    document = deps.state.get(record.key.replace("status/", "object/", 1))
    try:
        known = ObjectRecord.from_value(document.value) if document else None
    except Terminal:
        return False
    return known is not None and record.due is not None and early_enough(known, record.due - now)


def _begin(deps: Deps) -> list[Outgoing]:
    """The first look at the plane's own source, should the message that asked for it be lost."""
    if deps.state.get(PLANE_KEY) is None or deps.state.get(status_key(PLANE, *OWN_SOURCE)) is not None:
        return []
    kind, namespace, name = OWN_SOURCE
    return [Outgoing(message=SourceChanged(cluster=PLANE, kind=kind, namespace=namespace, name=name))]


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
