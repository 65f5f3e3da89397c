"""``spec.sparseCheckout``: the directories of a repository that are part of its artifact."""

from collections.abc import Sequence

from penstock.core.errors import NotFound
from penstock.core.tree import MemoryTree


def sparse(tree: MemoryTree, directories: Sequence[str]) -> MemoryTree:
    """The files at or below these paths; all of them where none is named.

    Raises NotFound where there is nothing at one of them.
    """
    if not directories:
        return tree
    files = dict(tree.items())
    kept = {}
    for directory in directories:
        clean = "/".join(part for part in directory.split("/") if part not in ("", "."))
        found = {path: held for path, held in files.items() if not clean or f"{path}/".startswith(f"{clean}/")}
        if not found:
            raise NotFound(
                "failed to sparse checkout directories: "
                f"sparse checkout dir '{directory}' does not exist in repository",
                reason="GitOperationFailed",
            )
        kept.update(found)
    return MemoryTree(kept)
