"""The Flux objects of a render: stored by the plane, interpreted, never applied.

A parent stores its children's new specs and then publishes them; what left its render becomes a tombstone with its
last spec. A failed render makes none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.core.errors import Conflict, InvalidDocument, Refused
from penstock.core.flux.alert import parse_alert
from penstock.core.flux.artifactgenerator import parse_artifact_generator
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.flux.provider import parse_provider
from penstock.core.flux.receiver import parse_receiver
from penstock.core.messages import Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import KustomizationStatus, ObjectRecord, object_key, status_key
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.sources.wakeups import ROOT, Candidate, candidate, descendants, to_wake
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT
from penstock.stages.reconcile.attempt import (
    KIND,
    Attempt,
    load_status,
    objects,
    source_status,
    stands_for_flux,
    statuses,
)
from penstock.stages.reconcile.claims import Awaits, renders_due
from penstock.stages.reconcile.source import Source

SOURCE_KINDS = ("GitRepository", "ArtifactGenerator")
_PARSERS = {
    "Alert": parse_alert,
    "ArtifactGenerator": parse_artifact_generator,
    "GitRepository": parse_git_repository,
    "Kustomization": parse_kustomization,
    "Provider": parse_provider,
    "Receiver": parse_receiver,
}


def check_children(attempt: Attempt, documents: Sequence[Manifest]) -> None:
    """Refuse what would not be stored, before anything is applied.

    Raises InvalidDocument (dotted path), or Refused where a tenant's account may not create such an object.
    """
    for document in documents:
        ref = ref_of(document)
        if not ref.namespace:
            raise InvalidDocument("namespace not specified", path="metadata.namespace", document=str(ref))
        if not _stands_for_plane(document):
            _PARSERS[ref.kind](document)
        if attempt.account:
            _check_rights(attempt, document)


def check_handover(attempt: Attempt, source: Source, documents: Sequence[Manifest]) -> None:
    """Refuse, before anything is applied, Flux objects that somebody else renders.

    Raises Awaits where its parent has not rendered this revision: it may only have moved.
    """
    unrendered: tuple[str, ...] | None = None
    for document in _own(attempt, documents):
        ref = ref_of(document)
        known = objects(attempt.deps, attempt.cluster, ref.kind).get(f"{ref.namespace}/{ref.name}")
        if known is None or not _belongs_to_other(attempt, ref, known):
            continue
        if unrendered is None:
            unrendered = renders_due(attempt, source).unrendered
        if known.parent in unrendered:
            raise Awaits(f"{ref} belongs to {known.parent}, which has not rendered this revision yet", {known.parent})
        raise _belongs_elsewhere(ref, known)


def children_due(attempt: Attempt, documents: Sequence[Manifest]) -> bool:
    """Whether storing these would change anything: until that is done, nobody knows what they stand for."""
    wanted = {(ref_of(d).kind, f"{ref_of(d).namespace}/{ref_of(d).name}"): d for d in _own(attempt, documents)}
    for kind in _PARSERS:
        for name, record in objects(attempt.deps, attempt.cluster, kind).items():
            found = wanted.pop((kind, name), None)
            mine = record.parent == attempt.ref and not record.tombstone
            if (found is None and mine) or (found is not None and not (mine and record.document == found)):
                return True
    return bool(wanted)


def store_children(attempt: Attempt, source: Source, documents: Sequence[Manifest]) -> list[Outgoing]:
    """Write the records, make the tombstones, and say whom that wakes."""
    deps, cluster = attempt.deps, attempt.cluster
    messages: list[Outgoing] = []
    kept = set()
    for document in documents:
        if ref_of(document).kind == KIND and _is_root(attempt, document):
            messages += _adopt_root_spec(attempt, document)
    for document in _own(attempt, documents):
        ref = ref_of(document)
        kept.add((ref.kind, f"{ref.namespace}/{ref.name}"))
        if (_store(attempt, document) or _unseen(attempt, document)) and ref.kind in SOURCE_KINDS:
            found = SourceChanged(cluster=cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
            messages.append(Outgoing(message=found))
    for kind in _PARSERS:
        messages += _bury(deps, attempt, kind, {name for k, name in kept if k == kind})
    return messages + wake_children(attempt, source)


def bury_all(attempt: Attempt) -> list[Outgoing]:
    """Tombstones for every child of a Kustomization that is itself removed."""
    return [message for kind in _PARSERS for message in _bury(attempt.deps, attempt, kind, set())]


def wake_children(attempt: Attempt, source: Source) -> list[Outgoing]:
    """The descendants that this source's tree, or their own new spec, gives work."""
    now = attempt.now()
    known = statuses(attempt.deps, attempt.cluster)
    records = objects(attempt.deps, attempt.cluster, KIND)
    candidates = [candidate(record, known.get(name), now=now) for name, record in records.items()]
    below = descendants(candidates, attempt.ref)
    trees = {item.source: source.tree if item.source == source.key else None for item in below}
    woken = to_wake(below, trees)
    return [_due(attempt, i.ref, "parent") for i in woken if i.changed or not _attempted(i, known.get(i.ref), source)]


