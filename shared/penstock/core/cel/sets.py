"""CEL's library ``sets`` (cel-go ``ext/sets.go``), which the runtime does not bring along: lists, taken as sets."""

from collections.abc import Callable, Sequence
from typing import Any

MOST_COMPARISONS = 1_000_000


def contains(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether every element of ``those`` is among ``these``."""
    _bounded(these, those)
    return all(any(_same(one, other) for other in these) for one in those)


def equivalent(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether each has every element of the other, however often."""
    return contains(these, those) and contains(those, these)


def intersects(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether they have an element in common."""
    _bounded(these, those)
    return any(any(_same(one, other) for other in these) for one in those)


FUNCTIONS: dict[str, Callable[[Sequence[Any], Sequence[Any]], bool]] = {
    "contains": contains,
    "equivalent": equivalent,
    "intersects": intersects,
}


def _bounded(these: Sequence[Any], those: Sequence[Any]) -> None:
    if len(these) * len(those) > MOST_COMPARISONS:
        raise ValueError(f"sets of {len(these)} and {len(those)} elements are too large to be compared")


def _same(one: Any, other: Any) -> bool:
    """CEL's equality: ``1 == 1.0``, but never ``1 == true``."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return bool(one == other)
