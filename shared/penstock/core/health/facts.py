"""What the rules of health read from an object, and what they answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """kstatus's words for how an object is doing."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"
    NOT_FOUND = "NotFound"


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How one object is doing, and why (kstatus's own sentence; may hold the object's condition message)."""

    status: Status
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectCondition:
    """One entry of ``status.conditions``. ``since``: its ``lastTransitionTime``, or ""."""

    type: str
    status: str
    reason: str
    message: str
    since: str = ""


def current(message: str) -> Health:
    """It is as it was asked to be."""
    return Health(status=Status.CURRENT, message=message)


def in_progress(message: str) -> Health:
    """It is not there yet."""
    return Health(status=Status.IN_PROGRESS, message=message)


def failed(message: str) -> Health:
    """It will not get there by itself."""
    return Health(status=Status.FAILED, message=message)


def field(manifest: Mapping[str, Any], *path: str) -> Any:
    """The value at ``path``, None where any step is missing or not a mapping."""
    value: Any = manifest
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def integer(manifest: Mapping[str, Any], *path: str, default: int = 0) -> int:
    """The integer at ``path``; ``default`` where there is none."""
    value = field(manifest, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def string(manifest: Mapping[str, Any], *path: str, default: str = "") -> str:
    """The string at ``path``; ``default`` where there is none."""
    value = field(manifest, *path)
    return value if isinstance(value, str) else default


def conditions(manifest: Mapping[str, Any]) -> Iterator[ObjectCondition]:
    """``status.conditions`` in their order; entries that are not conditions are passed over."""
    found = field(manifest, "status", "conditions")
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping):
            names = ("type", "status", "reason", "message", "lastTransitionTime")
            kind, status, reason, message, since = (string(entry, name) for name in names)
            yield ObjectCondition(type=kind, status=status, reason=reason, message=message, since=since)


def condition(manifest: Mapping[str, Any], kind: str) -> ObjectCondition | None:
    """The first condition of that type."""
    return next((each for each in conditions(manifest) if each.type == kind), None)
