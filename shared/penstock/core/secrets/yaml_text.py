"""A decrypted tree as YAML text, the way `sops decrypt` prints it (go-yaml v3, four spaces), but for comments.

A Secret's hash suffix comes from the bytes of its generator's inputs, so they should be those that Flux sees.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from penstock.core.kustomize.scalars import reads_as_string
from penstock.core.secrets.values import Comment, Moment, float_text

_INDENT = 4
_WHOLE_POWERS = 6
"""From here on Go's shortest form has an exponent."""

_FIRST = frozenset("#,[]{}&*!|>'\"%@`")
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_ESCAPED = re.compile('[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\\\\"\u2028\u2029]')
_NAMED = {
    "\0": "0", "\x07": "a", "\x08": "b", "\t": "t", "\n": "n", "\x0b": "v", "\x0c": "f", "\r": "r", "\x1b": "e",
    '"': '"', "\\": "\\", "\x85": "N", "\u2028": "L", "\u2029": "P",
}  # fmt: skip


def emit_yaml(trees: list[dict[Any, Any]]) -> str:
    """The documents in their own order, separated by ``---``; comments are left out."""
    return "---\n".join("".join(f"{line}\n" for line in _document(tree)) for tree in trees)


def _document(tree: dict[Any, Any]) -> Iterator[str]:
    lines = list(_mapping(tree, ""))
    yield from lines or ["{}"]


def _mapping(value: dict[Any, Any], pad: str) -> Iterator[str]:
    for name, item in value.items():
        if isinstance(name, Comment):
            continue
        key = _string(str(name), pad, in_key=True)
        below = " " * ((len(pad) // _INDENT + 1) * _INDENT)  # back on the grid after a sequence's two columns
        if isinstance(item, dict) and item:
            yield f"{pad}{key}:"
            yield from _mapping(item, below)
        elif isinstance(item, list) and item:
            yield f"{pad}{key}:"
            yield from _sequence(item, below)
        else:
            yield f"{pad}{key}: {_leaf(item, below)}"


def _sequence(items: list[Any], pad: str) -> Iterator[str]:
    for item in items:
        lines = list(_nested(item, pad))
        yield f"{pad}- {lines[0][len(pad) + 2 :]}"
        yield from lines[1:]


def _nested(item: Any, pad: str) -> Iterator[str]:
    """An item of a sequence, as lines that start two columns in: the first of them gives way to the dash."""
    below = pad + "  "
    if isinstance(item, dict) and item:
        yield from _mapping(item, below)
    elif isinstance(item, list) and item:
        yield from _sequence(item, below)
    else:
        yield below + _leaf(item, below)


def _leaf(value: Any, pad: str) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, Moment):
        return str(value)
    return _string(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value), pad)


def _number(value: float) -> str:
    """Go's FormatFloat(value, 'g', -1, 64); what is no finite number has YAML's own names."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    sign = "-" if value < 0 else ""
    _, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    assert isinstance(exponent, int)  # it is finite
    text = "".join(str(digit) for digit in digits)
    power = len(text) + exponent - 1
    if -5 < power < _WHOLE_POWERS:
        return sign + float_text(abs(value))
    tail = f".{text[1:]}" if text[1:] else ""
    return f"{sign}{text[0]}{tail}e{power:+03}"


def _string(value: str, pad: str, *, in_key: bool = False) -> str:
    special = _UNPRINTABLE.search(value) is not None
    spaced = " \n" in value
    if "\n" in value:
        block = not (special or spaced or in_key or value.endswith(" "))
        return _literal(value, pad) if block else _double(value)
    if not reads_as_string(value) or special or "\t" in value:
        return _double(value)
    return value if _plain(value) else "'" + value.replace("'", "''") + "'"


def _plain(value: str) -> bool:
    if value[0] in _FIRST or value[0] == " " or value[-1] == " ":
        return False
    if value[0] in "?:-" and value[1:2] in ("", " "):
        return False
    return not (value[:3] in ("---", "...") or ": " in value or value[-1] == ":" or " #" in value)


def _double(value: str) -> str:
    return '"' + _ESCAPED.sub(_escape, value) + '"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMED:
        return "\\" + _NAMED[character]
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _literal(value: str, pad: str) -> str:
    hint = "4" if value[0] in " \n" else ""
    chomp = "" if value.endswith("\n") else "-"
    if value.endswith("\n\n") or value == "\n":
        chomp = "+"
    lines = value.removesuffix("\n").split("\n")
    return f"|{hint}{chomp}" + "".join(f"\n{pad}{line}" if line else "\n" for line in lines)
