"""What a run tells its operator of the Kustomization that it looked at: one record, from which metrics are made."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core.messages import ReconcileDue
from penstock.core.records import KustomizationStatus
from penstock.ports.deps import Deps
from penstock.ports.telemetry import Scoped
from penstock.stages.reconcile.attempt import Attempt


def speaking_of(message: ReconcileDue, deps: Deps) -> Deps:
    """The same ports; every record and step names this Kustomization (a sweep's message names the first of many)."""
    about = {
        "cluster": message.cluster,
        "kind": message.kind,
        "namespace": message.namespace,
        "name": message.name,
        "kustomization": f"{message.namespace}/{message.name}",
    }
    return replace(deps, telemetry=Scoped(telemetry=deps.telemetry, fields=about))


def at_revision(attempt: Attempt, revision: str) -> Attempt:
    """The same attempt; every record and step from now on names the revision."""
    scoped = Scoped(telemetry=attempt.deps.telemetry, fields={"revision": revision})
    return replace(attempt, deps=replace(attempt.deps, telemetry=scoped))


def tell(attempt: Attempt, status: KustomizationStatus, *, drifted: Sequence[object] = ()) -> None:
    """How the Kustomization stands after this run.

    ``since_push``: seconds from the delivery that caused it until it became ready at a new revision. Of a sweep, only
    those are told of who stand otherwise than before.
    """
    ready, before = status.condition("Ready"), attempt.found.condition("Ready")
    if ready is None:
        return
    unchanged = before is not None and (before.status, before.reason) == (ready.status, ready.reason)
    if attempt.shared is not None and unchanged and not drifted:
        return
    now, pushed = attempt.now(), attempt.deps.pushed
    fields: dict[str, str | float] = {
        "ready": ready.status,
        "reason": ready.reason,
        "milliseconds": round((now - attempt.started).total_seconds() * 1000, 1),
    }
    if drifted:
        fields["drifted"] = len(drifted)
    is_new = status.last_applied_revision != attempt.found.last_applied_revision
    if pushed is not None and ready.status == "True" and is_new:
        fields["since_push"] = round(max(0.0, (now - pushed).total_seconds()), 3)
    attempt.deps.telemetry.record("kustomization reconciled", stage="reconcile", **fields)


def answer(attempt: Attempt, status: KustomizationStatus) -> None:
    """Write down the outcome for whoever asked for this run through the api."""
    request, ready = attempt.message.request, status.condition("Ready")
    if request and ready is not None:
        value = {
            "format": 1,
            "ready": ready.status,
            "reason": ready.reason,
            "message": ready.message,
            "revision": status.last_attempted_revision,
        }
        attempt.deps.state.put(f"request/{request}", value, expected=None)
