"""Strategic merge patch: lists merge by their kind's keys, and directives delete or replace.

Supported: ``$patch: delete|replace|merge``, ``$retainKeys``, ``$setElementOrder/…`` and ``$deleteFromPrimitiveList/…``.
"""

from typing import Any

from penstock.devcluster.schema import ANY, Schema

DIRECTIVE, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(value: Any, patch: Any, schema: Schema) -> Any:
    """The value with the patch merged in; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    if patch.get(DIRECTIVE) == "replace":
        return {key: child for key, child in patch.items() if key != DIRECTIVE}
    if patch.get(DIRECTIVE) == "delete":
        return {}
    out = dict(value) if isinstance(value, dict) else {}
    if RETAIN in patch:
        out = {key: child for key, child in out.items() if key in patch[RETAIN]}
    for key, change in patch.items():
        _merge_key(out, key, change, schema)
    for key, order in patch.items():
        if key.startswith(ORDER) and isinstance(out.get(name := key.removeprefix(ORDER)), list):
            out[name] = _ordered(out[name], order, (schema.child(name) or ANY).merge_key)
    return out


def _merge_key(out: dict[str, Any], key: str, change: Any, schema: Schema) -> None:
    if key.startswith(DELETE_FROM):
        name = key.removeprefix(DELETE_FROM)
        out[name] = [item for item in out.get(name) or () if item not in change]
    elif key in {DIRECTIVE, RETAIN} or key.startswith(ORDER):
        return
    elif change is None:
        out.pop(key, None)
    else:
        inner = schema.child(key) or ANY
        if isinstance(change, list) and "merge" in inner.merge_strategy.split(","):
            out[key] = _merge_list(out.get(key) or [], change, inner)
        elif isinstance(change, dict):
            out[key] = strategic_merge(out.get(key), change, inner)
        else:
            out[key] = change


def _merge_list(value: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    key = schema.merge_key
    if not key:
        return [*value, *(item for item in patch if item not in value)]
    replaced = any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" and key not in item for item in patch)
    changes = [item for item in patch if isinstance(item, dict) and key in item]
    if replaced:
        return [{name: child for name, child in item.items() if name != DIRECTIVE} for item in changes]
    out = list(value)
    added: list[Any] = []
    for item in changes:
        at = next((i for i, old in enumerate(out) if isinstance(old, dict) and old.get(key) == item[key]), None)
        if item.get(DIRECTIVE) == "delete":
            out = [old for old in out if not (isinstance(old, dict) and old.get(key) == item[key])]
        elif at is None:
            added.append(strategic_merge({}, item, schema.element or ANY))
        else:
            out[at] = strategic_merge(out[at], item, schema.element or ANY)
    return [*out, *added]


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items in the given order; those that it does not name keep their place behind."""
    wanted = [item.get(key) if isinstance(item, dict) else item for item in order]
    place = {value: index for index, value in enumerate(wanted)}

    def rank(item: Any) -> int:
        name = item.get(key) if isinstance(item, dict) else item
        return place.get(name, len(place))

    return sorted(items, key=rank)
