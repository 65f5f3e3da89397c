"""The source of a Kustomization: its newest artifact, as a tree."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.flux.kustomization import SourceRef
from penstock.core.messages import PLANE
from penstock.core.records import ObjectRecord, SourceStatus, object_key, status_key
from penstock.core.sources.artifact import decode
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import Attempt

SERVED = ("GitRepository", "ExternalArtifact")
_KEPT_TREES = 16
_trees: OrderedDict[str, MemoryTree] = OrderedDict()
_trees_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """``revision``: Flux's; ``observation``: raised with each change; ``tree``: the artifact's files."""

    ref: SourceRef
    revision: str
    observation: int
    artifact: str
    tree: MemoryTree


def open_source(attempt: Attempt) -> Source:
    """The newest artifact of the Kustomization's source.

    Raises NotFound (reason ``ArtifactFailed``) while there is none, Refused where the policy forbids the reference.
    """
    ref = attempt.kustomization.source
    if ref.kind not in SERVED:
        raise NotFound(f"sources of kind {ref.kind} are not supported yet ({ref})", reason="UnsupportedKind")
    if attempt.policy.no_cross_namespace_refs and ref.namespace != attempt.message.namespace:
        raise Refused(f"can't access '{ref}', cross-namespace references have been blocked", reason="AccessDenied")
    status = source_status(attempt.deps, attempt.cluster, ref)
    if status is None:
        raise NotFound(f"source {ref} not found", reason="ArtifactFailed")
    if not status.artifact:
        raise NotFound("Source artifact not found, waiting for it", reason="ArtifactFailed")
    return Source(
        ref=ref,
        revision=status.revision,
        observation=status.observation,
        artifact=status.artifact,
        tree=load_tree(attempt.deps, status.artifact),
    )


def source_status(deps: Deps, cluster: str, ref: SourceRef) -> SourceStatus | None:
    """What fetch knows of a source: its own status, or the plane's own source where it stands for that.

    None where nobody declares such a source.
    """
    found = deps.state.get(object_key(cluster, ref.kind, ref.namespace, ref.name))
    if found is not None and ObjectRecord.from_value(found.value).implicit:
        cluster = PLANE
    status = deps.state.get(status_key(cluster, ref.kind, ref.namespace, ref.name))
    if status is None:
        return SourceStatus() if found is not None else None
    return SourceStatus.from_value(status.value)


def load_tree(deps: Deps, digest: str) -> MemoryTree:
    """The tree of an artifact; the last few stay decoded in memory."""
    with _trees_lock:
        if digest in _trees:
            _trees.move_to_end(digest)
            return _trees[digest]
    data = deps.storage.get(digest)
    if data is None:
        raise Transient(f"artifact {digest[:19]} is not in the store", reason="ArtifactFailed", retry_after=5)
    tree = decode(data)
    with _trees_lock:
        _trees[digest] = tree
        while len(_trees) > _KEPT_TREES:
            _trees.popitem(last=False)
    return tree
