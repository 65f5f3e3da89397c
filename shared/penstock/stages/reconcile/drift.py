"""Drift of live objects from what was applied: told with who changed what, and reverted, or only reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.core.drift.owners import setters, told
from penstock.core.drift.report import REASON, drift_digest, mode, reported_marks
from penstock.core.errors import Terminal
from penstock.core.messages import Outgoing
from penstock.core.reconcile.plan import TAKEN_OVER, Action, Change
from penstock.core.records import KustomizationStatus
from penstock.core.resources import Manifest
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile.attempt import Attempt, applied_mark
from penstock.stages.reconcile.outcome import event
from penstock.stages.reconcile.planning import Planned
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.write import Writer, dry_run_one

APPLIED, REPORTED = "applied", "reported"
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Drifted:
    """``lines``: one for each object, with who changed what; ``subjects``: the same without times."""

    lines: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


def leave_reported(attempt: Attempt, planned: Planned, target: Target) -> Planned:
    """The plan without what would revert drift that is only to be reported. Raises InvalidDocument."""
    marks = _marks(attempt, planned)
    known = set(attempt.status.drift.get(APPLIED) or ()) & set(marks.values())
    if not known:
        return planned
    writer = Writer(cluster=target.cluster, clock=attempt.deps.clock, overridden=attempt.policy.override_managers)
    changes = [
        _left(writer, change) if marks.get(str(change.ref)) in known else change for change in planned.changes.changes
    ]
    planned = replace(planned, changes=replace(planned.changes, changes=tuple(changes)))
    names = [str(change.ref) for change in reported(planned)]
    if not names:
        return planned
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    sentence = f"drift is reported, not reverted: {', '.join(names[:_MOST_NAMED])}{more}"
    return replace(planned, why_held="; ".join(part for part in (planned.why_held, sentence) if part))


def with_drift(attempt: Attempt, status: KustomizationStatus, planned: Planned) -> KustomizationStatus:
    """The status after everything was applied: what later differences are drift from."""
    drift: dict[str, object] = {}
    marks = _marks(attempt, planned)
    if marks:
        found = _drifted(planned, reported(planned))
        drift = {APPLIED: sorted(set(marks.values())), REPORTED: drift_digest(found.subjects)}
    return replace(status, applied=applied_mark(attempt, planned.rendered), drift=drift)


def report_events(attempt: Attempt, planned: Planned) -> list[Outgoing]:
    """Said once, until it is another drift."""
    found = _drifted(planned, reported(planned))
    digest = drift_digest(found.subjects)
    if not digest or digest == attempt.status.drift.get(REPORTED):
        return []
    return [event(attempt, "info", "DriftDetected", "\n".join(found.lines), once=attempt.now().isoformat())]


def corrected(attempt: Attempt, planned: Planned, changes: Sequence[Change]) -> tuple[str, ...]:
    """A line for each object whose drift these changes reverted; () where Git asked for something new."""
    if attempt.status.applied != applied_mark(attempt, planned.rendered):
        return ()
    written = [c for c in changes if c.action in (Action.CREATED, Action.CONFIGURED) and c.reason != TAKEN_OVER]
    return _drifted(planned, written).lines


def _marks(attempt: Attempt, planned: Planned) -> dict[str, str]:
    kustomization = attempt.kustomization
    return reported_marks(planned.rendered.apply, mode(kustomization.annotations, str(kustomization.ref)))


def _left(writer: Writer, change: Change) -> Change:
    if change.action not in (Action.CREATED, Action.CONFIGURED) or change.reason == TAKEN_OVER:
        return change
    if change.action is Action.CONFIGURED:
        change = _confirmed(writer, change)
    if change.action is Action.UNCHANGED or change.reason == TAKEN_OVER:
        return change
    return replace(change, action=Action.SKIPPED, reason=REASON)


def _confirmed(writer: Writer, change: Change) -> Change:
    """What is only told is asked of the API server first: a webhook may set what it looks like. One refused is told."""
    try:
        return dry_run_one(writer, change)
    except Terminal:
        return change


def reported(planned: Planned) -> list[Change]:
    """The objects whose drift is left as it is, and told."""
    return [change for change in planned.changes.changes if change.reason == REASON]


def _drifted(planned: Planned, changes: Sequence[Change]) -> Drifted:
    lines, subjects = [], []
    for change in changes:
        live: Manifest | None = planned.live.objects.get(change.ref)
        action = "drifted" if change.action is Action.SKIPPED else change.action.value
        if live is None:
            lines.append(f"{change.ref} {action}: it was deleted")
            subjects.append(f"{change.ref} deleted")
            continue
        by = setters(live, change.paths, manager=FIELD_MANAGER)
        lines.append(f"{change.ref} {action}: {told(by)}")
        subjects.append(f"{change.ref} {[(each.path, each.manager) for each in by]}")
    return Drifted(lines=tuple(lines), subjects=tuple(subjects))
