"""What people must allow before it is deleted, and whether they have."""

from penstock.core.reconcile.guard import APPROVAL, Limits, Stop
from penstock.core.records import Approval, approval_key
from penstock.stages.reconcile.attempt import Attempt


def limits_of(attempt: Attempt) -> Limits:
    """How much goes without an approval, by the plane's policy."""
    return Limits(objects=attempt.policy.prune_objects, share=attempt.policy.prune_percent / 100)


def used_up(attempt: Attempt) -> None:
    """What was approved is done: the same needs another approval."""
    message = attempt.message
    attempt.deps.state.delete(approval_key(message.cluster, message.namespace, message.name), expected=None)


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
