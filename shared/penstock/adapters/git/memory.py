"""Remotes in a dict: what tests push to."""

import hashlib
from collections.abc import Callable, Mapping

from penstock.adapters.git.refs import choose, named, prefixes
from penstock.core.errors import NotFound, PenstockError, Refused, Transient
from penstock.core.sources.commit import CommitTree
from penstock.core.tree import Blob, MemoryTree
from penstock.ports.git import GitRef, Head, Limits, Remote

_FAILED = "GitOperationFailed"
_WHO = "Penstock <penstock@example.com> 1700000000 +0000"


class MemoryGit:
    """See ports.git.Git. ``calls``: what was asked, as (method, url)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._refs: dict[str, dict[str, str]] = {}
        self._commits: dict[str, CommitTree] = {}
        self._tags: dict[str, bytes] = {}
        self._logins: dict[str, Mapping[str, bytes]] = {}
        self._failures: dict[str, PenstockError] = {}

    def create(self, url: str) -> None:
        """A repository without commits."""
        self._refs.setdefault(url, {})

    def commit(  # noqa: PLR0913 - a repository in one call, for tests
        self,
        url: str,
        files: Mapping[str, Blob],
        *,
        ref: str = "refs/heads/main",
        subject: str = "change",
        sign: Callable[[bytes], bytes] = bytes,
        submodules: Mapping[str, str] | None = None,
    ) -> str:
        """A new commit with exactly these files, at ``ref``; its id.

        ``sign``: the commit object -> it, signed; ``submodules``: path -> commit.
        """
        self.create(url)
        tree = hashlib.sha1(f"{len(self._commits)}".encode(), usedforsecurity=False).hexdigest()
        raw = sign(f"tree {tree}\nauthor {_WHO}\ncommitter {_WHO}\n\n{subject}\n".encode())
        commit = _object_id("commit", raw)
        self._commits[commit] = CommitTree(dict(files), subject=subject, commit=raw, submodules=submodules)
        self._refs[url][ref] = commit
        return commit

    def tag(self, url: str, name: str, commit: str, *, sign: Callable[[bytes], bytes] = bytes) -> str:
        """An annotated tag of a commit; the tag's id. ``sign``: the tag object -> it, signed."""
        raw = sign(f"object {commit}\ntype commit\ntag {name}\ntagger {_WHO}\n\n{name}\n".encode())
        tag = _object_id("tag", raw)
        self._tags[tag] = raw
        self._refs[url] |= {f"refs/tags/{name}": tag, f"refs/tags/{name}^{{}}": commit}
        return tag

    def point(self, url: str, ref: str, commit: str) -> None:
        """Move or make a ref (``refs/tags/v1^{}`` too); an empty commit removes it."""
        if commit:
            self._refs[url][ref] = commit
        else:
            self._refs[url].pop(ref, None)

    def require(self, url: str, credentials: Mapping[str, bytes]) -> None:
        """Refuse everybody else from now on."""
        self._logins[url] = dict(credentials)

    def fail(self, url: str, error: PenstockError | None) -> None:
        """Answer with this error from now on (None: work again)."""
        if error is None:
            self._failures.pop(url, None)
        else:
            self._failures[url] = error

    def resolve(self, remote: Remote, ref: GitRef) -> Head:
        """Where the ref points now."""
        self.calls.append(("resolve", remote.url))
        known = named(ref)
        if known is not None:
            return known
        refs = self._open(remote, "unable to list remote for")
        if not refs:
            raise NotFound(f"{remote.url}: git repository is empty", reason="EmptyGitRepository")
        found = choose(ref, refs)
        if found is None:
            raise NotFound(f"{remote.url}: couldn't find remote ref {prefixes(ref)[0]!r}", reason=_FAILED)
        return found

    def checkout(self, remote: Remote, head: Head, limits: Limits) -> MemoryTree:
        """The files of that commit."""
        self.calls.append(("checkout", remote.url))
        self._open(remote, "unable to clone")
        tree = self._commits.get(head.commit)
        if tree is None:
            raise Transient(f"unable to clone '{remote.url}': not our ref {head.commit}", reason=_FAILED)
        sizes = [len(found.data) for _, found in tree.items()]
        if len(sizes) > limits.files or sum(sizes) > limits.bytes or max(sizes, default=0) > limits.file_bytes:
            raise Refused(f"unable to clone '{remote.url}': over the limit", reason=_FAILED)
        if not head.tag:
            return tree
        return CommitTree(
            dict(tree.items()),
            subject=tree.subject,
            commit=tree.commit,
            tag=self._tags[head.tag],
            submodules=tree.submodules,
        )

    def _open(self, remote: Remote, doing: str) -> dict[str, str]:
        if remote.url in self._failures:
            raise self._failures[remote.url]
        if remote.url not in self._refs:
            raise NotFound(f"{doing} '{remote.url}': repository not found", reason=_FAILED)
        login = self._logins.get(remote.url)
        if login is not None and dict(remote.credentials) != login:
            raise Refused(f"{doing} '{remote.url}': authentication required", reason="AuthenticationFailed")
        return self._refs[remote.url]


def _object_id(kind: str, raw: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(raw)}\0".encode() + raw, usedforsecurity=False).hexdigest()
