"""INI files as SOPS reads and writes them (Go's ini.v1 with its defaults): sections of strings, with comments."""

import re
from collections.abc import Iterator
from typing import Any

from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.values import Comment, Repeated, mac_bytes

_DEFAULT = "DEFAULT"
_COMMENT_STARTS = (";", "#")
_DELIMITER = re.compile(r"[=:]")
_INLINE_COMMENT = re.compile(r"[#;].*\Z")
_QUOTES = "'\""


def load_ini(text: str) -> list[dict[Any, Any]]:
    """One tree: section name -> mapping; the section DEFAULT is always there. Raises SopsError naming the line.

    A section that stands there twice is two (WireGuard's peers); of a key that does, the last value counts.
    """
    sections: dict[Any, Any] = {_DEFAULT: {}}
    current, comments = sections[_DEFAULT], list[str]()
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    for number, raw in lines:
        line = raw.strip()
        if line.startswith(_COMMENT_STARTS):
            comments.append(line)
        elif line.startswith("["):
            name = line[1 : line.rfind("]")]
            if "]" not in line:
                raise SopsError(f"line {number}: a section that is not closed")
            current = sections[Repeated(name) if name in sections else name] = {}
            _add_comments(current, comments)
        elif line:
            name, rest = _name(line, number)
            value, inline = _value_of(rest, lines)
            current[name] = value
            comments += [inline] if inline else []
            _add_comments(current, comments)
    return [sections]


def emit_ini(tree: dict[Any, Any]) -> str:
    """The text as Go's ini.v1 prints it: keys of a section aligned, a blank line between sections."""
    blocks = []
    for index, (section, entries) in enumerate(tree.items()):
        if isinstance(section, Comment) or not isinstance(entries, dict):
            raise SopsError("an INI file holds sections of values alone")
        bare = index == 0 and section.upper() == _DEFAULT
        if bare and not entries:
            continue
        names = [name for name in entries if not isinstance(name, Comment)]
        width = max((len(_key(name)) for name in names), default=0)
        blocks.append(_section("" if bare else f"[{section}]", entries, width))
    return "\n".join(blocks)


def _section(head: str, entries: dict[Any, Any], width: int) -> str:
    items = list(entries.items())
    lines = [head] if head else []
    if items and isinstance(items[0][0], Comment):
        lines[:0] = _comment_lines(items.pop(0)[0])
    for index, (name, value) in enumerate(items):
        if isinstance(name, Comment):
            continue
        after = items[index + 1][0] if index + 1 < len(items) else None
        if isinstance(after, Comment):
            lines += _comment_lines(after)
        lines.append(f"{_key(name).ljust(width)} = {_value(value)}")
    return "".join(f"{line}\n" for line in lines)


def _comment_lines(comment: Comment) -> list[str]:
    return [line if line.startswith(_COMMENT_STARTS) else f"; {line}" for line in comment.text.split("\n")]


def _add_comments(section: dict[Any, Any], comments: list[str]) -> None:
    if comments:
        text = "\n".join(comments)
        section[Comment(text.lstrip(f"{text[0]} "))] = None
        comments.clear()


def _name(line: str, number: int) -> tuple[str, str]:
    """A line's key, and what stands behind its delimiter."""
    quote = next((each for each in ('"""', '"', "`") if line.startswith(each)), "")
    end = line.find(quote, len(quote)) + len(quote) if quote else 0
    found = _DELIMITER.search(line, end)
    if end < len(quote) or found is None or not line[: found.start()].strip():
        raise SopsError(f"line {number}: is no key with a value")
    name = line[len(quote) : end - len(quote)] if quote else line[: found.start()]
    return name.strip(), line[found.end() :]


def _value_of(rest: str, lines: Iterator[tuple[int, str]]) -> tuple[str, str]:
    """A value and the comment behind it; further ``lines`` are taken where its quotes are still open."""
    value = rest.strip()
    quote = next((each for each in ('"""', "`") if value.startswith(each)), "")
    if not quote:
        return _unquoted(value)
    text = rest.lstrip().removeprefix(quote)
    while quote not in text:
        number, line = next(lines, (0, ""))
        if not number:
            raise SopsError(f"a value in {quote} that is not closed")
        text = f"{text}\n{line}"
    return text[: text.rfind(quote)], ""


def _unquoted(value: str) -> tuple[str, str]:
    comment = _INLINE_COMMENT.search(value)
    bare = value if comment is None else value[: comment.start()].rstrip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in _QUOTES:
        bare = bare[1:-1]
    return bare, "" if comment is None else comment[0]


def _key(name: str) -> str:
    if any(sign in name for sign in '"=:'):
        return f"`{name}`"
    return f'"""{name}"""' if "`" in name else name


def _value(value: Any) -> str:
    text = mac_bytes(value).decode("utf-8", "replace") if not isinstance(value, bool) else str(value).lower()
    if any(sign in text for sign in "\n`"):
        return f'"""{text}"""'
    if any(sign in text for sign in "#;"):
        return f"`{text}`"
    return f'"{text}"' if text != text.strip() else text
