"""What happens to a Kustomization that left its parent's render: its deletionPolicy, under the prune guard.

There are no finalizers: the tombstone holds the last spec, and is gone when everything that it says has been done.
"""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from penstock.core.errors import Conflict, PenstockError, Terminal
from penstock.core.messages import Outgoing
from penstock.core.reconcile.guard import Stop, deletions_digest, removal_stop
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.reconcile.plan import Change, ChangeSet, plan
from penstock.core.records import ObjectRecord, object_key
from penstock.ports.state import Record
from penstock.stages.reconcile import endings, lease, termination
from penstock.stages.reconcile.afresh import refuse_outdated
from penstock.stages.reconcile.alerts import stuck_event
from penstock.stages.reconcile.apply import prune_all
from penstock.stages.reconcile.approval import approved, limits_of, stop_message, used_up
from penstock.stages.reconcile.attempt import KIND, Attempt
from penstock.stages.reconcile.awaiting import told_leaving, waiting_as_a_whole, waiting_for_renders
from penstock.stages.reconcile.behind import behind_above, behind_removed
from penstock.stages.reconcile.claims import ownership
from penstock.stages.reconcile.due import Due, renders_due_for_removal
from penstock.stages.reconcile.execute import ApplyFailed
from penstock.stages.reconcile.forgetting import forget_copies
from penstock.stages.reconcile.in_cluster import publish_events
from penstock.stages.reconcile.index import children, object_entries, write_indexed
from penstock.stages.reconcile.leaving import bury_all
from penstock.stages.reconcile.ledger import Ledger, load_ledger, store_ledger
from penstock.stages.reconcile.live import Reading, read_live
from penstock.stages.reconcile.outcome import BACKSTOP, Said, change_lines, event, shown, with_conditions
from penstock.stages.reconcile.planning import handed_over
from penstock.stages.reconcile.pointer import unpoint
from penstock.stages.reconcile.recording import drop_status, save_status
from penstock.stages.reconcile.referring import refers_to_secrets
from penstock.stages.reconcile.rights import check_rights
from penstock.stages.reconcile.target import Target, open_target
from penstock.stages.reconcile.turn import turn
from penstock.stages.reconcile.unserved import told_unserved, with_unserved
from penstock.stages.reconcile.write import Writer


def remove(attempt: Attempt) -> list[Outgoing]:
    """Delete what a removed Kustomization had applied, where its policy says so; then forget it."""
    below = children(attempt.deps, attempt.cluster, attempt.ref)
    due = _due_for_all_of_it(attempt, below)
    if names := due.everybody or due.keepers:
        return _waits(attempt, names, waiting_as_a_whole(names, due), due)
    if (old := behind_above(attempt, itself=bool(below))) is not None:
        return endings.asks_source(attempt, old)
    left = bury_all(attempt, below)
    messages = left.messages
    if refers_to_secrets(attempt, ()):
        messages += forget_copies(attempt)
    if left.held:
        return messages + _waits(attempt, left.names, told_leaving(left.held, left.names, left.due), left.due)
    try:
        return messages + _removed(attempt)
    except Conflict:
        return messages + endings.superseded(attempt)


def _due_for_all_of_it(attempt: Attempt, below: Collection[tuple[str, str]]) -> Due:
    """Whose word it waits for with its children and its records; only what it applied may go before that."""
    kustomization = attempt.kustomization
    if termination.begun(attempt) or (kustomization.deletes and not below and not kustomization.suspend):
        return Due()
    return renders_due_for_removal(attempt)


def _removed(attempt: Attempt) -> list[Outgoing]:
    if attempt.kustomization.suspend:
        return _forget(attempt)
    target = open_target(attempt)
    ledger = load_ledger(target.keeper, attempt)
    if (old := behind_removed(attempt, ledger.inventory)) is not None:
        return endings.asks_source(attempt, old)
    if not attempt.kustomization.deletes or not ledger.inventory.entries:
        return _ended(attempt, target, ledger)
    if not ledger.trusted:
        return _restored(attempt, target, ledger)
    if termination.begun(attempt):
        return _terminates(attempt, target, ledger)
    done = _remove_objects(attempt, target, ledger)
    publish_events(attempt, target.keeper, done, ledger.inventory.uid)
    return done


