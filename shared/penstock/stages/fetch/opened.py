"""A source whose artifact is at hand."""

from dataclasses import dataclass

from penstock.core.records import SourceStatus
from penstock.core.tree import MemoryTree


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A source with an artifact: what fetch knows of it, and the artifact's tree.

    ``before``: the tree whose wake-ups have certainly gone out; None where nobody knows which that is.
    """

    status: SourceStatus
    tree: MemoryTree
    before: MemoryTree | None = None
