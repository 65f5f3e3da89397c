"""Plain values to YAML text, byte for byte as kustomize prints them.

kustomize sends each object through JSON and go-yaml v2: keys in natural order, sequences at the indentation of their
key, strings plain where they can be, lines folded at the first space after column 80.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, cmp_to_key, lru_cache
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.braces import printed_empty
from penstock.core.kustomize.scalars import NO_KEY, number_text, reads_as_string

_WIDTH = 80
_LONG = 256  # longer texts are seldom met twice: not worth keeping
_LONGEST_SIMPLE_KEY = 128
_BREAKS = "\r\n\x85\u2028\u2029"
# What go-yaml prints as it is; anything else forces double quotes (and so do all characters above U+FFFF).
_PRINTED = "\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd"
_ASCII_SPECIAL = re.compile("[^\n\x20-\x7e]")
_ASCII_ESCAPED = re.compile('[^\x20-\x7e]|[\\\\"]')
_ESCAPES = {
    "\0": "\\0", "\x07": "\\a", "\x08": "\\b", "\t": "\\t", "\n": "\\n", "\x0b": "\\v", "\x0c": "\\f",
    "\r": "\\r", "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N", "\u2028": "\\L", "\u2029": "\\P",
}  # fmt: skip
# Fits the most common strings: no indicator at the start, none in the middle, no space at an end.
_EASY = re.compile(
    r"[A-Za-z/_$(](?:[A-Za-z0-9/_$().=+,@*&%!;^~<>\[\]{}|'\"?-]|[:](?=[^\s:])| (?=[A-Za-z0-9/_$(]))*\Z", re.ASCII
)
_BOM = "\ufeff"
_LETTERS = re.compile(r"[A-Za-z]+\Z")
_FORBIDDEN_FIRST = frozenset("#,[]{}&*!|>'\"%@`")


def dump(documents: Iterable[Any]) -> str:
    """The documents, separated by ``---``. Values: dict with text keys, list, str, int, float, bool, None."""
    return "---\n".join(dump_one(document) for document in documents)


def dump_ordered(value: Any) -> str:
    """One document with keys in the order of its mappings, as go-yaml v3 prints structures (no line is folded)."""
    return "".join(f"{line}\n" for line in _ordered(value))


def _ordered(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            lead = "- "
            for line in _ordered(item):
                yield lead + line
                lead = "  "
        return
    for key, item in value.items():
        if isinstance(item, dict | list):
            yield f"{_key(key)[0]}:"
            yield from (f"  {line}" for line in _ordered(item))
        else:
            yield f"{_key(key)[0]}: {_form(item) or _double(item)}"


def dump_one(value: Any) -> str:
    """One document, ending in a line feed."""
    lines: list[str] = []
    if isinstance(value, dict) and value:
        _mapping(lines, value, "", "")
    elif isinstance(value, list) and value:
        _sequence(lines, value, "", "")
    else:
        lines.append(_leaf(value, "", 0) + "\n")
    return "".join(lines)


def _mapping(lines: list[str], value: dict[str, Any], pad: str, lead: str) -> None:
    """The entries, each on lines that start with ``pad``; the first one starts with ``lead``."""
    left_out = printed_empty(value)
    for key in key_order(tuple(value)):
        item = value[key]
        if item is None and key in left_out:
            item = ""
        name, explicit = _key(key)
        if explicit:
            _explicit_entry(lines, key, item, (pad, lead))
            lead = pad
            continue
        start = f"{lead}{name}:"
        lead = pad
        if isinstance(item, str):
            form = _form(item)
            column = len(start) + 1
            if form is not None and (column + len(form) <= _WIDTH or " " not in form):
                lines.append(f"{start} {form}\n")
            else:
                lines.append(f"{start} {_text(item, pad + '  ', column)}\n")
        elif isinstance(item, dict) and item:
            lines.append(start + "\n")
            below = pad + "  "
            _mapping(lines, item, below, below)
        elif isinstance(item, list) and item:
            lines.append(start + "\n")
            _sequence(lines, item, pad, pad)
        else:
            lines.append(f"{start} {_leaf(item, pad + '  ', len(start) + 1)}\n")


def _explicit_entry(lines: list[str], key: str, item: Any, pads: tuple[str, str]) -> None:
    """A key that is too long or has line breaks: ``? key`` and ``: value``."""
    pad, lead = pads
    below = pad + "  "
    lines.append(f"{lead}? {_text(key, below, len(lead) + 2)}\n")
    if isinstance(item, dict) and item:
        _mapping(lines, item, below, pad + ": ")
    elif isinstance(item, list) and item:
        _sequence(lines, item, below, pad + ": ")
    else:
        lines.append(f"{pad}: {_leaf(item, below, len(pad) + 2)}\n")


def _sequence(lines: list[str], items: list[Any], pad: str, lead: str) -> None:
    below = pad + "  "
    for item in items:
        start = lead + "- "
        lead = pad
        if isinstance(item, dict) and item:
            _mapping(lines, item, below, start)
        elif isinstance(item, list) and item:
            _sequence(lines, item, below, start)
        else:
            lines.append(f"{start}{_leaf(item, below, len(start))}\n")


def _leaf(value: Any, pad: str, column: int) -> str:
    if isinstance(value, str):
        return _text(value, pad, column)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return "{}" if isinstance(value, dict) else "[]"


def _text(value: str, pad: str, column: int) -> str:
    """A string that starts at ``column``; further lines start with ``pad``."""
    form = _form(value)
    if form is None:
        return _literal(value, pad) if "\n" in value else _broken(value, pad)
    if column + len(form) <= _WIDTH or " " not in form:
        return form
    if form[0] == '"' and form != value:
        return _fold_double(form, pad, column)
    single = form[0] == "'" and form != value
    return _fold(form, pad, column, 1 if single else 0)


def _form(value: str) -> str | None:
    """The string on one line: plain or quoted; None where it becomes a block."""
    return _short_form(value) if len(value) < _LONG else _short_form.__wrapped__(value)


@lru_cache(maxsize=1 << 15)
def _short_form(value: str) -> str | None:
    if value == "<<" or (_EASY.match(value) and reads_as_string(value)):
        return value
    special = (_ASCII_SPECIAL if value.isascii() else _special()).search(value) is not None
    special = special or " \u2028" in value or " \u2029" in value  # a space before a break, which these are too
    if "\n" in value:
        return _double(value) if special or " \n" in value or value[-1] == " " else None
    if not reads_as_string(value) or special:
        return _double(value)
    if any(char in value for char in "\u2028\u2029"):
        return None
    return value if _plain_allowed(value) else "'" + value.replace("'", "''") + "'"


def _plain_allowed(value: str) -> bool:
    first, second = value[0], value[1:2]
    if first in _FORBIDDEN_FIRST or first == " " or value[-1] == " ":
        return False
    if first in "?:-" and second in ("", " "):
        return False
    return not (value[:3] in ("---", "...") or ": " in value or value[-1] == ":" or " #" in value)


def _double(value: str) -> str:
    if value[:1] == _BOM:  # go-yaml looks for a byte order mark at each character, and always at the first one
        return '"' + re.sub("(?s).", _escape, value) + '"'
    return '"' + (_ASCII_ESCAPED if value.isascii() else _escaped()).sub(_escape, value) + '"'


@cache
def _special() -> re.Pattern[str]:
    """Made when it is needed: compiling sets of so many characters takes milliseconds."""
    return re.compile(f"[^\n{_PRINTED}]")


@cache
def _escaped() -> re.Pattern[str]:
    return re.compile(f'[^{_PRINTED}]|[\\\\"\u2028\u2029]')


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    known = _ESCAPES.get(char)
    if known is not None:
        return known
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _fold(form: str, pad: str, column: int, edge: int) -> str:
    """A plain (``edge`` 0) or single-quoted (1) scalar, broken at single spaces beyond the width."""
    parts, last = [], len(form) - 1 - edge
    start = 0
    while len(form) - start + column > _WIDTH:
        at = form.find(" ", max(start + _WIDTH - column + 1, start))
        while at != -1 and (form[at - 1] == " " or form[at + 1 : at + 2] == " "):
            at = form.find(" ", at + 1)
        if at == -1 or (edge and at >= last) or (edge and at <= edge):
            break
        parts.append(form[start:at])
        start, column = at + 1, len(pad)
    parts.append(form[start:])
    return ("\n" + pad).join(parts)


def _fold_double(form: str, pad: str, column: int) -> str:
    """A double-quoted scalar: a break before further spaces is followed by a backslash that keeps them."""
    parts: list[str] = []
    spaces, index, end = False, 1, len(form) - 1
    parts.append('"')
    column += 1
    while index < end:
        char = form[index]
        if char == " " and not spaces and column > _WIDTH and index > 1 and index < end - 1:
            parts.append("\n" + pad)
            column = len(pad)
            if form[index + 1] == " ":
                parts.append("\\")
                column += 1
        else:
            parts.append(char)
            column += 1
        spaces = char == " "
        index += 1
    return "".join(parts) + '"'


def _literal(value: str, pad: str) -> str:
    hint = "2" if value[0] in " \n\r\u2028\u2029" else ""
    if value[-1] != "\n" and value[-1] not in _BREAKS:
        chomp = "-"
    else:
        chomp = "+" if len(value) == 1 or value[-2] in _BREAKS else ""
    body = value if chomp == "-" else value[:-1]
    lines = [pad + line if line else "" for line in body.split("\n")]
    return f"|{hint}{chomp}\n" + "\n".join(lines)


def _broken(value: str, pad: str) -> str:
    """A string with Unicode line separators and no line feed: single-quoted over several lines."""
    escaped = value.replace("'", "''")
    return "'" + re.sub("([\u2028\u2029]+)(?=[^\u2028\u2029])", r"\1" + pad, escaped) + "'"


@lru_cache(maxsize=1 << 14)
def _key(key: str) -> tuple[str, bool]:
    """A key on its line, and whether it needs the explicit ``?`` form."""
    multiline = any(char in key for char in _BREAKS)
    if multiline or len(key.encode()) > _LONGEST_SIMPLE_KEY:
        return key, True
    return '"<<"' if key == "<<" else _form(key) or key, False


@lru_cache(maxsize=1 << 14)
def key_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Keys in go-yaml's natural order: digits by value, letters after all else, by code point.

    Raises BuildFailed for a key that JSON cannot have.
    """
    if all(map(_LETTERS.match, keys)):
        return tuple(sorted(keys))
    unwritable = next((key for key in keys if key.startswith(NO_KEY)), None)
    if unwritable is not None:
        raise BuildFailed(unwritable.removeprefix(NO_KEY))
    return tuple(sorted(keys, key=cmp_to_key(_compare)))


def _compare(left: str, right: str) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a == b:
            continue
        if a.isalpha() or b.isalpha():
            if a.isalpha() and b.isalpha():
                return -1 if a < b else 1
            return -1 if b.isalpha() else 1
        return _compare_numbers(left, right, index)
    return len(left) - len(right)


def _compare_numbers(left: str, right: str, index: int) -> int:
    """The order of two keys that differ first at ``index``, where neither has a letter."""
    seed = ""
    if left[index] == "0" or right[index] == "0":
        before = index - 1
        while before >= 0 and left[before].isdigit():
            if left[before] != "0":
                seed = "1"
                break
            before -= 1
    a, b = _digits(left, index), _digits(right, index)
    first, second = int(seed + a or "0"), int(seed + b or "0")
    if first != second:
        return first - second
    if len(a) != len(b):
        return len(a) - len(b)
    return -1 if left[index] < right[index] else 1


def _digits(text: str, start: int) -> str:
    end = start
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    return text[start:end]