def _remove_objects(attempt: Attempt, target: Target, ledger: Ledger) -> list[Outgoing]:
    changes, due = _plan(attempt, target, ledger), Due()
    if changes.deletions or changes.moving:
        due = renders_due_for_removal(attempt)
        changes = _plan(attempt, target, ledger)  # again: see make_plan
    if due.everybody and changes.deletions:
        held = tuple(change.ref for change in changes.deletions)
        return _waits(attempt, due.everybody, waiting_for_renders(held, due), due)
    if due.keepers and changes.deletions:
        return _waits(attempt, due.keepers, f"it is left for {', '.join(due.keepers[:5])}, suspended", due)
    stop = removal_stop(changes.deletions, limits_of(attempt)) or _doubted(attempt, changes.deletions)
    if stop is not None and not approved(attempt, stop.digest):
        return _stopped(attempt, stop)
    check_rights(attempt, target, changes, first=False)
    pruned, unsure = _prune(attempt, target, ledger, changes)
    messages = _events(attempt, pruned)
    taking, told = handed_over(changes, due.resting)
    if any(change.keep for change in changes.changes):
        return messages + _waits(attempt, taking, told or told_unserved(changes), due)
    if unsure:
        return messages + endings.outlives(attempt, unsure)
    return messages + _terminates(attempt, target, ledger)


def _doubted(attempt: Attempt, deletions: Sequence[Change]) -> Stop | None:
    """One whose records were lost is deleted by nobody's word but a person's."""
    if not attempt.record.discovered or not deletions:
        return None
    why = (
        f"Kustomization {attempt.ref} is in no render, the plane's records of it are lost, and its inventory has "
        f"{len(deletions)} objects"
    )
    return Stop(why=why, digest=deletions_digest(deletions))


def _terminates(attempt: Attempt, target: Target, ledger: Ledger) -> list[Outgoing]:
    """Everything has been deleted: forget it, by its policy only when that has come to an end."""
    messages: list[Outgoing] = []
    if attempt.kustomization.deletion_policy == termination.POLICY:
        waits, messages = termination.look(attempt, target.cluster, ledger.inventory.entries)
        if waits:
            return messages
    return messages + _ended(attempt, target, ledger)


def _prune(attempt: Attempt, target: Target, ledger: Ledger, changes: ChangeSet) -> tuple[list[Change], float]:
    """Delete under the Lease; what was, and for how long others may still be writing (lease.Claim).

    Raises Conflict where it was declared again or a run has written meanwhile, ApplyFailed where a deletion is refused.
    """
    with turn(attempt, target.keeper, existed=True) as held:
        if _record(attempt) is None:
            raise Conflict(f"Kustomization {attempt.ref} was declared again")
        refuse_outdated(attempt, target, ledger, held.claim, changes.changes)
        writer = Writer(cluster=target.cluster, clock=attempt.deps.clock, claim=held.claim)
        pruned, failed = prune_all(writer, changes.deletions)
    if failed:
        told = ";".join(f"{change.ref}: {error}" for change, error in failed[:5])
        raise ApplyFailed(Terminal(f"delete failed, errors: {told}", reason="PruneFailed"), tuple(pruned))
    return pruned, held.claim.unsure


def _known(attempt: Attempt) -> Record | None:
    """Its record as it stands; None where another run has ended the removal."""
    message = attempt.message
    return attempt.deps.state.get(object_key(message.cluster, KIND, message.namespace, message.name))


def _is_tombstone(found: Record) -> bool:
    return ObjectRecord.from_value(found.value).tombstone


def _record(attempt: Attempt) -> Record | None:
    """The tombstone as it stands; None where it is none any more."""
    found = _known(attempt)
    return found if found is not None and _is_tombstone(found) else None


def _restored(attempt: Attempt, target: Target, ledger: Ledger) -> list[Outgoing]:
    """Both copies of the inventory hold the union again; nothing is deleted in this run."""
    status = replace(attempt.status, inventory=ledger.inventory.ids(), inventory_digest=ledger.inventory.digest())
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    stored = store_ledger(target.keeper, attempt, ledger, ledger.inventory, shown(status, suspended=False))
    if _known(attempt) is None:
        _drop_inventory(target, stored)  # another run had ended the removal: it was not lost, but done with
    return endings.superseded(attempt)


