"""A plan, and nothing but: the same render, the same reading, the same plan, server-side dry-runs, no write.

Only GET, LIST and dry-run PATCH are sent.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from penstock.core.errors import PenstockError, Refused
from penstock.core.reconcile.plan import Action, Change
from penstock.core.reconcile.render import Rendered, render
from penstock.core.resources import ObjectRef
from penstock.stages.reconcile.apply import dry_run
from penstock.stages.reconcile.attempt import Attempt, applied_mark
from penstock.stages.reconcile.children import check_children
from penstock.stages.reconcile.context import gather
from penstock.stages.reconcile.drift import leave_reported
from penstock.stages.reconcile.planning import Planned, make_plan
from penstock.stages.reconcile.ready import check_expressions
from penstock.stages.reconcile.source import Source, open_source
from penstock.stages.reconcile.target import Target, open_target
from penstock.stages.reconcile.write import Writer


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """``changes``: after the API server's word; ``refused``: object -> why its dry-run was refused.

    ``unasked``: objects that were compared without the API server's word, since we may not patch them (a dry-run
    needs that right); ``why_unasked``: a sentence, or "".
    ``same_as_applied``: the render is the one that was applied last, so what differs has drifted.
    """

    source: Source
    rendered: Rendered
    planned: Planned | None
    changes: tuple[Change, ...]
    refused: Mapping[str, str]
    unasked: frozenset[ObjectRef] = frozenset()
    why_unasked: str = ""
    same_as_applied: bool = False


def preview(attempt: Attempt) -> Preview:
    """What a run would do now. Raises as a run would, where it could not even plan."""
    check_expressions(attempt.kustomization)
    source = open_source(attempt)
    rendered = render(attempt.kustomization, source.tree, gather(attempt))
    check_children(attempt, rendered.parts.interpreted)
    target = open_target(attempt)
    return against(attempt, source, rendered, target)


def against(attempt: Attempt, source: Source, rendered: Rendered, target: Target) -> Preview:
    """The plan of a render against a cluster, each changed object dry-run on its own."""
    planned = leave_reported(attempt, make_plan(attempt, source, rendered, target), target)
    writer = Writer(
        cluster=target.cluster,
        clock=attempt.deps.clock,
        drop=attempt.policy.drops_undeclared,
        overridden=attempt.policy.override_managers,
    )
    changes, refused, unasked = [], {}, set()
    forbidden: set[tuple[str, str, str]] = set()
    for change in planned.changes.changes:
        place = (change.ref.group, change.ref.kind, change.ref.namespace)
        try:
            changes += [change] if place in forbidden else dry_run(writer, [change])
        except PenstockError as error:
            changes.append(change)
            if isinstance(error, Refused) and "cannot patch" in str(error):
                forbidden.add(place)
            else:
                refused[str(change.ref)] = str(planned.rendered.hidden(error))
        if place in forbidden and change.action in (Action.CREATED, Action.CONFIGURED):
            unasked.add(change.ref)
    return Preview(
        source=source,
        rendered=rendered,
        planned=planned,
        changes=tuple(changes),
        refused=refused,
        unasked=frozenset(unasked),
        why_unasked=_why_unasked(target, unasked),
        same_as_applied=attempt.status.applied == applied_mark(attempt, planned.rendered),
    )


def _why_unasked(target: Target, refs: Collection[ObjectRef]) -> str:
    if not refs:
        return ""
    names = ", ".join(sorted(map(str, refs))[:3]) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    return (
        f"compared without the API server's word: {names} ({target.cluster.identity} may not patch, which a dry-run "
        "needs: defaults and admission are not known)"
    )