def _attempted(item: Candidate, status: KustomizationStatus | None, source: Source) -> bool:
    """Whether it has tried this very revision and is left to its own retries.

    Else a parent whose health check covers a failing child, and the child that wakes it, would keep each other busy.
    """
    if status is None:
        return False
    return item.source != source.key or status.last_attempted_revision == source.revision


def _due(attempt: Attempt, name: str, why: str) -> Outgoing:
    namespace, _, leaf = name.partition("/")
    return Outgoing(message=ReconcileDue(cluster=attempt.cluster, kind=KIND, namespace=namespace, name=leaf, why=why))


def _stands_for_plane(document: Manifest) -> bool:
    """GitRepository flux-system/flux-system is the Plane's own source, whatever its manifest says."""
    ref = ref_of(document)
    return ref.kind == "GitRepository" and f"{ref.namespace}/{ref.name}" == ROOT


def _own(attempt: Attempt, documents: Sequence[Manifest]) -> list[Manifest]:
    """The documents that are stored as children."""
    return [
        document
        for document in documents
        if not _stands_for_plane(document) and not (ref_of(document).kind == KIND and _is_root(attempt, document))
    ]


def _belongs_to_other(attempt: Attempt, ref: ObjectRef, known: ObjectRecord) -> bool:
    """Whether another Kustomization (or the Plane, for the root itself) stands behind a record, as far as written."""
    if known.parent == attempt.ref or known.tombstone:
        return False
    if not known.parent:
        return True
    return str(ref) in _interpreted(load_status(attempt.deps, attempt.cluster, *_name(known.parent)))


def _belongs_elsewhere(ref: ObjectRef, known: ObjectRecord) -> Refused:
    told = (
        f"{ref} is rendered by Kustomization {known.parent} already: remove it from one of the two"
        if known.parent
        else f"{ref} stands for what the Plane itself declares: give this one another name"
    )
    return Refused(told, reason="ReconciliationFailed")


def _interpreted(status: KustomizationStatus) -> frozenset[str]:
    """``Kind/namespace/name`` of the Flux objects in its last render."""
    return frozenset(str(each) for each in status.summary.get("interpreted") or ())


def _name(ref: str) -> tuple[str, str]:
    namespace, _, name = ref.partition("/")
    return namespace, name


def _is_root(attempt: Attempt, document: Manifest) -> bool:
    """A Kustomization with the root's source and path is the root: it does not contain itself."""
    parsed = parse_kustomization(document)
    root = objects(attempt.deps, attempt.cluster, KIND).get(ROOT)
    if root is None:
        return False
    known = parse_kustomization(root.document)
    return parsed.source == known.source and parsed.directory == known.directory


