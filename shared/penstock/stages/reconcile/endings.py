"""How a run ends: finished, still waiting for health, waiting for dependencies, failed, or overtaken.

Whatever the ending, those who wait for this Kustomization are woken, and the due index gets its next time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from penstock.core.errors import Conflict, NotFound, PenstockError, Transient
from penstock.core.messages import RENDER, Outgoing, ReconcileDue, SourceChanged
from penstock.core.reconcile.inventory import Inventory
from penstock.core.reconcile.plan import Action, Change
from penstock.core.records import KustomizationStatus, discovered_key, hooked_key, status_key
from penstock.core.sources.wakeups import first_in_line
from penstock.core.sweeps import LEFT_FOR
from penstock.ports.cluster import NOT_SERVED
from penstock.stages.reconcile import health
from penstock.stages.reconcile.alerts import change_events, dropped_event, failure_event, recovery_event, untold
from penstock.stages.reconcile.attempt import (
    KIND,
    Attempt,
    everybody,
    overtaken,
    source_cluster,
    status_of,
    statuses,
    wake_up,
)
from penstock.stages.reconcile.claims import Awaits
from penstock.stages.reconcile.drift import corrected, report_events, reported, with_drift
from penstock.stages.reconcile.execute import ApplyFailed, Done
from penstock.stages.reconcile.in_cluster import publish_events, show_failure
from penstock.stages.reconcile.ledger import digest_of, store_ledger
from penstock.stages.reconcile.opening import source_among, source_keys
from penstock.stages.reconcile.outcome import (
    BACKSTOP,
    NOT_CHECKED,
    Said,
    event,
    shown,
    with_conditions,
    with_history,
)
from penstock.stages.reconcile.planning import Planned, told_terminating
from penstock.stages.reconcile.recording import save_events, save_status
from penstock.stages.reconcile.rights import explained
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.telling import tell
from penstock.stages.reconcile.undeclared import told_dropped
from penstock.stages.reconcile.waits import unready_dependencies, waiting_for

LONGEST_BACKOFF = 60.0
_WRITTEN = (Action.CREATED, Action.CONFIGURED)
MOST_MARKS = 1000
"""Of objects that a dry-run found the same; what is beyond that is asked for anew."""
SOON = 5.0
VERIFY_AFTER = 600.0
"""Seconds after which a run verifies what it did over an expired Lease: longer than any function may run."""


def finished(attempt: Attempt, source: Source, target: Target, done: Done, checked: health.Checked) -> list[Outgoing]:
    """Everything was applied; health passed, failed, or is still being waited for."""
    planned, verdict = done.planned, checked.verdict
    status = replace(
        attempt.status,
        waiting_for=planned.held_for,
        inventory=done.inventory.ids(),
        inventory_digest=digest_of(done.inventory),
        pending={},
        same=tuple(sorted(c.mark for c in done.changes if c.mark and c.action is Action.UNCHANGED)[:MOST_MARKS]),
    )
    now, retry = attempt.now(), attempt.kustomization.effective_retry_interval.total_seconds()
    due = now.timestamp() + retry
    reverted = corrected(attempt, planned, done.changes)
    messages = change_events(attempt, done.changes, corrected=reverted)
    messages += report_events(attempt, planned)
    status = with_drift(attempt, _leaving(status, planned), planned)
    outcome, dropped = "ReconciliationSucceeded", told_dropped(done.changes)
    messages += dropped_event(attempt, dropped)
    healthy = "True" if checked.checked else NOT_CHECKED
    if not verdict.done:
        status, due, more = _still_waiting(attempt, status, source, checked)
        messages += more
        outcome = "Progressing"
    elif not verdict.passed:
        said = Said(ready="False", reason=checked.reason, message=health.failure(checked), healthy="False")
        status, told = failure_event(attempt, with_conditions(status, said, now), said, about=verdict.waiting)
        messages, outcome = messages + told, said.reason
    elif told_terminating(planned.changes):
        said = Said(ready="Unknown", reason="Progressing", message=planned.why_held, healthy=healthy)
        status = with_conditions(status, said, now)
        messages.append(_self(attempt, "again", delay=_patience(attempt, "Unknown")))
        outcome = said.reason
    elif planned.stop is not None:
        said = Said(ready="False", reason="PruneStopped", message=planned.why_held, healthy=healthy)
        status, told = failure_event(attempt, with_conditions(status, said, now), said)
        messages, outcome = messages + told, said.reason
    else:
        message = "; ".join(filter(None, (f"Applied revision: {source.revision}", planned.why_held, dropped)))
        said = Said(ready="True", reason=outcome, message=message, healthy=healthy)
        status = with_conditions(replace(untold(status), last_applied_revision=source.revision), said, now)
        due = now.timestamp() + (BACKSTOP if planned.waits else _jittered(attempt))
        messages += recovery_event(attempt, checked, done, source.revision)
    if verdict.done:
        took = now - attempt.started
        status = with_history(status, digest=planned.rendered.digest, outcome=outcome, moment=now, took=took)
    overtaken_now = not _store(attempt, target, done, status, due)
    publish_events(attempt, target.keeper, messages, done.ledger.inventory.uid)
    if verdict.done:
        _answer(attempt, status)
    tell(attempt, status, drifted=(*reverted, *reported(planned)))
    if overtaken_now and attempt.opening.stored:
        messages.append(_self(attempt, "again"))  # the newer run may not have seen what this one stored
    return messages + _after_run(attempt, done)


def _leaving(status: KustomizationStatus, planned: Planned) -> KustomizationStatus:
    """The status, which says so where it waits for suspended ones and for nobody else."""
    rest = {key: value for key, value in status.summary.items() if key != LEFT_FOR}
    return replace(status, summary={**rest, LEFT_FOR: list(planned.held_for)} if planned.left else rest)


def waits_for_dependencies(
    attempt: Attempt, source: Source, waiting: Mapping[str, str], *, rendered: bool = False
) -> list[Outgoing]:
    """Nothing was applied: the end of a dependency's run wakes this one again; a backstop stands in the due index.

    ``rendered``: this run wrote down a new render. Only then is there news for those who wait for this one (two that
    wait for each other would wake each other for ever).
    """
    message = "Dependencies do not meet ready condition: " + "; ".join(waiting.values())
    said = Said(ready="False", reason="DependencyNotReady", message=message)
    status = with_conditions(replace(attempt.status, waiting_for=tuple(sorted(waiting))), said, attempt.now())
    news = attempt.found.waiting_for != status.waiting_for
    messages = [event(attempt, "info", said.reason, message)] if news else []
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    _answer(attempt, status)  # whoever asked hears what it waits for: a dependency's end says nothing of the request
    tell(attempt, status)
    messages += wake(attempt) if rendered else []
    if not unready_dependencies(attempt, source):  # it became ready between the look and the record
        messages.append(_self(attempt, "dependency"))
    return messages


def waits_for_others(attempt: Attempt, awaits: Awaits) -> list[Outgoing]:
    """Nothing was applied: what is here is still somebody's who has not rendered this revision, and will."""
    said = Said(ready="Unknown", reason="Progressing", message=str(awaits))
    status = with_conditions(replace(attempt.status, waiting_for=awaits.names), said, attempt.now())
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    tell(attempt, status)
    found = attempt.found
    news = (found.rendered, found.rendered_revision) != (status.rendered, status.rendered_revision)
    messages = [ask(attempt, name) for name in awaits.asks]
    messages += wake(attempt) if news else []
    records, known = everybody(attempt.deps, attempt.cluster)
    late = {n for n, each in known.items() if each.last_attempted_revision != status.last_attempted_revision}
    parents = {name: record.parent for name, record in records.items()}
    below = first_in_line(attempt.ref, set(awaits.names) - set(awaits.asks), parents, late)
    messages += [wake_up(attempt, name, "parent") for name in below]  # nobody else may do that
    if all(known[name].rendered_revision == status.rendered_revision for name in awaits.names if name in known):
        messages.append(_self(attempt, "dependency"))  # they rendered it between the look and the record
    return messages


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
    status = with_conditions(replace(status, waiting_for=()), said, attempt.now())
    took = attempt.now() - attempt.started
    status = with_history(status, digest=digest, outcome=said.reason, moment=attempt.now(), took=took)
    retry = attempt.kustomization.effective_retry_interval.total_seconds()
    told = list[Outgoing]()
    if not _only_waits_for_artifact(cause):
        status, told = failure_event(attempt, status, said)
        messages += told
    try:
        save_status(attempt, status, due=attempt.now().timestamp() + retry)
    except Conflict:
        attempt.said[:] = [each for each in attempt.said if Outgoing(message=each) not in told]
        return superseded(attempt)
    show_failure(attempt, status, messages, cause)
    if isinstance(cause, Transient):
        attempt.opening.copied = True  # by that next try
        messages.append(_self(attempt, "retry", delay=_backoff(attempt, cause)))
    _answer(attempt, status)
    tell(attempt, status)
    return messages + (wake(attempt) if _is_news(attempt.found, status) else [])


