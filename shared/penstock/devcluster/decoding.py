"""Decoding of objects under their schema: unknown fields, types, and the form in which the API server stores them."""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.devcluster.quantities import canonical
from penstock.devcluster.schema import Schema
from penstock.devcluster.times import canonical_time, micro_time

BASE64 = re.compile(r"[A-Za-z0-9+/]*")
NAMES: dict[type, str] = {
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "intOrString": (int, str),
    "quantity": (int, float, str),
    "time": (str,),
    "microtime": (str,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongType:
    """A value that does not have its field's type. ``owner``: the Go struct of the field; ``problem``: in words."""

    path: str
    wanted: str
    got: str
    owner: str = ""
    problem: str = ""

    @property
    def go_message(self) -> str:
        """As Go's JSON decoder says it."""
        if self.problem:
            return self.problem
        field_path = re.sub(r"\[[^]]*\]", "", self.path)
        wanted, got = GO_TYPES.get(self.wanted, self.wanted), GO_TYPES.get(self.got, self.got)
        return f"json: cannot unmarshal {got} into Go struct field {self.owner}.{field_path} of type {wanted}"


@dataclass(slots=True, kw_only=True)
class Decoded:
    """``value``: pruned and in stored form; ``unknown``: paths of undeclared fields; ``wrong``: wrong types."""

    value: Any
    unknown: list[str] = field(default_factory=list)
    wrong: list[WrongType] = field(default_factory=list)


def decode(value: Any, schema: Schema, *, builtin: bool) -> Decoded:
    """The value as the API server would store it.

    Undeclared fields are dropped. For built-in kinds null fields, empty lists and maps and the zero values of
    optional plain fields go as well, quantities become canonical, and defaults of the schema are set, as decoding into
    Go types and encoding again does. Custom resources keep them.
    """
    out = Decoded(value=None)
    out.value = _Decoder(out, builtin).walk(value, schema, "", "")
    return out


class _Decoder:
    def __init__(self, out: Decoded, builtin: bool) -> None:
        self.out, self.builtin = out, builtin

    def walk(self, value: Any, schema: Schema, path: str, owner: str) -> Any:
        """``owner``: the struct that holds the field."""
        if value is None or schema.kind == "any":
            return value
        if schema.kind == "scalar":
            return self._scalar(value, schema, path, owner)
        wanted = list if schema.kind == "list" else dict
        if not isinstance(value, wanted):
            return self._wrong(value, WrongType(path=path, wanted=_GO_FORMS[wanted], got=type_name(value), owner=owner))
        if schema.kind == "struct" and isinstance(value, dict):
            return self._struct(value, schema, path)
        return self._items(value, schema, path, owner)

    def _items(self, value: Any, schema: Schema, path: str, owner: str) -> Any:
        element = schema.element
        if element is None:
            return value
        if self.builtin:
            value = _without_nulls(value, element)
        if isinstance(value, list):
            return [self.walk(item, element, f"{path}[{i}]", owner) for i, item in enumerate(value)]
        form = "{}[{}]" if self.builtin else "{}.{}"
        return {key: self.walk(child, element, form.format(path, key), owner) for key, child in value.items()}

    def _wrong(self, value: Any, problem: WrongType) -> Any:
        self.out.wrong.append(replace(problem, path=problem.path.removeprefix(".")))
        return value

    def _scalar(self, value: Any, schema: Schema, path: str, owner: str) -> Any:
        form = str(schema.rules.get("format", ""))
        if not fits(value, schema):
            wanted = form if schema.type == "integer" and self.builtin and form else schema.type
            return self._wrong(value, WrongType(path=path, wanted=wanted, got=type_name(value), owner=owner))
        if schema.type in CANONICAL:
            try:
                return CANONICAL[schema.type](value)
            except ValueError as problem:
                wrong = WrongType(path=path, wanted=schema.type, got=type_name(value), problem=str(problem))
                return self._wrong(value, wrong)
        if form == "byte" and self.builtin and (at := illegal_base64(value)) is not None:
            text = f"illegal base64 data at input byte {at}"
            return self._wrong("", WrongType(path=path, wanted="byte", got="string", problem=text))
        return value

    def _struct(self, value: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, child in value.items():
            inner = schema.child(key)
            if inner is None:
                if schema.preserve or (schema.embedded and key in EMBEDDED):
                    out[key] = child
                else:
                    self.out.unknown.append(f"{path}.{key}".removeprefix("."))
                continue
            done = self.walk(child, inner, f"{path}.{key}", schema.name)
            if not (self.builtin and self._dropped(key, done, schema, inner)):
                out[key] = done
        if self.builtin:
            self._complete(out, schema, path)
        return out

    def _complete(self, out: dict[str, Any], schema: Schema, path: str) -> None:
        """What Go's structs always have: nested structs, and null for what may not be left out."""
        for key, default in schema.defaults.items():
            if out.get(key) is None:
                out[key] = self.walk(default, schema.fields[key], f"{path}.{key}", schema.name)
        for key in schema.show_null:
            out.setdefault(key, None)

    def _dropped(self, key: str, value: Any, schema: Schema, inner: Schema) -> bool:
        if value is None:
            return True
        if inner.kind in {"list", "map"} and not value:
            return True
        return key in schema.omit_zero and not value and not isinstance(value, (dict, list))


CANONICAL: dict[str, Callable[[Any], str]] = {"quantity": canonical, "time": canonical_time, "microtime": micro_time}
ZEROS: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "intOrString": 0, "quantity": "0"}


def _without_nulls(value: Any, element: Schema) -> Any:
    """Null items of a list or map become what Go decodes them to: an empty struct, or the type's zero value."""
    if element.kind == "scalar":
        zero = None if element.type in {"time", "microtime"} else ZEROS.get(element.type, "")
    else:
        zero = {} if element.kind == "struct" else None
    if isinstance(value, list):
        return [zero if item is None else item for item in value]
    return {key: zero if item is None else item for key, item in value.items()}


_GO_FORMS = {list: "array", dict: "object"}
EMBEDDED = frozenset({"apiVersion", "kind", "metadata"})
GO_TYPES = {"integer": "number", "boolean": "bool"}


def illegal_base64(text: str) -> int | None:
    """Where a text stops being base64, as Go's decoder counts; None where it is well-formed."""
    clean = text.replace("\n", "").replace("\r", "")
    try:
        binascii.a2b_base64(clean, strict_mode=True)
    except binascii.Error:
        letters = BASE64.match(clean)
        end = letters.end() if letters else 0
        return end if end < len(clean) else end - end % 4
    return None


def fits(value: Any, schema: Schema) -> bool:
    """Whether a scalar has its schema's type (a whole float counts as an integer)."""
    if isinstance(value, bool):
        return schema.type == "boolean"
    if schema.type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(schema.type, (object,)))


def type_name(value: Any) -> str:
    """The JSON schema name of a value's type."""
    return NAMES.get(type(value), "object")
