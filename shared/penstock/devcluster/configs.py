"""What server-side apply objects to in a configuration, in structured-merge-diff's words."""

from collections.abc import Iterator
from typing import Any

from penstock.devcluster.decoding import fits, type_name
from penstock.devcluster.fieldpaths import item_element, readable
from penstock.devcluster.schema import Schema
from penstock.devcluster.store import dump

EXPECTED = {
    "string": "string",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
    "boolean": "boolean",
}


def typed_problems(value: Any, schema: Schema) -> list[str]:
    """Undeclared fields, wrong types, repeated or missing list keys; paths start with a dot."""
    return list(_problems(value, schema, ""))


def _problems(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if value is None or schema.kind == "any":
        return
    if schema.kind == "scalar":
        if not _acceptable(value, schema):
            yield f"{path}: expected {EXPECTED[schema.type]}, got {_name(value)}"
    elif schema.kind == "list":
        if isinstance(value, list):
            yield from _list_problems(value, schema, path)
        else:
            yield f"{path}: expected list, got {_name(value)}"
    elif isinstance(value, dict):
        for key, child in sorted(value.items()):
            inner = schema.child(key)
            if inner is not None:
                yield from _problems(child, inner, f"{path}.{key}")
            elif not schema.preserve:
                yield f"{path}.{key}: field not declared in schema"
    else:
        yield f"{path}: expected map, got {_name(value)}"


def _acceptable(value: Any, schema: Schema) -> bool:
    if schema.type not in EXPECTED or fits(value, schema):
        return True
    return schema.type in {"integer", "number"} and type_name(value) in {"integer", "number"}


def _name(value: Any) -> str:
    return "string" if isinstance(value, str) else f"&value.valueUnstructured{{Value:{_go(value)}}}"


def _go(value: Any) -> str:
    """A value as Go prints it with its types."""
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f"{dump(k).decode()}:{_go(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go, value)) + "}"
    return "interface {}(nil)" if value is None else dump(value).decode()


def _list_problems(value: list[Any], schema: Schema, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        if not schema.atomic:
            if schema.keys and not isinstance(item, dict):
                yield f"{here}: associative list with keys may not contain non-map elements"
                continue
            element = item_element(item, schema)
            if schema.keys and element == "k:{}":
                names = ", ".join(f'"{key}"' for key in schema.keys)
                yield (
                    f"{path}: element {index}: associative list with keys has an element that omits key field "
                    f"{names} (and doesn't have default value)"
                )
                continue
            here = path + readable((element,))
            if element in seen:
                yield f"{path}: duplicate entries for key {here.removeprefix(path)}"
            seen.add(element)
        if schema.element is not None:
            yield from _problems(item, schema.element, here)
