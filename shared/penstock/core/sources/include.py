"""``spec.include``: other sources' files, copied into a source's tree before its ignore rules apply."""

from collections.abc import Sequence

from penstock.core.errors import BuildFailed
from penstock.core.flux.gitrepository import Include
from penstock.core.tree import Blob, MemoryTree

UNAVAILABLE = "IncludeUnavailable"


def overlay(tree: MemoryTree, included: Sequence[tuple[Include, MemoryTree]]) -> MemoryTree:
    """The tree with each include's files (below ``from_path``) at ``to_path``, in their order; later ones win.

    Raises BuildFailed where there is nothing at ``from_path``.
    """
    files = dict(tree.items())
    for include, other in included:
        files.update(_copied(include, other))
    return MemoryTree(files)


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _copied(include: Include, other: MemoryTree) -> dict[str, Blob]:
    source, to = _clean(include.from_path), _clean(include.to_path)
    prefix = source + "/" if source else ""
    found = {path.removeprefix(prefix): held for path, held in other.items() if path.startswith(prefix)}
    if not found:
        raise BuildFailed(f"include '{include.repository}' has nothing at '{include.from_path}'", reason=UNAVAILABLE)
    return {f"{to}/{path}" if to else path: held for path, held in found.items()}
