"""INI files as SOPS reads and writes them (Go's ini.v1 with its defaults): sections of strings, with comments."""

import re
from typing import Any

from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.values import Comment, mac_bytes

_DEFAULT = "DEFAULT"
_COMMENT_STARTS = (";", "#")
_DELIMITER = re.compile(r"[=:]")
_INLINE_COMMENT = re.compile(r"[#;].*\Z")
_QUOTES = ('"""', '"', "'", "`")


def load_ini(text: str) -> list[dict[Any, Any]]:
    """One tree: section name -> mapping; the section DEFAULT is always there. Raises SopsError naming the line."""
    sections: dict[Any, Any] = {_DEFAULT: {}}
    current, comments = sections[_DEFAULT], list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith(_COMMENT_STARTS):
            comments.append(line)
        elif line.startswith("["):
            name = line[1 : line.find("]")].strip()
            if "]" not in line or (name in sections and name != _DEFAULT):
                raise SopsError(f"line {number}: a section that is not closed, or stands there twice")
            current = sections.setdefault(name, {})
            _add_comments(current, comments)
        elif line:
            name, value, inline = _entry(line, number)
            current[name] = value
            comments += [inline] if inline else []
            _add_comments(current, comments)
    return [sections]


def emit_ini(tree: dict[Any, Any]) -> str:
    """The text as Go's ini.v1 prints it: keys of a section aligned, a blank line between sections."""
    blocks = []
    for section, entries in tree.items():
        if isinstance(section, Comment) or not isinstance(entries, dict):
            raise SopsError("an INI file holds sections of values alone")
        if section == _DEFAULT and not entries:
            continue
        names = [name for name in entries if not isinstance(name, Comment)]
        width = max((len(_key(name)) for name in names), default=0)
        blocks.append(_section(section, entries, width))
    return "\n".join(blocks)


def _section(section: str, entries: dict[Any, Any], width: int) -> str:
    items = list(entries.items())
    lines = [] if section == _DEFAULT else [f"[{section}]"]
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


def _entry(line: str, number: int) -> tuple[str, str, str]:
    """Name, value and the comment behind it."""
    if line[0] in '"`':
        end = line.find(line[0], 1)
        name, rest = line[1:end], line[end + 1 :].lstrip()
        if end < 0 or not rest.startswith(("=", ":")):
            raise SopsError(f"line {number}: is no key with a value")
        return name, *_unquoted(rest[1:].strip())
    found = _DELIMITER.search(line)
    if found is None or not line[: found.start()].strip():
        raise SopsError(f"line {number}: is no key with a value")
    return line[: found.start()].strip(), *_unquoted(line[found.end() :].strip())


def _unquoted(value: str) -> tuple[str, str]:
    for quote in _QUOTES:
        if value.startswith(quote) and value.endswith(quote) and len(value) >= 2 * len(quote):
            return value[len(quote) : -len(quote)], ""
    comment = _INLINE_COMMENT.search(value)
    return (value, "") if comment is None else (value[: comment.start()].rstrip(), comment[0])


def _key(name: str) -> str:
    if '"' in name or "=" in name or ":" in name:
        return f"`{name}`" if '"' in name else f'"{name}"'
    return name


def _value(value: Any) -> str:
    text = mac_bytes(value).decode("utf-8", "replace") if not isinstance(value, bool) else str(value).lower()
    if any(sign in text for sign in "\n`"):
        return f'"""{text}"""'
    if any(sign in text for sign in "#;") or text != text.strip():
        return f"`{text}`"
    return text
