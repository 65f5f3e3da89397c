"""A bound on what patches and replacements make: copies of copies double an object with each step."""

from typing import Any, Final

from penstock.core.errors import BuildFailed

MOST_VALUES: Final = 1_000_000
"""As many as one document of a file may hold by default."""
LONGEST_TEXT: Final = 16 * 1024 * 1024


def check_growth(value: Any, where: str) -> None:
    """Raise BuildFailed where an object holds too many values; a shared one counts each time that it stands there."""
    if _values(value, {}) > MOST_VALUES:
        raise BuildFailed(f"{where}: the object would hold more than {MOST_VALUES} values: copy less into itself")


def check_length(length: int) -> None:
    """Raise BuildFailed where a text that is put together is too long."""
    if length > LONGEST_TEXT:
        raise BuildFailed(f"the text would be longer than {LONGEST_TEXT} characters")


def _values(value: Any, known: dict[int, int]) -> int:
    if not isinstance(value, dict | list):
        return 1
    found = known.get(id(value))
    if found is None:
        items = value.values() if isinstance(value, dict) else value
        found = known[id(value)] = 1 + sum(_values(item, known) for item in items)
    return found