def _is_news(before: KustomizationStatus, after: KustomizationStatus) -> bool:
    """Whether a failure tells those who wait for this one anything.

    The same one again does not: a parent that waits for a child's render wakes the child at each look, and the child's
    failure would wake the parent for ever.
    """
    was, now = before.condition("Ready"), after.condition("Ready")
    same = was is not None and now is not None and (was.status, was.reason) == (now.status, now.reason)
    seen = (before.last_attempted_revision, before.rendered_revision, before.rendered)
    return not same or seen != (after.last_attempted_revision, after.rendered_revision, after.rendered)


def held(attempt: Attempt) -> list[Outgoing]:
    """Another run is at it. It sees the mark and publishes when it ends; a look later on, should it never end.

    What it publishes answers nobody: whoever asked for this run through the api is waiting, and gets a look soon.
    """
    return [_self(attempt, "held", delay=SOON if attempt.message.request else BACKSTOP)]


def asks_source(attempt: Attempt, source: Source, known: Inventory) -> list[Outgoing]:
    """The cluster holds a newer observation than the plane's records: the head is resolved before anything is written.

    So a store that was restored from a backup brings no old revision back.
    """
    message = (
        f"the cluster holds {known.revision} (observation {known.observation}), the plane's records know of "
        f"{source.observation}: looking at the head of {source.ref} again"
    )
    status = with_conditions(
        attempt.status, Said(ready="Unknown", reason="Progressing", message=message), attempt.now()
    )
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    for mark in (discovered_key(attempt.cluster), hooked_key(attempt.cluster)):  # of old records: see discovery.py
        attempt.deps.state.delete(mark, expected=None)
    look = SourceChanged(
        cluster=source_cluster(attempt.deps, attempt.cluster, source.ref),
        kind=source.ref.kind,
        namespace=source.ref.namespace,
        name=source.ref.name,
        above=known.observation,
    )
    return [Outgoing(message=look), _self(attempt, "again", delay=2 * _patience(attempt, "Unknown"))]


