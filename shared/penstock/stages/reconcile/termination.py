"""``deletionPolicy: WaitForTermination``: a removed Kustomization stays until its objects are gone, or its timeout.

Finalizers can take minutes, so nothing sleeps here: the tombstone looks again, later each time.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.core.messages import Outgoing
from penstock.core.resources import ObjectRef
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.health import continuation_delay
from penstock.stages.reconcile.live import Reading, read_live
from penstock.stages.reconcile.outcome import BACKSTOP, Said, event, with_conditions
from penstock.stages.reconcile.recording import save_status

POLICY = "WaitForTermination"
_AWAITED = "termination"


def begun(attempt: Attempt) -> bool:
    """Whether everything has been deleted, and only the end of it is waited for."""
    return attempt.status.pending.get("for") == _AWAITED


def look(attempt: Attempt, cluster: Cluster, entries: Mapping[ObjectRef, str]) -> tuple[bool, list[Outgoing]]:
    """Whether to go on waiting for ``entries`` (object -> version), and the messages: the next look, or an error."""
    message, now = attempt.message, attempt.now()
    live = read_live(cluster, entries, Reading(owner=attempt.ref)).objects
    left = [str(ref) for ref, found in live.items() if found and found["metadata"].get("deletionTimestamp")]
    if not left:
        return False, []
    timeout = attempt.kustomization.effective_timeout.total_seconds()
    first: Mapping[str, Any] = {"for": _AWAITED, "started": now.timestamp(), "deadline": now.timestamp() + timeout}
    pending = attempt.status.pending if begun(attempt) else first
    names = ", ".join(left[:5])
    if now.timestamp() >= float(pending["deadline"]):
        problem = f"failed to wait for resources termination: {names}"
        return False, [event(attempt, "error", "PruneFailed", problem)]
    said = Said(ready="Unknown", reason="Progressing", message=f"removal: waiting for {names} to be gone")
    status = with_conditions(replace(attempt.status, pending=pending), said, now)
    save_status(attempt, status, due=now.timestamp() + BACKSTOP)
    again = Outgoing(message=replace(message, why="health"), delay=continuation_delay(status, now.timestamp()))
    return True, [again]
