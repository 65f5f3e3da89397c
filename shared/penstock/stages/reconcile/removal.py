"""What happens to a Kustomization that left its parent's render: its deletionPolicy, under the prune guard.

There are no finalizers: the tombstone holds the last spec, and is gone when everything that it says has been done.
"""

from collections.abc import Sequence

from penstock.core.errors import Terminal
from penstock.core.messages import Outgoing
from penstock.core.reconcile.guard import Limits, Stop, removal_stop
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name, parse_object_id
from penstock.core.reconcile.plan import Change, ChangeSet, Ownership, plan
from penstock.core.records import object_key, status_key
from penstock.core.resources import ObjectRef
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile import endings, lease
from penstock.stages.reconcile.apply import Writer, prune_all
from penstock.stages.reconcile.attempt import KIND, Attempt, objects, save_status, statuses
from penstock.stages.reconcile.children import bury_all
from penstock.stages.reconcile.ledger import Ledger, load_ledger
from penstock.stages.reconcile.live import owner_selector, read_live
from penstock.stages.reconcile.outcome import BACKSTOP, Said, change_lines, event, with_conditions
from penstock.stages.reconcile.planning import approved, stop_message
from penstock.stages.reconcile.target import Target, open_target


def remove(attempt: Attempt) -> list[Outgoing]:
    """Delete what a removed Kustomization had applied, where its policy says so; then forget it."""
    messages = bury_all(attempt)
    if attempt.kustomization.suspend:
        return messages + _forget(attempt)
    target = open_target(attempt)
    ledger = load_ledger(target.keeper, attempt)
    if not _deletes(attempt) or not ledger.inventory.entries:
        _drop_inventory(target, ledger)
        return messages + _forget(attempt)
    changes = _plan(attempt, target, ledger)
    limits = Limits(objects=attempt.policy.prune_objects, share=attempt.policy.prune_percent / 100)
    stop = removal_stop(changes.deletions, limits)
    if stop is not None and not approved(attempt, stop.digest):
        return messages + _stopped(attempt, stop)
    claim = lease.acquire(target.keeper, attempt.owner, attempt.deps.clock.new_id(), attempt.deps.clock)
    try:
        writer = Writer(cluster=target.cluster, clock=attempt.deps.clock, claim=claim)
        pruned, failed = prune_all(writer, changes.deletions)
    finally:
        lease.release(target.keeper, claim)
    if failed:
        told = ";".join(f"{change.ref}: {error}" for change, error in failed[:5])
        raise Terminal(f"delete failed, errors: {told}", reason="PruneFailed")
    _drop_inventory(target, ledger)
    return messages + _events(attempt, pruned) + _forget(attempt)


def _deletes(attempt: Attempt) -> bool:
    policy = attempt.kustomization.deletion_policy
    return policy in ("Delete", "WaitForTermination") or (policy == "MirrorPrune" and attempt.kustomization.prune)


def _plan(attempt: Attempt, target: Target, ledger: Ledger) -> ChangeSet:
    """The same plan as always, for a render that holds nothing."""
    name = attempt.message
    live = read_live(target.cluster, ledger.inventory.entries, owner_selector(name.namespace, name.name))
    ownership = Ownership(namespace=name.namespace, name=name.name, manager=FIELD_MANAGER, claimed=_claimed(attempt))
    return plan((), live.objects, ledger.inventory.entries, ownership, prune=True)


def _claimed(attempt: Attempt) -> dict[ObjectRef, str]:
    """What the other Kustomizations of the cluster render: handed over, not deleted."""
    alive = {name for name, record in objects(attempt.deps, attempt.cluster, KIND).items() if not record.tombstone}
    return {
        parse_object_id(text.rpartition("@")[0]): name
        for name, status in statuses(attempt.deps, attempt.cluster).items()
        if name in alive and name != attempt.ref
        for text in status.rendered
    }


def _stopped(attempt: Attempt, stop: Stop) -> list[Outgoing]:
    message = stop_message(attempt, stop)
    said = Said(ready="False", reason="PruneStopped", message=message)
    before = attempt.status.condition("Ready")
    save_status(
        attempt, with_conditions(attempt.status, said, attempt.now()), due=attempt.now().timestamp() + 10 * BACKSTOP
    )
    if before is not None and before.message == message:
        return []
    return [event(attempt, "error", said.reason, message)]


def _events(attempt: Attempt, pruned: Sequence[Change]) -> list[Outgoing]:
    lines = change_lines(pruned)
    return [event(attempt, "info", "Progressing", lines)] if lines else []


def _drop_inventory(target: Target, ledger: Ledger) -> None:
    if ledger.inventory.resource_version:
        owner = ledger.inventory.owner.split("/")
        metadata = {
            "name": inventory_name(owner[-2], owner[-1]),
            "namespace": NAMESPACE,
            "uid": ledger.inventory.uid,
            "resourceVersion": ledger.inventory.resource_version,
        }
        target.keeper.delete({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        lease_metadata = {"name": metadata["name"], "namespace": NAMESPACE}
        target.keeper.delete({"apiVersion": lease.GVK.api_version, "kind": "Lease", "metadata": lease_metadata})


def _forget(attempt: Attempt) -> list[Outgoing]:
    """The records go; who waits for this Kustomization learns that it is gone."""
    message, state = attempt.message, attempt.deps.state
    woken = endings.wake(attempt)
    state.delete(object_key(message.cluster, KIND, message.namespace, message.name), expected=None)
    state.delete(status_key(message.cluster, KIND, message.namespace, message.name), expected=None)
    return woken
