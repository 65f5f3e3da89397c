"""JSON patches (RFC 6902), as lenient and as strict as kustomize is with them (evanphx/json-patch v4).

Where that differs from the RFC: ``replace`` of a field that is not there adds it; ``add`` and ``replace`` without a
value write null; ``copy`` of a missing field writes null; ``test`` of a missing field against null passes; indices
may be negative and then count from the end; what stands before the first slash of a path is ignored.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.growth import check_growth
from penstock.core.kustomize.scalars import resolve
from penstock.core.kustomize.written import Bare, PartlyEmpty, PlainText, Quoted
from penstock.core.kustomize.yaml_in import load_config
from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.resources import Manifest

KINDS: Final = ("add", "remove", "replace", "move", "copy", "test")
_INDEX = re.compile(r"[+-]?[0-9]{1,18}\Z")
_QUOTES = frozenset("'\"|")
_EXACT = 2**53  # JSON numbers are 64-bit floats to Go


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One step. ``path``, ``source``: JSON pointers; ``source`` is the field ``from``. ``where``: for messages."""

    kind: str
    path: str
    source: str = ""
    value: Any = None
    where: str = ""

    def overwrites(self, path: tuple[str, ...]) -> bool:
        """Whether it removes or replaces the whole of what stands at ``path``, or above it."""
        aims = () if self.kind == "test" else (self.path, self.source) if self.kind == "move" else (self.path,)
        return any(path[: len(parts)] == parts for aim in aims for parts in [tuple(_unescaped(aim))])

    def error(self, problem: str) -> BuildFailed:
        """A BuildFailed that names file, operation and path."""
        return BuildFailed(f"{self.where} ({self.kind} {self.path}): {problem}")


def parse_json6902(text: str, where: str) -> tuple[Operation, ...]:
    """The operations of a JSON patch, written as JSON (starts with ``[``) or as YAML.

    ``where``: file and field, for messages. Raises BuildFailed for anything but a list of operations.
    """
    try:
        if text.startswith("["):
            found = json.loads(text, parse_constant=_no_constant)
        else:
            found = through_json(load_config(text.encode(), where))
    except (ValueError, RecursionError) as error:
        raise BuildFailed(f"{where}: this starts with [ and is not JSON: {error}") from error
    if not isinstance(found, list):
        raise BuildFailed(f"{where}: a JSON patch is a list of operations, each with op and path")
    return tuple(_operation(item, f"{where}, operation {number}") for number, item in enumerate(found))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _operation(item: Any, where: str) -> Operation:
    if not isinstance(item, dict):
        raise BuildFailed(f"{where}: an operation is a mapping with op and path")
    kind = item.get("op")
    if kind not in KINDS:
        raise BuildFailed(f"{where}: unexpected kind of operation, op: {kind}; use {', '.join(KINDS)}")
    for name in ("path", "from") if kind in ("move", "copy") else ("path",):
        if not isinstance(item.get(name), str):
            raise BuildFailed(f"{where}: {kind} needs {name}, a text that starts with a slash")
    source = item["from"] if kind in ("move", "copy") else ""
    value = item.get("value")  # a test compares numbers as they were written: 1.0 is not 1
    value = value if kind == "test" else through_json(value)
    return Operation(kind=kind, path=item["path"], source=source, value=value, where=where)


def apply_json6902(target: Manifest, operations: tuple[Operation, ...]) -> Manifest:
    """``target`` after each operation in turn. ``target`` is not changed; subtrees may be shared with the result.

    Raises BuildFailed, naming the operation, where one does not apply or a test fails.
    """
    document: Any = through_json(target)
    for operation in operations:
        document = _apply(document, operation)
        if operation.kind == "copy":
            check_growth(document, operation.where)
    if not isinstance(document, dict):
        raise BuildFailed(f"{operations[-1].where}: the patch leaves a list where an object must be")
    return document


