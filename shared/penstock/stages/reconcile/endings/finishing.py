"""A run that has applied everything: finished, or still waiting for health."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.core.errors import Conflict
from penstock.core.messages import Outgoing
from penstock.core.reconcile.plan import Action
from penstock.core.records import KustomizationStatus
from penstock.core.resources import ObjectRef
from penstock.core.sweeps import LEFT_FOR
from penstock.stages.reconcile import health
from penstock.stages.reconcile.alerts import (
    change_events,
    dropped_event,
    failure_event,
    recovery_event,
    stuck_event,
    untold,
)
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.drift import corrected, report_events, reported, with_drift
from penstock.stages.reconcile.endings.looking_again import (
    ask,
    itself,
    next_try,
    patience,
    wake,
    wake_those_without_kinds,
)
from penstock.stages.reconcile.execute import Done
from penstock.stages.reconcile.in_cluster import publish_events
from penstock.stages.reconcile.ledger import digest_of, store_ledger
from penstock.stages.reconcile.outcome import BACKSTOP, NOT_CHECKED, Said, shown, with_conditions, with_history
from penstock.stages.reconcile.planning import Planned, told_terminating
from penstock.stages.reconcile.recording import save_events, save_status
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.telling import answer, tell
from penstock.stages.reconcile.undeclared import told_dropped
from penstock.stages.reconcile.unsure import OUTLIVED

_WRITTEN = (Action.CREATED, Action.CONFIGURED)
MOST_MARKS = 1000
"""Of objects that a dry-run found the same; what is beyond that is asked for anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stands:
    """How it stands after a run. ``due``: when it is looked at again; ``outcome``: what its history calls it."""

    status: KustomizationStatus
    due: float
    outcome: str
    messages: list[Outgoing]


def finished(attempt: Attempt, source: Source, target: Target, done: Done, checked: health.Checked) -> list[Outgoing]:
    """Everything was applied; health passed, failed, or is still being waited for."""
    planned = done.planned
    reverted = corrected(attempt, planned, done.changes)
    messages = change_events(attempt, done.changes, corrected=reverted)
    messages += report_events(attempt, planned)
    dropped = told_dropped(done.changes)
    messages += dropped_event(attempt, dropped)
    messages += stuck_event(attempt, planned.why_held, stuck=checked.verdict.passed and planned.stuck)
    stands = _stands(attempt, source, done, checked, dropped)
    messages += stands.messages
    status = stands.status
    if checked.verdict.done:
        took = attempt.now() - attempt.started
        digest = planned.rendered.digest
        status = with_history(status, digest=digest, outcome=stands.outcome, moment=attempt.now(), took=took)
    overtaken_now = not _store(attempt, target, done, status, stands.due)
    publish_events(attempt, target.keeper, messages, done.ledger.inventory.uid)
    if checked.verdict.done:
        answer(attempt, status)
    tell(attempt, status, drifted=(*reverted, *reported(planned)))
    if overtaken_now and attempt.opening.stored:
        messages.append(itself(attempt, "again"))  # the newer run may not have seen what this one stored
    return messages + _after_run(attempt, done)


def _stands(attempt: Attempt, source: Source, done: Done, checked: health.Checked, dropped: str) -> _Stands:
    planned, verdict = done.planned, checked.verdict
    status = _applied(attempt, done)
    healthy = "True" if checked.checked else NOT_CHECKED
    if not verdict.done:
        return _still_waiting(attempt, status, source, checked)
    if not verdict.passed:
        said = Said(ready="False", reason=checked.reason, message=health.failure(checked), healthy="False")
        return _fails(attempt, status, said, about=verdict.waiting)
    if told_terminating(planned.changes):
        said = Said(ready="Unknown", reason="Progressing", message=planned.why_held, healthy=healthy)
        again = itself(attempt, "again", delay=patience(attempt, "Unknown"))
        status = with_conditions(status, said, attempt.now())
        return _Stands(status=status, due=next_try(attempt), outcome=said.reason, messages=[again])
    if planned.stop is not None:
        said = Said(ready="False", reason="PruneStopped", message=planned.why_held, healthy=healthy)
        return _fails(attempt, status, said)
    message = "; ".join(filter(None, (f"Applied revision: {source.revision}", planned.why_held, dropped)))
    said = Said(ready="True", reason="ReconciliationSucceeded", message=message, healthy=healthy)
    now, applied = attempt.now(), replace(untold(status), last_applied_revision=source.revision)
    return _Stands(
        status=with_conditions(applied, said, now),
        due=now.timestamp() + (BACKSTOP if planned.waits else _jittered(attempt)),
        outcome=said.reason,
        messages=recovery_event(attempt, checked, done, source.revision),
    )


