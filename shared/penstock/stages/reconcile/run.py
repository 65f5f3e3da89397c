"""One reconcile from the wake-up to the last message. Each step's module says what it does; this is their order."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from penstock.core.errors import Conflict, PenstockError, Transient
from penstock.core.messages import RENDER, Event, Outgoing, ReconcileDue
from penstock.core.reconcile.plan import Action, switched_off
from penstock.core.reconcile.render import Rendered, render
from penstock.core.reconcile.standing import CHILDREN_DUE
from penstock.core.resources import Manifest, ObjectRef, ref_of
from penstock.ports.deps import Deps
from penstock.stages.reconcile import adoption, endings, lease
from penstock.stages.reconcile.attempt import LOOKS_AFRESH, Attempt, failed_at, open_attempt
from penstock.stages.reconcile.behind import behind_run
from penstock.stages.reconcile.children import check_children, store_children, wake_children
from penstock.stages.reconcile.context import gather
from penstock.stages.reconcile.credentials import copy_credentials
from penstock.stages.reconcile.discovery import discover
from penstock.stages.reconcile.drift import leave_reported
from penstock.stages.reconcile.due import Awaits
from penstock.stages.reconcile.execute import ApplyFailed, Done, execute, forgets, unchanged
from penstock.stages.reconcile.forgetting import forget_copies
from penstock.stages.reconcile.health import check_health
from penstock.stages.reconcile.in_cluster import FOREIGN
from penstock.stages.reconcile.live import owner_selector
from penstock.stages.reconcile.orphaned import forget_orphaned
from penstock.stages.reconcile.parentage import check_handover, stored_as
from penstock.stages.reconcile.planning import Planned, make_plan, with_leaving
from penstock.stages.reconcile.pointer import point
from penstock.stages.reconcile.preview import preview
from penstock.stages.reconcile.ready import check_expressions
from penstock.stages.reconcile.receivers import index_receivers
from penstock.stages.reconcile.recording import forget_status
from penstock.stages.reconcile.referring import refers_to_secrets
from penstock.stages.reconcile.removal import remove
from penstock.stages.reconcile.rendering import record_render, render_at_rest
from penstock.stages.reconcile.resting import rest
from penstock.stages.reconcile.rights import check_rights
from penstock.stages.reconcile.shared import SharedReads
from penstock.stages.reconcile.shown_plan import plan_key, plan_value
from penstock.stages.reconcile.source import Source, open_source
from penstock.stages.reconcile.target import Target, open_target
from penstock.stages.reconcile.telling import at_revision, speaking_of
from penstock.stages.reconcile.waits import suspended, unready_dependencies
from penstock.stages.reconcile.watching import HealthFacts


def reconcile(message: ReconcileDue, deps: Deps, shared: SharedReads | None = None) -> list[Outgoing]:
    """Reconcile the Kustomization that a message names; the messages that this causes.

    ``shared``: it is one of a sweep: nothing is applied, who has something to apply is published again, alone.

    What fails is written to the status, said in an event, and tried again when it is due: only what is nobody's
    fault but the program's own is raised.
    """
    attempt = open_attempt(message, speaking_of(message, deps))
    if attempt is None:
        return forget_status(message, deps)
    messages = _looked(replace(attempt, shared=shared))
    if not attempt.opening.alone:
        forget_orphaned(attempt.cluster, deps)
    told = {out.message.id for out in messages if isinstance(out.message, Event)}
    return [*messages, *(Outgoing(message=each) for each in _once(attempt.said) if each.id not in told)]


def _once(said: Sequence[Event]) -> Iterable[Event]:
    return {each.id: each for each in said}.values()


def _looked(attempt: Attempt) -> list[Outgoing]:
    message = attempt.message
    if message.why == "plan":
        answer_plan(attempt)
        return []
    if suspended(attempt):
        return _resting(attempt) + _copies(attempt)
    left_alone = attempt.record.tombstone or attempt.kustomization.kube_config is not None
    if attempt.shared is not None and left_alone:
        return [Outgoing(message=message)]
    return _tried(attempt) + _copies(attempt)


def _copies(attempt: Attempt) -> list[Outgoing]:
    """What the records refer to is copied whatever has become of the root's run, where it did not come to that.

    A process that has just started has no copies: the push that mends the root comes in by a Receiver, and a Provider
    tells that it is broken.
    """
    done = attempt.opening.copied or attempt.record.tombstone or attempt.shared is not None
    if done or not attempt.is_root or attempt.message.why not in LOOKS_AFRESH:
        return []
    try:
        messages = copy_credentials(attempt, {}).messages
        if attempt.opening.stored:
            index_receivers(attempt)
    except PenstockError:  # each Secret that could not be copied has been told of; the next look tries again
        return []
    return messages


def _resting(attempt: Attempt) -> list[Outgoing]:
    if attempt.message.why == RENDER and not attempt.record.tombstone:
        return render_at_rest(attempt)
    rest(attempt)
    asked = attempt.record.tombstone or attempt.message.why == "request"
    return endings.wake(attempt) if asked else []  # nobody waits for the render of what left Git


def _tried(attempt: Attempt) -> list[Outgoing]:
    try:
        return remove(attempt) if attempt.record.tombstone else _reconcile(attempt)
    except lease.Held:
        return endings.held(attempt)
    except PenstockError as error:
        return endings.failed(attempt, error)


def answer_plan(attempt: Attempt) -> None:
    """Write the plan, or why there is none, where the api looks for it: ``request/<id>``."""
    try:
        value = plan_value(preview(attempt), plan_key(attempt.deps))
    except PenstockError as error:
        value = {"ready": "False", "reason": error.reason, "message": str(error)}
    attempt.deps.state.put(f"request/{attempt.message.request}", {"format": 1, **value}, expected=None)


def _reconcile(attempt: Attempt) -> list[Outgoing]:
    check_expressions(attempt.kustomization)
    with attempt.step("read artifact"):
        source = open_source(attempt)
    attempt = at_revision(attempt, source.revision)
    attempt = replace(attempt, status=replace(attempt.status, last_attempted_revision=source.revision))
    waiting = unready_dependencies(attempt, source)
    try:
        with attempt.step("render"):
            rendered = render(attempt.kustomization, source.tree, gather(attempt))
        check_children(attempt, rendered.parts.interpreted)
    except PenstockError as error:
        if waiting:
            known = attempt.status
            attempt = replace(attempt, status=replace(known, failed_at=failed_at(attempt, error, known)))
            return endings.waits_for_dependencies(attempt, source, waiting)
        return endings.failed(attempt, error) + _go_on_below(attempt, source, error)
    attempt = record_render(attempt, source, rendered)
    if waiting:
        before = attempt.found
        news = (before.rendered, before.rendered_revision) != (attempt.status.rendered, source.revision)
        return endings.waits_for_dependencies(attempt, source, waiting, rendered=news)
    try:
        return _applied_or_adopted(attempt, source, rendered)
    except lease.Held:
        raise
    except Awaits as awaits:
        return endings.waits_for_others(attempt, awaits)
    except PenstockError as error:
        messages = endings.failed(attempt, rendered.hidden(error), digest=rendered.digest)
        return messages + _go_on_below(attempt, source, error)


def _go_on_below(attempt: Attempt, source: Source, error: PenstockError) -> list[Outgoing]:
    """A failure stops nobody below: children go on with the specs that they have, once a revision.

    What they would delete waits until this one has rendered (claims.py). A passing trouble is waited for instead, and
    where somebody else owns the names there is nothing to go on with.
    """
    cause = error.cause if isinstance(error, ApplyFailed) else error
    if isinstance(cause, Transient) or cause.reason in FOREIGN:
        return []
    return wake_children(attempt, source)


def _applied_or_adopted(attempt: Attempt, source: Source, rendered: Rendered) -> list[Outgoing]:
    """What another plane owns is refused, or taken over where somebody asked for that."""
    try:
        return _applied(attempt, source, rendered)
    except lease.OwnedByOther as refused:
        taking = adoption.adopting(attempt, refused)
        if taking is None:
            raise
        messages = _applied(taking, source, rendered)
        return messages + adoption.moved(attempt, refused)


def _applied(attempt: Attempt, source: Source, rendered: Rendered) -> list[Outgoing]:
    check_handover(attempt, source, rendered.parts.interpreted)
    target = open_target(attempt)
    with attempt.step("plan"):
        planned = leave_reported(attempt, make_plan(attempt, source, rendered, target), target)
    gone = attempt.opening.children - {stored_as(each) for each in planned.rendered.parts.interpreted}
    takes_away = bool(planned.changes.deletions or gone) or not planned.ledger.trusted
    if (old := behind_run(attempt, source, planned.ledger.inventory, takes_away=takes_away)) is not None:
        return endings.asks_source(attempt, old)
    if attempt.shared is not None and not _settled(planned):
        return [Outgoing(message=attempt.message)]
    try:
        attempt = point(attempt)
        done = _carry_out(attempt, source, target, planned)
    except Conflict:
        return endings.superseded(attempt)
    interpreted, messages = planned.rendered.parts.interpreted, list[Outgoing]()
    try:
        secrets = _secrets(planned.rendered)
        copied = copy_credentials(attempt, secrets, interpreted)
        messages += copied.messages
        left = store_children(attempt, source, planned.rendered)
        messages += left.messages
        messages += copied.look_again()
        messages += forget_copies(attempt) if copied.unreferred else []
        if secrets or left.hooks or refers_to_secrets(attempt, interpreted):
            index_receivers(attempt, left.hooks)
    except Conflict:
        return messages + endings.superseded(attempt, done)
    except PenstockError as error:
        raise ApplyFailed(error, done.changes) from error
    done = replace(done, planned=with_leaving(attempt, done.planned, left))
    stored = {**attempt.status.summary, CHILDREN_DUE: False}
    attempt = replace(attempt, status=replace(attempt.status, summary=stored))
    try:
        with attempt.step("watch health"):
            checked = check_health(attempt, target.cluster, _facts(attempt, planned, done))
    except PenstockError as error:
        # the children are stored: they must be woken
        failed = ApplyFailed(rendered.hidden(error), done.changes)
        return messages + endings.failed(attempt, failed, digest=rendered.digest)
    messages += endings.finished(attempt, source, target, done, checked)
    return messages + (discover(attempt, target.keeper) if attempt.is_root and checked.verdict.passed else [])


def _carry_out(attempt: Attempt, source: Source, target: Target, planned: Planned) -> Done:
    """Apply and prune under the Lease; without a write to make, without one."""
    if _settled(planned):
        return unchanged(planned)
    check_rights(attempt, target, planned.changes, first=not planned.ledger.inventory.resource_version)
    return execute(attempt, source, target, planned)


def _settled(planned: Planned) -> bool:
    """Whether there is nothing to write, nor to forget."""
    needs = planned.changes.writes or planned.rendered.parts.namespaces or forgets(planned)
    return not needs and planned.ledger.trusted and set(planned.wanted) <= set(planned.ledger.inventory.entries)


def _facts(attempt: Attempt, planned: Planned, done: Done) -> HealthFacts:
    last: dict[ObjectRef, Manifest] = {ref: live for ref, live in planned.live.objects.items() if live is not None}
    last |= {c.ref: c.live for c in done.changes if c.live is not None and c.action is not Action.DELETED}
    return HealthFacts(
        rendered=planned.rendered,
        last=last,
        selector=owner_selector(attempt.message.namespace, attempt.message.name),
        left_alone=switched_off(planned.changes.changes),
    )


def _secrets(rendered: Rendered) -> dict[str, Manifest]:
    found = {}
    for manifest in rendered.apply:
        ref = ref_of(manifest)
        if (ref.group, ref.kind) == ("", "Secret"):
            found[f"{ref.namespace}/{ref.name}"] = manifest
    return found
