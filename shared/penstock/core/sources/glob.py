"""Globs as the Go libraries read them that Flux matches paths with: never slower than length times length.

``match_name`` is one path segment (Go's filepath.Match), ``match_path`` a whole path (doublestar: ``**`` and
``{a,b}``).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_MOST_ALTERNATIVES = 64


def match_name(pattern: str, name: str) -> bool:
    """Whether a segment matches ``*``, ``?``, ``[a-z]``, ``[^a]`` and escapes. A malformed one never does."""
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(name) is not None


def is_malformed(pattern: str) -> bool:
    """Whether a segment can match nothing, because it is no pattern (an unclosed ``[``)."""
    return _compile(pattern) is None


def match_path(pattern: str, path: str) -> bool:
    """Whether a path matches; ``**`` stands for any number of segments, ``{a,b}`` for either (not nested)."""
    names = path.split("/")
    return any(_match_segments(each.split("/"), names) for each in _alternatives(pattern))


def _match_segments(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Row by row: which prefixes of ``names`` the segments so far can have used up."""
    ends = {0}
    for segment in pattern:
        if segment == "**":
            ends = set(range(min(ends), len(names) + 1)) if ends else ends
        else:
            ends = {end + 1 for end in ends if end < len(names) and match_name(segment, names[end])}
    return len(names) in ends


def _alternatives(pattern: str) -> Iterator[str]:
    pending, given = [pattern], 0
    while pending and given < _MOST_ALTERNATIVES:
        current = pending.pop()
        found = re.search(r"\{([^{}]*)\}", current)
        if found is None:
            given += 1
            yield current
        else:
            head, tail = current[: found.start()], current[found.end() :]
            pending.extend(head + each + tail for each in reversed(found[1].split(",")))


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> re.Pattern[str] | None:
    """The texts between two ``*`` become atomic groups: each star takes the first place that fits, and keeps it."""
    try:
        parts = _parts(pattern)
    except ValueError:
        return None
    if len(parts) == 1:
        return re.compile(parts[0], re.DOTALL)
    first, *middle, last = parts
    joined = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{joined}.*{last}", re.DOTALL)


def _parts(pattern: str) -> list[str]:
    """The pattern split at its stars, each part a regular expression. Raises ValueError when malformed."""
    parts, at = [""], 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            parts.append("")
            at += 1
            continue
        if character == "[":
            piece, at = _class(pattern, at + 1)
        elif character == "?":
            piece, at = ".", at + 1
        else:
            literal, at = _literal(pattern, at)
            piece = re.escape(literal)
        parts[-1] += piece
    return parts


def _class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while not (ranges and pattern[at : at + 1] == "]"):
        low, at = _member(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _member(pattern, at + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    members = "".join(ranges)
    if not members:
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{members}]", at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 1] in ("", "-", "]"):
        raise ValueError(pattern)
    return _literal(pattern, at)


def _literal(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] != "\\":
        return pattern[at], at + 1
    if at + 1 >= len(pattern):
        raise ValueError(pattern)
    return pattern[at + 1], at + 2
