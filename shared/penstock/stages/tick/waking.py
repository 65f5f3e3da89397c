"""tick: publishes what is due. The one clockwork of the plane: intervals, retries, and whatever an edge has missed.

A record that was published is due again a minute later (in order: three), unless its own stage writes it before: so a
message that is lost costs that long, and one that is on its way is not published at each tick. Kustomizations of a
cluster that are in order are published together, those too whose interval is almost over.

What is put off is published, whatever goes wrong meanwhile: where the store is slow or fails, the rest stays due.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from penstock.core.errors import PenstockError, Terminal
from penstock.core.messages import OWN_SOURCE, PLANE, Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY, KustomizationStatus, ObjectRecord, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.core.sweeps import EARLY, Member, early_enough, may_join, together
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.stages.tick.putting_off import Turn

MOST = 1000
"""Records of one run: the longest overdue first, so that none waits for ever."""

AGAIN = 60.0
SWEEP_AGAIN = 180.0
"""As long as a sweep may take, and longer than some come early: who is on its way is not taken along again."""
_SOURCES = (*FETCHED, "ArtifactGenerator")
_KUSTOMIZATION = "Kustomization"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Due:
    """``member``: the Kustomization, where a sweep may look at it."""

    record: Record
    message: SourceChanged | ReconcileDue
    member: Member | None

    @property
    def again(self) -> float:
        return SWEEP_AGAIN if self.member else AGAIN


def run(deps: Deps) -> list[Outgoing]:
    """Wake-ups of what is due now. Raises what the state raises, where there is nothing to publish."""
    now = deps.clock.now().timestamp()
    first, turn = _begin(deps), Turn(deps, now)
    due = _read(deps.state.due(now, limit=MOST))
    taken = turn.put_off([(each.record, each.again, each) for each in due])
    members = [each.member for each in taken if each.member]
    if members and not turn.is_over:
        try:
            early = _early({member.message.cluster for member in members}, now, deps)
        except PenstockError as error:
            turn.end(error)
        else:
            members += turn.put_off([(record, SWEEP_AGAIN, member) for record, member in early])
    turn.tell(nothing=not first and not taken)
    alone = [each.message for each in taken if each.member is None]
    return [Outgoing(message=message) for message in (*first, *alone, *together(members))]


def _read(records: Iterable[Record], within: Collection[str] | None = None) -> list[_Due]:
    """What they are about; records of other kinds are nobody's wake-ups. ``within``: of these clusters alone."""
    found = [(record, _message(record.key)) for record in records]
    return [
        _Due(record=record, message=message, member=_member(record, message))
        for record, message in found
        if message is not None and (within is None or message.cluster in within)
    ]


def _member(record: Record, message: SourceChanged | ReconcileDue) -> Member | None:
    if not isinstance(message, ReconcileDue):
        return None
    try:
        status = KustomizationStatus.from_value(record.value)
    except Terminal:
        return None  # its own run says what is wrong with it; nobody else waits for that
    return Member(message=message, objects=len(status.rendered)) if may_join(status) else None


def _early(clusters: set[str], now: float, deps: Deps) -> list[tuple[Record, Member]]:
    """Those whose turn is soon, in clusters that are looked at now anyway."""
    soon = (record for record in deps.state.due(now + EARLY, limit=MOST) if (record.due or now) > now)
    found = [(each.record, each.member) for each in _read(soon, clusters) if each.member]
    keys = {record.key: record.key.replace("status/", "object/", 1) for record, _ in found}
    documents = deps.state.read([*keys.values()]).records if keys else {}
    return [pair for pair in found if _is_soon(documents.get(keys[pair[0].key]), pair[0], now)]


def _is_soon(document: Record | None, record: Record, now: float) -> bool:
    try:
        known = ObjectRecord.from_value(document.value) if document else None
    except Terminal:
        return False
    return known is not None and record.due is not None and early_enough(known, record.due - now)


def _begin(deps: Deps) -> list[SourceChanged]:
    """The first look at the plane's own source, should the message that asked for it be lost."""
    if deps.state.get(PLANE_KEY) is None or deps.state.get(status_key(PLANE, *OWN_SOURCE)) is not None:
        return []
    kind, namespace, name = OWN_SOURCE
    return [SourceChanged(cluster=PLANE, kind=kind, namespace=namespace, name=name)]


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