def through_json(value: Any) -> Any:
    """A value after a trip through JSON, which a JSON patch takes it on: numbers are floats, few strings quoted.

    The same object where nothing changes.
    """
    if isinstance(value, dict):
        items = {key: through_json(item) for key, item in value.items()}
        changed = type(value) is PartlyEmpty or any(item is not value[key] for key, item in items.items())
        return items if changed else value
    if isinstance(value, list):
        values = [through_json(item) for item in value]
        return values if any(new is not old for new, old in zip(values, value, strict=True)) else value
    if isinstance(value, str):
        return _string_through_json(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if type(value) is int and abs(value) <= _EXACT:
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _string_through_json(value: str) -> Any:
    if type(value) is PlainText:
        return through_json(resolve(value))
    if type(value) is Bare or (type(value) is Quoted and dump_one(value)[0] not in _QUOTES):
        return str(value)
    return value


def _apply(document: Any, operation: Operation) -> Any:
    kind, path = operation.kind, operation.path
    if kind == "test":
        _test(document, operation)
        return document
    if kind == "replace" and path == "":
        if not isinstance(operation.value, dict | list):
            raise operation.error("replace operation value must be object or array")
        return operation.value
    if kind == "remove":
        return _edit(document, path, operation, _removed)
    if kind == "replace":
        return _edit(document, path, operation, _replaced(operation.value))
    if kind == "add":
        return _edit(document, path, operation, _added(operation.value))
    value = _get(document, operation.source, operation)
    if kind == "move":
        document = _edit(document, operation.source, operation, _removed)
    return _edit(document, path, operation, _added(value))


def _parts(path: str, operation: Operation) -> tuple[str, ...]:
    """The unescaped keys of a JSON pointer, at least one."""
    parts = tuple(_unescaped(path))
    if not parts:
        raise operation.error(f'doc is missing path: "{path}": a path starts with a slash')
    return parts


def _unescaped(path: str) -> Iterator[str]:
    for part in path.split("/")[1:]:
        yield part.replace("~1", "/").replace("~0", "~") if "~" in part else part


def _position(key: str, length: int, operation: Operation) -> int:
    """The index that a key of a list means, of ``length`` possible ones; negative ones count from the end."""
    if not _INDEX.match(key):
        raise operation.error(f"value was not a proper array index: {key!r}: use a number, or - to append")
    index = int(key)
    if not -length <= index < length:
        raise operation.error(f"Unable to access invalid index: {key}: the list has {length} places for that")
    return index if index >= 0 else index + length


def _get(document: Any, path: str, operation: Operation) -> Any:
    """The value at a path; None where a mapping has no such key."""
    value = document
    parts = _parts(path, operation)
    for depth, part in enumerate(parts):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = value[_position(part, len(value), operation)]
        if depth + 1 < len(parts) and not isinstance(value, dict | list):
            raise _missing(parts[: depth + 1], operation)
    return value


def _missing(parts: tuple[str, ...], operation: Operation) -> BuildFailed:
    return operation.error(f"doc is missing path: /{'/'.join(parts)} is neither a mapping nor a list")


Edit = Callable[[Any, str, Operation], Any]
"""(mapping or list, key in it, operation) -> the container after the change."""


def _edit(document: Any, path: str, operation: Operation, edit: Edit) -> Any:
    """The document with one container replaced; those above it are copied, the rest is shared."""
    parts = _parts(path, operation)

    def below(container: Any, depth: int) -> Any:
        if not isinstance(container, dict | list):
            raise _missing(parts[:depth], operation)
        key = parts[depth]
        if depth + 1 == len(parts):
            return edit(container, key, operation)
        if isinstance(container, dict):
            return {**container, key: below(container.get(key), depth + 1)}
        position = _position(key, len(container), operation)
        return [*container[:position], below(container[position], depth + 1), *container[position + 1 :]]

    return below(document, 0)


def _added(value: Any) -> Edit:
    def edit(container: Any, key: str, operation: Operation) -> Any:
        if isinstance(container, dict):
            return {**container, key: value}
        position = len(container) if key == "-" else _position(key, len(container) + 1, operation)
        return [*container[:position], value, *container[position:]]

    return edit


def _replaced(value: Any) -> Edit:
    def edit(container: Any, key: str, operation: Operation) -> Any:
        if isinstance(container, dict):
            return {**container, key: value}
        position = _position(key, len(container), operation)
        return [*container[:position], value, *container[position + 1 :]]

    return edit


def _removed(container: Any, key: str, operation: Operation) -> Any:
    if isinstance(container, dict):
        if key not in container:
            raise operation.error(f"Unable to remove nonexistent key: {key}")
        return {name: value for name, value in container.items() if name != key}
    position = _position(key, len(container), operation)
    return [*container[:position], *container[position + 1 :]]


def _test(document: Any, operation: Operation) -> None:
    found = document if operation.path == "" else _get(document, operation.path, operation)
    if not _same(found, operation.value):
        raise operation.error("testing value failed: the target has another value there")


def _same(one: Any, other: Any) -> bool:
    """JSON equality: 1 is neither true nor "1"."""
    if isinstance(one, dict):
        keys = isinstance(other, dict) and one.keys() == other.keys()
        return keys and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(_same(a, b) for a, b in zip(one, other, strict=True))
        )
    return type(one) is type(other) and bool(one == other)
