r"""Field paths of replacements: ``spec.containers.[name=web].image``, ``data.config\.yaml.server.port``.

Segments are separated by dots; ``\.`` is a dot within a segment, and so is any dot in brackets. A segment is a
field's name, an index, ``-`` (the last item; sources only), ``*`` (every item; targets only) or ``[key=value]``, an
item by one of its fields, or ``[=value]``, by itself. For a source the value is compared; for a target it is an RE2
expression that matches some part of the item's YAML text (kyaml/yaml: fns.go PathGetter, match.go PathMatcher).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.scalars import resolve
from penstock.core.kustomize.selectors import part
from penstock.core.kustomize.written import PartlyEmpty, is_quoted, text_of
from penstock.core.kustomize.yaml_out import dump_one

_INDEX = re.compile(r"[+-]?[0-9]{1,9}\Z")
_MISSING: Final = object()


class Unread(str):
    """The text of a created scalar, which is of no kind yet."""

    __slots__ = ()


CREATED: Final = Unread("")
"""What a created scalar is before it has a value."""

Change = Callable[[Any], Any]
"""From the value that a path leads to, to its new value."""


def split_path(path: str) -> tuple[str, ...]:
    """The segments of a field path."""
    pieces = path.split(".")
    if len(pieces) > 1 and pieces[0] == "":
        pieces = pieces[1:]
    segments = [pieces[0]]
    for piece in pieces[1:]:
        if segments[-1].endswith("\\"):
            segments[-1] = f"{segments[-1][:-1]}.{piece}"
        else:
            segments.append(piece)
    return tuple(_joined_brackets(segments))


def _joined_brackets(segments: list[str]) -> list[str]:
    joined, position = [], 0
    while position < len(segments):
        segment = segments[position]
        position += 1
        if not segment.startswith("[") or segment.endswith("]"):
            joined.append(segment)
            continue
        while position < len(segments):
            segment = f"{segment}.{segments[position]}"
            position += 1
            if segment.endswith("]"):
                break
        joined.append(segment if "=" in segment else segment.strip("[]"))
    return joined


def _condition(segment: str) -> tuple[str, str]:
    """The field and the value of ``[field=value]``."""
    name, equals, value = segment.removesuffix("]").removeprefix("[").partition("=")
    if not equals:
        raise BuildFailed(f"list path element must contain fieldName=fieldValue for element to match: {segment}")
    return name, value


def _is_condition(segment: str) -> bool:
    return segment.startswith("[") and segment.endswith("]")


def _is_index(segment: str) -> bool:
    return _INDEX.match(segment) is not None and int(segment) >= 0


def look_up(value: Any, path: tuple[str, ...], absent: Any = None) -> Any:
    """The value that the path of a source leads to; ``absent`` where there is none.

    Raises BuildFailed where the path does not fit what it meets, a name meeting a list for one.
    """
    for segment in filter(None, map(str.strip, path)):
        if _INDEX.match(segment):
            value = _item(value, int(segment), absent)
        elif segment == "-":
            if not _items(value, segment):
                raise BuildFailed("the list has no last item")
            value = value[-1]
        elif segment == "*":
            raise BuildFailed("wildcard is not supported in the path of a source: name one item")
        elif _is_condition(segment):
            name, wanted = _condition(segment)
            value = next((item for item in _items(value, segment) if _equals(item, name, wanted)), absent)
        else:
            value = _fields(value, segment).get(segment, absent)
        if value is absent:
            return absent
    return value


def _item(value: Any, index: int, absent: Any) -> Any:
    if index < 0:
        raise BuildFailed(f"array index {index} cannot be negative")
    items = _items(value, str(index))
    return items[index] if index < len(items) else absent


def _equals(item: Any, name: str, wanted: str) -> bool:
    if name:
        return isinstance(item, dict) and name in item and text_of(item[name]) == wanted
    return text_of(item) == wanted


def _items(value: Any, segment: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise BuildFailed(f"wrong node kind: {segment} needs a list, and this is none")
    return value or []


def _fields(value: Any, segment: str) -> dict[str, Any]:
    if not segment:
        raise BuildFailed("a segment of the path is empty")
    if value is not None and not isinstance(value, dict):
        raise BuildFailed(f"wrong node kind: {segment!r} needs a mapping, and this is none")
    return value or {}


@dataclass(slots=True)
class Editor:
    """Changes each value that the path of a target leads to. ``hits`` counts them.

    ``change``: gives the new values. ``blank``: what a created field is before ``change`` sees it (CREATED, or an
    empty mapping or list), None to create nothing. ``misfits`` counts the values of the wrong kind within a text.
    """

    change: Change
    blank: Any
    hits: int = 0
    misfits: int = 0

    def edit(self, value: Any, path: tuple[str, ...]) -> Any:
        """``value`` after the change; the same object where nothing changes. Raises BuildFailed for a misfit."""
        if not path:
            self.hits += 1
            return self.change(value)
        segment = path[0]
        if _is_index(segment):
            return self._at(value, path)
        if _is_condition(segment):
            return self._where(value, path)
        if segment == "*":
            return self._every(value, path)
        return self._field(value, path)

    def _created(self, path: tuple[str, ...]) -> Any:
        """What is put where ``path[0]`` leads to nothing: a list, a mapping, or ``blank`` at the end."""
        following = path[1] if len(path) > 1 else ""
        if not following:
            return self.blank
        return [] if _is_condition(following) or _is_index(following) else {}

    def _at(self, value: Any, path: tuple[str, ...]) -> Any:
        items, index = _items(value, path[0]), int(path[0])
        if index == len(items) and self.blank is not None:
            items = [*items, self._created(path)]
        if index >= len(items):
            raise BuildFailed(f"index {index} specified but only {len(items)} elements found")
        new = self.edit(items[index], path[1:])
        changed = [*items[:index], new, *items[index + 1 :]]
        return None if value is None else changed

    def _every(self, value: Any, path: tuple[str, ...]) -> Any:
        items = [self.edit(item, path[1:]) for item in _items(value, "*")]
        return items if isinstance(value, list) else value

    def _where(self, value: Any, path: tuple[str, ...]) -> Any:
        name, pattern = _condition(path[0])
        items = _items(value, path[0])
        rest = path[1:] if name else ()  # an item that is chosen by itself is the end of the path
        before = self.hits
        matched = part(pattern)
        found = [self.edit(item, rest) if _shows(item, name, matched) else item for item in items]
        if self.hits > before or self.blank is None:
            return found if isinstance(value, list) else value
        created: Any = {name: resolve(pattern)} if name else Unread(pattern)
        if not _shows(created, name, matched):
            raise BuildFailed(f"an item for {path[0]} cannot be created: the expression does not match itself")
        created = self.edit(created, rest)
        return None if value is None else [*found, created]

    def _field(self, value: Any, path: tuple[str, ...]) -> Any:
        name = path[0]
        fields = _fields(value, name)
        old = fields.get(name, _MISSING)
        if old is _MISSING:
            if self.blank is None:
                return value
            old = self._created(path)
        elif old is None and len(path) > 1 and type(value) is PartlyEmpty and name in value.empty:
            raise BuildFailed(f"wrong node kind: {path[1]!r} needs a mapping, and {name} is empty: write {{}} there")
        elif len(path) > 1 and not isinstance(old, dict | list):
            self.enter_scalar(old, path[1:])
            return value
        new = self.edit(old, path[1:])
        if value is None or (name in fields and new is old):
            return value
        edited = fields.copy()  # which keeps the traits of a PartlyEmpty
        edited[name] = new
        return edited

    def enter_scalar(self, value: Any, path: tuple[str, ...]) -> None:
        """What to do where a path goes on below a scalar: kustomize edits a copy of it, which nobody sees."""
        raise BuildFailed(
            f"wrong node kind: {path[0]!r} needs a mapping or list, and {text_of(value)!r} is a plain value"
        )


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """``value`` with ``new`` where ``look_up`` finds something by this path."""
    path = tuple(filter(None, map(str.strip, path)))
    if not path:
        return new
    segment = path[0]
    if isinstance(value, dict):
        return {**value, segment: put(value[segment], path[1:], new)}
    if segment == "-":
        index = len(value) - 1
    elif _is_condition(segment):
        name, wanted = _condition(segment)
        index = next(index for index, item in enumerate(value) if _equals(item, name, wanted))
    else:
        index = int(segment)
    return [*value[:index], put(value[index], path[1:], new), *value[index + 1 :]]


def _shows(item: Any, name: str, matched: Callable[[str], bool]) -> bool:
    """Whether the YAML text of an item, or of its field ``name``, matches."""
    if name:
        if not isinstance(item, dict) or name not in item:
            return False
        item = item[name]
    return matched(_yaml_text(item))


def _yaml_text(value: Any) -> str:
    if isinstance(value, dict | list):
        return dump_one(value).strip()
    if is_quoted(value):
        return f'"{value}"'
    return "null" if value is None else text_of(value).strip()
