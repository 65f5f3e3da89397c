"""A run that failed."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.core.errors import Conflict, NotFound, PenstockError, Transient
from penstock.core.messages import Outgoing
from penstock.core.reconcile.plan import Change
from penstock.core.records import KustomizationStatus, status_key
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.alerts import change_events, failure_event
from penstock.stages.reconcile.attempt import KIND, Attempt, failed_at, overtaken, status_of
from penstock.stages.reconcile.endings.looking_again import itself, look_at, next_try, patience, wake
from penstock.stages.reconcile.endings.waiting import superseded
from penstock.stages.reconcile.execute import ApplyFailed
from penstock.stages.reconcile.in_cluster import show_failure
from penstock.stages.reconcile.opening import source_among, source_keys
from penstock.stages.reconcile.outcome import Said, with_conditions, with_history
from penstock.stages.reconcile.recording import save_status
from penstock.stages.reconcile.rights import explained
from penstock.stages.reconcile.source import ArtifactGone
from penstock.stages.reconcile.telling import answer, tell


def failed(attempt: Attempt, error: PenstockError, *, digest: str = "") -> list[Outgoing]:
    """The attempt failed: said once, tried again after retryInterval, a passing trouble sooner.

    ``digest``: of the render, "" where it did not come to that (Flux's history has no entry then).
    """
    done: Sequence[Change] = error.done if isinstance(error, ApplyFailed) else ()
    error = explained(attempt, error)
    cause = error.cause if isinstance(error, ApplyFailed) else error
    said = Said(ready="False", reason=_reason(cause), message=str(error))
    messages = change_events(attempt, done)  # first: should the store fail now, the next try of this ending says them
    mine = attempt.status
    attempt, status = _as_it_stands(attempt)
    if overtaken(attempt, mine, status):
        return superseded(attempt)  # a newer run has the last word
    status = replace(status, waiting_for=(), failed_at=failed_at(attempt, cause, status))
    status = with_conditions(status, said, attempt.now())
    took = attempt.now() - attempt.started
    status = with_history(status, digest=digest, outcome=said.reason, moment=attempt.now(), took=took)
    told = list[Outgoing]()
    if not _only_waits_for_artifact(cause):
        status, told = failure_event(attempt, status, said)
        messages += told
    try:
        save_status(attempt, status, due=next_try(attempt))
    except Conflict:
        attempt.said[:] = [each for each in attempt.said if Outgoing(message=each) not in told]
        return superseded(attempt)
    show_failure(attempt, status, messages, cause)
    if isinstance(cause, Transient):
        attempt.opening.copied = True  # by that next try
        messages.append(itself(attempt, "retry", delay=_backoff(attempt, cause)))
    source = attempt.kustomization.source
    if isinstance(cause, ArtifactGone) and source.kind in FETCHED:
        messages.append(look_at(attempt, source))
    answer(attempt, status)
    tell(attempt, status)
    news = attempt.message.why == "request" or _is_news(attempt.found, status)
    return messages + (wake(attempt) if news else [])


def _is_news(before: KustomizationStatus, after: KustomizationStatus) -> bool:
    """Whether a failure tells those who wait for this one anything (a person's request may, whatever it is).

    The same one again does not: a parent that waits for a child's render wakes the child at each look, and the child's
    failure would wake the parent for ever.
    """
    was, now = before.condition("Ready"), after.condition("Ready")
    same = was is not None and now is not None and (was.status, was.reason) == (now.status, now.reason)
    seen = (before.last_attempted_revision, before.rendered_revision, before.rendered)
    return not same or seen != (after.last_attempted_revision, after.rendered_revision, after.rendered)


def _as_it_stands(attempt: Attempt) -> tuple[Attempt, KustomizationStatus]:
    """The status as this run itself has written it so far, at the revision that was attempted."""
    message = attempt.message
    mine, ref = status_key(message.cluster, KIND, message.namespace, message.name), attempt.kustomization.source
    read = attempt.deps.state.read([mine, *source_keys(attempt.cluster, ref)]).records
    attempt.opening.seen(read.get(mine))
    known, source = status_of(read.get(mine)), source_among(read, attempt.cluster, ref)
    revision = source.revision if source else known.last_attempted_revision
    before = replace(attempt.status, last_attempted_revision=revision)
    if known.rendered_revision == before.rendered_revision:
        known = replace(known, summary=before.summary)
    return replace(attempt, status=before), replace(known, pending={}, last_attempted_revision=revision)


def _only_waits_for_artifact(error: PenstockError) -> bool:
    """A source that has no artifact yet is no news (flux-core §2.2): its own stage says what is wrong with it."""
    return isinstance(error, NotFound) and error.reason == "ArtifactFailed"


def _reason(error: PenstockError) -> str:
    return error.reason or "ReconciliationFailed"


def _backoff(attempt: Attempt, error: Transient) -> float:
    """As long again as the trouble has lasted, from a second on, or what the other side asked for."""
    retry = attempt.kustomization.effective_retry_interval.total_seconds()
    return max(error.retry_after or 0.0, min(patience(attempt, "False"), retry))
