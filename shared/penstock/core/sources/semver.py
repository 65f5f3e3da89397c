"""Version ranges as Flux reads them: Masterminds' rules over tags that are strict semantic versions.

A tag counts when it is ``[v]X.Y.Z[-pre][+build]``; a range is ``||`` of comparisons joined by commas or spaces, with
``= != > < >= <= ~ ^``, hyphen ranges (``1.2 - 2``) and wildcards (``1.2.x``, ``*``). A pre-release fits only
comparisons of which one names a pre-release (``>=1.0.0-0 <2``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key

from penstock.core.errors import InvalidDocument

_VERSION = re.compile(
    r"v?(\d{1,18})\.(\d{1,18})\.(\d{1,18})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_PART = r"(\d{1,18}|[xX*])"
_COMPARISON = re.compile(
    rf"\s*(=|==|!=|>=|=>|<=|=<|>|<|~>|~|\^)?\s*v?{_PART}(?:\.{_PART})?(?:\.{_PART})?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?\s*(?:,|\s|$)"
)
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_ALIASES = {"": "=", "==": "=", "=>": ">=", "=<": "<=", "~>": "~"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """``core``: major, minor, patch; ``pre``: identifiers of the pre-release, empty for a release."""

    core: tuple[int, int, int]
    pre: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    """``depth``: how many of the three numbers were given (0 for ``*``); the rest of ``version`` is 0."""

    operator: str
    version: Version
    depth: int


def parse_version(text: str) -> Version | None:
    """A tag's version, None where it is none."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    core = (int(found[1]), int(found[2]), int(found[3]))
    return Version(core=core, pre=tuple(found[4].split(".")) if found[4] else ())


def compare(left: Version, right: Version) -> int:
    """Negative, zero or positive, by semantic versioning's precedence (build metadata don't count)."""
    if left.core != right.core:
        return -1 if left.core < right.core else 1
    if not left.pre or not right.pre:
        return bool(right.pre) - bool(left.pre)
    for one, other in zip(left.pre, right.pre, strict=False):
        if one != other:
            return _compare_identifiers(one, other)
    return len(left.pre) - len(right.pre)


def newest(constraint: str, tags: Iterable[str]) -> str | None:
    """The tag of the highest version in a range; of equal versions the last by name. None where none fits.

    Raises InvalidDocument when the constraint is no range.
    """
    groups = _parse(constraint)
    found = [(version, tag) for tag in sorted(tags) if (version := parse_version(tag)) is not None]
    fitting = [item for item in found if any(_group_fits(group, item[0]) for group in groups)]
    return max(fitting, key=cmp_to_key(_order))[1] if fitting else None


def _order(left: tuple[Version, str], right: tuple[Version, str]) -> int:
    return compare(left[0], right[0]) or (-1 if left[1] < right[1] else 1)


def _compare_identifiers(one: str, other: str) -> int:
    if one.isdigit() and other.isdigit():
        return int(one) - int(other)
    if one.isdigit() or other.isdigit():
        return -1 if one.isdigit() else 1
    return -1 if one < other else 1


def _parse(constraint: str) -> list[list[_Comparison]]:
    if len(constraint) > 255:
        raise _invalid(constraint[:255])
    return [_group(part, constraint) for part in constraint.split("||")]


def _group(text: str, constraint: str) -> list[_Comparison]:
    expanded = _HYPHEN.sub(r">=\1 <=\2", text.strip())
    parsed, at = [], 0
    while at < len(expanded):
        found = _COMPARISON.match(expanded, at)
        if found is None:
            raise _invalid(constraint)
        parsed.append(_comparison(found))
        at = found.end()
    if not parsed:
        raise _invalid(constraint)
    return parsed


def _invalid(constraint: str) -> InvalidDocument:
    return InvalidDocument(f"{constraint!r} is no version range", path="spec.ref.semver")


def _comparison(found: re.Match[str]) -> _Comparison:
    numbers: list[int] = []
    for part in found.group(2, 3, 4):
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    depth = len(numbers)
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    pre = tuple(found[5].split(".")) if found[5] else ()
    operator = _ALIASES.get(found[1] or "", found[1] or "")
    if depth == 0 and operator not in ("=", "~"):
        depth = 3  # upstream compares with 0.0.0 itself
    return _Comparison(operator=operator, version=Version(core=(major, minor, patch), pre=pre), depth=depth)


def _group_fits(group: list[_Comparison], version: Version) -> bool:
    """Pre-releases only fit a group in which any comparison names one."""
    open_to_pre = not version.pre or any(each.version.pre for each in group)
    return open_to_pre and all(_fits(each, version) for each in group)


def _fits(comparison: _Comparison, version: Version) -> bool:
    order, depth = compare(version, comparison.version), comparison.depth
    same = version.core[:depth] == comparison.version.core[:depth]
    if depth == 3:
        exact = {"=": order == 0, "!=": order != 0, ">": order > 0, ">=": order >= 0, "<": order < 0, "<=": order <= 0}
        if comparison.operator in exact:
            return exact[comparison.operator]
    else:
        ranges = {"!=": not same, ">": order > 0 and not same, ">=": order >= 0, "<": order < 0}
        ranges |= {"<=": order <= 0 or same, "=": order >= 0 and same}
        if comparison.operator in ranges:
            return ranges[comparison.operator]
    kept = _kept_by_caret(comparison) if comparison.operator == "^" else _kept_by_tilde(comparison)
    return order >= 0 and version.core[:kept] == comparison.version.core[:kept]


def _kept_by_tilde(comparison: _Comparison) -> int:
    """``~``: patch may change, minor too where none was given; ``~0.0.0`` is anything."""
    return 0 if comparison.depth == 3 and comparison.version.core == (0, 0, 0) else min(comparison.depth, 2)


def _kept_by_caret(comparison: _Comparison) -> int:
    """``^``: nothing up to the first number that is not 0 may change."""
    given = comparison.version.core[: comparison.depth]
    return next((at + 1 for at, number in enumerate(given) if number), comparison.depth)
