"""The tree of an ExternalArtifact, copied together from the trees of sources: as source-watcher does it.

Copies work like ``cp``: a directory without a glob becomes a subdirectory of the destination; ``dir/**`` copies what
is in it; any other glob keeps the path that it matched; a destination that ends in ``/`` (or is a directory already)
is one to copy into. ``*`` and ``**`` in ``from`` stand for one path segment each, as in Go's fs.Glob.
"""

from collections.abc import Iterator, Mapping

from penstock.core.errors import BuildFailed
from penstock.core.flux.artifactgenerator import Copy, OutputArtifact
from penstock.core.sources.glob import match_name, match_path
from penstock.core.sources.ignore import apply_defaults
from penstock.core.tree import Blob, MemoryTree

_GLOB = frozenset("*?[]")


def generate(artifact: OutputArtifact, trees: Mapping[str, MemoryTree]) -> MemoryTree:
    """The artifact's files, Flux's default excludes applied. ``trees``: each source's by alias.

    Raises BuildFailed where a source path does not exist, or a glob matches nothing.
    """
    made: dict[str, Blob] = {}
    for number, copy in enumerate(artifact.copies):
        where = f"artifact {artifact.name}, copy[{number}]"
        made.update(_copied(copy, trees[copy.alias], made, where))
    return apply_defaults(MemoryTree(made))


def _copied(copy: Copy, tree: MemoryTree, made: Mapping[str, Blob], where: str) -> dict[str, Blob]:
    source, to = _clean(copy.source), _clean(copy.to)
    if _GLOB.isdisjoint(copy.source):
        return dict(_single(copy, tree, made, where))
    matches = [match for match in _glob(tree, source.split("/"), "") if not _excluded(copy, match, _prefix(source))]
    if not matches:
        raise BuildFailed(f"{where}: no files match '{copy.source}' in source '{copy.alias}', or all are excluded")
    found: dict[str, Blob] = {}
    directory = source.removesuffix("/**")
    for match in matches:
        inside = match.removeprefix(directory + "/") if source.endswith("/**") else match
        found.update(_files(copy, tree, match, _joined(to, inside)))
    return found


def _single(copy: Copy, tree: MemoryTree, made: Mapping[str, Blob], where: str) -> Iterator[tuple[str, Blob]]:
    """A path without a glob: a file, or a directory that becomes a subdirectory."""
    source, to = _clean(copy.source), _clean(copy.to)
    leaf = source.rpartition("/")[2]
    if tree.is_dir(source):
        yield from _files(copy, tree, source, _joined(to, leaf), base=source)
        return
    found = tree.read(source)
    if found is None:
        raise BuildFailed(f"{where}: '{copy.source}' does not exist in source '{copy.alias}'")
    if not _excluded(copy, source, ""):
        into = copy.to.endswith("/") or to == "" or any(path.startswith(to + "/") for path in made)
        yield (_joined(to, leaf) if into else to), found


def _files(copy: Copy, tree: MemoryTree, path: str, to: str, *, base: str = "") -> Iterator[tuple[str, Blob]]:
    """A file, or everything below a directory, at its new place."""
    found = tree.read(path)
    if found is not None:
        yield to, found
        return
    for name in tree.list(path) or ():
        below = _joined(path, name)
        if not _excluded(copy, below, base or _prefix(_clean(copy.source))):
            yield from _files(copy, tree, below, _joined(to, name), base=base)


def _glob(tree: MemoryTree, segments: list[str], below: str) -> Iterator[str]:
    first, *rest = segments
    for name in tree.list(below) or ():
        if match_name("*" if first == "**" else first, name):
            path = _joined(below, name)
            if rest:
                yield from _glob(tree, rest, path)
            else:
                yield path


def _excluded(copy: Copy, path: str, base: str) -> bool:
    """Patterns are tried against the path in its source, and the path below the part of ``from`` without a glob."""
    tried = {path, path.removeprefix(base + "/")} if base else {path}
    return any(_excludes(pattern, each) for pattern in copy.exclude for each in tried)


def _excludes(pattern: str, path: str) -> bool:
    return match_path(pattern, path) or ("/" not in pattern and match_path(pattern, path.rpartition("/")[2]))


def _prefix(source: str) -> str:
    """The literal part of a pattern: its segments before the first that has a glob."""
    kept: list[str] = []
    for segment in source.split("/"):
        if not _GLOB.isdisjoint(segment):
            break
        kept.append(segment)
    return "/".join(kept)


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory and name else directory or name
