"""A plan, and nothing but: the same render, the same reading, the same plan, server-side dry-runs, no write.

Only GET, LIST and dry-run PATCH are sent.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from penstock.core.errors import NotFound, PenstockError, Refused
from penstock.core.reconcile.plan import Action, Change, ChangeSet
from penstock.core.reconcile.render import Rendered, render
from penstock.core.resources import Manifest, ObjectRef
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
            coming = _coming(change, planned.changes) if isinstance(error.__cause__, NotFound) else ""
            changes.append(replace(change, reason=coming) if coming else change)
            if coming:
                continue
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


def _coming(change: Change, changes: ChangeSet) -> str:
    """Why the API server cannot know an object yet, and will when its turn comes; "" where nothing here makes it."""
    if change.action is not Action.CREATED:
        return ""
    for other in changes.of(Action.CREATED, Action.CONFIGURED):
        new = other.action is Action.CREATED
        if new and (other.ref.group, other.ref.kind, other.ref.name) == ("", "Namespace", change.ref.namespace):
            return f"its namespace {change.ref.namespace} is created by this plan"
        if other.ref.kind == "CustomResourceDefinition" and _defines(other.desired or {}, change):
            return f"its kind {change.ref.kind} is created by this plan"
    return ""


def _defines(definition: Manifest, change: Change) -> bool:
    spec = definition.get("spec") or {}
    versions = [each.get("name") for each in spec.get("versions") or () if each.get("served")]
    named = (spec.get("group"), (spec.get("names") or {}).get("kind"))
    return named == (change.ref.group, change.ref.kind) and change.version in versions


def _why_unasked(target: Target, refs: Collection[ObjectRef]) -> str:
    if not refs:
        return ""
    names = ", ".join(sorted(map(str, refs))[:3]) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    return (
        f"compared without the API server's word: {names} ({target.cluster.identity} may not patch, which a dry-run "
        "needs: defaults and admission are not known)"
    )
