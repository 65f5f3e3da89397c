"""A suspended Kustomization: nothing is compared or applied, and it says so where people look."""

from datetime import datetime

from penstock.core.errors import PenstockError
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.records import Suspension
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.lease import refuse_other_owner
from penstock.stages.reconcile.ledger import GVK
from penstock.stages.reconcile.recording import save_rest
from penstock.stages.reconcile.target import open_target

SUSPENDED = "penstock.dev/suspended"


def rest(attempt: Attempt) -> None:
    """Look again when the suspension ends, or after the interval; show it in the inventory; answer who waits."""
    held = attempt.status.suspension
    save_rest(attempt, due=next_look(attempt))
    _show(attempt)
    if attempt.message.request:
        value = {"format": 1, "ready": "False", "reason": "Suspended", "message": _told(held)}
        attempt.deps.state.put(f"request/{attempt.message.request}", value, expected=None)


def next_look(attempt: Attempt) -> float:
    """When a suspended one is looked at again (POSIX seconds): after its interval, or when the suspension ends."""
    held = attempt.status.suspension
    due = attempt.now().timestamp() + attempt.kustomization.interval.total_seconds()
    if held is not None and held.until and not attempt.kustomization.suspend:
        due = min(due, datetime.fromisoformat(held.until).timestamp())
    return due


def _told(held: Suspension | None) -> str:
    if held is None:
        return "suspended in its manifest (spec.suspend)"
    why = f": {held.why}" if held.why else ""
    return f"suspended by {held.who}{' until ' + held.until if held.until else ''}{why}"


def _show(attempt: Attempt) -> None:
    """The label on the inventory object, which ``kubectl get -L`` shows. Not worth an error where it cannot be set."""
    try:
        keeper = open_target(attempt).keeper
        found = keeper.get(GVK, NAMESPACE, inventory_name(attempt.owner.namespace, attempt.owner.name))
        if found is None or (found["metadata"].get("labels") or {}).get(SUSPENDED) == "True":
            return
        refuse_other_owner(found, attempt.owner)
        labels = {**(found["metadata"].get("labels") or {}), SUSPENDED: "True"}
        keeper.replace({**found, "metadata": {**found["metadata"], "labels": labels}})
    except PenstockError as error:
        attempt.deps.telemetry.record(
            "suspension not shown", stage="reconcile", cluster=attempt.cluster, name=attempt.ref, reason=error.reason
        )
