"""``spec.recurseSubmodules``: which repositories a tree names as submodules, and where they are.

Format: gitmodules(5). URLs may be relative to the repository's own, and of the form ``user@host:path``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock.core.errors import Terminal

FILE = ".gitmodules"
MOST, DEEPEST = 64, 10
_FAILED = "GitOperationFailed"
_SECTION = re.compile(r'\[\s*submodule\s+"((?:[^"\\]|\\.)*)"\s*\]')
_ENTRY = re.compile(r"([a-zA-Z][a-zA-Z0-9-]*)\s*=\s*(.*)")
_SCP = re.compile(r"(?:([^@/:\s]+)@)?([^@/:\s]+):(?!//)(\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Submodule:
    """A repository at ``path``, at this commit."""

    path: str
    url: str
    commit: str


def submodules(data: bytes, commits: Mapping[str, str], parent: str) -> tuple[Submodule, ...]:
    """The submodules of a tree. ``data``: its ``.gitmodules``; ``commits``: path -> commit, as the tree has them.

    Raises Terminal where one that the tree has is not described, or is at no URL that can be fetched.
    """
    described = {entry.get("path", ""): entry.get("url", "") for entry in _entries(data.decode("utf-8", "replace"))}
    if len(commits) > MOST:
        raise Terminal(f"the repository has {len(commits)} submodules, at most {MOST} are fetched", reason=_FAILED)
    found = []
    for path, commit in sorted(commits.items()):
        if not described.get(path):
            raise Terminal(f"submodule '{path}' has no url in {FILE}", reason=_FAILED)
        found.append(Submodule(path=path, url=_resolved(described[path], parent, path), commit=commit))
    return tuple(found)


def same_host(one: str, other: str) -> bool:
    """Whether credentials for one URL may go to another: the same scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)


def _entries(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if _SECTION.fullmatch(stripped):
            found.append({})
        elif found and (entry := _ENTRY.fullmatch(stripped)):
            found[-1][entry[1].lower()] = entry[2].strip().strip('"')
    return found


def _resolved(url: str, parent: str, path: str) -> str:
    scp = _SCP.fullmatch(url)
    if url.startswith(("./", "../")):
        found = _relative(url, parent)
    elif scp and "://" not in url:
        found = f"ssh://{scp[1] or 'git'}@{scp[2]}/{scp[3].lstrip('/')}"
    else:
        found = url
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https", "ssh") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not found.isprintable() or " " in found or _has_login(found):
        problem = f"has a url in {FILE} that is not http, https or ssh without a login"
        raise Terminal(f"submodule '{path}' {problem}", reason=_FAILED)
    return found


def _has_login(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password or (parts.username and parts.scheme != "ssh"))


def _relative(url: str, parent: str) -> str:
    """As Git resolves it: each ``../`` takes one part off the parent's path."""
    parts = urlsplit(parent)
    base = [part for part in parts.path.split("/") if part]
    for step in url.split("/"):
        if step == "..":
            base = base[:-1]
        elif step not in ("", "."):
            base.append(step)
    return parts._replace(path="/" + "/".join(base)).geturl()
