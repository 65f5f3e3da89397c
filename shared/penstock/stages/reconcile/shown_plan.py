"""A plan as JSON, for whoever asked: each object with its fields, a unified diff, and who drifted from Git.

Values of Secrets are masked under a key of the plane before anything is stored.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock.core.drift.owners import Setter, setters
from penstock.core.reconcile.difference import field_changes, field_value, unified
from penstock.core.reconcile.masked import Mask, masking_key
from penstock.core.reconcile.plan import Action, Change
from penstock.core.secrets.names import API_TOKEN
from penstock.ports.cluster import FIELD_MANAGER
from penstock.ports.deps import Deps
from penstock.stages.reconcile.preview import Preview

MOST_CHANGES = 500
WRITES = (Action.CREATED, Action.CONFIGURED, Action.DELETED)
MOST_BYTES = 600_000
"""Of one answer: a record holds 900 KiB. What comes later is listed without its fields."""


def plan_key(deps: Deps) -> bytes:
    """The plane's masking key; without an api token (nobody could have asked) one that nobody knows."""
    token = (deps.secrets.get(API_TOKEN) or {}).get("token", b"").strip()
    return masking_key(token or deps.clock.new_id().encode())


def plan_value(found: Preview, key: bytes) -> dict[str, Any]:
    """JSON-ready, at most about MOST_BYTES."""
    mask = found.rendered.mask(key)
    listed = [*shown_changes(found)]
    values, size = [], 0
    for change in listed[:MOST_CHANGES]:
        error = found.refused.get(str(change.ref), "")
        value = change_value(change, mask, drift=drift_of(found, change), error=error)
        size += len(json.dumps(value, default=str))
        values.append(value if size <= MOST_BYTES else {"object": value["object"], "action": value["action"]})
    value = {
        "revision": found.source.revision,
        "summary": found.rendered.summary(),
        "counts": counts(found.changes),
        "held": found.planned.why_held if found.planned else "",
        "changes": values,
        "truncated": len(listed) > MOST_CHANGES or size > MOST_BYTES,
    }
    return value | ({"unasked": found.why_unasked} if found.why_unasked else {})


def counts(changes: Iterable[Change]) -> dict[str, int]:
    """How many of each action."""
    actions = [change.action for change in changes]
    return {action.value: actions.count(action) for action in Action}


def shown_changes(found: Preview) -> Iterator[Change]:
    """What is worth telling: everything but what stays as it is; deletions that wait, too."""
    yield from (change for change in found.changes if change.action is not Action.UNCHANGED)
    planned = found.planned
    for ref in planned.held if planned else ():
        live = planned.live.objects.get(ref) if planned else None
        version = planned.ledger.inventory.entries.get(ref, "") if planned else ""
        yield Change(ref=ref, version=version, action=Action.DELETED, live=live, reason="held back")


def change_value(change: Change, mask: Mask, *, drift: Sequence[Setter] = (), error: str = "") -> dict[str, Any]:
    """One change as JSON.

    ``fields`` (``path``, ``old``, ``new``) and ``diff``: what would change; ``drift``: which of it somebody else set;
    ``error``: where the API server refuses it.
    """
    value: dict[str, Any] = {"object": str(change.ref), "action": change.action.value}
    if change.action is Action.CONFIGURED:
        value["fields"] = [field_value(each) for each in field_changes(change.live, change.after, mask)]
        value["drift"] = [setter_value(each) for each in drift]
    if change.action in WRITES:
        value["diff"] = "\n".join(difference(change, mask))
    value |= {"reason": change.reason, "dropped": list(change.dropped), "error": error}
    return {key: each for key, each in value.items() if each not in ("", [])}


def difference(change: Change, mask: Mask) -> list[str]:
    """The lines of its unified diff: from what is live to what would be."""
    after = None if change.action is Action.DELETED else change.after or change.desired
    return unified(change.live, after, mask, name=str(change.ref))


def drift_of(found: Preview, change: Change) -> tuple[Setter, ...]:
    """Fields that somebody else changed. What is missing counts only where Git asks for the same as before."""
    if change.live is None or change.action is not Action.CONFIGURED:
        return ()
    by = setters(change.live, change.paths, manager=FIELD_MANAGER)
    return by if found.same_as_applied else tuple(each for each in by if each.manager and not each.removed)


def setter_value(setter: Setter) -> dict[str, Any]:
    """JSON-ready."""
    more = {"manager": setter.manager, "time": setter.time, "removed": setter.removed}
    return {"path": setter.path, **{key: each for key, each in more.items() if each}}
