"""Fields that kubectl or Flux set before: taken over, so that what leaves Git leaves the cluster too.

Server-side apply removes a field that its manager leaves out only where nobody else owns it. So the entries of those
whom Flux takes over from (flux-core §3.6), and of Flux itself, are merged into ours before an apply:
``metadata.managedFields`` is rewritten, as client-go's csaupgrade does it. Entries of subresources (a scale, a
status) and of everybody else (an autoscaler, a controller) stay.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.core.drift.compare import is_item, item_is
from penstock.core.resources import Manifest

_BOTH = frozenset({"Apply", "Update"})
_TAKEN: tuple[tuple[str, frozenset[str]], ...] = (
    ("kubectl", _BOTH),
    ("before-first-apply", frozenset({"Update"})),
    ("kustomize-controller", _BOTH),
)
"""Prefix of a manager's name -> operations, as Flux matches them."""


def taken_over(live: Manifest, manager: str, overridden: Sequence[str] = ()) -> list[dict[str, Any]] | None:
    """The managedFields with ``manager`` as the applier of all that kubectl and Flux set; None where that is none.

    ``overridden``: prefixes of more managers whose fields are taken (Flux's ``--override-manager``).
    """
    return _moved(live, lambda entry: _is_taken(entry, manager, overridden), manager)


def handed_over(live: Manifest, *, giver: str, taker: str) -> list[dict[str, Any]] | None:
    """The managedFields with ``taker`` as the applier of all that ``giver`` set; None where that is none.

    So that a field which leaves Git under the taker leaves the cluster, and the giver's absence removes nothing.
    """
    return _moved(live, lambda entry: entry.get("manager") == giver and not entry.get("subresource"), taker)


def applied_fields(manifest: Manifest, manager: str) -> tuple[str, Mapping[str, Any]] | None:
    """In which apiVersion ``manager`` has applied, and the FieldsV1 of that; None where it has applied nothing."""
    entries: Sequence[Mapping[str, Any]] = manifest["metadata"].get("managedFields") or ()
    mine = next((entry for entry in entries if _is_applier(entry, manager)), None)
    return None if mine is None else (str(mine.get("apiVersion") or ""), mine.get("fieldsV1") or {})


def _moved(live: Manifest, is_given: Callable[[Mapping[str, Any]], bool], manager: str) -> list[dict[str, Any]] | None:
    entries: Sequence[Mapping[str, Any]] = live["metadata"].get("managedFields") or ()
    theirs = [entry for entry in entries if is_given(entry)]
    if not theirs:
        return None
    mine = [entry for entry in entries if _is_applier(entry, manager)]
    fields: Mapping[str, Any] = {}
    for entry in (*mine, *theirs):
        fields = _union(fields, entry.get("fieldsV1") or {})
    first = (*mine, *theirs)[0]
    merged = {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}
    merged |= {key: first[key] for key in ("apiVersion", "time") if key in first}
    rest = [dict(entry) for entry in entries if not is_given(entry) and not _is_applier(entry, manager)]
    return [merged, *rest]


def as_taken_over(live: Manifest, manager: str, overridden: Sequence[str] = ()) -> Manifest:
    """The live object as it would be after taking over: for comparing, without any write."""
    entries = taken_over(live, manager, overridden)
    return live if entries is None else with_managed_fields(live, entries)


def after_takeover(
    after: Manifest, desired: Manifest, live: Manifest, *, manager: str, overridden: Sequence[str] = ()
) -> Manifest:
    """What a dry-run made of ``live``, without what leaves it once the fields of kubectl and Flux are ours.

    ``manager``, ``overridden``: as for taken_over. A dry-run cannot take over first, so it still holds what they set
    and ``desired`` does not have.
    """
    entries: Sequence[Mapping[str, Any]] = live["metadata"].get("managedFields") or ()
    theirs: Mapping[str, Any] = {}
    others: Mapping[str, Any] = {}
    for entry in entries:
        if _is_taken(entry, manager, overridden):
            theirs = _union(theirs, entry.get("fieldsV1") or {})
        else:
            others = _union(others, entry.get("fieldsV1") or {})
    kept: Manifest = _without(after, desired, theirs, others)
    return kept


_GONE: Any = object()


def _without(value: Any, desired: Any, theirs: Mapping[str, Any], others: Mapping[str, Any]) -> Any:
    """``value`` without the leaves of ``theirs`` that nobody else has; _GONE where nothing is left of it."""
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            step = f"f:{key}"
            wanted = desired.get(key, _GONE) if isinstance(desired, Mapping) else _GONE
            left = _left(item, wanted, theirs.get(step), others.get(step))
            if left is not _GONE:
                kept[key] = left
        return kept
    if isinstance(value, list):
        items = desired if isinstance(desired, list) else []
        return [left for item in value if (left := _left_item(item, items, theirs, others)) is not _GONE]
    return value


def _left_item(item: Any, desired: Sequence[Any], theirs: Mapping[str, Any], others: Mapping[str, Any]) -> Any:
    for step, below in theirs.items():
        if step.startswith("v:") and json.loads(step[2:]) == item:
            return _left(item, item if item in desired else _GONE, below, others.get(step))
        if step.startswith("k:") and is_item(item, json.loads(step[2:])):
            wanted = next((each for each in desired if item_is(each, json.loads(step[2:]))), _GONE)
            return _left(item, wanted, below, others.get(step))
    return item


def _left(value: Any, desired: Any, theirs: Mapping[str, Any] | None, others: Mapping[str, Any] | None) -> Any:
    if theirs is None:
        return value
    below = {step: each for step, each in theirs.items() if step != "."}
    if not below:
        return value if desired is not _GONE or others is not None else _GONE
    left = _without(value, desired, below, others or {})
    return _GONE if not left and desired is _GONE and others is None else left


def with_managed_fields(live: Manifest, entries: Sequence[Mapping[str, Any]]) -> Manifest:
    """The object with these managedFields."""
    return {**live, "metadata": {**live["metadata"], "managedFields": [dict(entry) for entry in entries]}}


def _is_taken(entry: Mapping[str, Any], manager: str, overridden: Sequence[str]) -> bool:
    """A prefix that fits our own name takes nothing: what is ours stays so."""
    name, operation = str(entry.get("manager") or ""), entry.get("operation")
    if entry.get("subresource") or name == manager:
        return False
    return any(name.startswith(p) and operation in ops for p, ops in (*_TAKEN, *((p, _BOTH) for p in overridden)))


def _is_applier(entry: Mapping[str, Any], manager: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (manager, "Apply", "")


def _union(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Two FieldsV1 trees as one."""
    merged = dict(left)
    for key, below in right.items():
        merged[key] = _union(merged.get(key) or {}, below or {})
    return merged
