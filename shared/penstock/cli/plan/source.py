"""The fleet repository of a plan: a directory or a Git URL, as the tree that Flux would see."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from penstock.core.errors import NotFound, Refused, Terminal
from penstock.core.sources.artifact import encode
from penstock.core.sources.ignore import apply_ignore
from penstock.core.tree import Blob, MemoryTree, blob
from penstock.ports.git import GitRef, Limits, Remote

UNKNOWN_URL = "https://localhost/this-directory"
_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")
_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSource:
    """``where``: as the user named it, without credentials; ``urls``: under which manifests may know it.

    ``revision``: Flux's; ``branch``: "" where there is none; ``notes``: sentences for people.
    """

    where: str
    revision: str
    branch: str
    tree: MemoryTree = field(repr=False)
    urls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def open_fleet(text: str, branch: str = "", *, ignore: str | None = None) -> FleetSource:
    """What ``--source`` names; ``ignore``: its GitRepository's ``spec.ignore``.

    Raises NotFound, Refused, Terminal or what the Git port raises.
    """
    if "://" in text:
        return _remote(text, branch or "main", ignore)
    if _SCP.fullmatch(text) and not Path(text).exists():
        raise Terminal(f"--source {text}: SSH is not served; give an https URL, or a clone's directory")
    if not Path(text).is_dir():
        raise NotFound(f"--source {text}: there is no such directory")
    if branch:
        raise Terminal("--branch goes with a URL; a directory is taken as it stands")
    return _directory(Path(text), text, ignore)


def git_program() -> str | None:
    """Where ``git`` is, or None."""
    return shutil.which("git")


def repository_key(url: str) -> str:
    """``host/path`` of a repository, equal for its https, ssh and scp spellings."""
    found = _SCP.fullmatch(url)
    if found and "://" not in url:
        host, path = found[1], found[2]
    else:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
    return f"{host.lower()}/{path.strip('/').removesuffix('.git')}"


def without_login(url: str) -> str:
    """The URL without userinfo."""
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}" if found else url


def _remote(text: str, branch: str, ignore: str | None) -> FleetSource:
    from penstock.adapters.git.dulwich import DulwichGit  # noqa: PLC0415 - loads where it is used

    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise Terminal(f"--source: {parts.scheme} URLs are not served; give an https URL, or a clone's directory")
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    login = {"username": parts.username or "", "password": parts.password or ""}
    credentials = {name: unquote(value).encode() for name, value in login.items()} if parts.username else {}
    git, remote = DulwichGit(), Remote(url=url, credentials=credentials)
    head = git.resolve(remote, GitRef(branch=branch))
    tree = apply_ignore(git.checkout(remote, head, _LIMITS), ignore)
    return FleetSource(where=url, revision=head.revision, branch=branch, tree=tree, urls=(url,))


def _directory(root: Path, where: str, ignore: str | None) -> FleetSource:
    git = git_program()
    if git is None or _git(git, root, "rev-parse", "--is-inside-work-tree") != "true":
        tree = apply_ignore(_read(root, _walk(root)), ignore)
        revision = f"latest@{encode(tree).digest}"
        note = "not a Git work tree: every file below the directory is read"
        return FleetSource(where=where, revision=revision, branch="", tree=tree, notes=(note,))
    listed = _git(git, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    tree = apply_ignore(_read(root, (name for name in listed.split("\0") if name)), ignore)
    commit = _git(git, root, "rev-parse", "--quiet", "--verify", "HEAD")
    branch = _git(git, root, "symbolic-ref", "--quiet", "--short", "HEAD")
    changed = [line for line in _git(git, root, "status", "--porcelain", "-z", "--", ".").split("\0") if line]
    notes = (f"{len(changed)} uncommitted changes are included",) if changed else ()
    origin = _git(git, root, "config", "--get", "remote.origin.url")
    return FleetSource(
        where=where,
        revision=f"{branch or 'HEAD'}@sha1:{commit}" if commit else f"latest@{encode(tree).digest}",
        branch=branch,
        tree=tree,
        urls=(origin,) if origin else (),
        notes=notes,
    )


def _git(git: str, root: Path, *arguments: str) -> str:
    """A git command's output, "" where it fails: then there is no such thing."""
    done = subprocess.run([git, "-C", str(root), *arguments], capture_output=True, check=False)  # noqa: S603 - git
    return os.fsdecode(done.stdout).strip("\n") if done.returncode == 0 else ""


def _walk(root: Path) -> Iterator[str]:
    for folder, directories, files in os.walk(root):
        directories[:] = sorted(name for name in directories if name != ".git")
        below = Path(folder).relative_to(root)
        yield from (str(below / name) for name in files)


def _read(root: Path, names: Iterator[str]) -> MemoryTree:
    """The regular files among ``names``; symlinks and what is not there any more are left out, as Flux does."""
    files: dict[str, Blob] = {}
    total = 0
    for name in names:
        path = root / name
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                continue
            total += found.st_size
            if found.st_size > _LIMITS.file_bytes or total > _LIMITS.bytes or len(files) >= _LIMITS.files:
                raise Refused(f"{path}: the directory is larger than a source may be; name the repository's own root")
            files[name.replace(os.sep, "/")] = blob(path.read_bytes(), executable=bool(found.st_mode & stat.S_IXUSR))
        except OSError:
            continue  # removed in the work tree, or not ours to read: Git would not have it either
    return MemoryTree(files)
