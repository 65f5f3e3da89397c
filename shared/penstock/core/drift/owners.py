"""Who set a field last, as ``metadata.managedFields`` tells it: names and times for people, never values."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.drift.compare import OWNERSHIP, is_item
from penstock.core.resources import Manifest

MOST_TOLD = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Setter:
    """``path``: dotted; ``manager``: who set it last, "" where nobody is known to; ``time``: RFC 3339 or "".

    ``removed``: nobody has it now; the manager is the last that wrote anything of the object.
    """

    path: str
    manager: str = ""
    time: str = ""
    removed: bool = False

    def __str__(self) -> str:
        """``spec.replicas (kubectl-edit, 2030-01-31T18:00:00Z)``."""
        who = ", ".join(part for part in (self.manager, self.time) if part)
        if self.removed:
            who = f"removed, last written by {who}" if who else "removed"
        return f"{self.path} ({who})" if who else self.path


def setters(live: Manifest, paths: Sequence[str], *, manager: str) -> tuple[Setter, ...]:
    """Who set each path of a live object last, apart from ``manager`` itself."""
    entries = [_Entry(each, live) for each in live["metadata"].get("managedFields") or () if not _ours(each, manager)]
    entries.sort(key=lambda entry: entry.time, reverse=True)
    return tuple(_setter(path, entries) for path in paths)


def told(found: Sequence[Setter]) -> str:
    """The first few, for a message."""
    more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return ", ".join(str(each) for each in found[:MOST_TOLD]) + more


class _Entry:
    def __init__(self, entry: Mapping[str, Any], live: Manifest) -> None:
        subresource = str(entry.get("subresource") or "")
        self.manager = str(entry.get("manager") or "") + (f" by {subresource}" if subresource else "")
        self.time = str(entry.get("time") or "")
        self._paths = tuple(_paths(entry.get("fieldsV1") or {}, live, ""))

    def has(self, path: str) -> bool:
        return any(path == own or _below(own, path) or _below(path, own) for own in self._paths)


def _setter(path: str, entries: Sequence[_Entry]) -> Setter:
    found = next((entry for entry in entries if entry.has(path)), None)
    if found is not None:
        return Setter(path=path, manager=found.manager, time=found.time)
    last = entries[0] if entries else None
    if path == OWNERSHIP:
        return Setter(path=path, manager=last.manager if last else "", time=last.time if last else "")
    return Setter(path=path, manager=last.manager if last else "", time=last.time if last else "", removed=True)


def _ours(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _below(path: str, above: str) -> bool:
    return path.startswith((f"{above}.", f"{above}["))


def _paths(fields: Mapping[str, Any], live: Any, path: str) -> Iterator[str]:
    """The leaves of a FieldsV1 tree, as comparisons write paths."""
    steps = {step: below for step, below in fields.items() if step != "."}
    if not steps and path:
        yield path
    for step, below in steps.items():
        for name, value in _places(step, live):
            yield from _paths(
                below or {}, value, f"{path}{name}" if name.startswith("[") or not path else f"{path}.{name}"
            )


def _places(step: str, live: Any) -> Iterable[tuple[str, Any]]:
    """Where a step leads: ``name`` or ``[index]``, with what stands there."""
    if step.startswith("f:"):
        return ((step[2:], live.get(step[2:]) if isinstance(live, Mapping) else None),)
    items = live if isinstance(live, list) else []
    if step.startswith("k:"):
        key = json.loads(step[2:])
        return tuple((f"[{index}]", item) for index, item in enumerate(items) if is_item(item, key))
    if step.startswith("v:"):
        wanted = json.loads(step[2:])
        return tuple((f"[{index}]", item) for index, item in enumerate(items) if item == wanted)
    return ()
