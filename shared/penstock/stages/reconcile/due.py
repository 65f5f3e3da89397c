"""Whose render must be written down before anything is deleted, taken over or forgotten.

Every Kustomization writes down what it renders before it applies anything. So an object that left one render is safe
to delete only when everybody to whom it may have moved has written down the newest: until then deletions wait.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from penstock.core.errors import Transient
from penstock.core.reconcile.standing import Standing, standing
from penstock.core.reconcile.unrendered import has_failed, is_excused
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.resources import Manifest
from penstock.core.sources.kinds import ARTIFACTS
from penstock.core.sources.wakeups import ancestors, is_suspended, source_of
from penstock.core.tree import Tree
from penstock.stages.reconcile.attempt import KIND, Attempt, everybody_in_order
from penstock.stages.reconcile.source import Source, newest_source

Coming = Mapping[str, Manifest | None]
"""What a run makes of its Kustomizations (``namespace/name``): their documents, None where it buries one."""
NOTHING: Coming = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """Whose word must be waited for, as ``namespace/name``.

    ``unrendered``: their newest render is not written down; ``everybody``: those, and those whose children are not
    stored as they rendered them; ``resting``: all of the cluster that are suspended, waited for or not; ``keepers``:
    those of them that render what is removed, or what that was a part of; ``leaving``: the removed ones, those that
    this run is about to bury, and all below: what they rendered counts no more. ``failing``: those of ``everybody`` who
    have tried what they stand for now, and cannot; ``excused``: such ones that are waited for no more, by a person's
    word (core.reconcile.unrendered).
    """

    unrendered: tuple[str, ...] = ()
    everybody: tuple[str, ...] = ()
    resting: tuple[str, ...] = ()
    keepers: tuple[str, ...] = ()
    leaving: frozenset[str] = frozenset()
    failing: tuple[str, ...] = ()
    excused: frozenset[str] = frozenset()

    @property
    def asks(self) -> tuple[str, ...]:
        """The suspended ones whose word is waited for: they give it only when they are asked."""
        return tuple(name for name in self.everybody if name in self.resting)

    def rests(self, names: Collection[str]) -> bool:
        """Whether there are such, and all of them are suspended."""
        return bool(names) and set(names) <= set(self.resting)

    def stuck(self, names: Collection[str]) -> bool:
        """Whether one of these cannot be rendered."""
        return not set(names).isdisjoint(self.failing)

    @property
    def silent(self) -> frozenset[str]:
        """Those who stand behind no Flux object any more that somebody else renders."""
        return self.leaving | self.excused


NOBODY = Due()


class Awaits(Transient):
    """Others must render first: something here is still theirs. ``names``: ``namespace/name`` of each.

    ``asks``: the suspended ones among them, which render only when they are asked; ``stuck``: one of them cannot.
    """

    def __init__(self, message: str, names: Iterable[str], due: Due) -> None:
        super().__init__(message, reason="Progressing")
        self.names = tuple(sorted(set(names)))
        self.asks = tuple(sorted(set(names) & set(due.resting)))
        self.stuck = due.stuck(self.names)


def renders_due(attempt: Attempt, source: Source, coming: Coming = NOTHING) -> Due:
    """Those to whom something may have moved in this revision of the source, or of artifacts derived from it.

    ``coming``: the Kustomizations that this run is about to store, by ``namespace/name``: what is new of them has
    rendered nothing yet. None: it is about to bury that one, which therefore renders nothing any more.
    """
    records, known = everybody_in_order(attempt.deps, attempt.cluster)
    leaving = _leaving(attempt, records, known, coming)
    records = {name: record for name, record in records.items() if name not in leaving}
    for name, document in coming.items():
        if document is None:
            continue
        before = records.get(name)
        if before is None or before.tombstone or before.document != document:
            generation = 1 + (before.generation if before else 0)
            records[name] = ObjectRecord(document=document, parent=attempt.ref, generation=generation)
    keys = {source_of(record) for record in records.values()}
    derived = {key for key in keys if key.startswith("ExternalArtifact/")}
    due = _due(attempt, records, known, {**_sources(attempt, derived), source.key: source})
    return replace(due, leaving=leaving)


def _leaving(
    attempt: Attempt, records: Mapping[str, ObjectRecord], known: Mapping[str, KustomizationStatus], coming: Coming
) -> frozenset[str]:
    """See Due: tombstones, whom no written render declares any more, whom this run buries, and all below those.

    Such a one may have gone with its directory, and cannot say any more what has left it.
    """
    here = {name for name, document in coming.items() if document is not None}
    gone = {name for name, record in records.items() if record.tombstone} - here
    speaking = records.keys() & known.keys() - gone
    declared = {text for name in speaking - {attempt.ref} for text in standing(known[name]).interpreted}
    undeclared = {n for n, record in records.items() if n not in here and f"{KIND}/{n}" not in declared}
    mine = {name for name in undeclared & coming.keys() if records[name].parent == attempt.ref}
    gone |= mine | {name for name in undeclared if records[name].parent in speaking - {attempt.ref}}
    parents = {name: record.parent for name, record in records.items()}
    parents |= dict.fromkeys(here, attempt.ref)
    return frozenset(name for name in parents if not gone.isdisjoint((name, *ancestors(name, parents))))


def renders_due_for_removal(attempt: Attempt) -> Due:
    """The same for one that was removed: its own source counts, those of all that rendered it, and its siblings.

    Those below it do not: they go with it, or are another's when that has stored them. Who renders it now, or what it
    was a part of and is removed, too, has still to store that: then it goes on.
    """
    records, known = everybody_in_order(attempt.deps, attempt.cluster)
    above = ancestors(attempt.ref, {name: record.parent for name, record in records.items()})
    above = tuple(name for name in above if name in records)
    keys = {source_of(attempt.record), *(source_of(records[name]) for name in above)}
    removed = takewhile(lambda name: records[name].tombstone, above)
    parts = {f"{KIND}/{name}" for name in (attempt.ref, *removed)}
    leaving = _leaving(attempt, records, known, NOTHING)
    records = {name: record for name, record in records.items() if name not in leaving}
    due = _due(attempt, records, known, _sources(attempt, keys), siblings=True)
    alive = records.keys() & known.keys() - {attempt.ref}
    rendering = {name for name in alive if not parts.isdisjoint(standing(known[name]).interpreted)}
    return replace(
        due,
        everybody=tuple(sorted({*due.everybody, *rendering.difference(due.resting)})),
        keepers=tuple(sorted(rendering.intersection(due.resting))),
    )


def renders_unknown(attempt: Attempt) -> tuple[str, ...]:
    """Whose newest render is not written down, or their children not stored, whatever their source: () is certainty.

    Suspended ones and those whose source has no artifact count, too.
    """
    records, known = everybody_in_order(attempt.deps, attempt.cluster)
    sources = _sources(attempt, {source_of(record) for record in records.values()})
    return tuple(
        name
        for name, record in records.items()
        if not record.tombstone and _unknown(record, known.get(name, KustomizationStatus()), sources)
    )


def _unknown(record: ObjectRecord, status: KustomizationStatus, sources: Mapping[str, Source]) -> bool:
    source, last = sources.get(source_of(record)), standing(status)
    return source is None or _render_due(record, last, source.tree) or last.children_due


def _sources(attempt: Attempt, keys: Iterable[str]) -> dict[str, Source]:
    found = {key: newest_source(attempt.deps, attempt.cluster, key) for key in sorted(keys)}
    return {key: source for key, source in found.items() if source is not None}


def _due(
    attempt: Attempt,
    records: Mapping[str, ObjectRecord],
    known: Mapping[str, KustomizationStatus],
    sources: Mapping[str, Source],
    *,
    siblings: bool = False,
) -> Due:
    unrendered, storing, resting, failing = set[str](), set[str](), set[str](), set[str]()
    now = attempt.now()
    for name, record in records.items():
        status, key = known.get(name, KustomizationStatus()), source_of(record)
        if name == attempt.ref or record.tombstone:
            continue
        if is_suspended(record, status, now):
            resting.add(name)
        beside = siblings and record.parent == attempt.record.parent and key.partition("/")[0] in ARTIFACTS
        if key not in sources and not beside:
            continue
        last, source = standing(status), sources.get(key)
        if _render_due(record, last, source.tree if source else None):
            unrendered.add(name)
        elif last.children_due:
            storing.add(name)
        if has_failed(status, record.generation, source.artifact if source else ""):
            failing.add(name)
    due = unrendered | storing
    excused = frozenset(name for name in due & failing if is_excused(known[name]))
    return Due(
        unrendered=tuple(sorted(unrendered - excused)),
        everybody=tuple(sorted(due - excused)),
        resting=tuple(sorted(resting)),
        failing=tuple(sorted(due & failing - excused)),
        excused=excused,
    )


def _render_due(record: ObjectRecord, last: Standing, tree: Tree | None) -> bool:
    """Whether what it stands for now is not what it has written down; without a tree only its spec tells."""
    if last.generation != record.generation or not last.digest:
        return True
    return tree is not None and last.inputs.digest(tree) != last.digest