def superseded(attempt: Attempt, done: Done | None = None) -> list[Outgoing]:
    """A newer revision, or somebody else's write, came in between: look again at the newest.

    ``done``: what this run had done by then; people hear of it all the same.
    """
    messages = change_events(attempt, done.changes) if done is not None else []
    save_events(attempt)
    return [*messages, _self(attempt, "again", delay=0.2)]


def _store(attempt: Attempt, target: Target, done: Done, status: KustomizationStatus, due: float) -> bool:
    """Status first, then the object that kubectl shows; False: who was overtaken leaves both to the newer run."""
    inventory = replace(done.inventory, revision=status.last_attempted_revision, observation=status.observation)
    try:
        save_status(attempt, status, due=due, whole_run=True)
        store_ledger(target.keeper, attempt, done.ledger, inventory, shown(status, suspended=False))
    except Conflict:
        pass  # somebody newer wrote
    else:
        return True
    save_events(attempt)
    attempt.deps.telemetry.record("overtaken", stage="reconcile", cluster=attempt.cluster, name=attempt.ref)
    return False


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


def _still_waiting(
    attempt: Attempt, status: KustomizationStatus, source: Source, checked: health.Checked
) -> tuple[KustomizationStatus, float, list[Outgoing]]:
    now = attempt.now()
    waiting = checked.verdict.waiting
    message = f"Running health checks for revision {source.revision}: waiting for {', '.join(map(str, waiting[:5]))}"
    said = Said(ready="Unknown", reason="Progressing", message=health.with_trouble(message, checked), healthy="Unknown")
    pending = {
        "revision": source.revision,
        "started": checked.deadline - attempt.kustomization.effective_timeout.total_seconds(),
        "deadline": checked.deadline,
        "looks": checked.looks,
    }
    status = with_conditions(replace(status, pending=pending), said, now)
    delay = health.continuation_delay(status, now.timestamp())
    return status, now.timestamp() + BACKSTOP, [_self(attempt, "health", delay=delay)]


