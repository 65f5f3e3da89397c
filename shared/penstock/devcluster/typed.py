"""Structured merge: field sets, comparison, merging and removal of values under a schema.

The rules are those of Kubernetes' structured-merge-diff: maps are granular unless atomic, lists are atomic unless
they have merge keys or are sets. All functions take JSON-like values and return new ones.
"""

from dataclasses import dataclass, field
from typing import Any

from penstock.devcluster.fieldpaths import Path, Paths, item_element
from penstock.devcluster.schema import ANY, Schema


class _Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""No value at all, which differs from null."""


def shape(schema: Schema, *values: Any) -> str:
    """How values are walked: map, list or leaf (atomic values and scalars)."""
    if schema.atomic or schema.kind == "scalar":
        return "leaf"
    if schema.kind == "any":
        present = [value for value in values if value is not MISSING]
        return "map" if all(isinstance(value, dict) for value in present) else "leaf"
    form, kind = ("list", list) if schema.kind == "list" else ("map", dict)
    return form if all(isinstance(v, kind) or v is None or v is MISSING for v in values) else "leaf"


def field_set(value: Any, schema: Schema) -> Paths:
    """The paths that a configuration sets: leaves, items of lists, keys of maps."""
    out: set[Path] = set()
    _collect(value, schema, (), out)
    return frozenset(out)


def _collect(value: Any, schema: Schema, path: Path, out: set[Path]) -> None:
    form = shape(schema, value)
    if form == "leaf":
        out.add(path)
    elif form == "list":
        for item in value or ():
            here = (*path, item_element(item, schema))
            _collect(item, schema.element or ANY, here, out)
            out.add(here)
    else:
        for key, child in (value or {}).items():
            here = (*path, f"f:{key}")
            _collect(child, schema.child(key) or ANY, here, out)
            if child is None or child == {} or key not in schema.fields:
                out.add(here)


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What differs between two values: the paths that only the new one has, that differ, that only the old one has."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(old: Any, new: Any, schema: Schema) -> Comparison:
    """The difference; added and removed hold inner paths too, so that an owner of a map is known."""
    out = Comparison()
    _compare((old, new), schema, (), out)
    return out


def _compare(pair: tuple[Any, Any], schema: Schema, path: Path, out: Comparison) -> None:
    old, new = pair
    if old is new:
        return
    form = shape(schema, old, new)
    if form == "leaf" or not (_filled(old) or _filled(new)):
        if old is not MISSING and new is not MISSING:
            if not same(old, new):
                out.modified.add(path)
            return
    elif form == "list":
        before, after = _indexed(old, schema), _indexed(new, schema)
        for element in before | after:
            inner = (before.get(element, MISSING), after.get(element, MISSING))
            _compare(inner, schema.element or ANY, (*path, element), out)
    else:
        before, after = _dict(old), _dict(new)
        for key in before | after:
            inner = (before.get(key, MISSING), after.get(key, MISSING))
            _compare(inner, schema.child(key) or ANY, (*path, f"f:{key}"), out)
    if path and old is MISSING:
        out.added.add(path)
    elif path and new is MISSING:
        out.removed.add(path)


def _filled(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _indexed(value: Any, schema: Schema) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in value if isinstance(value, list) else ():
        out.setdefault(item_element(item, schema), item)
    return out


def same(left: Any, right: Any) -> bool:
    """Deep equality as JSON has it: True is not 1."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with everything that the configuration says; nothing is removed."""
    if config is MISSING or live is MISSING:
        return live if config is MISSING else config
    form = shape(schema, live, config)
    if form == "leaf" or not (_filled(live) or _filled(config)):
        return config
    if form == "list":
        return _merge_list(live or [], config or [], schema)
    before, after = _dict(live), _dict(config)
    return {
        key: merge(before.get(key, MISSING), after.get(key, MISSING), schema.child(key) or ANY)
        for key in before | after
    }


def _merge_list(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    """Items of the configuration keep their order; live items without a counterpart keep their place among them."""
    element = schema.element or ANY
    before, after = _indexed(live, schema), _indexed(config, schema)
    left = [(item_element(item, schema), item) for item in live]
    shared = [key for key in after if key in before]
    out: list[Any] = []
    done: set[str] = set()
    i = 0
    for key, item in after.items():
        while i < len(left) and left[i][0] != key:
            mine = left[i][0]
            if mine not in after:
                out.append(left[i][1])
            elif mine not in done and (not shared or mine == shared[0]):
                break
            i += 1
        out.append(merge(before.get(key, MISSING), item, element))
        done.add(key)
        if i < len(left) and left[i][0] == key:
            i += 1
        if shared and shared[0] == key:
            shared.pop(0)
    out.extend(item for key, item in left[i:] if key not in after)
    return out


def remove(value: Any, paths: Paths, schema: Schema) -> Any:
    """The value without what stands at the paths; a map or list that loses its last item becomes null."""
    return _remove(value, _tree(paths), schema)


def _tree(paths: Paths) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in paths:
        node = root
        for element in path[:-1]:
            node = node.setdefault(element, {})
            if node is None:
                break
        else:
            node[path[-1]] = None  # everything below goes as well
    return root


def _remove(value: Any, tree: dict[str, Any], schema: Schema) -> Any:
    form = shape(schema, value)
    if form == "leaf" or not value:
        return value if form == "leaf" and schema.kind == "scalar" else (None if form == "leaf" else value)
    out_list, out_map = [], {}
    pairs = (
        ((item_element(item, schema), item) for item in value)
        if form == "list"
        else ((f"f:{key}", child) for key, child in value.items())
    )
    for element, child in pairs:
        below = tree.get(element, MISSING)
        if below is None:
            continue
        inner = (schema.element if form == "list" else schema.child(element[2:])) or ANY
        kept = child if below is MISSING else _remove(child, below, inner)
        if form == "list":
            out_list.append(kept)
        else:
            out_map[element[2:]] = kept
    return (out_list if form == "list" else out_map) or None
