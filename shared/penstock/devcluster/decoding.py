"""Decoding of objects under their schema: unknown fields, types, and the form in which the API server stores them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.devcluster.fieldpaths import item_element, readable, readable_keys
from penstock.devcluster.quantities import canonical
from penstock.devcluster.schema import Schema

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "intOrString": (int, str),
    "quantity": (int, float, str),
}


@dataclass(slots=True, kw_only=True)
class Decoded:
    """``value``: pruned and in stored form; ``unknown``: paths of undeclared fields; ``wrong``: (path, wanted, got)."""

    value: Any
    unknown: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)


def decode(value: Any, schema: Schema, *, builtin: bool) -> Decoded:
    """The value as the API server would store it.

    Undeclared fields are dropped. For built-in kinds null fields, empty lists and maps and the zero values of
    optional plain fields go as well, quantities become canonical, and defaults of the schema are set, as decoding into
    Go types and encoding again does. Custom resources keep them.
    """
    out = Decoded(value=None)
    out.value = _Decoder(out, builtin).walk(value, schema, "")
    return out


class _Decoder:
    def __init__(self, out: Decoded, builtin: bool) -> None:
        self.out, self.builtin = out, builtin

    def walk(self, value: Any, schema: Schema, path: str) -> Any:
        if value is None or schema.kind == "any":
            return value
        if schema.kind == "scalar":
            return self._scalar(value, schema, path)
        if schema.kind == "list":
            if not isinstance(value, list):
                return self._wrong(value, "array", path)
            element = schema.element
            return [self.walk(item, element, f"{path}[{i}]") for i, item in enumerate(value)] if element else value
        if not isinstance(value, dict):
            return self._wrong(value, "object", path)
        if schema.kind == "map":
            element = schema.element
            return {k: self.walk(v, element, f"{path}.{k}") for k, v in value.items()} if element else value
        return self._struct(value, schema, path)

    def _wrong(self, value: Any, wanted: str, path: str) -> Any:
        self.out.wrong.append((path.removeprefix("."), wanted, type_name(value)))
        return value

    def _scalar(self, value: Any, schema: Schema, path: str) -> Any:
        if not fits(value, schema):
            return self._wrong(value, schema.type, path)
        if schema.type == "quantity":
            try:
                return canonical(value)
            except ValueError:
                return self._wrong(value, "quantity", path)
        return value

    def _struct(self, value: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, child in value.items():
            inner = schema.child(key)
            if inner is None:
                if not schema.preserve and not (schema.embedded and key in {"apiVersion", "kind", "metadata"}):
                    self.out.unknown.append(f"{path}.{key}".removeprefix("."))
                    continue
                out[key] = child
                continue
            done = self.walk(child, inner, f"{path}.{key}")
            if self.builtin and self._dropped(key, done, schema, inner):
                continue
            out[key] = done
        for key, default in schema.defaults.items() if self.builtin else ():
            if key not in out or (out[key] is None and not schema.fields[key].nullable):
                out[key] = self.walk(default, schema.fields[key], f"{path}.{key}")
        return out

    def _dropped(self, key: str, value: Any, schema: Schema, inner: Schema) -> bool:
        if value is None:
            return True
        if inner.kind in {"list", "map"} and not value:
            return key not in schema.required
        return key in schema.omit_zero and not value and not isinstance(value, (dict, list))


def fits(value: Any, schema: Schema) -> bool:
    """Whether a scalar has its schema's type (a whole float counts as an integer)."""
    if isinstance(value, bool):
        return schema.type == "boolean"
    if schema.type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(schema.type, (object,)))


def type_name(value: Any) -> str:
    """The JSON schema name of a value's type."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case None:
            return "null"
        case list():
            return "array"
        case _:
            return "object"


EXPECTED = {
    "string": "string",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
    "boolean": "boolean",
}
GO_NAMES = {"array": "list", "object": "map", "integer": "int", "number": "float"}


def typed_problems(value: Any, schema: Schema) -> list[str]:
    """What server-side apply objects to in a configuration: undeclared fields, wrong types, repeated list keys."""
    return list(_problems(value, schema, ""))


def _problems(value: Any, schema: Schema, path: str) -> list[str]:
    if value is None or schema.kind == "any":
        return []
    if schema.kind == "scalar":
        wanted = EXPECTED.get(schema.type)
        if (
            wanted is None
            or fits(value, schema)
            or (wanted.startswith("numeric") and type_name(value) in EXPECTED and _number(value))
        ):
            return []
        return [f"{path}: expected {wanted}, got {_go_name(value)}"]
    if schema.kind == "list":
        if not isinstance(value, list):
            return [f"{path}: expected list, got {_go_name(value)}"]
        return _list_problems(value, schema, path)
    if not isinstance(value, dict):
        return [f"{path}: expected map, got {_go_name(value)}"]
    out: list[str] = []
    for key, child in value.items():
        inner = schema.child(key)
        if inner is None:
            out.append(f"{path}.{key}: field not declared in schema")
        else:
            out += _problems(child, inner, f"{path}.{key}")
    return out


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _go_name(value: Any) -> str:
    if isinstance(value, dict):
        return "&value.mapUnstructured{}"
    return GO_NAMES.get(type_name(value), type_name(value))


def _list_problems(value: list[Any], schema: Schema, path: str) -> list[str]:
    out: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        if not schema.atomic:
            if schema.keys and not isinstance(item, dict):
                out.append(f"{here}: associative list with keys may not contain non-map elements")
                continue
            element = item_element(item, schema)
            here = path + readable((element,))
            if schema.keys and element == "k:{}":
                names = ", ".join(f'"{key}"' for key in schema.keys)
                out.append(
                    f"{path}: element {index}: associative list with keys has an element that omits key field {names} (and doesn't have default value)"
                )
                continue
            if element in seen:
                out.append(f"{path}: duplicate entries for key {here.removeprefix(path)}")
            seen.add(element)
        if schema.element is not None:
            out += _problems(item, schema.element, here)
    return out


def without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without its null values, at the top level only."""
    return {key: child for key, child in value.items() if child is not None}


__all__ = ["Decoded", "decode", "fits", "readable_keys", "type_name", "typed_problems", "without_nulls"]
