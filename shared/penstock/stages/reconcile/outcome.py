"""How an attempt ended: conditions, history and events in Flux's words (flux-core §0.2, §3.10)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from penstock.core.flux.kustomization import API_GROUP
from penstock.core.health.gate import format_duration
from penstock.core.messages import Event, Outgoing
from penstock.core.reconcile.inventory import Shown
from penstock.core.reconcile.plan import Action, Change
from penstock.core.records import Condition, KustomizationStatus
from penstock.stages.reconcile.attempt import KIND, Attempt

BACKSTOP = 60.0
"""Seconds after which a run that was cut short, or waits for others, is looked at again."""
MOST_MESSAGE = 16_000
MOST_HISTORY = 5
API_VERSION = f"{API_GROUP}/v1"
NOT_CHECKED = "none"
STALLED = frozenset({"InvalidCELExpression", "AccessDenied", "OwnedByOther", "OwnedByFlux", "UnsupportedKind"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of an attempt: Ready's status, reason and message.

    ``healthy``: the status of Healthy; "" leaves it as it was, as Flux does where nothing was checked, NOT_CHECKED
    takes it away.
    """

    ready: str
    reason: str
    message: str
    healthy: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


def stamp(moment: datetime) -> str:
    """RFC 3339 UTC seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def with_conditions(status: KustomizationStatus, said: Said, moment: datetime) -> KustomizationStatus:
    """The status with Ready, Reconciling or Stalled, and Healthy as this outcome has them."""
    wanted = [("Ready", said.ready, said.reason, said.message)]
    if said.ready == "Unknown":
        wanted.append(("Reconciling", "True", "Progressing", said.message))
    elif said.ready == "False" and said.reason in STALLED:
        wanted.append(("Stalled", "True", said.reason, said.message))
    elif said.ready == "False":
        wanted.append(("Reconciling", "True", "ProgressingWithRetry", said.message))
    known = {c.type: c for c in status.conditions}
    if not said.healthy and (healthy := known.get("Healthy")) is not None:
        wanted.append((healthy.type, healthy.status, healthy.reason, healthy.message))
    elif said.healthy and said.healthy != NOT_CHECKED:
        reason = {"True": "Succeeded", "False": "HealthCheckFailed"}.get(said.healthy, "Progressing")
        wanted.append(("Healthy", said.healthy, reason, said.message))
    conditions = []
    for kind, value, reason, message in wanted:
        before = known.get(kind)
        since = before.since if before and before.status == value else stamp(moment)
        conditions.append(
            Condition(
                type=kind,
                status=value,
                reason=reason,
                message=message[:MOST_MESSAGE],
                since=since,
                observed_generation=status.observed_generation,
            )
        )
    return replace(status, conditions=tuple(conditions))


def with_history(
    status: KustomizationStatus, *, digest: str, outcome: str, moment: datetime, took: timedelta
) -> KustomizationStatus:
    """The status with this outcome in its history: equal ones (digest and status) are counted, five are kept."""
    entry: dict[str, object] = {
        "digest": digest,
        "lastReconciledStatus": outcome,
        "firstReconciled": stamp(moment),
        "totalReconciliations": 1,
    }
    rest = []
    for known in status.history:
        if known.get("digest") == digest and known.get("lastReconciledStatus") == outcome:
            entry["firstReconciled"] = known["firstReconciled"]
            entry["totalReconciliations"] = int(known["totalReconciliations"]) + 1
        else:
            rest.append(known)
    entry |= {
        "lastReconciled": stamp(moment),
        "lastReconciledDuration": format_duration(took),
        "metadata": {"revision": status.last_attempted_revision},
    }
    return replace(status, history=(entry, *rest[: MOST_HISTORY - 1]))


def shown(status: KustomizationStatus, *, suspended: bool) -> Shown:
    """What kubectl users see of a status."""
    ready = status.condition("Ready")
    return Shown(
        ready=ready.status if ready else "Unknown",
        suspended=suspended,
        message=ready.message if ready else "",
        last_applied_revision=status.last_applied_revision,
        history=tuple(each for each in status.history if each.get("digest")),
        conditions=tuple(
            {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message[:1024], "since": c.since}
            for c in status.conditions
        ),
    )


def event(attempt: Attempt, severity: str, reason: str, message: str, *, once: str = "") -> Outgoing:
    """An event about the Kustomization at the revision it attempted last; the next status that is written keeps it.

    ``once``: what makes it the same event when it is made again.
    """
    revision = attempt.status.last_attempted_revision
    identity = f"{attempt.cluster}\n{attempt.ref}\n{severity}\n{reason}\n{message}\n{revision}\n{once}"
    made = Event(
        id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        cluster=attempt.cluster,
        api_version=API_VERSION,
        kind=KIND,
        namespace=attempt.message.namespace,
        name=attempt.message.name,
        severity=severity,
        reason=reason,
        message=message[:MOST_MESSAGE],
        timestamp=stamp(attempt.now()),
        metadata={"revision": revision} if revision else {},
    )
    attempt.said.append(made)
    return Outgoing(message=made)


def change_lines(changes: Sequence[Change]) -> str:
    """One line an object that was created, configured or deleted, as Flux lists them."""
    told = (Action.CREATED, Action.CONFIGURED, Action.DELETED)
    return "\n".join(str(change) for change in changes if change.action in told)
