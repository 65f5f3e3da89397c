"""Keeping the index entries of core/sources/index.py beside the records that they stand for.

Entries are written before their record and deleted after it. A deletion names the version that was there before the
record was written: an entry that another run has written anew meanwhile stays.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from penstock.core.errors import Conflict
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.sources.index import (
    ENTRY,
    any_key,
    child_key,
    child_prefix,
    entries_of,
    indexed_key,
    names_of,
    settled,
)
from penstock.core.sources.wakeups import source_of
from penstock.ports.deps import Deps
from penstock.ports.state import State

KIND = "Kustomization"
T = TypeVar("T")


def write_indexed(state: State, *, adds: Iterable[str], removes: Iterable[str], write: Callable[[], T]) -> T:
    """``write`` a record with its new entries before it; what it no longer stands for goes after it."""
    for key in sorted(adds):
        state.put(key, ENTRY, expected=None)
    stale = sorted(removes)
    gone = state.read(stale).records if stale else {}
    written = write()
    for _, found in sorted(gone.items()):
        with contextlib.suppress(Conflict):  # written anew meanwhile
            state.delete(found.key, expected=found.version)
    return written


def still_indexed(state: State, adds: Iterable[str]) -> None:
    """Of a record that was made anew just now: its entries, which were written before it.

    A write can take effect late: meanwhile another run may have made the record, and a third one have removed it with
    these entries. Without them nobody would ever find it again.
    """
    wanted = sorted(adds)
    there = state.read(wanted).records
    for key in wanted:
        if key not in there:
            state.put(key, ENTRY, expected=None)


def status_entries(
    cluster: str, ref: str, before: KustomizationStatus, after: KustomizationStatus, generation: int
) -> tuple[frozenset[str], frozenset[str]]:
    """The entries to add and to remove where one status takes another's place. ``generation``: of the document."""
    old, new = (entries_of(cluster, ref, status, generation) for status in (before, after))
    if settled(after, generation) and not settled(before, generation):
        old |= {any_key(cluster, after.observed_source, ref)}  # its parent wrote it with the document
    return new - old, old - new


def verify_entries(deps: Deps, cluster: str, ref: str, status: KustomizationStatus, generation: int) -> None:
    """Restore entries that are missing, should an accident have lost one; once an interval."""
    still_indexed(deps.state, entries_of(cluster, ref, status, generation))


def object_entries(cluster: str, kind: str, ref: str, record: ObjectRecord) -> frozenset[str]:
    """The entries of a document's record: whose child it is, and that a Kustomization's newest is untried."""
    found = {child_key(cluster, record.parent, kind, ref)} if record.parent else set()
    if kind == KIND:
        found.add(any_key(cluster, source_of(record), ref))
    return frozenset(found)


def children(deps: Deps, cluster: str, parent: str) -> frozenset[tuple[str, str]]:
    """(kind, ``namespace/name``) of the Flux objects that a Kustomization rendered; perhaps more than those."""
    return names_of(deps.state.list(child_prefix(cluster, parent)))


def ensure_index(deps: Deps, cluster: str) -> None:
    """Make the entries of a cluster whose records a release without them wrote. Killed half-way, it begins again."""
    if deps.state.get(indexed_key(cluster)) is not None:
        return
    known = {
        record.key.split("/", 3)[3]: KustomizationStatus.from_value(record.value)
        for record in deps.state.list(f"status/{cluster}/{KIND}/")
    }
    for held in deps.state.list(f"object/{cluster}/"):
        _, _, kind, ref = held.key.split("/", 3)
        record = ObjectRecord.from_value(held.value)
        entries = object_entries(cluster, kind, ref, record)
        if kind == KIND and ref in known:
            if settled(known[ref], record.generation):
                entries -= {any_key(cluster, source_of(record), ref)}
            entries |= entries_of(cluster, ref, known[ref], record.generation)
        for key in sorted(entries):
            deps.state.put(key, ENTRY, expected=None)
    deps.state.put(indexed_key(cluster), ENTRY, expected=None)
