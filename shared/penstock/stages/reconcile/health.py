"""The health check of a run: watched for a bounded time, then left to a continuation.

No invocation sleeps through a rollout: after ``SLICE`` seconds it publishes itself again, later each time, until the
Kustomization's timeout. The continuation looks at the newest state, so a new revision supersedes a waiting one. Other
Kustomizations are not waited for at all: the end of their runs wakes this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from penstock.core.errors import PenstockError
from penstock.core.health.exprs import health_rules
from penstock.core.health.facts import Health
from penstock.core.health.gate import (
    Verdict,
    failure_message,
    jobs_with_ttl,
    judge,
    to_wait_for,
    unsupported_among,
)
from penstock.core.health.trouble import pod_selector, pod_trouble
from penstock.core.records import KustomizationStatus
from penstock.core.resources import Gvk, ObjectRef, ref_of
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.watching import HealthFacts, Watched, own_status

SLICE = 4.0
LONGEST_PAUSE = 15.0
MOST_ASKED = 3
POD = Gvk(version="v1", kind="Pod")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """``verdict``: how it stands; ``checked``: how many objects; ``elapsed``: since the check began.

    ``unsupported``: objects waited for that this release can't judge; ``trouble``: what pods of them say, or "".
    """

    verdict: Verdict
    checked: int
    elapsed: timedelta
    deadline: float
    unsupported: tuple[ObjectRef, ...] = ()
    trouble: str = ""

    @property
    def reason(self) -> str:
        """The Ready reason of a check that did not pass."""
        return "UnsupportedKind" if self.unsupported else "HealthCheckFailed"


def check_health(attempt: Attempt, cluster: Cluster, facts: HealthFacts) -> Checked:
    """Wait, for at most SLICE seconds, until everything that the Kustomization waits for has come to an end."""
    rendered, facts = facts.rendered, replace(facts, rules=health_rules(attempt.kustomization.health_check_exprs))
    covered = (*rendered.apply, *rendered.parts.interpreted, *(m for m, _ in rendered.parts.unsupported))
    wanted = to_wait_for(attempt.kustomization, (ref_of(m) for m in covered))
    unsupported = unsupported_among(wanted, (m for m, _ in rendered.parts.unsupported))
    started, deadline = _times(attempt)
    if unsupported:
        verdict = Verdict(done=True, passed=False, problem="this kind is not supported yet, so its health is not known")
        none = timedelta()
        return Checked(verdict=verdict, checked=0, elapsed=none, deadline=deadline, unsupported=unsupported)
    known: dict[ObjectRef, Health | None] = dict.fromkeys(wanted)
    for ref in wanted:
        known[ref] = _first_look(attempt, ref, facts)
    ttl = jobs_with_ttl(rendered.apply)
    clock = attempt.deps.clock
    end = clock.monotonic() + (SLICE if attempt.shared is None else 0.0)
    watched = Watched(attempt=attempt, cluster=cluster, facts=facts, known=known)
    while True:
        now = attempt.now().timestamp()
        verdict = judge(known, expired=now >= deadline, ttl_jobs=ttl)
        left = min(end - clock.monotonic(), deadline - now)
        if verdict.done or left <= 0 or all(map(_is_flux, verdict.waiting)):
            elapsed = timedelta(seconds=max(0.0, attempt.now().timestamp() - started))
            trouble = "" if verdict.passed else _trouble(cluster, facts, verdict.waiting)
            return Checked(verdict=verdict, checked=len(wanted), elapsed=elapsed, deadline=deadline, trouble=trouble)
        with clock.idle():
            watched.look(verdict.waiting, left)


def failure(checked: Checked) -> str:
    """The Ready message of a check that did not pass."""
    if checked.unsupported:
        return f"{', '.join(map(str, checked.unsupported[:5]))}: {checked.verdict.problem}"
    return with_trouble(failure_message(checked.verdict.problem, checked.elapsed), checked)


def with_trouble(message: str, checked: Checked) -> str:
    """The message, and what pods say where some are in trouble."""
    return f"{message}; {checked.trouble}" if checked.trouble else message


def _trouble(cluster: Cluster, facts: HealthFacts, waiting: Sequence[ObjectRef]) -> str:
    """What pods of the first few workloads say: one LIST for each. Nothing where they cannot be read."""
    said = []
    workloads = {ref_of(m): m for m in facts.rendered.apply if ref_of(m) in waiting}
    for ref, workload in list(workloads.items())[:MOST_ASKED]:
        selector = pod_selector(workload)
        if not selector:
            continue
        try:
            said.append(pod_trouble(cluster.list(POD, namespace=ref.namespace, label_selector=selector).items))
        except PenstockError:
            return ""  # it is a help, no more
    return "; ".join(text for text in said if text)


def continuation_delay(status: KustomizationStatus, now: float) -> float:
    """Seconds until the next look: a quarter of the time waited so far, between 1 and LONGEST_PAUSE."""
    waited = now - float(status.pending.get("started", now))
    return min(max(waited / 4, 1.0), LONGEST_PAUSE)


def _times(attempt: Attempt) -> tuple[float, float]:
    """When this check began and must end (POSIX seconds): kept over continuations of the same revision."""
    pending = attempt.status.pending
    now = attempt.started.timestamp()
    if pending and pending.get("revision") == attempt.status.last_attempted_revision:
        return float(pending["started"]), float(pending["deadline"])
    return now, now + attempt.kustomization.effective_timeout.total_seconds()


def _is_flux(ref: ObjectRef) -> bool:
    return ref.group.endswith(".fluxcd.io")


def _first_look(attempt: Attempt, ref: ObjectRef, facts: HealthFacts) -> Health | None:
    if _is_flux(ref):
        return own_status(attempt, ref, facts.rules)
    return facts.rules.assess(facts.last[ref]) if ref in facts.last else None
