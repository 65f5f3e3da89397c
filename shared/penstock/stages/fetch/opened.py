"""A source whose artifact is at hand."""

from dataclasses import dataclass

from penstock.core.records import SourceStatus
from penstock.core.sources.artifact import decode
from penstock.core.sources.kept import KeptTrees
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps

kept = KeptTrees(most=4, most_bytes=16 * 1024 * 1024)
"""What a warm function has stored last: the next push is compared with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A source with an artifact: what fetch knows of it, and the artifact's tree.

    ``before``: the trees at which those who read it may stand: the one whose wake-ups have certainly gone out, and all
    since then; None where nobody knows them.
    """

    status: SourceStatus
    tree: MemoryTree
    before: tuple[MemoryTree, ...] | None = None


def tree_of(digest: str, deps: Deps) -> MemoryTree | None:
    """An artifact's tree; None where it is not stored any more."""
    known = kept.get(digest)
    if known is not None:
        return known
    data = deps.storage.get(digest)
    return None if data is None else kept.keep(digest, decode(data))
