"""What kubectl shows: events on the inventory object, and the status of a run that failed before it could write one.

Asked of the API server only where there is news. Not worth an error where it cannot be said: records and
notifications have it too.
"""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core.errors import Conflict, PenstockError, Transient
from penstock.core.messages import Event, Outgoing
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name, with_shown
from penstock.core.reconcile.kube_event import GVK, kube_event, repeated
from penstock.core.records import KustomizationStatus
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.lease import refuse_other_owner
from penstock.stages.reconcile.ledger import GVK as CONFIG_MAP
from penstock.stages.reconcile.outcome import shown
from penstock.stages.reconcile.target import open_target

FOREIGN = frozenset({"OwnedByOther", "OwnedByFlux"})
"""Reasons of failures in clusters where somebody else is at work: nothing of ours is written there."""


def publish_events(attempt: Attempt, keeper: Cluster, messages: Sequence[Outgoing], uid: str) -> None:
    """The events among ``messages`` as Kubernetes Events. ``uid``: of the inventory object."""
    events = [out.message for out in messages if isinstance(out.message, Event)]
    if not events or not attempt.policy.kubernetes_events:
        return
    try:
        if keeper.resource_type(GVK.group, GVK.kind) is None:
            return
        for event in events:
            _publish(keeper, kube_event(event, uid=uid, reporter=f"{attempt.uid}/{attempt.cluster}"))
    except PenstockError as error:
        _told(attempt, "event not shown", error)


def show_failure(
    attempt: Attempt, status: KustomizationStatus, messages: Sequence[Outgoing], cause: PenstockError
) -> None:
    """The status of a failure on the inventory object, and its events, where either is news."""
    before, now = attempt.found.condition("Ready"), status.condition("Ready")
    same = before is not None and now is not None and replace(before, since="") == replace(now, since="")
    if (same and not messages) or cause.reason in FOREIGN or isinstance(cause, Transient):
        return
    try:
        keeper = open_target(attempt).keeper
        found = keeper.get(CONFIG_MAP, NAMESPACE, inventory_name(attempt.owner.namespace, attempt.owner.name))
        if found is not None:
            refuse_other_owner(found, attempt.owner)
            _show(attempt, keeper, found, status)
    except PenstockError as error:
        _told(attempt, "status not shown", error)
        return
    publish_events(attempt, keeper, messages, found["metadata"]["uid"] if found is not None else "")


def _show(attempt: Attempt, keeper: Cluster, found: Manifest, status: KustomizationStatus) -> None:
    wanted = with_shown(found, shown(status, suspended=False), attempted=status.last_attempted_revision)
    if wanted == found:
        return
    try:
        keeper.replace(wanted)
    except Conflict as conflict:
        _told(attempt, "status not shown", conflict)  # a newer run writes its own


def _publish(keeper: Cluster, manifest: Manifest) -> None:
    try:
        keeper.create(manifest)
    except Conflict:  # the same was said before
        known = keeper.get(GVK, NAMESPACE, manifest["metadata"]["name"])
        if known is not None:
            keeper.replace(repeated(known, manifest))


def _told(attempt: Attempt, what: str, error: PenstockError) -> None:
    attempt.deps.telemetry.record(
        what, stage="reconcile", cluster=attempt.cluster, name=attempt.ref, reason=error.reason, detail=str(error)
    )
