"""Making the plan of a run: what is rendered, live and inventoried, compared; and what holds deletions back."""

from dataclasses import dataclass, replace

from penstock.core.errors import Refused
from penstock.core.reconcile.guard import APPROVAL, Limits, Stop, prune_stop
from penstock.core.reconcile.plan import ChangeSet, Ownership, plan
from penstock.core.reconcile.render import Rendered
from penstock.core.records import Approval, approval_key
from penstock.core.resources import ObjectRef, gvk_of, ref_of
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.ledger import Ledger, load_ledger
from penstock.stages.reconcile.live import Live, owner_selector, read_live, scoped
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.waits import claimed_by_others


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """``changes``: what will be done; ``wanted``: what the inventory must hold before that (object -> version).

    ``held``: deletions that are due and not in ``changes``; ``held_for``: ``namespace/name`` of those whose render
    must come first; ``stop``: the prune guard's word; ``why_held``: a sentence for people, or "".
    """

    changes: ChangeSet
    live: Live
    ledger: Ledger
    rendered: Rendered
    wanted: dict[ObjectRef, str]
    held: tuple[ObjectRef, ...] = ()
    held_for: tuple[str, ...] = ()
    stop: Stop | None = None
    why_held: str = ""


def make_plan(attempt: Attempt, source: Source, rendered: Rendered, target: Target) -> Planned:
    """Read the cluster and plan. Raises Refused where an object belongs to another Kustomization that renders it."""
    rendered = replace(rendered, apply=scoped(rendered.apply, target.cluster))
    ledger = load_ledger(target.keeper, attempt)
    wanted = {ref_of(m): gvk_of(m).version for m in rendered.apply}
    everything = {**ledger.inventory.entries, **wanted}
    name = attempt.message
    live = read_live(target.cluster, everything, owner_selector(name.namespace, name.name))
    claimed, due = claimed_by_others(attempt, source)
    ownership = Ownership(namespace=name.namespace, name=name.name, manager=FIELD_MANAGER, claimed=claimed)
    changes = plan(rendered.apply, live.objects, ledger.inventory.entries, ownership, prune=attempt.kustomization.prune)
    if changes.collisions:
        told = "; ".join(f"{c.ref} belongs to Kustomization {c.owner}" for c in changes.collisions[:5])
        raise Refused(f"{told}: remove it from one of the two", reason="ReconciliationFailed")
    planned = Planned(changes=changes, live=live, ledger=ledger, rendered=rendered, wanted=wanted)
    return _guarded(attempt, planned, due)


def _guarded(attempt: Attempt, planned: Planned, due: tuple[str, ...]) -> Planned:
    """Without its deletions where the copies of the inventory disagree, a render is due, or the guard says stop."""
    deletions = planned.changes.deletions
    if not deletions:
        return planned
    held = tuple(change.ref for change in deletions)
    kept = replace(planned, changes=planned.changes.without_deletions(), held=held)
    if not planned.ledger.trusted:
        return replace(kept, why_held=f"nothing is pruned in this run: {planned.ledger.why_not}")
    if due:
        names = ", ".join(due[:5])
        return replace(kept, held_for=due, why_held=f"{len(held)} deletions wait until {names} rendered this revision")
    limits = Limits(objects=attempt.policy.prune_objects, share=attempt.policy.prune_percent / 100)
    stop = prune_stop(deletions, tuple(planned.wanted), tuple(planned.ledger.inventory.entries), limits)
    if stop is None or approved(attempt, stop.digest):
        return planned
    return replace(kept, stop=stop, why_held=stop_message(attempt, stop))


def approved(attempt: Attempt, digest: str) -> bool:
    """Whether somebody allowed exactly these deletions: in Git, or by ``penstock approve``."""
    if attempt.kustomization.annotations.get(APPROVAL) == digest:
        return True
    message = attempt.message
    found = attempt.deps.state.get(approval_key(message.cluster, message.namespace, message.name))
    return found is not None and Approval.from_value(found.value).digest == digest


def stop_message(attempt: Attempt, stop: Stop) -> str:
    """Why the prune waits, and how to allow it."""
    return (
        f"prune stopped: {stop.why}. Everything else was applied. To allow exactly these deletions once: "
        f"penstock approve kustomization/{attempt.message.name} -n {attempt.message.namespace} --prune {stop.digest}"
    )
