"""Git over smart HTTP(S): dulwich speaks the protocol, nothing touches the disk.

dulwich and urllib3 load at the first call: stages that only import this module start without them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from penstock.adapters.git.refs import choose, named, prefixes
from penstock.core.errors import NotFound, PenstockError, Transient
from penstock.core.tree import MemoryTree
from penstock.ports.git import GitRef, Head, Limits, Remote

if TYPE_CHECKING:
    from penstock.adapters.git.http import Pool

_FAILED = "GitOperationFailed"
_MOST_REFS_BYTES = 64 * 1024 * 1024
"""A server without protocol v2 sends all its refs: this is half a million."""


class DulwichGit:
    """See ports.git.Git. A url that is a GuardedUrl reaches only the addresses that it may."""

    def resolve(self, remote: Remote, ref: GitRef) -> Head:
        """Where the ref points now: two small requests with protocol v2, however many refs there are."""
        known = named(ref)
        if known is not None:
            return known
        doing = f"unable to list remote for '{remote.url}'"
        found = choose(ref, _ls_remote(remote, prefixes(ref), doing))
        if found is not None:
            return found
        if not _ls_remote(remote, ["refs/heads/", "refs/tags/"], doing):
            raise NotFound(f"{doing}: git repository is empty", reason="EmptyGitRepository")
        raise NotFound(f"{doing}: couldn't find remote ref {prefixes(ref)[0]!r}", reason=_FAILED)

    def checkout(self, remote: Remote, head: Head, limits: Limits) -> MemoryTree:
        """The files of that commit (a CommitTree, which knows the commit's subject)."""
        from dulwich.errors import ApplyDeltaError  # noqa: PLC0415 -- loads where it is used
        from dulwich.pack import apply_delta  # noqa: PLC0415 -- loads where it is used

        from penstock.adapters.git.pack import Objects, read_commit  # noqa: PLC0415 -- loads where it is used

        def patched(base: bytes, delta: bytes) -> bytes:
            try:
                return b"".join(apply_delta(base, delta))
            except ApplyDeltaError as error:
                raise ValueError("a damaged delta") from error

        doing = f"unable to clone '{remote.url}'"
        try:
            pack = _fetch_pack(remote, head, limits, doing)
            return read_commit(Objects(pack, limits, patched), head.commit, limits)
        except PenstockError as error:
            _raise_again(error, doing)


def _ls_remote(remote: Remote, ref_prefixes: Sequence[str], doing: str) -> dict[str, str]:
    """Refs by full name; an annotated tag's commit stands under its name with ``^{}``."""
    from penstock.adapters.git.client import list_refs  # noqa: PLC0415 -- dulwich loads where it is used

    pool = _pool(remote, _MOST_REFS_BYTES, doing)
    try:
        return list_refs(pool, remote.url, ref_prefixes)
    except PenstockError as error:
        _raise_again(error, doing)
    finally:
        pool.close()


def _fetch_pack(remote: Remote, head: Head, limits: Limits, doing: str) -> bytes:
    from penstock.adapters.git.client import fetch_pack  # noqa: PLC0415 -- dulwich loads where it is used

    pool = _pool(remote, limits.bytes, doing)
    try:
        return fetch_pack(pool, remote.url, head)
    finally:
        pool.close()


def _pool(remote: Remote, most: int, doing: str) -> "Pool":
    from penstock.adapters.git.http import Pool  # noqa: PLC0415 -- urllib3 loads where it is used

    try:
        return Pool(remote, most=most)
    except PenstockError as error:
        _raise_again(error, doing)


def _raise_again(error: PenstockError, doing: str) -> NoReturn:
    """The same error, saying what was being done."""
    message = str(error)
    if message.startswith(doing):
        raise error
    if isinstance(error, Transient):
        raise Transient(f"{doing}: {message}", reason=error.reason, retry_after=error.retry_after) from error
    raise type(error)(f"{doing}: {message}", reason=error.reason) from error
