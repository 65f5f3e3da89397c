"""A plan, and nothing but: the same render, the same reading, the same plan, server-side dry-runs, no write.

Only GET, LIST and dry-run PATCH are sent. What it finds stands under ``request/<id>`` for whoever asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import PenstockError, Refused
from penstock.core.reconcile.plan import Action, Change
from penstock.core.reconcile.render import Rendered, render
from penstock.core.resources import ObjectRef
from penstock.stages.reconcile.apply import dry_run
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.children import check_children
from penstock.stages.reconcile.context import gather
from penstock.stages.reconcile.planning import Planned, make_plan
from penstock.stages.reconcile.ready import check_expressions
from penstock.stages.reconcile.source import Source, open_source
from penstock.stages.reconcile.target import Target, open_target
from penstock.stages.reconcile.write import Writer

MOST_CHANGES = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """``changes``: after the API server's word; ``refused``: object -> why its dry-run was refused.

    ``unasked``: objects that were compared without the API server's word, since we may not patch them (a dry-run
    needs that right); ``why_unasked``: a sentence, or "".
    """

    source: Source
    rendered: Rendered
    planned: Planned | None
    changes: tuple[Change, ...]
    refused: Mapping[str, str]
    unasked: frozenset[ObjectRef] = frozenset()
    why_unasked: str = ""


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
    planned = make_plan(attempt, source, rendered, target)
    writer = Writer(cluster=target.cluster, clock=attempt.deps.clock, drop=attempt.policy.drops_undeclared)
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
                refused[str(change.ref)] = str(error)
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
    )


def _why_unasked(target: Target, refs: Collection[ObjectRef]) -> str:
    if not refs:
        return ""
    names = ", ".join(sorted(map(str, refs))[:3]) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    return (
        f"compared without the API server's word: {names} ({target.cluster.identity} may not patch, which a dry-run "
        "needs: defaults and admission are not known)"
    )


def answer(attempt: Attempt) -> None:
    """Write the plan, or why there is none, where the api looks for it. Secret values are masked."""
    try:
        value = told(preview(attempt))
    except PenstockError as error:
        value = {"ready": "False", "reason": error.reason, "message": str(error)}
    key = f"request/{attempt.message.request}"
    attempt.deps.state.put(key, {"format": 1, **value}, expected=None)


def told(found: Preview) -> dict[str, Any]:
    """A preview as JSON."""
    shown = [c for c in found.changes if c.action is not Action.UNCHANGED]
    value = {
        "revision": found.source.revision,
        "summary": found.rendered.summary(),
        "counts": counts(found.changes),
        "held": found.planned.why_held if found.planned else "",
        "changes": [change_value(c, found.refused) for c in shown[:MOST_CHANGES]],
        "truncated": len(shown) > MOST_CHANGES,
    }
    return value | ({"unasked": found.why_unasked} if found.why_unasked else {})


def counts(changes: tuple[Change, ...]) -> dict[str, int]:
    """How many of each action."""
    return {action.value: sum(c.action is action for c in changes) for action in Action}


def change_value(change: Change, refused: Mapping[str, str]) -> dict[str, Any]:
    """One change as JSON: ``fields`` differ; ``error`` where the API server refuses it."""
    value: dict[str, Any] = {"object": str(change.ref), "action": change.action.value}
    if change.paths:
        value["fields"] = list(change.paths)
    if change.reason:
        value["reason"] = change.reason
    if change.dropped:
        value["dropped"] = list(change.dropped)
    if str(change.ref) in refused:
        value["error"] = refused[str(change.ref)]
    return value
