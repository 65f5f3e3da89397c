"""Writing down what a Kustomization renders, before anything is done by it: others must know what has moved."""

from dataclasses import replace

from penstock.core.errors import PenstockError, Terminal
from penstock.core.messages import Outgoing
from penstock.core.reconcile.inventory import entry_texts
from penstock.core.reconcile.render import Rendered, render
from penstock.core.reconcile.standing import CHILDREN_DUE, Standing, standing
from penstock.core.resources import ref_of
from penstock.core.sources.wakeups import source_key
from penstock.core.sweeps import LEFT_FOR
from penstock.stages.reconcile.alerts import TOLD
from penstock.stages.reconcile.attempt import Attempt, applied_mark, tried_in_vain
from penstock.stages.reconcile.children import check_children
from penstock.stages.reconcile.context import gather
from penstock.stages.reconcile.endings import wake
from penstock.stages.reconcile.outcome import BACKSTOP, Said, with_conditions
from penstock.stages.reconcile.parentage import children_due
from penstock.stages.reconcile.pointer import POINTED
from penstock.stages.reconcile.recording import save_in_vain, save_resting, save_status
from penstock.stages.reconcile.resting import next_look
from penstock.stages.reconcile.source import Source, open_source


def record_render(attempt: Attempt, source: Source, rendered: Rendered) -> Attempt:
    """Write down what this revision renders to, before anything is applied: others must know what has moved."""
    status = replace(
        attempt.status,
        rendered=entry_texts(rendered.versions()),
        rendered_revision=source.revision,
        observation=source.observation,
        observed_source=source_key(source.ref.kind, source.ref.namespace, source.ref.name),
        inputs=rendered.inputs,
        inputs_digest=rendered.inputs_digest,
        observed_generation=attempt.record.generation,
        summary={
            **rendered.summary(),
            CHILDREN_DUE: children_due(attempt, rendered.parts.interpreted),
            **{name: attempt.found.summary.get(name) for name in (TOLD, POINTED)},
            **{name: value for name, value in attempt.found.summary.items() if name == LEFT_FOR},
        },
        resting={},
    )
    if status.applied != applied_mark(attempt, rendered):
        status = replace(status, applied="")  # what this run may half apply is no drift for the next one
    found = attempt.found
    if (status.inputs_digest, status.observed_generation) != (found.inputs_digest, found.observed_generation):
        said = Said(ready="Unknown", reason="Progressing", message="Reconciliation in progress")
        status = with_conditions(status, said, attempt.now())  # whoever depends on it must not take it for ready
    if status != attempt.status:
        save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    return replace(attempt, status=status)


def render_at_rest(attempt: Attempt) -> list[Outgoing]:
    """A suspended one is asked what it renders now: written down and nothing else done; who waits for that is woken.

    Those are woken, too, where it had written the same down already: whoever asks may have looked before that. Where
    it cannot be rendered, a record has no room for it, or its children are still not stored, they go on waiting.
    """
    try:
        source = open_source(attempt)
        with attempt.step("render"):
            rendered = render(attempt.kustomization, source.tree, gather(attempt))
        check_children(attempt, rendered.parts.interpreted)
    except PenstockError as error:
        return _not_rendered(attempt, error)
    try:
        made, news = record_at_rest(attempt, rendered)
    except Terminal as error:
        return _not_rendered(attempt, error)
    return wake(attempt) if news or not made.children_due else []


def _not_rendered(attempt: Attempt, error: PenstockError) -> list[Outgoing]:
    """It goes on; who waits for it learns that it has tried."""
    attempt.deps.telemetry.record(
        "not rendered while suspended",
        stage="reconcile",
        cluster=attempt.cluster,
        name=attempt.ref,
        reason=error.reason,
        detail=str(error),
    )
    if not isinstance(error, Terminal) or attempt.status.failed_at == tried_in_vain(attempt):
        return []
    save_in_vain(attempt, due=next_look(attempt))
    return wake(attempt)


def record_at_rest(attempt: Attempt, rendered: Rendered) -> tuple[Standing, bool]:
    """Write down what a suspended one renders, beside what its last run has found; that, and whether it is news.

    Raises Terminal where a record has no room for it.
    """
    made = Standing(
        generation=attempt.record.generation,
        inputs=rendered.inputs,
        digest=rendered.inputs_digest,
        rendered=entry_texts(rendered.versions()),
        interpreted=tuple(sorted(str(ref_of(each)) for each in rendered.parts.interpreted)),
        children_due=children_due(attempt, rendered.parts.interpreted),
    )
    news = standing(attempt.status) != made
    if news:
        save_resting(attempt, made, due=next_look(attempt))
    return made, news
