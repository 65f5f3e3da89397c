"""Who renders what: what may have moved to another Kustomization is handed over, never deleted.

Every Kustomization writes down what it renders before it applies anything. So an object that left one render is safe
to delete only when everybody to whom it may have moved has written down the newest: until then deletions wait.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from penstock.core.errors import Transient
from penstock.core.reconcile.equal import KnownEqual
from penstock.core.reconcile.inventory import parse_ids, parse_object_id
from penstock.core.reconcile.managers import applied_fields
from penstock.core.reconcile.normalise import NAME_LABEL
from penstock.core.reconcile.plan import Ownership, owner_of
from penstock.core.reconcile.standing import Standing, standing
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.resources import Manifest, ObjectRef
from penstock.core.sources.kinds import ARTIFACTS
from penstock.core.sources.wakeups import ancestors, is_suspended, source_of
from penstock.core.tree import Tree
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile.attempt import KIND, Attempt, everybody, everybody_in_order, read_kustomizations
from penstock.stages.reconcile.source import Source, newest_tree

Coming = Mapping[str, Manifest | None]
"""What a run makes of its Kustomizations (``namespace/name``): their documents, None where it buries one."""
NOTHING: Coming = {}
_EQUAL = KnownEqual()


class Awaits(Transient):
    """Others must render first: something here is still theirs. ``names``: ``namespace/name`` of each.

    ``asks``: the suspended ones among them, which render only when they are asked.
    """

    def __init__(self, message: str, names: Iterable[str], resting: Iterable[str] = ()) -> None:
        super().__init__(message, reason="Progressing")
        self.names = tuple(sorted(set(names)))
        self.asks = tuple(sorted(set(names) & set(resting)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """Whose word must be waited for, as ``namespace/name``.

    ``unrendered``: their newest render is not written down; ``everybody``: those, and those whose children are not
    stored as they rendered them; ``resting``: all of the cluster that are suspended, waited for or not; ``keepers``:
    those of them that render what is removed, or what that was a part of; ``leaving``: the removed ones, those that
    this run is about to bury, and all below: what they rendered counts no more.
    """

    unrendered: tuple[str, ...] = ()
    everybody: tuple[str, ...] = ()
    resting: tuple[str, ...] = ()
    keepers: tuple[str, ...] = ()
    leaving: frozenset[str] = frozenset()

    @property
    def asks(self) -> tuple[str, ...]:
        """The suspended ones whose word is waited for: they give it only when they are asked."""
        return tuple(name for name in self.everybody if name in self.resting)

    def rests(self, names: Collection[str]) -> bool:
        """Whether there are such, and all of them are suspended."""
        return bool(names) and set(names) <= set(self.resting)


def ownership(
    attempt: Attempt,
    desired: Collection[ObjectRef],
    live: Mapping[ObjectRef, Manifest | None],
    inventory: Collection[ObjectRef],
    leaving: Collection[str] = (),
) -> Ownership:
    """Whose run this is, and what others, but for those who are ``leaving`` (see Due), rendered last of all this.

    What left the render may be anybody's now: then all Kustomizations of the cluster are read. Else only those whose
    labels stand on a desired object.
    """
    wanted = set(desired)
    stale = {ref: found for ref in inventory if ref not in wanted and (found := live.get(ref)) is not None}
    there = [found for ref in wanted if (found := live.get(ref)) is not None]
    owners = {owner_of(found) for found in there} - {"", attempt.ref}
    if stale:
        records, known = everybody(attempt.deps, attempt.cluster)
    else:
        records, known = read_kustomizations(attempt.deps, attempt.cluster, owners) if owners else ({}, {})
    away = {attempt.ref, *leaving}
    others = {name: record for name, record in records.items() if name not in away and not record.tombstone}
    claimed, taken, elsewhere = _told(attempt.record, others, known)
    message = attempt.message
    return Ownership(
        namespace=message.namespace,
        name=message.name,
        manager=FIELD_MANAGER,
        claimed=claimed,
        taken=taken,
        elsewhere=elsewhere,
        abandoned=_abandoned(attempt.record, stale, others, known) - claimed.keys(),
        overridden=attempt.policy.override_managers,
        equal=_EQUAL,
        same=frozenset(() if message.why == "request" else attempt.status.same),
    )


def _told(
    mine: ObjectRecord, others: Mapping[str, ObjectRecord], known: Mapping[str, KustomizationStatus]
) -> tuple[dict[ObjectRef, str], frozenset[ObjectRef], frozenset[ObjectRef]]:
    """``claimed``, ``taken`` and ``elsewhere`` of an Ownership, by what the others have written down.

    Taken is what one has in its inventory that renders it: what another one has there is about to leave it.
    """
    claimed, far = dict[ObjectRef, str](), dict[ObjectRef, str]()
    taken, elsewhere = set[ObjectRef](), set[ObjectRef]()
    here = kube_config_of(mine)
    for name in sorted(others.keys() & known.keys()):
        status, beside = known[name], kube_config_of(others[name]) == here
        refs = frozenset(rendered_refs(status))
        (claimed if beside else far).update(dict.fromkeys(refs, name))
        if status.ready():
            (taken if beside else elsewhere).update(refs & parse_ids(status.inventory).keys())
    return {**far, **claimed}, frozenset(taken), frozenset(elsewhere - claimed.keys())


def _abandoned(
    mine: ObjectRecord,
    stale: Mapping[ObjectRef, Manifest],
    others: Mapping[str, ObjectRecord],
    known: Mapping[str, KustomizationStatus],
) -> frozenset[ObjectRef]:
    """What carries another one's labels, and is in no inventory but ours.

    An apply of the one before can take effect minutes late, after ours, and leave its labels: it had written the object
    down before that, and has forgotten it since. Labels that somebody else wrote stand, and those of one whose
    inventory the plane does not know (records were lost).
    """
    labelled = {
        ref: name for ref, found in stale.items() if (name := owner_of(found)) in others and _labelled_by_us(found)
    }
    if not labelled:
        return frozenset()
    beside = {name for name in others.keys() & known.keys() if kube_config_of(others[name]) == kube_config_of(mine)}
    held = {ref for name in beside for ref in parse_ids(known[name].inventory)}
    sure = {name for name in beside if known[name].inventory_digest}
    return frozenset(ref for ref, name in labelled.items() if name in sure and ref not in held)


def _labelled_by_us(live: Manifest) -> bool:
    _, fields = applied_fields(live, FIELD_MANAGER) or ("", {})
    return f"f:{NAME_LABEL}" in fields.get("f:metadata", {}).get("f:labels", {})


def kube_config_of(record: ObjectRecord) -> tuple[Any, ...]:
    """What tells the cluster that it applies to: its ``kubeConfig`` and where that is looked up; () is at home."""
    given = (record.document.get("spec") or {}).get("kubeConfig")
    return (record.document["metadata"].get("namespace"), given) if given else ()


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
    due = _due(attempt, records, known, {**_trees(attempt, derived), source.key: source.tree})
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
    due = _due(attempt, records, known, _trees(attempt, keys), siblings=True)
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
    trees = _trees(attempt, {source_of(record) for record in records.values()})
    return tuple(
        name
        for name, record in records.items()
        if not record.tombstone and _unknown(record, known.get(name, KustomizationStatus()), trees)
    )


def _unknown(record: ObjectRecord, status: KustomizationStatus, trees: Mapping[str, Tree]) -> bool:
    tree, last = trees.get(source_of(record)), standing(status)
    return tree is None or _render_due(record, last, tree) or last.children_due


def rendered_refs(status: KustomizationStatus) -> Iterable[ObjectRef]:
    """What a Kustomization rendered last (see core.reconcile.standing), as the API server may name it.

    kustomize gives a namespace to custom resources of every scope: one of cluster scope has none in the cluster, and
    no namespaced object has that name, so each is listed without one, too.
    """
    for text in standing(status).rendered:
        ref = parse_object_id(text.rpartition("@")[0])
        yield ref
        if ref.namespace:
            yield replace(ref, namespace="")


def _trees(attempt: Attempt, keys: Iterable[str]) -> dict[str, Tree]:
    found = {key: newest_tree(attempt.deps, attempt.cluster, key) for key in sorted(keys)}
    return {key: tree for key, tree in found.items() if tree is not None}


def _due(
    attempt: Attempt,
    records: Mapping[str, ObjectRecord],
    known: Mapping[str, KustomizationStatus],
    trees: Mapping[str, Tree],
    *,
    siblings: bool = False,
) -> Due:
    unrendered, storing, resting = set[str](), set[str](), set[str]()
    now = attempt.now()
    for name, record in records.items():
        status, source = known.get(name, KustomizationStatus()), source_of(record)
        if name == attempt.ref or record.tombstone:
            continue
        if is_suspended(record, status, now):
            resting.add(name)
        beside = siblings and record.parent == attempt.record.parent and source.partition("/")[0] in ARTIFACTS
        if source not in trees and not beside:
            continue
        last = standing(status)
        if _render_due(record, last, trees.get(source)):
            unrendered.add(name)
        elif last.children_due:
            storing.add(name)
    return Due(
        unrendered=tuple(sorted(unrendered)),
        everybody=tuple(sorted(unrendered | storing)),
        resting=tuple(sorted(resting)),
    )


def _render_due(record: ObjectRecord, last: Standing, tree: Tree | None) -> bool:
    """Whether what it stands for now is not what it has written down; without a tree only its spec tells."""
    if last.generation != record.generation or not last.digest:
        return True
    return tree is not None and last.inputs.digest(tree) != last.digest
