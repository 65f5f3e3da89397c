"""What a run tells people: each change, failure and recovery once."""

from collections.abc import Sequence

from penstock.core.health.gate import success_message
from penstock.core.messages import Outgoing
from penstock.core.reconcile.plan import Action, Change
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.execute import Done
from penstock.stages.reconcile.health import Checked
from penstock.stages.reconcile.outcome import Said, change_lines, event
from penstock.stages.reconcile.undeclared import REASON


def change_events(attempt: Attempt, changes: Sequence[Change], *, corrected: Sequence[str] = ()) -> list[Outgoing]:
    """One event with a line for each object that was created, configured or deleted.

    ``corrected``: the lines of those among them whose drift was reverted, with who had changed what.
    """
    deleted = [change for change in changes if change.action is Action.DELETED]
    lines = "\n".join((*corrected, *map(str, deleted))) if corrected else change_lines(changes)
    if not lines:
        return []
    once = ",".join(sorted(str((c.live or {}).get("metadata", {}).get("resourceVersion", "")) for c in changes))
    return [event(attempt, "info", "DriftCorrected" if corrected else "Progressing", lines, once=once)]


def failure_event(attempt: Attempt, said: Said) -> list[Outgoing]:
    """One event a failure: again only when its words or the revision change."""
    before = attempt.found.condition("Ready")
    words = ("False", said.reason, said.message)
    known = before is not None and (before.status, before.reason, before.message) == words
    if known and _last_failed_revision(attempt) == attempt.status.last_attempted_revision:
        return []
    since = before.since if before else ""
    return [event(attempt, "error", said.reason, said.message, once=since)]


def dropped_event(attempt: Attempt, dropped: str) -> list[Outgoing]:
    """Fields that were left out: said once, until there are others."""
    before = attempt.found.condition("Ready")
    if not dropped or (before is not None and before.message.endswith(dropped)):
        return []
    return [event(attempt, "info", REASON, dropped)]


def _last_failed_revision(attempt: Attempt) -> str:
    newest = attempt.found.history[0] if attempt.found.history else {}
    return str((newest.get("metadata") or {}).get("revision", ""))


def recovery_event(attempt: Attempt, checked: Checked, done: Done, revision: str) -> list[Outgoing]:
    """Said where health is news: it was not healthy before, or something changed."""
    newest = attempt.found.history[0] if attempt.found.history else {}
    failed_before = newest.get("lastReconciledStatus", "ReconciliationSucceeded") != "ReconciliationSucceeded"
    wrote = any(c.action in (Action.CREATED, Action.CONFIGURED) for c in done.changes)
    if failed_before:
        text = f"Applied revision: {revision}"
        since = str(newest.get("lastReconciled", ""))
        return [event(attempt, "info", "ReconciliationSucceeded", text, once=since)]
    if checked.checked and (wrote or attempt.status.pending):
        return [event(attempt, "info", "Progressing", success_message(checked.elapsed))]
    return []
