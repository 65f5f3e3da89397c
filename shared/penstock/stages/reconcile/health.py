"""The health check of a run: watched for a bounded time, then left to a continuation.

No invocation sleeps through a rollout: after ``SLICE`` seconds it publishes itself again, later each time, until the
Kustomization's timeout. The continuation looks at the newest state, so a new revision supersedes a waiting one. Other
Kustomizations are not waited for at all: the end of their runs wakes this one.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

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
from penstock.core.records import KustomizationStatus
from penstock.core.resources import ObjectRef, ref_of
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt, health_goes_on
from penstock.stages.reconcile.pods import look_at_pods
from penstock.stages.reconcile.watching import HealthFacts, Watched, own_status

SLICE = 4.0
LONGEST_PAUSE = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """``verdict``: how it stands; ``checked``: how many objects; ``elapsed``: since the check began.

    ``unsupported``: objects waited for that this release can't judge; ``trouble``: what pods of them say, or "";
    ``looks``: how many slices this check has taken so far.
    """

    verdict: Verdict
    checked: int
    elapsed: timedelta
    deadline: float
    unsupported: tuple[ObjectRef, ...] = ()
    trouble: str = ""
    looks: int = 0

    @property
    def reason(self) -> str:
        """The Ready reason of a check that did not pass."""
        return "UnsupportedKind" if self.unsupported else "HealthCheckFailed"


def check_health(attempt: Attempt, cluster: Cluster, facts: HealthFacts) -> Checked:
    """Wait, for at most SLICE seconds, until everything that the Kustomization waits for has come to an end."""
    rendered, facts = facts.rendered, replace(facts, rules=health_rules(attempt.kustomization.health_check_exprs))
    covered = (*rendered.apply, *rendered.parts.interpreted, *(m for m, _ in rendered.parts.unsupported))
    applied = (ref for ref in map(ref_of, covered) if ref not in facts.left_alone)
    wanted = to_wait_for(attempt.kustomization, applied)
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
            checked = Checked(verdict=verdict, checked=len(wanted), elapsed=elapsed, deadline=deadline)
            return checked if verdict.passed else _asked(attempt, watched, checked, ttl)
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


def _asked(attempt: Attempt, watched: Watched, checked: Checked, ttl: frozenset[ObjectRef]) -> Checked:
    """With what pods say: what they will not get out of by themselves ends the check before its timeout."""
    looks = int(attempt.status.pending.get("looks", 0)) if health_goes_on(attempt) else 0
    found = look_at_pods(watched, checked.verdict.waiting, turn=looks)
    verdict = checked.verdict
    if not verdict.done:
        verdict = judge({**watched.known, **found.failed}, expired=False, ttl_jobs=ttl)
    return replace(checked, verdict=verdict, trouble=found.trouble, looks=looks + 1)


def continuation_delay(status: KustomizationStatus, now: float) -> float:
    """Seconds until the next look: a quarter of the time waited so far, between 1 and LONGEST_PAUSE."""
    waited = now - float(status.pending.get("started", now))
    return min(max(waited / 4, 1.0), LONGEST_PAUSE)


def _times(attempt: Attempt) -> tuple[float, float]:
    """When this check began and must end (POSIX seconds): kept over continuations of the same revision."""
    pending = attempt.status.pending
    now = attempt.started.timestamp()
    if health_goes_on(attempt):
        return float(pending["started"]), float(pending["deadline"])
    return now, now + attempt.kustomization.effective_timeout.total_seconds()


def _is_flux(ref: ObjectRef) -> bool:
    return ref.group.endswith(".fluxcd.io")


def _first_look(attempt: Attempt, ref: ObjectRef, facts: HealthFacts) -> Health | None:
    if _is_flux(ref):
        return own_status(attempt, ref, facts.rules)
    return facts.rules.assess(facts.last[ref]) if ref in facts.last else None