def _after_run(attempt: Attempt, done: Done) -> list[Outgoing]:
    messages = wake(attempt) + [ask(attempt, name) for name in done.planned.asks]
    if any(c.ref.kind == "CustomResourceDefinition" and c.action in _WRITTEN for c in done.changes):
        messages += _wake_those_without_kinds(attempt)
    if done.again or (done.planned.held and not done.planned.ledger.trusted):
        messages.append(_self(attempt, "again"))
    if done.verify:
        messages.append(_self(attempt, "verify", delay=VERIFY_AFTER))
    return messages


def _wake_those_without_kinds(attempt: Attempt) -> list[Outgoing]:
    """Those that failed because the cluster did not serve a kind: it may do so from now on."""
    messages = []
    for name, status in statuses(attempt.deps, attempt.cluster).items():
        ready = status.condition("Ready")
        if name != attempt.ref and ready is not None and ready.status == "False" and NOT_SERVED in ready.message:
            messages.append(wake_up(attempt, name, "dependency"))
    return messages


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


def _self(attempt: Attempt, why: str, *, delay: float = 0.0) -> Outgoing:
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


def _only_waits_for_artifact(error: PenstockError) -> bool:
    """A source that has no artifact yet is no news (flux-core §2.2): its own stage says what is wrong with it."""
    return isinstance(error, NotFound) and error.reason == "ArtifactFailed"


def _answer(attempt: Attempt, status: KustomizationStatus) -> None:
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


def _reason(error: PenstockError) -> str:
    return error.reason or "ReconciliationFailed"


def _backoff(attempt: Attempt, error: Transient) -> float:
    """As long again as the trouble has lasted, from a second on, or what the other side asked for."""
    retry = attempt.kustomization.effective_retry_interval.total_seconds()
    return max(error.retry_after or 0.0, min(_patience(attempt, "False"), retry))


def _patience(attempt: Attempt, ready: str) -> float:
    """How long Ready has been of this status when this attempt began: 1 to LONGEST_BACKOFF seconds."""
    found = attempt.found.condition("Ready")
    lasted = 1.0
    if found is not None and found.status == ready and found.since:
        lasted = (attempt.now() - datetime.fromisoformat(found.since)).total_seconds()
    return min(max(lasted, 1.0), LONGEST_BACKOFF)


def _jittered(attempt: Attempt) -> float:
    """The interval, 5 % earlier or later: always the same for one Kustomization, spread over all of them."""
    seed = hashlib.sha256(str(attempt.owner).encode()).digest()
    share = int.from_bytes(seed[:4], "big") / 2**32
    return attempt.kustomization.interval.total_seconds() * (0.95 + 0.1 * share)
