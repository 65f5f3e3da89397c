"""Trees of artifacts that stay in memory from run to run: an artifact never changes."""

from penstock.core.tree import MemoryTree


class KeptTrees:
    """The last few trees, by digest; ``most``: how many; ``most_bytes``: the size of the files of the largest.

    Threads may share it: at worst one forgets what another keeps.
    """

    def __init__(self, *, most: int, most_bytes: int | None = None) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._trees: tuple[tuple[str, MemoryTree], ...] = ()

    def clear(self) -> None:
        """Forget all of them."""
        self._trees = ()

    def get(self, digest: str) -> MemoryTree | None:
        """The tree, where it is kept."""
        found = next((tree for known, tree in self._trees if known == digest), None)
        return None if found is None else self._first(digest, found)

    def keep(self, digest: str, tree: MemoryTree) -> MemoryTree:
        """The same tree; it is kept unless it is too large."""
        if self._most_bytes is None or sum(len(found.data) for _, found in tree.items()) <= self._most_bytes:
            self._first(digest, tree)
        return tree

    def _first(self, digest: str, tree: MemoryTree) -> MemoryTree:
        """The one that was wanted last goes last."""
        others = tuple(each for each in self._trees if each[0] != digest)
        self._trees = ((digest, tree), *others)[: self._most]
        return tree