def _adopt_root_spec(attempt: Attempt, document: Manifest) -> list[Outgoing]:
    """The repository's own spec of the root (patches, decryption, interval) becomes the root's."""
    if not attempt.is_root:
        return []
    metadata = {**document["metadata"], "namespace": attempt.message.namespace, "name": attempt.message.name}
    wanted = {**document, "metadata": metadata}
    if _write(attempt, wanted, parent="", account=""):
        return [_due(attempt, attempt.ref, "parent")]
    return []


def _store(attempt: Attempt, document: Manifest) -> bool:
    """Write a child's record; whether it changed anything."""
    return _write(attempt, document, parent=attempt.ref, account=_inherited(attempt, document))


def _unseen(attempt: Attempt, document: Manifest) -> bool:
    """Whether nobody has looked at a source yet: a kill may have swallowed the message that asked for it."""
    ref = ref_of(document)
    return attempt.deps.state.get(status_key(attempt.cluster, ref.kind, ref.namespace, ref.name)) is None


def _inherited(attempt: Attempt, document: Manifest) -> str:
    """A child of a tenant runs as that tenant where it names no account of its own."""
    named = (document.get("spec") or {}).get("serviceAccountName")
    return attempt.account if not named else ""


def _write(attempt: Attempt, document: Manifest, *, parent: str, account: str) -> bool:
    ref, state = ref_of(document), attempt.deps.state
    key = object_key(attempt.cluster, ref.kind, ref.namespace, ref.name)
    for _ in range(5):
        current = state.get(key)
        known = ObjectRecord.from_value(current.value) if current else None
        if known is not None and known.parent != parent and _belongs_to_other(attempt, ref, known):
            raise _belongs_elsewhere(ref, known)
        same = known is not None and known.document == document and known.account == account
        if known is not None and same and known.parent == parent and not known.tombstone:
            return False
        generation = (known.generation + (0 if known.document == document else 1)) if known else 1
        record = ObjectRecord(document=document, parent=parent, generation=generation, account=account)
        try:
            state.put(key, record.to_value(), expected=current.version if current else ABSENT)
        except Conflict:
            continue
        return True
    raise Conflict(f"the record of {ref} is being written by others all the time")


def _bury(deps: Deps, attempt: Attempt, kind: str, kept: set[str]) -> list[Outgoing]:
    """Tombstones for the children that left the render; only Kustomizations have more to do than to vanish."""
    messages: list[Outgoing] = []
    elsewhere = _rendered_elsewhere(attempt)
    for name, record in objects(deps, attempt.cluster, kind).items():
        if record.parent != attempt.ref or name in kept or f"{kind}/{name}" in elsewhere:
            continue
        namespace, leaf = _name(name)
        key = object_key(attempt.cluster, kind, namespace, leaf)
        if kind != KIND:
            deps.state.delete(key, expected=None)
            deps.state.delete(status_key(attempt.cluster, kind, namespace, leaf), expected=None)
            if kind == "ArtifactGenerator":  # its artifacts go too
                gone = SourceChanged(cluster=attempt.cluster, kind=kind, namespace=namespace, name=leaf)
                messages.append(Outgoing(message=gone))
            continue
        status = deps.state.get(status_key(attempt.cluster, kind, namespace, leaf))
        if not record.tombstone:
            deps.state.put(key, replace(record, tombstone=True).to_value(), expected=None)
        if not record.tombstone or status is None or status.due is None:  # else it is tried again when it is due
            messages.append(_due(attempt, name, "removed"))
    return messages


def _rendered_elsewhere(attempt: Attempt) -> frozenset[str]:
    """Flux objects in the last render of other Kustomizations: those have moved, and are handed over as they are."""
    alive = {name for name, record in objects(attempt.deps, attempt.cluster, KIND).items() if not record.tombstone}
    known = statuses(attempt.deps, attempt.cluster)
    return frozenset(each for name in alive - {attempt.ref} if name in known for each in _interpreted(known[name]))


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


def source_known(attempt: Attempt, source: Source) -> bool:
    """Whether the source is still at the observation that this run has read."""
    now = source_status(attempt.deps, attempt.cluster, source.ref)
    return now is not None and now.observation == source.observation
