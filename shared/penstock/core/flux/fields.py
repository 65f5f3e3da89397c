"""The only way in which a document's fields become values.

``Fields`` reads one mapping: each call names a field and what it must be, and raises InvalidDocument with the
dotted path (``spec.dependsOn[1].name``) when it is not. ``done()`` refuses the fields nobody asked for.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from penstock.core.errors import InvalidDocument
from penstock.core.resources import Manifest, ref_of

T = TypeVar("T")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def parse_duration(text: str) -> timedelta:
    """A Go duration (``1h30m``, ``1.5h``, ``500ms``). Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 10m, 1h30m or 30s")
    try:
        return timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text)))
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is longer than any duration may be") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where a document stands: ``file`` (path in its tree, or "") and ``document`` (Kind/namespace/name)."""

    file: str = ""
    document: str = ""


class Fields:
    """One mapping of a document, read field by field."""

    __slots__ = ("_path", "_seen", "_value", "_where")

    def __init__(self, value: Any, *, where: Where, path: str = "") -> None:
        self._where, self._path = where, path
        if not isinstance(value, Mapping):
            raise self.error("", f"must be a mapping, not {_kind(value)}")
        self._value: Mapping[str, Any] = value
        self._seen: set[str] = set()

    def error(self, name: str, problem: str) -> InvalidDocument:
        """An InvalidDocument at field ``name`` ("" is this mapping itself)."""
        return InvalidDocument(
            problem,
            path=self.path(name),
            file=self._where.file,
            document=self._where.document,
        )

    def path(self, name: str) -> str:
        """The dotted path of a field of this mapping."""
        return ".".join(part for part in (self._path, name) if part)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(name) is not None

    def raw(self, name: str) -> Any:
        """The value as it stands (None where absent); counts as read."""
        self._seen.add(name)
        return self._value.get(name)

    def string(
        self,
        name: str,
        *,
        default: str | None = None,
        one_of: Iterable[str] = (),
        pattern: str = "",
        longest: int = 65536,
    ) -> str:
        """A string; required where ``default`` is None. ``pattern`` must match the whole of it."""
        value = self.raw(name)
        if value is None:
            if default is None:
                raise self.error(name, "is required")
            return default
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, not {_kind(value)}: put it in quotes")
        choices = tuple(one_of)
        if choices and value not in choices:
            raise self.error(name, f"is {value!r}, must be one of {', '.join(choices)}")
        if len(value) > longest:
            raise self.error(name, f"is longer than {longest} characters")
        if pattern and not re.fullmatch(pattern, value):
            raise self.error(name, f"is {value!r}, must match {pattern}")
        return value

    def name(self, name: str, *, default: str | None = None) -> str:
        """A Kubernetes name (DNS subdomain, at most 253 characters)."""
        value = self.string(name, default=default, longest=253)
        if value != default and not _DNS_SUBDOMAIN.fullmatch(value):
            raise self.error(name, f"is {value!r}, must be a Kubernetes name (lower case, digits, '-', '.')")
        return value

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """A boolean; required where ``default`` is None."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, "is required" if value is None else f"must be true or false, not {_kind(value)}")
        return value

    def integer(self, name: str, *, default: int | None = None, least: int = 0, most: int = 2**31) -> int:
        """An integer within bounds; required where ``default`` is None."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(name, "is required" if value is None else f"must be an integer, not {_kind(value)}")
        if not least <= value <= most:
            raise self.error(name, f"is {value}, must be between {least} and {most}")
        return value

    def duration(self, name: str, *, default: timedelta | None = None) -> timedelta:
        """A Go duration; required where ``default`` is None."""
        value = self.raw(name)
        if value is None:
            if default is None:
                raise self.error(name, "is required (a duration such as 10m)")
            return default
        if not isinstance(value, str):
            raise self.error(name, f"must be a duration such as 10m, not {_kind(value)}")
        try:
            return parse_duration(value)
        except ValueError as error:
            raise self.error(name, str(error)) from None

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty where absent."""
        value = self._sequence(name)
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise self.error(f"{name}[{index}]", f"must be a string, not {_kind(item)}")
        return tuple(value)

    def string_map(self, name: str) -> dict[str, str]:
        """A mapping of strings to strings; empty where absent."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.error(name, f"must be a mapping, not {_kind(value)}")
        for key, item in value.items():
            if not isinstance(key, str) or not isinstance(item, str):
                raise self.error(f"{name}.{key}", f"must be a string, not {_kind(item)}: put it in quotes")
        return dict(value)

    def each(self, name: str, parse: Callable[["Fields"], T]) -> tuple[T, ...]:
        """A list of mappings, each read by ``parse`` (which need not call done()); empty where absent."""
        parsed = []
        for index, item in enumerate(self._sequence(name)):
            fields = Fields(item, where=self._where, path=self.path(f"{name}[{index}]"))
            parsed.append(parse(fields))
            fields.done()
        return tuple(parsed)

    def optional(self, name: str, parse: Callable[["Fields"], T]) -> T | None:
        """A nested mapping read by ``parse`` (which need not call done()); None where absent."""
        if self.raw(name) is None:
            return None
        fields = self.nested(name)
        parsed = parse(fields)
        fields.done()
        return parsed

    def nested(self, name: str) -> "Fields":
        """A required nested mapping; its reader calls done()."""
        value = self.raw(name)
        if value is None:
            raise self.error(name, "is required")
        return Fields(value, where=self._where, path=self.path(name))

    def done(self) -> None:
        """Refuse what nobody asked for: a misspelt field is never ignored."""
        unknown = sorted(str(key) for key in self._value if key not in self._seen)
        if unknown:
            known = ", ".join(sorted(self._seen))
            raise self.error(unknown[0], f"is not a field here (known: {known})")

    def _sequence(self, name: str) -> list[Any]:
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(name, f"must be a list, not {_kind(value)}")
        return value


def open_document(manifest: Manifest, *, file: str = "") -> tuple[Fields, Where]:
    """The ``spec`` of a Kubernetes-style document, and where it stands. The caller ends with done()."""
    where = Where(file=file, document=str(ref_of(manifest)))
    return Fields(manifest.get("spec") or {}, where=where, path="spec"), where


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    names: dict[type, str] = {str: "a string", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)
