"""tick: publishes what is due. The one clockwork of the plane: intervals, retries, and whatever an edge has missed.

A record that was published is due again a minute later, unless its own stage writes it before: so a message that is
lost costs a minute, and one that is on its way is not published at each tick.
"""

from penstock.core.errors import Conflict
from penstock.core.messages import Outgoing, ReconcileDue, SourceChanged
from penstock.ports.deps import Deps
from penstock.ports.state import Record

MOST = 1000
"""Records of one run: the longest overdue first, so that none waits for ever."""

AGAIN = 60.0
_SOURCES = ("GitRepository", "ArtifactGenerator")
_KUSTOMIZATION = "Kustomization"


def run(deps: Deps) -> list[Outgoing]:
    """Wake-ups of what is due now. Raises Transient where the state cannot be reached."""
    now = deps.clock.now().timestamp()
    found = []
    for record in deps.state.due(now, limit=MOST):
        message = _message(record.key)
        if message is not None and _put_off(record, now + AGAIN, deps):
            found.append(Outgoing(message=message))
    return found


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
