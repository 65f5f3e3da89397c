"""What would change inside an object, field by field and as a unified diff.

Bookkeeping of the API server (managedFields, resourceVersion, generation, uid, status, …) is left out; what a Mask
hides stays hidden.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.resources import Manifest

MOST_FIELDS = 100
MOST_LINES = 2000
CONTEXT = 3
ABSENT: Any = object()
_BOOKKEEPING = frozenset(
    {"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink", "deletionTimestamp"}
)

Show = Callable[[Manifest], Manifest]
"""An object as people may see it: a Mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """``path``: dotted, list items by their name; ``old``, ``new``: JSON values, ABSENT where there is none."""

    path: str
    old: Any = ABSENT
    new: Any = ABSENT


def field_changes(old: Manifest | None, new: Manifest | None, show: Show) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of the object; at most MOST_FIELDS. None: there is no such object."""
    found = []
    before, after = (_comparable(each, show) for each in (old, new))
    for change in _differences(before, after, ""):
        found.append(change)
        if len(found) == MOST_FIELDS:
            break
    return tuple(found)


def unified(old: Manifest | None, new: Manifest | None, show: Show, *, name: str) -> list[str]:
    """The lines of a unified diff of both as YAML, keys in order; [] where nothing differs, at most MOST_LINES."""
    before, after = (_lines(each, show) for each in (old, new))
    names = (name if old is not None else "/dev/null", name if new is not None else "/dev/null")
    lines = list(difflib.unified_diff(before, after, *names, n=CONTEXT, lineterm=""))
    if len(lines) > MOST_LINES:
        return [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"]
    return lines


def field_value(change: FieldChange) -> dict[str, Any]:
    """JSON-ready; a side that is ABSENT is left out."""
    sides = {"old": change.old, "new": change.new}
    return {"path": change.path, **{key: each for key, each in sides.items() if each is not ABSENT}}


def _comparable(manifest: Manifest | None, show: Show) -> Any:
    if manifest is None:
        return {}
    shown = show(manifest)
    metadata = {k: v for k, v in shown["metadata"].items() if k not in _BOOKKEEPING}
    return {k: v for k, v in shown.items() if k != "status"} | {"metadata": metadata}


def _lines(manifest: Manifest | None, show: Show) -> list[str]:
    return dump_one(_comparable(manifest, show)).splitlines() if manifest is not None else []


def _differences(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    if old == new and type(old) is type(new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*new, *(k for k in old if k not in new)):
            below = f"{path}.{key}" if path else str(key)
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and (keys := item_key(old, new)):
        before, after = ({each[keys]: each for each in side} for side in (old, new))
        for name in (*after, *(k for k in before if k not in after)):
            yield from _differences(before.get(name, ABSENT), after.get(name, ABSENT), f"{path}[{name}]")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    else:
        yield FieldChange(path=path, old=old, new=new)


def item_key(old: Sequence[Any], new: Sequence[Any]) -> str:
    """The field that tells the items of a list apart, or ""."""
    for key in ("name", "mountPath", "containerPort", "port", "type"):
        if all(_told_apart(side, key) for side in (old, new)):
            return key
    return ""


def _told_apart(items: Sequence[Any], key: str) -> bool:
    names = [each.get(key) if isinstance(each, Mapping) else None for each in items]
    return None not in names and all(isinstance(n, str | int) for n in names) and len(set(names)) == len(names)
