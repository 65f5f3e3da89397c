"""Making the plan of a run: what is rendered, live and inventoried, compared; and what holds deletions back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from penstock.core.drift.ignore import ignore_rules
from penstock.core.errors import PenstockError, Refused
from penstock.core.health.gate import jobs_with_ttl
from penstock.core.reconcile.guard import Stop, prune_stop
from penstock.core.reconcile.inventory import is_keepers
from penstock.core.reconcile.plan import TERMINATING, Action, Change, ChangeSet, Collision, plan
from penstock.core.reconcile.render import Rendered
from penstock.core.resources import ObjectRef, gvk_of, ref_of
from penstock.stages.reconcile.approval import approved, limits_of, stop_message
from penstock.stages.reconcile.attempt import Attempt, applied_mark, health_goes_on
from penstock.stages.reconcile.awaiting import told_leaving, waiting_for_renders, way_on
from penstock.stages.reconcile.claims import ownership
from penstock.stages.reconcile.due import Awaits, Due, renders_due
from penstock.stages.reconcile.foreign import refuse_foreign
from penstock.stages.reconcile.leaving import Leaving
from penstock.stages.reconcile.ledger import Ledger, load_ledger
from penstock.stages.reconcile.live import Live, Reading, read_live, scoped
from penstock.stages.reconcile.parentage import coming
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.unserved import told_unserved, with_unserved


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """``changes``: what will be done; ``wanted``: what the inventory must hold before that (object -> version).

    ``due``: whose word is waited for; ``held``: deletions that are due and not in ``changes``; ``held_for``:
    ``namespace/name`` of those whose render must come first; ``stop``: the prune guard's word; ``why_held``: a sentence
    for people, or "".
    """

    changes: ChangeSet
    live: Live
    ledger: Ledger
    rendered: Rendered
    wanted: dict[ObjectRef, str]
    due: Due = field(default_factory=Due)
    held: tuple[ObjectRef, ...] = ()
    held_for: tuple[str, ...] = ()
    stop: Stop | None = None
    why_held: str = ""

    @property
    def waits(self) -> bool:
        """Whether something is due that others may make possible at any time; a suspended one is resumed first."""
        return bool(self.held or self.held_for) and not self.left

    @property
    def stuck(self) -> bool:
        """Whether somebody is waited for who cannot be rendered."""
        return self.due.stuck(self.held_for)

    @property
    def left(self) -> bool:
        """Whether all that is due is left for suspended ones."""
        return self.due.rests(self.held_for)

    @property
    def asks(self) -> tuple[str, ...]:
        """Who has to be asked for its render."""
        return tuple(name for name in self.held_for if name in self.due.asks)


def make_plan(attempt: Attempt, source: Source, rendered: Rendered, target: Target) -> Planned:
    """Read the cluster and plan.

    Raises Refused where an object belongs to somebody else: another Kustomization that renders it, another plane,
    Flux. Raises Awaits where it may only have moved, and its owner has not rendered this revision.
    """
    rendered = replace(rendered, apply=scoped(rendered.apply, target.cluster))
    _refuse_keepers(rendered)
    ledger = load_ledger(target.keeper, attempt)
    wanted = {ref_of(m): gvk_of(m).version for m in rendered.apply}
    everything = {**ledger.inventory.entries, **wanted}
    reading = Reading(owner=attempt.ref, shared=attempt.shared, first=not ledger.inventory.entries)
    live = read_live(target.cluster, everything, reading)
    ignore = ignore_rules(attempt.kustomization.ignore, document=str(attempt.kustomization.ref))

    def made(due: Due) -> ChangeSet:
        entries = ledger.inventory.entries
        owner = replace(ownership(attempt, wanted, live.objects, entries, due), ignore=ignore)
        return plan(rendered.apply, live.objects, entries, owner, prune=attempt.kustomization.prune)

    due = Due()
    changes = made(due)
    if changes.collisions or changes.deletions or changes.moving:
        due = renders_due(attempt, source, coming(attempt, rendered.parts.interpreted))
        changes = made(due)  # again: what somebody rendered between the two looks would be missed by both
    if changes.collisions:
        raise _collision(changes.collisions, due)
    refuse_foreign(attempt, target.keeper, changes)
    changes = _without_ended_jobs(attempt, rendered, with_unserved(changes, live, target.keeper))
    planned = Planned(changes=changes, live=live, ledger=ledger, rendered=rendered, wanted=wanted, due=due)
    return _told(_handing_over(_guarded(attempt, planned)))


def _refuse_keepers(rendered: Rendered) -> None:
    """A manifest that would write a plane's own records of what is applied would make it delete, or forget."""
    names = [str(ref) for ref in map(ref_of, rendered.apply) if is_keepers(ref)]
    if names:
        told = f"{', '.join(names[:3])} is where a plane keeps what it has applied: take it out of Git"
        raise Refused(told, reason="ReconciliationFailed")


