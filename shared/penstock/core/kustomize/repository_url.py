"""URLs of Git repositories in ``resources`` and ``components``, taken apart as kustomize 5.8 does.

``github.com/org/repo//path?ref=v1``, ``https://host/org/repo.git/path``, ``git@host:org/repo``, ``ssh://``, ``file://``,
Azure's ``_git/``, a leading ``git::``. The spelling decides where the repository ends and the path in it begins:
``_git/``, then ``//``, then ``.git``, else after two segments (kustomize's docs/remoteBuild and
api/internal/git/repospec.go).
"""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from penstock.core.errors import BuildFailed
from penstock.core.flux.fields import parse_duration

_SCHEMES = ("ssh://", "https://", "http://", "file://")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*@")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_PASSWORD = re.compile(r"//[^/?#]*:[^/?#]*@")
DEFAULT_TIMEOUT = 27.0
_SEGMENTS = 2


class NotARepository(BuildFailed):
    """A text that is no URL of a repository to kustomize; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryUrl:
    """One URL, taken apart. ``host`` + ``path`` is what is cloned.

    ``raw``: as written; ``host``: scheme, user and host with what ends it (``https://github.com/``,
    ``git@host:``); ``directory``: of the kustomization in the repository, as written; ``ref``: branch, tag or commit,
    "" for the remote's HEAD; ``timeout``: seconds.
    """

    raw: str
    host: str
    path: str
    directory: str = ""
    ref: str = ""
    timeout: float = DEFAULT_TIMEOUT
    submodules: bool = True

    @property
    def clone_url(self) -> str:
        """What git would be given."""
        return self.host + self.path

    @property
    def root(self) -> str:
        """``directory`` as a path in a tree ("" is the repository's root)."""
        return posixpath.normpath("/" + self.directory).lstrip("/")


def parse_repository_url(text: str) -> RepositoryUrl:
    """The parts of a URL. Raises NotARepository for a text that kustomize takes for a local path."""
    if text.startswith("/"):
        raise NotARepository(f"uri looks like abs path: {text}")
    place, _, query = text.partition("?")
    ref, timeout, submodules = parse_query(query)
    host, rest = _host(place)
    path, directory = _paths(rest, everything=host.startswith("file://"))
    return RepositoryUrl(
        raw=text, host=host, path=path, directory=directory, ref=ref, timeout=timeout, submodules=submodules
    )


def names_repository(url: str) -> bool:
    """Whether an http or https URL is spelt as one of a repository, rather than of a file."""
    place, _, query = url.partition("://")[2].partition("?")
    marks = ("_git/", "//", ".git/")
    return any(mark in place for mark in marks) or place.endswith(".git") or "ref=" in query or "version=" in query


def holds_password(url: str) -> bool:
    """Whether a URL has a password in it."""
    return _PASSWORD.search(url) is not None


def _host(place: str) -> tuple[str, str]:
    if place.lower().startswith("git::"):  # go-getter's: kustomize drops it
        place = place[len("git::") :]
    scheme = next((each for each in _SCHEMES if place.lower().startswith(each)), "")
    rest = place[len(scheme) :]
    found = _USER.match(rest)
    user = found[0] if found else ""
    rest = rest[len(user) :]
    github = rest.lower().startswith(("github.com/", "github.com:"))
    scp = not scheme and (bool(user) or github)  # user@host:path
    if not scheme and not scp:
        raise NotARepository("failed to parse scheme")
    if scheme == "file://":
        return scheme, user + rest
    end = _separator(rest, scp=scp)
    host, rest = (rest[: end + 1], rest[end + 1 :]) if end >= 0 else (rest, "")
    if github:
        scheme, host = ("", "github.com:") if scheme == "ssh://" or user else ("https://", "github.com/")
    if not host:
        raise NotARepository("failed to parse host segment")
    return scheme + user + host, rest


def _separator(text: str, *, scp: bool) -> int:
    slash = text.find("/")
    colon = text.find(":") if scp else -1
    return colon if scp and (slash == -1 or 0 < colon < slash) else slash


def _paths(text: str, *, everything: bool) -> tuple[str, str]:
    """The repository's path and that of the directory in it."""
    found = _marked(text)
    if found is None:
        segments = text.split("/")
        if not everything and len(segments) < _SEGMENTS:
            raise NotARepository("failed to parse repo path segment")
        at = len(segments) if everything else _SEGMENTS
        found = "/".join(segments[:at]), "/".join(segments[at:])
    path, directory = found[0], found[1].removeprefix("/")
    if not path:
        raise NotARepository("failed to parse repo path segment")
    if posixpath.normpath(directory or ".").split("/")[0] == "..":
        raise NotARepository(f"url path exits repo: {text}")
    return path, directory


def _marked(text: str) -> tuple[str, str] | None:
    if "_git/" in text:
        before, _, after = text.partition("_git/")
        name, _, directory = after.partition("/")
        return f"{before}_git/{name}", directory
    if "//" in text:
        path, _, directory = text.partition("//")
        return path, directory
    if ".git" in text:
        path, _, directory = text.partition(".git")
        return path + ".git", directory
    return None


def parse_query(query: str) -> tuple[str, float, bool]:
    """What follows the question mark: ref, timeout in seconds, submodules.

    The defaults where it is no query to Go.
    """
    if _BAD_ESCAPE.search(query) or ";" in query:
        return "", DEFAULT_TIMEOUT, True
    values: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        values.setdefault(unquote_plus(key), unquote_plus(value))
    ref = values.get("ref") or values.get("version", "")
    return ref, _seconds(values.get("timeout", "")), _BOOLEANS.get(values.get("submodules", ""), True)


def _seconds(text: str) -> float:
    if text.isascii() and text.isdigit():
        return float(text[:9]) or DEFAULT_TIMEOUT
    try:
        return parse_duration(text).total_seconds() or DEFAULT_TIMEOUT
    except ValueError:
        return DEFAULT_TIMEOUT
