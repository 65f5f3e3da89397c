"""SOPS's way to write its nested metadata into flat formats: ``age__list_0__map_enc``."""

import re
from collections.abc import Mapping
from typing import Any

from penstock.core.secrets.errors import SopsError

_STEP = re.compile(r"__(map|list)_")


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested mapping. Raises SopsError naming a key that fits no place."""
    root: dict[Any, Any] = {}
    for name, value in flat.items():
        steps = _steps(name)
        place = root
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise SopsError(f"{name}: stands below a value")
        if steps[-1] in place:
            raise SopsError(f"{name}: stands there twice")
        place[steps[-1]] = value
    return {str(name): _lists(value) for name, value in root.items()}


def _steps(name: str) -> list[str | int]:
    first, *rest = _STEP.split(name)
    steps: list[str | int] = [first]
    for kind, part in zip(rest[::2], rest[1::2], strict=True):
        if kind == "list" and not part.isdecimal():
            raise SopsError(f"{name}: is no place in a list")
        steps.append(int(part) if kind == "list" else part)
    return steps


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(item) for name, item in value.items()}
    if not all(isinstance(name, int) for name in inner):
        return inner
    if sorted(inner) != list(range(len(inner))):
        raise SopsError("sops: a list with missing places")
    return [inner[index] for index in range(len(inner))]
