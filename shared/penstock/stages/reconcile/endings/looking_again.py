"""Who looks again when a run ends: those who wait for it, who was asked, and itself."""

from datetime import datetime

from penstock.core.errors import Transient
from penstock.core.flux.kustomization import SourceRef
from penstock.core.messages import RENDER, Outgoing, ReconcileDue, SourceChanged
from penstock.ports.cluster import NOT_SERVED
from penstock.stages.reconcile.attempt import KIND, Attempt, source_cluster, statuses, wake_up
from penstock.stages.reconcile.waits import waiting_for

LONGEST_BACKOFF = 60.0


def next_try(attempt: Attempt) -> float:
    """When retryInterval is over: POSIX seconds."""
    return attempt.now().timestamp() + attempt.kustomization.effective_retry_interval.total_seconds()


def wake(attempt: Attempt) -> list[Outgoing]:
    """Those who wait for this Kustomization look again; by themselves, later, where the store fails now.

    An ending wakes after it has recorded what it tells people, and that must be sent all the same.
    """
    try:
        return [wake_up(attempt, name, "dependency") for name in waiting_for(attempt)]
    except Transient as error:
        attempt.deps.telemetry.record("wakes nobody", stage="reconcile", cluster=attempt.cluster, detail=str(error))
        return []


def ask(attempt: Attempt, name: str) -> Outgoing:
    """A suspended Kustomization (``namespace/name``) is to write down what it renders now."""
    return wake_up(attempt, name, RENDER)


def look_at(attempt: Attempt, source: SourceRef, *, above: int = 0) -> Outgoing:
    """The source's head is looked at now. ``above``: what its observation must count higher than."""
    look = SourceChanged(
        cluster=source_cluster(attempt.deps, attempt.cluster, source),
        kind=source.kind,
        namespace=source.namespace,
        name=source.name,
        above=above,
    )
    return Outgoing(message=look)


def wake_those_without_kinds(attempt: Attempt) -> list[Outgoing]:
    """Those that failed because the cluster did not serve a kind: it may do so from now on."""
    messages = []
    for name, status in statuses(attempt.deps, attempt.cluster).items():
        ready = status.condition("Ready")
        if name != attempt.ref and ready is not None and ready.status == "False" and NOT_SERVED in ready.message:
            messages.append(wake_up(attempt, name, "dependency"))
    return messages


def itself(attempt: Attempt, why: str, *, delay: float = 0.0) -> Outgoing:
    """This Kustomization looks again after ``delay`` seconds, for whoever asked for this run."""
    message = attempt.message
    due = ReconcileDue(
        cluster=message.cluster,
        kind=KIND,
        namespace=message.namespace,
        name=message.name,
        why=why,
        request=message.request,
    )
    return Outgoing(message=due, delay=delay)


def patience(attempt: Attempt, ready: str) -> float:
    """How long Ready has been of this status when this attempt began: 1 to LONGEST_BACKOFF seconds."""
    found = attempt.found.condition("Ready")
    lasted = 1.0
    if found is not None and found.status == ready and found.since:
        lasted = (attempt.now() - datetime.fromisoformat(found.since)).total_seconds()
    return min(max(lasted, 1.0), LONGEST_BACKOFF)
