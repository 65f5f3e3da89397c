"""Whose child a Flux object is: who renders it now, and who did before.

One that moved from one parent's render to another's is handed over as it is; one that two render belongs to the first.
"""

from collections.abc import Sequence

from penstock.core.errors import Refused
from penstock.core.flux.alert import parse_alert
from penstock.core.flux.artifactgenerator import parse_artifact_generator
from penstock.core.flux.bucket import parse_bucket
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.kustomization import Kustomization, parse_kustomization
from penstock.core.flux.ocirepository import parse_oci_repository
from penstock.core.flux.provider import parse_provider
from penstock.core.flux.receiver import parse_receiver
from penstock.core.reconcile.standing import standing
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.resources import Manifest, ObjectRef, ref_of
from penstock.core.sources.wakeups import ROOT
from penstock.stages.reconcile.attempt import (
    KIND,
    Attempt,
    children_of,
    everybody,
    read_kustomizations,
    read_object,
    read_objects,
)
from penstock.stages.reconcile.awaiting import way_on
from penstock.stages.reconcile.due import Awaits, Coming, Due, renders_due
from penstock.stages.reconcile.source import Source

PARSERS = {
    "Alert": parse_alert,
    "ArtifactGenerator": parse_artifact_generator,
    "Bucket": parse_bucket,
    "GitRepository": parse_git_repository,
    "Kustomization": parse_kustomization,
    "OCIRepository": parse_oci_repository,
    "Provider": parse_provider,
    "Receiver": parse_receiver,
}


def check_handover(attempt: Attempt, source: Source, documents: Sequence[Manifest]) -> None:
    """Refuse, before anything is applied, Flux objects that somebody else renders.

    Raises Awaits where its parent has not rendered this revision: it may only have moved.
    """
    due: Due | None = None
    stored = read_objects(attempt.deps, attempt.cluster, {stored_as(d) for d in own_documents(attempt, documents)})
    for _, known in stored.values():
        ref = ref_of(known.document)
        if not belongs_to_other(attempt, ref, known):
            continue
        due = due or renders_due(attempt, source, coming(attempt, documents))
        if known.parent in due.silent:
            continue
        if known.parent in due.unrendered:
            told = f"{ref} belongs to {known.parent}, which has not rendered this revision yet"
            told += way_on({known.parent}, due)
            raise Awaits(told, {known.parent}, due)
        if belongs_to_other(attempt, ref, known):  # again: it may have rendered between the two looks
            raise belongs_elsewhere(ref, known)


def children_due(attempt: Attempt, documents: Sequence[Manifest]) -> bool:
    """Whether storing these would change anything: until that is done, nobody knows what they stand for.

    What left the render and is no Kustomization stands for nothing: it may stay for a while (leaving.py).
    """
    wanted = {stored_as(document): document for document in own_documents(attempt, documents)}
    known = {key: record for key, record in children_of(attempt).items() if not record.tombstone}
    mine = {key: record for key, record in known.items() if key in wanted or key[0] == KIND}
    return {key: record.document for key, record in mine.items()} != wanted


def stored_as(document: Manifest) -> tuple[str, str]:
    """(kind, ``namespace/name``) of a Flux object."""
    ref = ref_of(document)
    return ref.kind, f"{ref.namespace}/{ref.name}"


def stands_for_plane(document: Manifest) -> bool:
    """GitRepository flux-system/flux-system is the Plane's own source, whatever its manifest says."""
    ref = ref_of(document)
    return ref.kind == "GitRepository" and f"{ref.namespace}/{ref.name}" == ROOT


def own_documents(attempt: Attempt, documents: Sequence[Manifest]) -> list[Manifest]:
    """The documents that are stored as children."""
    found = [document for document in documents if not stands_for_plane(document)]
    if not any(ref_of(document).kind == KIND for document in found):
        return found
    root = read_object(attempt.deps, attempt.cluster, KIND, ROOT)
    if root is None:
        return found
    known = parse_kustomization(root.document)
    return [each for each in found if not (ref_of(each).kind == KIND and _same(known, each))]


def coming(attempt: Attempt, documents: Sequence[Manifest]) -> Coming:
    """The Kustomizations among them that are stored as children; None for those that are not among them any more."""
    mine = ((stored_as(document), document) for document in own_documents(attempt, documents))
    stored = {name: document for (kind, name), document in mine if kind == KIND}
    return {**dict.fromkeys(name for kind, name in attempt.opening.children if kind == KIND), **stored}


def belongs_to_other(attempt: Attempt, ref: ObjectRef, known: ObjectRecord) -> bool:
    """Whether another Kustomization (or the Plane, for the root itself) stands behind a record, as far as written.

    One that is being removed renders nothing any more, whatever it rendered last.
    """
    if known.parent == attempt.ref or known.tombstone:
        return False
    if not known.parent:
        return True
    records, statuses = read_kustomizations(attempt.deps, attempt.cluster, {known.parent})
    parent = records.get(known.parent)
    if parent is None or parent.tombstone or known.parent not in statuses:
        return False
    return str(ref) in _interpreted(statuses[known.parent])


def belongs_elsewhere(ref: ObjectRef, known: ObjectRecord) -> Refused:
    """The error for a Flux object that somebody else stands behind."""
    told = (
        f"{ref} is rendered by Kustomization {known.parent} already: remove it from one of the two"
        if known.parent
        else f"{ref} stands for what the Plane itself declares: give this one another name"
    )
    return Refused(told, reason="ReconciliationFailed")


def _interpreted(status: KustomizationStatus) -> frozenset[str]:
    """``Kind/namespace/name`` of the Flux objects in its last render."""
    return frozenset(standing(status).interpreted)


def split_name(ref: str) -> tuple[str, str]:
    """Namespace and name of ``namespace/name``."""
    namespace, _, name = ref.partition("/")
    return namespace, name


def is_root(attempt: Attempt, document: Manifest) -> bool:
    """A Kustomization with the root's source and path is the root: it does not contain itself."""
    root = read_object(attempt.deps, attempt.cluster, KIND, ROOT)
    return root is not None and _same(parse_kustomization(root.document), document)


def _same(known: Kustomization, document: Manifest) -> bool:
    parsed = parse_kustomization(document)
    return parsed.source == known.source and parsed.directory == known.directory


def rendered_elsewhere(attempt: Attempt) -> dict[str, str]:
    """Flux objects (``Kind/namespace/name``) in the last render of another Kustomization, and which one that is.

    Those have moved, and are handed over as they are.
    """
    records, known = everybody(attempt.deps, attempt.cluster)
    alive = {name for name, record in records.items() if not record.tombstone}
    others = sorted((alive & known.keys()) - {attempt.ref})
    return {each: name for name in others for each in _interpreted(known[name])}
