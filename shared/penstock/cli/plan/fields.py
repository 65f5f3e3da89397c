"""The fields of a plan. Values of Secrets are masked so that equal ones stay equal, and then not told at all."""

import secrets
from collections.abc import Mapping
from typing import Any

from penstock.core.reconcile.difference import ABSENT, FieldChange, item_key
from penstock.core.reconcile.difference import field_changes as all_changes
from penstock.core.reconcile.masked import HIDDEN, Mask
from penstock.core.reconcile.render import Rendered
from penstock.core.resources import Manifest

__all__ = ["ABSENT", "FieldChange", "field_changes", "overlaid"]

_KEY = secrets.token_bytes(32)


def field_changes(live: Manifest, wanted: Manifest, rendered: Rendered | None = None) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of the object. A Secret's values become ``***``.

    ``rendered``: what else there is to hide.
    """
    mask = Mask(key=_KEY) if rendered is None else rendered.mask(_KEY)
    found = all_changes(live, wanted, mask)
    return tuple(FieldChange(path=each.path, old=_plain(each.old), new=_plain(each.new)) for each in found)


def overlaid(live: Any, desired: Any) -> Any:
    """What an apply would make of a live value as far as one can tell without the API server: what is desired wins.

    Fields and named items that only the live one has stay: they may be defaults, or others'.
    """
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        return {**live, **{key: overlaid(live.get(key), value) for key, value in desired.items()}}
    if isinstance(live, list) and isinstance(desired, list) and (key := item_key(live, desired)):
        wanted = {each[key]: each for each in desired}
        kept = [overlaid(each, wanted.pop(each[key], {})) for each in live]
        return [*kept, *wanted.values()]
    return desired


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(f"{HIDDEN} ("):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value
