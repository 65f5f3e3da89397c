"""The directory of a diff as a source's tree, as a commit of it would hold it; and the tree of an older commit."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from penstock.cli.plan.source import FleetSource, git_program, open_fleet
from penstock.core.errors import NotFound, Refused
from penstock.core.sources.ignore import apply_ignore
from penstock.core.tree import Blob, MemoryTree, blob
from penstock.ports.git import Limits

_LIMITS = Limits()
_REGULAR = {b"100644": False, b"100755": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class Local:
    """``source``: the whole tree; ``directory``: what stands for ``spec.path`` in it; ``root``: where it is on disk."""

    source: FleetSource
    directory: str
    root: Path


def open_local(path: str, directory: str, ignore: str | None) -> Local:
    """``path``: the repository's root, or the directory that ``spec.path`` (``directory``) names.

    In a Git work tree, everything in it can be referred to (``../../base``); elsewhere, what is below ``path``.
    Raises NotFound.
    """
    given = Path(path)
    if not given.is_dir():
        raise NotFound(f"--path {path}: there is no such directory")
    top = _top(given)
    if (given / directory).is_dir() and directory:
        chosen = given / directory
        root = top or given
    else:
        chosen, root = given, top or given
    below = chosen.resolve().relative_to(root.resolve()).as_posix()
    return Local(source=open_fleet(str(root), ignore=ignore), directory="" if below == "." else below, root=root)


def tree_at(local: Local, revision: str, ignore: str | None) -> MemoryTree:
    """The tree of a revision (``main@sha1:…``), from the clone's own objects. Raises NotFound where it has none."""
    commit = revision.rpartition(":")[2]
    git = git_program()
    if git is None or not _run(git, local.root, "cat-file", "-e", f"{commit}^{{commit}}")[1]:
        raise NotFound(f"{local.root} does not have {revision}, which was applied last: `git fetch` it, or go online")
    listed, _ = _run(git, local.root, "ls-tree", "-r", "-z", "--full-tree", commit)
    wanted: dict[str, tuple[bytes, bool]] = {}
    for line in listed.split(b"\0"):
        head, _, name = line.partition(b"\t")
        mode, _, rest = head.partition(b" ")
        if mode in _REGULAR:  # symlinks and submodules are in no artifact
            wanted[name.decode("utf-8", "surrogateescape")] = (rest.partition(b" ")[2], _REGULAR[mode])
    return apply_ignore(MemoryTree(_blobs(git, local.root, wanted)), ignore)


def _blobs(git: str, root: Path, wanted: dict[str, tuple[bytes, bool]]) -> dict[str, Blob]:
    if len(wanted) > _LIMITS.files:
        raise Refused(f"{root}: the commit holds {len(wanted)} files, over {_LIMITS.files}")
    asked = b"".join(name + b"\n" for name, _ in wanted.values())
    out, _ = _run(git, root, "cat-file", "--batch", text=asked)
    found: dict[str, Blob] = {}
    at = 0
    for path, (_, executable) in wanted.items():
        end = out.index(b"\n", at)
        size = int(out[at:end].rpartition(b" ")[2])
        found[path] = blob(out[end + 1 : end + 1 + size], executable=executable)
        at = end + size + 2
    return found


def _top(path: Path) -> Path | None:
    git = git_program()
    out, good = _run(git, path, "rev-parse", "--show-toplevel") if git else (b"", False)
    return Path(out.decode().rstrip("\n")) if good else None


def _run(git: str, root: Path, *arguments: str, text: bytes = b"") -> tuple[bytes, bool]:
    """Its output, and whether it succeeded."""
    done = subprocess.run([git, "-C", str(root), *arguments], input=text, capture_output=True, check=False)  # noqa: S603 - git
    return done.stdout, done.returncode == 0
