"""Fields that kubectl or Flux set before: taken over, so that what leaves Git leaves the cluster too.

Server-side apply removes a field that its manager leaves out only where nobody else owns it. So the entries of those
whom Flux takes over from (flux-core §3.6), and of Flux itself, are merged into ours before an apply:
``metadata.managedFields`` is rewritten, as client-go's csaupgrade does it. Entries of subresources (a scale, a
status) and of everybody else (an autoscaler, a controller) stay.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.core.resources import Manifest

_BOTH = frozenset({"Apply", "Update"})
_TAKEN: tuple[tuple[str, frozenset[str]], ...] = (
    ("kubectl", _BOTH),
    ("before-first-apply", frozenset({"Update"})),
    ("kustomize-controller", _BOTH),
)
"""Prefix of a manager's name -> operations, as Flux matches them."""


def taken_over(live: Manifest, manager: str) -> list[dict[str, Any]] | None:
    """The managedFields with ``manager`` as the applier of all that kubectl and Flux set; None where that is none."""
    return _moved(live, _is_taken, manager)


def handed_over(live: Manifest, *, giver: str, taker: str) -> list[dict[str, Any]] | None:
    """The managedFields with ``taker`` as the applier of all that ``giver`` set; None where that is none.

    So that a field which leaves Git under the taker leaves the cluster, and the giver's absence removes nothing.
    """
    return _moved(live, lambda entry: entry.get("manager") == giver and not entry.get("subresource"), taker)


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


def as_taken_over(live: Manifest, manager: str) -> Manifest:
    """The live object as it would be after taking over: for comparing, without any write."""
    entries = taken_over(live, manager)
    return live if entries is None else with_managed_fields(live, entries)


def with_managed_fields(live: Manifest, entries: Sequence[Mapping[str, Any]]) -> Manifest:
    """The object with these managedFields."""
    return {**live, "metadata": {**live["metadata"], "managedFields": [dict(entry) for entry in entries]}}


def _is_taken(entry: Mapping[str, Any]) -> bool:
    name, operation = str(entry.get("manager") or ""), entry.get("operation")
    return not entry.get("subresource") and any(name.startswith(p) and operation in ops for p, ops in _TAKEN)


def _is_applier(entry: Mapping[str, Any], manager: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (manager, "Apply", "")


def _union(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Two FieldsV1 trees as one."""
    merged = dict(left)
    for key, below in right.items():
        merged[key] = _union(merged.get(key) or {}, below or {})
    return merged
