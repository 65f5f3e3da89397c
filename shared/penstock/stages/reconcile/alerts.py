"""What a run tells people: each change, failure and recovery once."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from penstock.core.health.gate import success_message
from penstock.core.messages import Outgoing
from penstock.core.reconcile.plan import Action, Change
from penstock.core.records import KustomizationStatus
from penstock.core.resources import ObjectRef
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.execute import Done
from penstock.stages.reconcile.health import Checked
from penstock.stages.reconcile.outcome import Said, change_lines, event
from penstock.stages.reconcile.undeclared import REASON

TOLD = "told"
"""In a status's summary: the failure that was told last, until there is a success."""


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


def failure_event(
    attempt: Attempt, status: KustomizationStatus, said: Said, *, about: Sequence[ObjectRef] = ()
) -> tuple[KustomizationStatus, list[Outgoing]]:
    """One event a failure: again only when its words or the revision change. The status that remembers it, and it.

    ``about``: the objects that it is about, where its words tell times and names of pods that are no news.
    """
    words = "\n".join(sorted(map(str, about))) or said.message
    told = {
        "revision": attempt.status.last_attempted_revision,
        "reason": said.reason,
        "words": hashlib.sha256(words.encode()).hexdigest()[:32],
    }
    status = replace(status, summary={**status.summary, TOLD: told})
    if attempt.found.summary.get(TOLD) == told:
        return status, []
    before = attempt.found.condition("Ready")
    return status, [event(attempt, "error", said.reason, said.message, once=before.since if before else "")]


def untold(status: KustomizationStatus) -> KustomizationStatus:
    """The status after a success: the next failure is news, whatever its words."""
    return replace(status, summary={**status.summary, TOLD: None})


def dropped_event(attempt: Attempt, dropped: str) -> list[Outgoing]:
    """Fields that were left out: said once, until there are others."""
    before = attempt.found.condition("Ready")
    if not dropped or (before is not None and before.message.endswith(dropped)):
        return []
    return [event(attempt, "info", REASON, dropped)]


def stuck_event(attempt: Attempt, told: str, *, stuck: bool) -> list[Outgoing]:
    """It waits for one that cannot be rendered, which nobody looks for here: said once, until other words tell it."""
    before = attempt.found.condition("Ready")
    if not stuck or (before is not None and told in before.message):
        return []
    return [event(attempt, "info", "PruneWaiting", told)]


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
