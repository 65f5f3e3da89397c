"""The health check of a run: watched for a bounded time, then left to a continuation.

No invocation sleeps through a rollout: after ``SLICE`` seconds it publishes itself again, later each time, until the
Kustomization's timeout. The continuation looks at the newest state, so a new revision supersedes a waiting one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from penstock.core.errors import NotFound, PenstockError, Refused
from penstock.core.flux.kustomization import API_GROUP
from penstock.core.health.exprs import HealthRules, health_rules
from penstock.core.health.facts import Health, Status
from penstock.core.health.gate import (
    Verdict,
    failure_message,
    jobs_with_ttl,
    judge,
    to_wait_for,
    unsupported_among,
)
from penstock.core.health.trouble import pod_selector, pod_trouble
from penstock.core.reconcile.render import Rendered
from penstock.core.records import KustomizationStatus
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import KIND, Attempt, load_status, read_object
from penstock.stages.reconcile.live import indexed
from penstock.stages.reconcile.ready import with_status

SLICE = 4.0
FIRST_LOOK = 0.15
LONGEST_PAUSE = 15.0
MOST_ASKED = 3
POD = Gvk(version="v1", kind="Pod")


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthFacts:
    """What the check starts from: the render, and the API server's last word on each object."""

    rendered: Rendered
    last: Mapping[ObjectRef, Manifest]
    selector: str
    rules: HealthRules = field(default_factory=HealthRules)


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
    end = attempt.deps.clock.monotonic() + (SLICE if attempt.shared is None else 0.0)
    pause = FIRST_LOOK
    while True:
        expired = attempt.now().timestamp() >= deadline
        verdict = judge(known, expired=expired, ttl_jobs=ttl)
        left = end - attempt.deps.clock.monotonic()
        if verdict.done or left <= 0:
            elapsed = timedelta(seconds=max(0.0, attempt.now().timestamp() - started))
            trouble = "" if verdict.passed else _trouble(cluster, facts, verdict.waiting)
            return Checked(verdict=verdict, checked=len(wanted), elapsed=elapsed, deadline=deadline, trouble=trouble)
        attempt.deps.clock.sleep(min(pause, left))
        pause = min(pause * 1.5, 1.0)
        _look_again(attempt, cluster, facts, known, verdict.waiting)


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


def _first_look(attempt: Attempt, ref: ObjectRef, facts: HealthFacts) -> Health | None:
    if ref.group.endswith(".fluxcd.io"):
        return _own_status(attempt, ref, facts.rules)
    return facts.rules.assess(facts.last[ref]) if ref in facts.last else None


def _own_status(attempt: Attempt, ref: ObjectRef, rules: HealthRules) -> Health:
    """The health of a Flux object is the plane's own status."""
    if (ref.group, ref.kind) != (API_GROUP, KIND):
        return Health(status=Status.CURRENT)
    status = load_status(attempt.deps, attempt.cluster, ref.namespace, ref.name)
    record = read_object(attempt.deps, attempt.cluster, KIND, f"{ref.namespace}/{ref.name}")
    if record is None:
        return Health(status=Status.NOT_FOUND, message="Resource not found")
    if rules.covers(ref.group, ref.kind):
        return rules.assess(with_status(record, status))
    if status.ready() and status.observed_generation == record.generation:
        return Health(status=Status.CURRENT)
    ready = status.condition("Ready")
    return Health(status=Status.IN_PROGRESS, message=ready.message if ready else "waiting to be reconciled")


def _look_again(
    attempt: Attempt,
    cluster: Cluster,
    facts: HealthFacts,
    known: dict[ObjectRef, Health | None],
    waiting: Sequence[ObjectRef],
) -> None:
    versions = {ref_of(m): gvk_of(m).version for m in facts.rendered.apply}
    groups: dict[Gvk, list[ObjectRef]] = defaultdict(list)
    for ref in waiting:
        if ref.group.endswith(".fluxcd.io"):
            known[ref] = _own_status(attempt, ref, facts.rules)
            continue
        served = cluster.resource_type(ref.group, ref.kind, versions.get(ref, ""))
        if served is not None:
            groups[served.gvk].append(ref)
    for gvk, refs in groups.items():
        known.update({ref: facts.rules.assess(live) for ref, live in _read_group(cluster, gvk, refs, facts.selector)})


def _read_group(
    cluster: Cluster, gvk: Gvk, refs: Sequence[ObjectRef], selector: str
) -> list[tuple[ObjectRef, Manifest | None]]:
    """One LIST for several objects of a kind (of their namespace, if it is one), a GET for one."""
    found: dict[ObjectRef, Manifest] = {}
    namespaces = {ref.namespace for ref in refs}
    if len(refs) > 1:
        try:
            inside = namespaces.pop() if len(namespaces) == 1 else ""
            found = indexed(gvk, cluster.list(gvk, namespace=inside, label_selector=selector).items)
        except (Refused, NotFound):
            found = {}
    return [(ref, found[ref] if ref in found else cluster.get(gvk, ref.namespace, ref.name)) for ref in refs]
