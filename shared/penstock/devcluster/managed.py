"""Managed fields: who owns which field, and what server-side apply and plain updates do to that.

The rules are Kubernetes': an apply owns exactly what its configuration says and gives back what it no longer says; a
plain write owns what it changed; whoever changes somebody else's field takes it over, which an apply may do only
with ``force``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from penstock.devcluster.fieldpaths import (
    EMPTY,
    Path,
    Paths,
    from_fields_v1,
    ordered,
    readable,
    to_fields_v1,
    with_declared_parents,
)
from penstock.devcluster.schema import Schema
from penstock.devcluster.typed import compare, field_set, merge, remove

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
UNOWNED: Paths = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Who writes, and how: the identity of one entry of managedFields. ``subresource``: "status", "scale" or ""."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def key(self) -> "Writer":
        """The identity under which entries meet: an applier is the same one at every version."""
        return replace(self, api_version="") if self.operation == APPLY else self

    def __str__(self) -> str:
        """As conflict messages name it."""
        name = f'"{self.manager}"'
        if self.subresource:
            name += f' with subresource "{self.subresource}"'
        return f"{name} using {self.api_version}" if self.operation == UPDATE else name


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What one writer owns, and when that last changed (RFC 3339, seconds)."""

    writer: Writer
    time: str
    paths: Paths


Entries = dict[Writer, Entry]
"""Entries by ``Writer.key``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldConflict:
    """One field that an apply without force would have taken from somebody."""

    writer: Writer
    path: Path


class ConflictError(Exception):
    """An apply meets fields of others. ``conflicts``: in the order in which the API server lists them."""

    def __init__(self, conflicts: tuple[FieldConflict, ...]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


def decode(entries: Iterable[Mapping[str, Any]]) -> Entries:
    """Entries from ``metadata.managedFields``."""
    out: Entries = {}
    for raw in entries:
        writer = Writer(
            manager=raw.get("manager", ""),
            operation=raw.get("operation", UPDATE),
            api_version=raw.get("apiVersion", ""),
            subresource=raw.get("subresource", ""),
        )
        fields = raw.get("fieldsV1")
        paths = from_fields_v1(fields if isinstance(fields, dict) else {})
        out[writer.key] = Entry(writer=writer, time=raw.get("time", ""), paths=paths)
    return out


def encode(entries: Entries) -> list[dict[str, Any]]:
    """``metadata.managedFields``: appliers first, then by time."""

    def order(entry: Entry) -> tuple[str, ...]:
        w = entry.writer
        return (w.operation, entry.time, w.manager, w.api_version, w.subresource)

    return [_encode(entry) for entry in sorted(entries.values(), key=order)]


def _encode(entry: Entry) -> dict[str, Any]:
    writer = entry.writer
    out = {
        "manager": writer.manager,
        "operation": writer.operation,
        "apiVersion": writer.api_version,
        **({"time": entry.time} if entry.time else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(entry.paths),
    }
    return {**out, "subresource": writer.subresource} if writer.subresource else out


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One write: its schema, its writer, now (RFC 3339), and the fields that this endpoint resets (``f:status``)."""

    schema: Schema
    writer: Writer
    now: str
    reset: frozenset[str] = frozenset()

    def owned(self, paths: Iterable[Path]) -> Paths:
        """The paths that a writer at this endpoint can own."""
        return frozenset(p for p in paths if p not in UNOWNED and p[0] not in self.reset)


def update(live: Mapping[str, Any], new: Mapping[str, Any], entries: Entries, context: Context) -> Entries:
    """The entries after a plain write: the writer gains what it changed, others lose it."""
    diff = compare(live, new, context.schema)
    changed = context.owned(diff.added | diff.modified)
    removed = context.owned(diff.removed)
    out: Entries = {}
    for key, entry in entries.items():
        paths = entry.paths - changed - removed
        if paths:
            out[key] = replace(entry, paths=paths)
    if changed:
        key = context.writer.key
        before = out[key].paths if key in out else EMPTY
        out[key] = Entry(writer=context.writer, time=context.now, paths=before | changed)
    return out


def apply(
    live: Mapping[str, Any],
    config: Mapping[str, Any],
    entries: Entries,
    context: Context,
    *,
    force: bool,
) -> tuple[dict[str, Any], Entries]:
    """Server-side apply: the new object and the entries. Raises ConflictError unless ``force``."""
    key, schema = context.writer.key, context.schema
    merged = merge(live, config, schema)
    mine = context.owned(field_set(config, schema))
    last = entries[key].paths if key in entries else EMPTY
    after = {**entries, key: Entry(writer=context.writer, time=context.now, paths=mine)}
    if last:
        merged = _prune(merged, last, after, schema)
    diff = compare(live, merged, schema)
    changed, removed = context.owned(diff.added | diff.modified), context.owned(diff.removed)
    conflicts = tuple(
        FieldConflict(writer=entry.writer, path=path)
        for other, entry in sorted(after.items(), key=lambda pair: _order(pair[0]))
        if other != key
        for path in ordered(entry.paths & changed)
    )
    if conflicts and not force:
        raise ConflictError(conflicts)
    out: Entries = {}
    for other, entry in after.items():
        paths = entry.paths if other == key else entry.paths - changed - removed
        if paths:
            out[other] = replace(entry, paths=paths)
    if key in out and not (changed or removed):
        out[key] = replace(out[key], time=entries[key].time if key in entries else "")
    return merged, out


def _order(writer: Writer) -> tuple[str, ...]:
    return (writer.manager, writer.operation, writer.api_version, writer.subresource)


def _prune(merged: Any, last: Paths, entries: Entries, schema: Schema) -> Any:
    """Take out what the applier owned and no longer says, unless somebody (it included) still owns it."""
    pruned = remove(merged, with_declared_parents(last, schema), schema)
    whole = with_declared_parents(field_set(merged, schema), schema)
    kept = with_declared_parents(field_set(pruned, schema), schema)
    managed: Paths = EMPTY.union(*(entry.paths for entry in entries.values()))
    managed = with_declared_parents(managed, schema)
    pruned = remove(merged, whole - (kept | managed), schema)
    kept = with_declared_parents(field_set(pruned, schema), schema)
    return remove(merged, (whole - kept) & with_declared_parents(last, schema), schema)


def conflict_message(conflicts: tuple[FieldConflict, ...]) -> str:
    """The API server's sentence about conflicts."""
    if len(conflicts) == 1:
        only = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {only.writer}: {readable(only.path)}"
    lines: list[str] = []
    for owner in sorted({str(conflict.writer) for conflict in conflicts}):
        lines.append(f"conflicts with {owner}:")
        lines += [f"- {readable(conflict.path)}" for conflict in conflicts if str(conflict.writer) == owner]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