def _waits(attempt: Attempt, names: Sequence[str], message: str, known: Due) -> list[Outgoing]:
    """Those named wake this one at the end of their runs; a backstop stands in the due index.

    Suspended ones are asked for their render, where that is due; and where all are, there is time. Who waits for this
    one's render may be one of them: it hears that none will come.
    """
    status, told = replace(attempt.status, waiting_for=tuple(names)), list[Outgoing]()
    if not attempt.kustomization.suspend:  # what that has found last stands: where it moves it comes to rest again
        said = Said(ready="Unknown", reason="Progressing", message=f"removal: {message}")
        status = with_conditions(status, said, attempt.now())
        told = stuck_event(attempt, said.message, stuck=known.stuck(names))
    due = attempt.now().timestamp() + (10 * BACKSTOP if known.rests(names) else BACKSTOP)
    save_status(attempt, status, due=due)
    woken = endings.wake(attempt) if attempt.found.waiting_for != status.waiting_for else []
    return told + woken + [endings.ask(attempt, name) for name in names if name in known.asks]


def _plan(attempt: Attempt, target: Target, ledger: Ledger) -> ChangeSet:
    """The same plan as always, for a render that holds nothing."""
    live = read_live(target.cluster, ledger.inventory.entries, Reading(owner=attempt.ref))
    entries = ledger.inventory.entries
    changes = plan((), live.objects, entries, ownership(attempt, (), live.objects, entries), prune=True)
    return with_unserved(changes, live, target.keeper)


def _stopped(attempt: Attempt, stop: Stop) -> list[Outgoing]:
    message = stop_message(attempt, stop)
    said = Said(ready="False", reason="PruneStopped", message=message)
    before = attempt.status.condition("Ready")
    news = before is None or before.message != message
    messages = [event(attempt, "error", said.reason, message)] if news else []
    save_status(
        attempt, with_conditions(attempt.status, said, attempt.now()), due=attempt.now().timestamp() + 10 * BACKSTOP
    )
    return messages


def _events(attempt: Attempt, pruned: Sequence[Change]) -> list[Outgoing]:
    lines = change_lines(pruned)
    return [event(attempt, "info", "Progressing", lines)] if lines else []


def _ended(attempt: Attempt, target: Target, ledger: Ledger) -> list[Outgoing]:
    """The inventory goes, then the records; neither where it was declared again.

    Another run of this removal may have taken the missing inventory for lost in between and restored it, while the
    records still stood: so it is looked for once more.
    """
    found = _known(attempt)
    if found is not None and not _is_tombstone(found):
        return endings.wake(attempt) + endings.superseded(attempt)
    _drop_inventory(target, ledger)
    unpoint(attempt)
    messages = _forget(attempt)
    with contextlib.suppress(PenstockError):  # somebody has just written it: they look again themselves
        left = load_ledger(target.keeper, replace(attempt, status=replace(attempt.status, inventory=())))
        if _known(attempt) is None:
            _drop_inventory(target, left)
    return messages


def _drop_inventory(target: Target, ledger: Ledger) -> None:
    """The inventory goes, and its Lease unless somebody holds it."""
    if not ledger.inventory.resource_version:
        return
    owner = ledger.inventory.owner.split("/")
    name = inventory_name(owner[-2], owner[-1])
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": ledger.inventory.uid,
        "resourceVersion": ledger.inventory.resource_version,
    }
    target.keeper.delete({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    lease.drop(target.keeper, name)


def _forget(attempt: Attempt) -> list[Outgoing]:
    """The records go, unless it was declared again; who waits for this Kustomization learns that it is gone."""
    message, state = attempt.message, attempt.deps.state
    woken = endings.wake(attempt)
    found = _record(attempt)
    if found is None:  # it was declared again, and may have seen what this run has deleted since
        return woken + endings.superseded(attempt)
    mine = object_entries(message.cluster, KIND, attempt.ref, ObjectRecord.from_value(found.value))
    delete = partial(state.delete, found.key, expected=found.version)
    try:
        write_indexed(state, adds=(), removes=mine, write=delete)
    except Conflict:
        return woken + endings.superseded(attempt)
    drop_status(message, attempt.deps, attempt.said)
    used_up(attempt)
    return woken
