"""The source of a Kustomization: its newest artifact, as a tree."""

from dataclasses import dataclass

from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.flux.kustomization import SourceRef
from penstock.core.records import SourceStatus
from penstock.core.sources.artifact import decode
from penstock.core.sources.kept import KeptTrees
from penstock.core.sources.kinds import ARTIFACTS
from penstock.core.sources.wakeups import source_key
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import Attempt, opened_source, source_status

kept = KeptTrees(most=16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """``revision``: Flux's; ``observation``: raised with each change; ``tree``: the artifact's files."""

    ref: SourceRef
    revision: str
    observation: int
    artifact: str
    tree: MemoryTree

    @property
    def key(self) -> str:
        """``Kind/namespace/name``."""
        return source_key(self.ref.kind, self.ref.namespace, self.ref.name)


def open_source(attempt: Attempt) -> Source:
    """The newest artifact of the Kustomization's source.

    Raises NotFound (reason ``ArtifactFailed``) while there is none, Refused where the policy forbids the reference.
    """
    ref = attempt.kustomization.source
    if ref.kind not in ARTIFACTS:
        raise NotFound(f"sources of kind {ref.kind} are not supported yet ({ref})", reason="UnsupportedKind")
    if attempt.policy.no_cross_namespace_refs and ref.namespace != attempt.message.namespace:
        raise Refused(f"can't access '{ref}', cross-namespace references have been blocked", reason="AccessDenied")
    status = opened_source(attempt)
    attempt.opening.tried = status.artifact if status else ""
    if status is None:
        raise NotFound(f"source {ref} not found", reason="ArtifactFailed")
    if not status.artifact:
        raise NotFound("Source artifact not found, waiting for it", reason="ArtifactFailed")
    return _source(attempt.deps, ref, status)


class ArtifactGone(Transient):
    """A source's artifact is not stored any more. Its fetch stores it again, once somebody asks for a look."""


def newest_source(deps: Deps, cluster: str, key: str) -> Source | None:
    """A source (``Kind/namespace/name``) as it stands; None without an artifact, or where that is stored no more."""
    kind, namespace, name = key.split("/")
    ref = SourceRef(kind=kind, namespace=namespace, name=name)
    status = source_status(deps, cluster, ref)
    if status is None or not status.artifact:
        return None
    try:
        return _source(deps, ref, status)
    except Transient:
        return None


def _source(deps: Deps, ref: SourceRef, status: SourceStatus) -> Source:
    return Source(
        ref=ref,
        revision=status.revision,
        observation=status.observation,
        artifact=status.artifact,
        tree=load_tree(deps, status.artifact),
    )


def load_tree(deps: Deps, digest: str) -> MemoryTree:
    """The tree of an artifact; the last few stay decoded in memory."""
    if (known := kept.get(digest)) is not None:
        return known
    data = deps.storage.get(digest)
    if data is None:
        raise ArtifactGone(f"artifact {digest[:19]} is not in the store", reason="ArtifactFailed", retry_after=5)
    return kept.keep(digest, decode(data))
