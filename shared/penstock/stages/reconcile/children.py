"""The Flux objects of a render: stored by the plane, interpreted, never applied.

A parent stores its children's new specs and then publishes them. What left its render: see leaving.py; a failed
render changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from penstock.core.errors import Conflict, InvalidDocument, Refused
from penstock.core.messages import Outgoing, SourceChanged
from penstock.core.reconcile.render import Rendered
from penstock.core.records import KustomizationStatus, ObjectRecord, object_key, status_key
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.sources.index import child_prefix, names_of
from penstock.core.sources.kinds import FETCHED
from penstock.core.sources.wakeups import Candidate, candidate, descendants, to_wake
from penstock.ports.state import ABSENT, Record
from penstock.stages.reconcile.attempt import (
    KIND,
    MOST_GETS,
    Attempt,
    document_key,
    everybody,
    is_current,
    read_kustomizations,
    read_objects,
    stands_for_flux,
    wake_up,
)
from penstock.stages.reconcile.due import renders_due
from penstock.stages.reconcile.index import children, object_entries, still_indexed, write_indexed
from penstock.stages.reconcile.leaving import Guard, Leaving, Render, bury
from penstock.stages.reconcile.opening import source_among, source_keys
from penstock.stages.reconcile.parentage import (
    PARSERS,
    belongs_elsewhere,
    belongs_to_other,
    coming,
    is_root,
    own_documents,
    stands_for_plane,
    stored_as,
)
from penstock.stages.reconcile.source import Source

SOURCE_KINDS = (*FETCHED, "ArtifactGenerator")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Child:
    """What is stored of a Flux object: its manifest, who stands behind it, and as whom it runs."""

    document: Manifest
    parent: str = ""
    account: str = ""

    def record(self, known: ObjectRecord | None) -> ObjectRecord:
        """The record in the place of ``known``, which it equals where nothing is new."""
        generation = (known.generation + (0 if known.document == self.document else 1)) if known else 1
        wanted = ObjectRecord(document=self.document, parent=self.parent, generation=generation, account=self.account)
        same = (
            known is not None
            and not known.tombstone
            and (known.document, known.parent, known.account) == (self.document, self.parent, self.account)
        )
        return known if known is not None and same else wanted


def check_children(attempt: Attempt, documents: Sequence[Manifest]) -> None:
    """Refuse what would not be stored, before anything is applied.

    Raises InvalidDocument (dotted path), or Refused where a tenant's account may not create such an object.
    """
    for document in documents:
        ref = ref_of(document)
        if not ref.namespace:
            raise InvalidDocument("namespace not specified", path="metadata.namespace", document=str(ref))
        if not stands_for_plane(document):
            PARSERS[ref.kind](document)
        if attempt.account:
            _check_rights(attempt, document)


def store_children(attempt: Attempt, source: Source, rendered: Rendered) -> Leaving:
    """Write the records, bury what left the render, and say whom that wakes.

    Raises Conflict where a newer run may have stored them meanwhile. That is asked after a record was read and before
    it is written by compare-and-swap: so a run that was overtaken neither changes nor buries what is newer.
    """
    documents = rendered.parts.interpreted
    storing = _Storing(attempt=attempt, source=source, documents=documents)
    messages: list[Outgoing] = []
    for document in documents:
        if ref_of(document).kind == KIND and is_root(attempt, document):
            messages += storing.adopt_root_spec(document)
    wanted = {stored_as(document): document for document in own_documents(attempt, documents)}
    known = read_objects(attempt.deps, attempt.cluster, wanted)
    for key, document in wanted.items():
        messages += storing.store(document, known[key][0] if key in known else None)
    below, due = _names_below(attempt, wanted.keys()), partial(renders_due, attempt, source)
    guard = Guard(
        empty=not documents and not rendered.apply,
        due=lambda: renders_due(attempt, source, coming(attempt, documents)),
    )
    left = bury(attempt, Render(below=below, kept=wanted.keys(), due=due, check=storing.check, guard=guard))
    return replace(left, messages=[*messages, *left.messages, *_wake(attempt, source, below | wanted.keys())])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Storing:
    """A run that stores what it renders: ``documents``, of this source."""

    attempt: Attempt
    source: Source
    documents: Sequence[Manifest]

    def check(self) -> None:
        """Raises Conflict where this run is not the newest any more."""
        attempt, mine = self.attempt, document_key(self.attempt)
        found = attempt.deps.state.read([*source_keys(attempt.cluster, self.source.ref), mine]).records
        current = attempt.is_root or is_current(attempt, found.get(mine))
        if not current or not source_known(attempt, self.source, found):
            raise Conflict(f"{attempt.ref} has a newer revision or spec: its children are a newer run's")

    def adopt_root_spec(self, document: Manifest) -> list[Outgoing]:
        """The repository's own spec of the root (patches, decryption, interval) becomes the root's."""
        attempt = self.attempt
        if not attempt.is_root:
            return []
        metadata = {**document["metadata"], "namespace": attempt.message.namespace, "name": attempt.message.name}
        wanted = {**document, "metadata": metadata}
        if self._write(_Child(document=wanted), _stored(attempt, wanted)):
            return [wake_up(attempt, attempt.ref, "parent")]
        return []

    def store(self, document: Manifest, current: Record | None) -> list[Outgoing]:
        """Write a child's record, unless ``current`` says the same already; a source that is news is looked at."""
        attempt, ref = self.attempt, ref_of(document)
        child = _Child(document=document, parent=attempt.ref, account=_inherited(attempt, document))
        changed = self._write(child, current)
        if ref.kind in SOURCE_KINDS and (changed or _unseen(attempt, document)):
            found = SourceChanged(cluster=attempt.cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
            return [Outgoing(message=found)]
        return []

    def _write(self, child: _Child, current: Record | None) -> bool:
        """Whether the record had to be written. ``current``: the record as it was read a moment ago."""
        attempt, ref = self.attempt, ref_of(child.document)
        name, state = f"{ref.namespace}/{ref.name}", attempt.deps.state
        key = object_key(attempt.cluster, ref.kind, ref.namespace, ref.name)
        for _ in range(5):
            known = ObjectRecord.from_value(current.value) if current else None
            if known is not None and known.parent != child.parent and self._belongs_to_other(ref, known):
                raise belongs_elsewhere(ref, known)
            record = child.record(known)
            if record == known:
                return False
            self.check()
            adds = object_entries(attempt.cluster, ref.kind, name, record)
            removes = object_entries(attempt.cluster, ref.kind, name, known) - adds if known is not None else ()
            put = partial(state.put, key, record.to_value(), expected=current.version if current else ABSENT)
            attempt.opening.stored = True
            try:
                write_indexed(state, adds=adds, removes=removes, write=put)
            except Conflict:
                current = state.get(key)
                continue
            if current is None:
                still_indexed(state, adds)
            return True
        raise Conflict(f"the record of {ref} is being written by others all the time")

    def _belongs_to_other(self, ref: ObjectRef, known: ObjectRecord) -> bool:
        """Whether somebody stands behind it whom this run is not about to bury."""
        attempt = self.attempt
        if not belongs_to_other(attempt, ref, known):
            return False
        return known.parent not in renders_due(attempt, self.source, coming(attempt, self.documents)).silent


def _names_below(attempt: Attempt, wanted: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Whom it stands behind, now that its children are stored.

    Where there were none and are none, another run alone can have stored one meanwhile. Until that ends it is seen to
    write the status; ending after this run it finds itself overtaken, and looks again.
    """
    opening = attempt.opening
    if opening.alone and not wanted and not opening.children:
        return opening.children
    return children(attempt.deps, attempt.cluster, attempt.ref)


def wake_children(attempt: Attempt, source: Source) -> list[Outgoing]:
    """The descendants that this source's tree, or their own new spec, gives work."""
    return _wake(attempt, source, attempt.opening.children)


def _wake(attempt: Attempt, source: Source, below: Collection[tuple[str, str]]) -> list[Outgoing]:
    now = attempt.now()
    records, known = _below(attempt, {name for kind, name in below if kind == KIND})
    candidates = [candidate(record, known.get(name), now=now) for name, record in records.items()]
    descending = descendants(candidates, attempt.ref)
    trees = {item.source: source.tree if item.source == source.key else None for item in descending}
    woken = to_wake(descending, trees)
    return [
        wake_up(attempt, i.ref, "parent") for i in woken if i.changed or not _attempted(i, known.get(i.ref), source)
    ]


def _below(
    attempt: Attempt, names: Collection[str]
) -> tuple[Mapping[str, ObjectRecord], Mapping[str, KustomizationStatus]]:
    """The records of all descendants, its children's ``names`` given; where those are many, of the whole cluster."""
    deps, cluster = attempt.deps, attempt.cluster
    found: dict[str, ObjectRecord] = {}
    known: dict[str, KustomizationStatus] = {}
    while names:
        if len(names) + len(found) > MOST_GETS:
            return everybody(deps, cluster)
        records, statuses = read_kustomizations(deps, cluster, names)
        fresh = sorted(records.keys() - found.keys() - {attempt.ref})
        found |= records
        known |= statuses
        lists = deps.state.read(prefixes=[child_prefix(cluster, each) for each in fresh]).lists if fresh else {}
        names = {name for entries in lists.values() for kind, name in names_of(entries) if kind == KIND}
    return dict(sorted(found.items())), known


def _attempted(item: Candidate, status: KustomizationStatus | None, source: Source) -> bool:
    """Whether it has tried this very revision and is left to its own retries.

    Else a parent whose health check covers a failing child, and the child that wakes it, would keep each other busy.
    """
    if status is None:
        return False
    return item.source != source.key or status.last_attempted_revision == source.revision


def _stored(attempt: Attempt, document: Manifest) -> Record | None:
    ref = ref_of(document)
    return attempt.deps.state.get(object_key(attempt.cluster, ref.kind, ref.namespace, ref.name))


def _unseen(attempt: Attempt, document: Manifest) -> bool:
    """Whether nobody has looked at a source yet: a kill may have swallowed the message that asked for it."""
    ref = ref_of(document)
    return attempt.deps.state.get(status_key(attempt.cluster, ref.kind, ref.namespace, ref.name)) is None


def _inherited(attempt: Attempt, document: Manifest) -> str:
    """A child of a tenant runs as that tenant where it names no account of its own."""
    named = (document.get("spec") or {}).get("serviceAccountName")
    return attempt.account if not named else ""


def _check_rights(attempt: Attempt, document: Manifest) -> None:
    """Only what a tenant's account could create under Flux is accepted from its renders."""
    ref, gvk = ref_of(document), gvk_of(document)
    spec: Mapping[str, object] = document.get("spec") or {}
    if ref.kind == KIND and spec.get("kubeConfig") is not None:
        raise Refused(f"{ref}: a Kustomization rendered as {attempt.account} may not choose another kubeConfig")
    if ref.kind == KIND and stands_for_flux(ref.namespace, str(spec.get("serviceAccountName") or "")):
        raise Refused(f"{ref}: a Kustomization rendered as {attempt.account} may not run as the plane itself")
    if not attempt.home().can_i("create", gvk, namespace=ref.namespace, user=attempt.account):
        raise Refused(
            f"{ref}: {attempt.account} may not create {gvk.kind}s of {gvk.group} in namespace {ref.namespace}"
        )


def source_known(attempt: Attempt, source: Source, found: Mapping[str, Record]) -> bool:
    """Whether the source, as it was read just now, is still at the observation that this run has read.

    Restored records may have come to another revision under the same number.
    """
    now = source_among(found, attempt.cluster, source.ref)
    return now is not None and (now.observation, now.revision) == (source.observation, source.revision)