def _applied(attempt: Attempt, done: Done) -> KustomizationStatus:
    """The status with what was applied, but without conditions."""
    status = replace(
        attempt.status,
        waiting_for=done.planned.held_for,
        inventory=done.inventory.ids(),
        inventory_digest=digest_of(done.inventory),
        pending={},
        failed_at="",
        same=tuple(sorted(c.mark for c in done.changes if c.mark and c.action is Action.UNCHANGED)[:MOST_MARKS]),
    )
    return with_drift(attempt, _leaving(status, done.planned), done.planned)


def _fails(attempt: Attempt, status: KustomizationStatus, said: Said, about: Sequence[ObjectRef] = ()) -> _Stands:
    status, told = failure_event(attempt, with_conditions(status, said, attempt.now()), said, about=about)
    return _Stands(status=status, due=next_try(attempt), outcome=said.reason, messages=told)


def _leaving(status: KustomizationStatus, planned: Planned) -> KustomizationStatus:
    """The status, which says so where it waits for suspended ones and for nobody else."""
    rest = {key: value for key, value in status.summary.items() if key != LEFT_FOR}
    return replace(status, summary={**rest, LEFT_FOR: list(planned.held_for)} if planned.left else rest)


def _store(attempt: Attempt, target: Target, done: Done, status: KustomizationStatus, due: float) -> bool:
    """Status first, then the object that kubectl shows; False: who was overtaken leaves both to the newer run."""
    inventory = replace(done.inventory, revision=status.last_attempted_revision, observation=status.observation)
    try:
        save_status(attempt, status, due=due, whole_run=True)
        store_ledger(target.keeper, attempt, done.ledger, inventory, shown(status, suspended=False))
    except Conflict:
        pass  # somebody newer wrote
    else:
        return True
    save_events(attempt)
    attempt.deps.telemetry.record("overtaken", stage="reconcile", cluster=attempt.cluster, name=attempt.ref)
    return False


def _still_waiting(attempt: Attempt, status: KustomizationStatus, source: Source, checked: health.Checked) -> _Stands:
    now = attempt.now()
    waiting = checked.verdict.waiting
    message = f"Running health checks for revision {source.revision}: waiting for {', '.join(map(str, waiting[:5]))}"
    said = Said(ready="Unknown", reason="Progressing", message=health.with_trouble(message, checked), healthy="Unknown")
    pending = {
        "revision": source.revision,
        "started": checked.deadline - attempt.kustomization.effective_timeout.total_seconds(),
        "deadline": checked.deadline,
        "looks": checked.looks,
    }
    status = with_conditions(replace(status, pending=pending), said, now)
    delay = health.continuation_delay(status, now.timestamp())
    look = itself(attempt, "health", delay=delay)
    return _Stands(status=status, due=now.timestamp() + BACKSTOP, outcome=said.reason, messages=[look])


def _after_run(attempt: Attempt, done: Done) -> list[Outgoing]:
    messages = wake(attempt) + [ask(attempt, name) for name in done.planned.asks]
    if any(c.ref.kind == "CustomResourceDefinition" and c.action in _WRITTEN for c in done.changes):
        messages += wake_those_without_kinds(attempt)
    if done.again or (done.planned.held and not done.planned.ledger.trusted):
        messages.append(itself(attempt, "again"))
    if done.verify:
        messages.append(itself(attempt, "verify", delay=OUTLIVED))
    return messages


def _jittered(attempt: Attempt) -> float:
    """The interval, 5 % earlier or later: always the same for one Kustomization, spread over all of them."""
    seed = hashlib.sha256(str(attempt.owner).encode()).digest()
    share = int.from_bytes(seed[:4], "big") / 2**32
    return attempt.kustomization.interval.total_seconds() * (0.95 + 0.1 * share)
