"""The string functions of ``${variable…}``, as drone/envsubst (which Flux uses) has them, their oddities included."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.core.errors import BuildFailed

Function = Callable[[str, Sequence[str]], str]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_MANY = object()
"""``*`` in a pattern: any characters, ``/`` among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _OneOf:
    """One place of a pattern: a character within ``ranges`` (or outside, where ``negated``)."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def accepts(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.negated


_ANY = _OneOf(ranges=(), negated=True)


class _BadPattern(Exception):
    """The pattern is malformed: envsubst then leaves the value alone."""


def function_for(operator: str, arguments: int) -> Function:
    """The function behind an operator ("" is plain ``${v}``) with that many arguments."""
    if operator == "#" and not arguments:
        return _length
    return _FUNCTIONS.get(operator, _default)


def _default(value: str, arguments: Sequence[str]) -> str:
    return value or "".join(arguments)


def _length(value: str, _arguments: Sequence[str]) -> str:
    return str(len(value.encode()))


def _simple(character: str, mapped: str) -> str:
    """Go maps one character to one character (``ß`` stays)."""
    return mapped if len(mapped) == 1 else character


def _upper(value: str, _arguments: Sequence[str]) -> str:
    return "".join(_simple(c, c.upper()) for c in value)


def _lower(value: str, _arguments: Sequence[str]) -> str:
    return "".join(_simple(c, c.lower()) for c in value)


def _upper_first(value: str, arguments: Sequence[str]) -> str:
    return _upper(value[:1], arguments) + value[1:]


def _lower_first(value: str, arguments: Sequence[str]) -> str:
    return _lower(value[:1], arguments) + value[1:]


def _substring(value: str, arguments: Sequence[str]) -> str:
    """``${v:position}`` and ``${v:position:length}``, in bytes; what is no number leaves the value alone."""
    if not all(_INTEGER.fullmatch(each) for each in arguments):
        return value
    data, position = value.encode(), int(arguments[0])
    if position < 0:
        position = max(0, len(data) + position)
    end = len(data) if len(arguments) == 1 else position + int(arguments[1])
    if end < min(position, len(data)):
        raise BuildFailed(f"envsubst error: a substring of length {arguments[1]}: it must not be negative")
    try:
        return data[position:end].decode()
    except UnicodeDecodeError:
        raise BuildFailed("envsubst error: a substring that cuts a character in two") from None


def _replace_first(value: str, arguments: Sequence[str]) -> str:
    return value.replace(arguments[0], _second(arguments), 1)


def _replace_all(value: str, arguments: Sequence[str]) -> str:
    return value.replace(arguments[0], _second(arguments))


def _replace_prefix(value: str, arguments: Sequence[str]) -> str:
    if len(arguments) != 2 or not value.startswith(arguments[0]):
        return value
    return value.replace(arguments[0], arguments[1], 1)


def _replace_suffix(value: str, arguments: Sequence[str]) -> str:
    if len(arguments) != 2 or not value.endswith(arguments[0]):
        return value
    return value.removesuffix(arguments[0]) + arguments[1]


def _second(arguments: Sequence[str]) -> str:
    return arguments[1] if len(arguments) > 1 else ""


def _trim(value: str, pattern: str, choose: Callable[[set[int]], int]) -> str:
    try:
        ends = _prefix_ends(_pattern(pattern), value) - {0}
    except _BadPattern:
        return value
    return value[choose(ends) :] if ends else value


def _trim_shortest_prefix(value: str, arguments: Sequence[str]) -> str:
    return _trim(value, arguments[0], min)


def _trim_longest_prefix(value: str, arguments: Sequence[str]) -> str:
    return _trim(value, arguments[0], max)


def _trim_shortest_suffix(value: str, arguments: Sequence[str]) -> str:
    return _trim(value[::-1], arguments[0][::-1], min)[::-1]  # the pattern's text too, as envsubst does it


def _trim_longest_suffix(value: str, arguments: Sequence[str]) -> str:
    return _trim(value[::-1], arguments[0][::-1], max)[::-1]


def _prefix_ends(pattern: Sequence[object], value: str) -> set[int]:
    """The lengths of all prefixes that match the whole pattern: linear in value and pattern, never exponential."""
    ends = {0}
    for place in pattern:
        if not ends:
            return ends
        if place is _MANY:
            ends = set(range(min(ends), len(value) + 1))
        else:
            assert isinstance(place, _OneOf)
            ends = {end + 1 for end in ends if end < len(value) and place.accepts(value[end])}
    return ends


def _pattern(text: str) -> list[object]:
    """Go's path.Match syntax (``*``, ``?``, ``[a-z]``, ``[^a-z]``, a backslash before any). Raises _BadPattern."""
    places: list[object] = []
    index = 0
    while index < len(text):
        character = text[index]
        if character == "[":
            place, index = _character_class(text, index + 1)
            places.append(place)
            continue
        if character == "*":
            places.append(_MANY)
        elif character == "?":
            places.append(_ANY)
        else:
            literal, index = _literal(text, index)
            places.append(_OneOf(ranges=((literal, literal),)))
            continue
        index += 1
    return places


def _literal(text: str, index: int) -> tuple[str, int]:
    if text[index] == "\\":
        index += 1
    if index >= len(text):
        raise _BadPattern
    return text[index], index + 1


def _character_class(text: str, index: int) -> tuple[_OneOf, int]:
    negated = text[index : index + 1] == "^"
    index += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and text[index : index + 1] == "]"):
        low, index = _class_member(text, index)
        high = low
        if text[index] == "-":
            high, index = _class_member(text, index + 1)
        ranges.append((low, high))
    return _OneOf(ranges=tuple(ranges), negated=negated), index + 1


def _class_member(text: str, index: int) -> tuple[str, int]:
    if text[index : index + 1] in ("", "-", "]"):
        raise _BadPattern
    member, index = _literal(text, index)
    if index >= len(text):
        raise _BadPattern
    return member, index


_FUNCTIONS: dict[str, Function] = {
    ",": _lower_first,
    ",,": _lower,
    "^": _upper_first,
    "^^": _upper,
    "#": _trim_shortest_prefix,
    "##": _trim_longest_prefix,
    "%": _trim_shortest_suffix,
    "%%": _trim_longest_suffix,
    ":": _substring,
    "/": _replace_first,
    "//": _replace_all,
    "/#": _replace_prefix,
    "/%": _replace_suffix,
}
