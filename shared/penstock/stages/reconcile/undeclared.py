"""``policy.fieldValidation: Warn``: an object is applied without the fields that its kind does not have.

The API server names some of them at each refusal, so it is asked until it takes the rest. What was left out is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from penstock.core.reconcile.plan import Change
from penstock.core.reconcile.undeclared import undeclared, without
from penstock.core.resources import Manifest
from penstock.ports.cluster import ApiRefused

ROUNDS = 20
MOST_FIELDS = 100
REASON = "FieldsDropped"
_MOST_TOLD = 5


def declared(change: Change, send: Callable[[Change], Manifest], *, drop: bool) -> tuple[Change, Manifest]:
    """The API server's answer to ``send`` and the change, if need be (and ``drop``) without undeclared fields.

    Raises what ``send`` raises.
    """
    for _ in range(ROUNDS):
        try:
            return change, send(change)
        except ApiRefused as refused:
            lighter = _lighter(change, refused) if drop else None
            if lighter is None:
                raise
            change = lighter
    return change, send(change)


def advice(refused: ApiRefused) -> str:
    """What to do about a refusal for undeclared fields; "" for another one."""
    if not undeclared(refused.causes):
        return ""
    return ". Is it misspelt? Such fields are left out with policy.fieldValidation: Warn"


def told_dropped(changes: Sequence[Change]) -> str:
    """A sentence for people, or ""."""
    found = [f"{change.ref}: {', '.join(change.dropped[:_MOST_TOLD])}" for change in changes if change.dropped]
    if not found:
        return ""
    more = f" and {len(found) - _MOST_TOLD} more objects" if len(found) > _MOST_TOLD else ""
    return f"fields that the API server does not know were left out: {'; '.join(found[:_MOST_TOLD])}{more}"


def _lighter(change: Change, refused: ApiRefused) -> Change | None:
    paths = undeclared(refused.causes)
    if change.desired is None or not paths or len(change.dropped) + len(paths) > MOST_FIELDS:
        return None
    desired = without(change.desired, paths)
    return (
        None if desired is None else replace(change, desired=desired, dropped=tuple(sorted((*change.dropped, *paths))))
    )
