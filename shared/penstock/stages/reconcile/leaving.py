"""Flux objects that left a Kustomization's render: whom others may render now stays for them, the others vanish.

A Kustomization becomes a tombstone at once: its own run carries out what its spec says, and waits where it has to. Any
other object has no run of its own. Its record, status and webhook go when everybody to whom it may have moved has
written down what they render (claims.py), and it is not among that: until then it works as ever, and stays in the list
of its old parent, which waits for them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from penstock.core.errors import Conflict
from penstock.core.messages import Outgoing, SourceChanged
from penstock.core.reconcile.guard import Stop
from penstock.core.records import ObjectRecord, status_key
from penstock.core.resources import ObjectRef, ref_of
from penstock.core.sources.index import child_key
from penstock.ports.state import Record, delete_beside
from penstock.stages.reconcile.approval import approved, used_up
from penstock.stages.reconcile.attempt import KIND, Attempt, read_objects, still_current, wake_up
from penstock.stages.reconcile.departures import stop_of
from penstock.stages.reconcile.due import Due, renders_due_for_removal
from penstock.stages.reconcile.index import object_entries, write_indexed
from penstock.stages.reconcile.parentage import rendered_elsewhere, split_name
from penstock.stages.reconcile.receivers import KIND as RECEIVER
from penstock.stages.reconcile.receivers import index_receivers

Check = Callable[[], None]
"""Raises Conflict where this run is not the newest any more."""
Name = tuple[str, str]
"""(kind, ``namespace/name``)."""
_Found = tuple[Record, ObjectRecord]


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaving:
    """What has become of the Flux objects that left a render.

    ``held``: those that stay for now; ``names``: whose runs that waits for; ``due``: whose word is out; ``stop``: they
    stay until somebody approves that they go; ``hooks``: the index entries of Receivers that are gone, see
    index_receivers.
    """

    messages: list[Outgoing] = field(default_factory=list)
    held: tuple[ObjectRef, ...] = ()
    names: tuple[str, ...] = ()
    due: Due = field(default_factory=Due)
    stop: Stop | None = None
    hooks: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Render:
    """What is left: ``below``: all children there were; ``kept``: those that the render has.

    ``due``: whose render must come first, asked only where that matters; ``check``: asked before each write.
    ``guard``: the guard's word is asked; None where the parent is removed itself, and that was asked of.
    """

    below: Collection[Name]
    kept: Collection[Name] = ()
    due: Callable[[], Due]
    check: Check
    guard: "Guard | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """``empty``: nothing at all is left of the render; ``due``: as Render's, while those that go are still there."""

    empty: bool
    due: Callable[[], Due]


def bury(attempt: Attempt, render: Render) -> Leaving:
    """Tombstones for the Kustomizations that left; what else left vanishes, or is held where it may have moved.

    Raises Conflict where somebody else has written such a record meanwhile.
    """
    mine = read_objects(attempt.deps, attempt.cluster, render.below)
    gone = {key: each for key, each in mine.items() if each[1].parent == attempt.ref and key not in render.kept}
    if not gone:
        return Leaving()
    elsewhere = rendered_elsewhere(attempt)
    moved = {key for key in gone if _text(key) in elsewhere}
    stop = _stop(attempt, render, {key: gone[key] for key in gone.keys() - moved})
    if stop is not None and not approved(attempt, stop.digest):
        due = render.guard.due() if render.guard else Due()  # what others have not written down may have moved to them
        refs = tuple(ref_of(gone[key][1].document) for key in sorted(gone.keys() - moved))
        return Leaving(held=refs, names=due.everybody, due=due, stop=None if due.everybody else stop)
    messages: list[Outgoing] = []
    for key in sorted(key for key in gone.keys() - moved if key[0] == KIND):
        render.check()
        messages += _entomb(attempt, key[1], gone[key])
    objects = {key: gone[key] for key in sorted(gone) if key[0] != KIND}
    due = render.due() if objects else Due()
    waited = due.everybody
    held = objects.keys() if waited else objects.keys() & moved
    takers = {elsewhere[_text(key)] for key in held & moved}
    for key in [key for key in objects if key not in held]:
        render.check()
        messages += _vanish(attempt, key, objects[key])
    if stop is not None:
        used_up(attempt)
    return Leaving(
        messages=messages,
        held=tuple(ref_of(objects[key][1].document) for key in objects if key in held),
        names=tuple(sorted({*takers, *(waited if held - moved else ())})),
        due=due,
        hooks=frozenset(_entry(attempt, key) for key in objects if key not in held and key[0] == RECEIVER),
    )


def _stop(attempt: Attempt, render: Render, gone: Mapping[Name, _Found]) -> Stop | None:
    """The guard's word; what is a tombstone already had it."""
    if render.guard is None or all(known.tombstone for _, known in gone.values()):
        return None
    return stop_of(attempt, {_text(key) for key in gone}, empty=render.guard.empty)


def bury_all(attempt: Attempt, below: frozenset[Name]) -> Leaving:
    """The same for every child of a Kustomization that is itself removed.

    Raises Conflict where it was declared again meanwhile.
    """

    def check() -> None:
        if not still_current(attempt):
            raise Conflict(f"Kustomization {attempt.ref} was declared again")

    left = bury(attempt, Render(below=below, due=lambda: renders_due_for_removal(attempt), check=check))
    held = {(ref.kind, f"{ref.namespace}/{ref.name}") for ref in left.held}
    if any(kind == RECEIVER for kind, _ in below - held):  # a run before this may have been killed before it did
        index_receivers(attempt, left.hooks)
    return left


def _text(key: Name) -> str:
    """``Kind/namespace/name``."""
    return "/".join(key)


def _entry(attempt: Attempt, key: Name) -> str:
    return child_key(attempt.cluster, attempt.ref, *key)


def _entomb(attempt: Attempt, name: str, found: _Found) -> list[Outgoing]:
    record, known = found
    state = attempt.deps.state
    status = state.get(status_key(attempt.cluster, KIND, *split_name(name)))
    if not known.tombstone:
        state.put(record.key, replace(known, tombstone=True).to_value(), expected=record.version)
    if not known.tombstone or status is None or status.due is None:  # else it is tried again when it is due
        return [wake_up(attempt, name, "removed")]
    return []


def _vanish(attempt: Attempt, key: Name, found: _Found) -> list[Outgoing]:
    """Its record and what stands beside it. A Receiver's index entry outlives it until its webhook is gone, too."""
    (kind, name), (record, known) = key, found
    state, named = attempt.deps.state, (kind, *split_name(name))
    entries = object_entries(attempt.cluster, kind, name, known) if kind != RECEIVER else frozenset[str]()
    write_indexed(state, adds=(), removes=entries, write=partial(state.delete, record.key, expected=record.version))
    delete_beside(state, status_key(attempt.cluster, *named), of=record.key)
    if kind != "ArtifactGenerator":
        return []
    _, namespace, leaf = named  # its artifacts go too
    its = SourceChanged(cluster=attempt.cluster, kind=kind, namespace=namespace, name=leaf)
    return [Outgoing(message=its)]
