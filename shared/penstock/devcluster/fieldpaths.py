"""Sets of field paths, and FieldsV1, the form in which managedFields store them.

A path is a tuple of FieldsV1 elements: ``f:name`` (a field), ``k:{"name":"x"}`` (an item of a list of maps),
``v:"x"`` (an item of a set). A set of paths is a frozenset: the set algebra of managed fields is Python's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from penstock.devcluster.schema import ANY, Schema

Path = tuple[str, ...]
Paths = frozenset[Path]
EMPTY: Paths = frozenset()


def key_element(keys: Mapping[str, Any]) -> str:
    """The element of a list item that its merge keys identify."""
    return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def value_element(value: Any) -> str:
    """The element of a member of a set."""
    return "v:" + json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def item_element(item: Any, schema: Schema) -> str:
    """The element of an item of a list that is not atomic. Missing keys take their schema's default."""
    if schema.unique or not isinstance(item, dict):
        return value_element(item)
    defaults = schema.element.defaults if schema.element else {}
    keys = {key: item.get(key, defaults.get(key)) for key in schema.keys}
    return key_element({key: value for key, value in keys.items() if value is not None})


def from_fields_v1(fields: Mapping[str, Any]) -> Paths:
    """The paths that a FieldsV1 document names."""
    return frozenset(_read(fields, ()))


def _read(fields: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for element, below in fields.items():
        if element == ".":
            yield prefix
        elif not below or not isinstance(below, dict):
            yield (*prefix, element)
        else:
            yield from _read(below, (*prefix, element))


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """FieldsV1 of a set of paths. An inner path that is itself a member holds ``".": {}``."""
    root: dict[str, Any] = {}
    members: list[dict[str, Any]] = []
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        members.append(node)
    for node in members:
        if node:
            node["."] = {}
    return root


def ordered(paths: Paths) -> list[Path]:
    """Paths in the order in which the API server lists conflicts: at each level members first, then what is below."""
    return sorted(paths, key=lambda path: [(1, e) for e in path[:-1]] + [(0, path[-1])])


def with_declared_parents(paths: Paths, schema: Schema) -> Paths:
    """The paths and each prefix of them that ends in a declared field."""
    out = set(paths)
    for path in paths:
        node: Schema | None = schema
        for depth, element in enumerate(path[:-1]):
            declared = node is not None and element[:2] == "f:" and element[2:] in node.fields
            if declared:
                out.add(path[: depth + 1])
            node = below(node, element)
    return frozenset(out)


def below(schema: Schema | None, element: str) -> Schema | None:
    """The schema under one element of a path."""
    if schema is None or schema.kind == "any":
        return ANY
    return schema.child(element[2:]) if element[:2] == "f:" else schema.element


def readable(path: Path) -> str:
    """A path as messages show it: ``.spec.containers[name="c"].image``."""
    parts = []
    for element in path:
        kind, rest = element[:2], element[2:]
        if kind == "f:":
            parts.append(f".{rest}")
        elif kind == "k:":
            parts.append(f"[{readable_keys(json.loads(rest))}]")
        else:
            parts.append(f"[={rest}]")
    return "".join(parts)


def readable_keys(keys: Mapping[str, Any]) -> str:
    """Merge keys as messages show them: ``containerPort=80,protocol="TCP"``."""
    return ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(keys.items()))