def _collision(collisions: Sequence[Collision], due: Due) -> PenstockError:
    told = "; ".join(f"{c.ref} belongs to Kustomization {c.owner}" for c in collisions[:5])
    owners = {c.owner for c in collisions}
    if owners <= set(due.unrendered):
        told = f"{told}, which has not rendered this revision yet{way_on(owners, due)}"
        return Awaits(told, owners, due)
    return Refused(f"{told}: remove it from one of the two", reason="ReconciliationFailed")


def _guarded(attempt: Attempt, planned: Planned) -> Planned:
    """Without its deletions where the copies of the inventory disagree, a render is due, or the guard says stop."""
    deletions = planned.changes.deletions
    if not deletions:
        return planned
    held = tuple(change.ref for change in deletions)
    kept = replace(planned, changes=planned.changes.without_deletions(), held=held)
    if not planned.ledger.trusted:
        return replace(kept, why_held=f"nothing is pruned in this run: {planned.ledger.why_not}")
    due = planned.due
    if due.everybody:
        return replace(kept, held_for=due.everybody, why_held=waiting_for_renders(held, due))
    stands = (*planned.wanted, *map(ref_of, planned.rendered.parts.interpreted))
    stop = prune_stop(deletions, stands, tuple(planned.ledger.inventory.entries), limits_of(attempt))
    if stop is None or approved(attempt, stop.digest):
        return planned
    return replace(kept, stop=stop, why_held=stop_message(attempt, stop))


def _without_ended_jobs(attempt: Attempt, rendered: Rendered, changes: ChangeSet) -> ChangeSet:
    """A Job that deletes itself may be gone before its health check goes on: that is its end, not a lost object.

    After the check it is made anew at the next run, as by Flux.
    """
    if not health_goes_on(attempt) or attempt.status.applied != applied_mark(attempt, rendered):
        return changes
    jobs = jobs_with_ttl(rendered.apply)
    ended = (
        replace(c, action=Action.SKIPPED, reason="it has ended and deleted itself")
        if c.action is Action.CREATED and c.ref in jobs
        else c
        for c in changes.changes
    )
    return replace(changes, changes=tuple(ended))


def handed_over(changes: ChangeSet, resting: Collection[str] = ()) -> tuple[tuple[str, ...], str]:
    """Who is about to take over what left this render, and a sentence of it; empty where nobody is.

    ``resting``: those who are suspended.
    """
    left = [change for change in changes.moving if change.handed_to in resting]
    taken = [change for change in changes.moving if change.handed_to not in resting]
    told = (_moving(taken, "will be taken over by {}"), _moving(left, "left for {}, suspended"))
    return _takers(changes.moving), "; ".join(part for part in told if part)


def _takers(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(sorted({change.handed_to for change in changes}))


def _moving(changes: Sequence[Change], words: str) -> str:
    if not changes:
        return ""
    names = _takers(changes)
    told = ", ".join(str(change.ref) for change in changes[:3]) + (" and others" if len(changes) > 3 else "")
    return f"{told} {words.format(', '.join(names[:5]))}"


def _told(planned: Planned) -> Planned:
    """With what people should know of objects that this run can do nothing about."""
    flags = planned.rendered.parts.flags.unserved
    unserved = f"Flux's flags {', '.join(flags)} of this repository are not served" if flags else ""
    parts = (planned.why_held, told_unserved(planned.changes), told_terminating(planned.changes), unserved)
    return replace(planned, why_held="; ".join(part for part in parts if part))


def told_terminating(changes: ChangeSet) -> str:
    """A sentence of rendered objects that are being deleted, or ""."""
    found = [str(change.ref) for change in changes.changes if change.reason == TERMINATING]
    if not found:
        return ""
    names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return f"{names} is being deleted: it is made anew when it is gone"


def _handing_over(planned: Planned) -> Planned:
    """Objects that moved stay in the inventory until their new owner has them: it wakes this one when it does.

    One that is suspended may take them over some day, or has to be asked whether it still renders them.
    """
    names, told = handed_over(planned.changes, planned.due.resting)
    if not names:
        return planned
    return replace(
        planned,
        held_for=tuple(sorted({*planned.held_for, *names})),
        why_held="; ".join(part for part in (planned.why_held, told) if part),
    )


def with_leaving(attempt: Attempt, planned: Planned, left: Leaving) -> Planned:
    """The same, waiting for those, too, to whom Flux objects may have moved, or for an approval."""
    if not left.held:
        return planned
    waits = told_leaving(left.held, left.names, left.due) if left.names else ""
    stopped = stop_message(attempt, left.stop) if left.stop else ""
    return replace(
        planned,
        due=left.due,
        held_for=tuple(sorted({*planned.held_for, *left.names})),
        stop=planned.stop or left.stop,
        why_held="; ".join(part for part in (planned.why_held, waits, stopped) if part),
    )
