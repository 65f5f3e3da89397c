"""Git over smart HTTP(S) and SSH: nothing touches the disk.

Remotes that speak protocol v2, nearly all, are read by ``v2``; dulwich speaks to the others, and applies the deltas
of packs. Both, and urllib3, load at the first call: stages that only import this module start without them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from penstock.adapters.git.refs import choose, named, prefixes
from penstock.core.errors import NotFound, PenstockError, Refused, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.tree import MemoryTree
from penstock.ports.git import GitRef, Head, Limits, Remote

if TYPE_CHECKING:
    from penstock.adapters.git.http import Pool
    from penstock.adapters.http.deadline import Deadline
    from penstock.adapters.identity.logins import SourceLogins

T = TypeVar("T")

_FAILED = "GitOperationFailed"
_MOST_REFS_BYTES = 64 * 1024 * 1024
"""A server without protocol v2 sends all its refs: this is half a million."""
_MOST_REMOTES, _MOST_IDLE = 256, 8
_IDLE_SECONDS = 10.0
"""A checkout follows its resolve within that time: it saves the second handshake."""


class DulwichGit:
    """See ports.git.Git. A url that is a GuardedUrl reaches only the addresses that it may.

    ``logins``: for remotes with a cloud identity or a GitHub App.
    """

    def __init__(self, logins: "SourceLogins | None" = None) -> None:
        self._logins = logins
        self._bases: OrderedDict[tuple[str, tuple[str, ...]], str] = OrderedDict()
        self._idle: OrderedDict[object, tuple[Pool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, remote: Remote, ref: GitRef) -> Head:
        """Where the ref points now: one small request, or two at first, however many refs there are."""
        known = named(ref)
        if known is not None:
            return known
        doing = f"unable to list remote for '{remote.url}'"
        remote = self._logged_in(remote)
        deadline = _deadline(remote)
        found = choose(ref, self._list(remote, prefixes(ref), doing, deadline))
        if found is not None:
            return found
        if not self._list(remote, ["refs/heads/", "refs/tags/"], doing, deadline):
            raise NotFound(f"{doing}: git repository is empty", reason="EmptyGitRepository")
        raise NotFound(f"{doing}: couldn't find remote ref {prefixes(ref)[0]!r}", reason=_FAILED)

    def checkout(self, remote: Remote, head: Head, limits: Limits) -> MemoryTree:
        """The files of that commit (a CommitTree, which knows the commit's subject)."""
        from penstock.adapters.git.pack import Objects, read_commit  # noqa: PLC0415 - loads where it is used

        doing = f"unable to clone '{remote.url}'"
        remote = self._logged_in(remote)
        pack = self._fetch(remote, head, limits, doing)
        return _saying(doing, lambda: read_commit(Objects(pack, limits, _patched), head.commit, limits, tag=head.tag))

    def _logged_in(self, remote: Remote) -> Remote:
        if remote.identity is None and not remote.github_app:
            return remote
        if self._logins is None:
            raise Refused("no cloud identities are set up here", reason="AuthenticationFailed")
        return self._logins.git(remote)

    def _list(self, remote: Remote, ref_prefixes: Sequence[str], doing: str, deadline: "Deadline") -> dict[str, str]:
        """Refs by full name; an annotated tag's commit stands under its name with ``^{}``."""
        from penstock.adapters.git import v2  # noqa: PLC0415 - urllib3 loads where it is used

        if _is_ssh(remote):
            from penstock.adapters.git import ssh  # noqa: PLC0415 - asyncssh loads where it is used

            return _saying(doing, lambda: ssh.list_refs(remote, ref_prefixes, _MOST_REFS_BYTES, deadline))

        def old(pool: "Pool") -> dict[str, str]:
            from penstock.adapters.git.client import list_refs  # noqa: PLC0415 - dulwich loads where it is used

            return list_refs(pool, remote.url, ref_prefixes)

        call = self._speak(remote, lambda pool, base: v2.list_refs(pool, base, ref_prefixes), old)
        return _saying(doing, lambda: self._with_pool(remote, _MOST_REFS_BYTES, deadline, call))

    def _fetch(self, remote: Remote, head: Head, limits: Limits, doing: str) -> bytes:
        from penstock.adapters.git import v2  # noqa: PLC0415 - urllib3 loads where it is used

        if _is_ssh(remote):
            from penstock.adapters.git import ssh  # noqa: PLC0415 - asyncssh loads where it is used

            return _saying(doing, lambda: ssh.fetch_pack(remote, head, limits.bytes, _deadline(remote)))

        def old(pool: "Pool") -> bytes:
            from penstock.adapters.git.client import fetch_pack  # noqa: PLC0415 - dulwich loads where it is used

            return fetch_pack(pool, remote.url, head)

        call = self._speak(remote, lambda pool, base: v2.fetch_pack(pool, base, head.wanted), old)
        deadline = _deadline(remote)
        return _saying(doing, lambda: self._with_pool(remote, limits.bytes, deadline, call))

    def _speak(
        self, remote: Remote, new: "Callable[[Pool, str], T]", old: "Callable[[Pool], T]"
    ) -> "Callable[[Pool], T]":
        """The call in the remote's own protocol. A v2 base that is known and fails is found out anew."""
        from penstock.adapters.git.v2 import discover  # noqa: PLC0415 - urllib3 loads where it is used

        def call(pool: "Pool") -> T:
            base = self._known(remote)
            if base is not None:
                try:
                    return new(pool, base)
                except PenstockError:
                    self._learn(remote, None)
            base = discover(pool, remote.url)
            if base is None:
                return old(pool)
            self._learn(remote, base)
            return new(pool, base)

        return call

    def _with_pool(self, remote: Remote, most: int, deadline: "Deadline", call: "Callable[[Pool], T]") -> T:
        """The call, over connections of a call just before where there are any; those may have gone stale."""
        from penstock.adapters.git.http import Pool  # noqa: PLC0415 - urllib3 loads where it is used

        pool = self._take(remote)
        if pool is not None:
            pool.renew(most=most, deadline=deadline)
            try:
                return self._done(remote, pool, call)
            except Transient:
                pass
        return self._done(remote, Pool(remote, most=most, deadline=deadline), call)

    def _done(self, remote: Remote, pool: "Pool", call: "Callable[[Pool], T]") -> T:
        try:
            result = call(pool)
        except BaseException:
            pool.close()
            raise
        with self._lock:
            self._idle[_login(remote)] = pool, time.monotonic()
            while len(self._idle) > _MOST_IDLE:
                self._idle.popitem(last=False)[1][0].close()
        return result

    def _take(self, remote: Remote) -> "Pool | None":
        with self._lock:
            old = [key for key, (_, since) in self._idle.items() if since < time.monotonic() - _IDLE_SECONDS]
            for key in old:
                self._idle.pop(key)[0].close()
            return self._idle.pop(_login(remote), (None, 0.0))[0]

    def _known(self, remote: Remote) -> str | None:
        with self._lock:
            return self._bases.get(_key(remote))

    def _learn(self, remote: Remote, base: str | None) -> None:
        with self._lock:
            self._bases.pop(_key(remote), None)
            if base is not None:
                self._bases[_key(remote)] = base
            while len(self._bases) > _MOST_REMOTES:
                self._bases.popitem(last=False)


def _deadline(remote: Remote) -> "Deadline":
    """For one call of the port, whatever it takes."""
    from penstock.adapters.http.deadline import Deadline  # noqa: PLC0415 - urllib3 loads where it is used

    return Deadline(remote.timeout)


def _is_ssh(remote: Remote) -> bool:
    return remote.url.startswith("ssh://")


def _key(remote: Remote) -> tuple[str, tuple[str, ...]]:
    allowed = remote.url.allowed_hosts if isinstance(remote.url, GuardedUrl) else ("",)
    return str(remote.url), allowed


def _login(remote: Remote) -> object:
    """What two calls must share to share connections."""
    return _key(remote), remote.proxy, tuple(sorted(remote.credentials.items()))


def _patched(base: bytes, delta: bytes) -> bytes:
    from dulwich.errors import ApplyDeltaError  # noqa: PLC0415 - loads where it is used
    from dulwich.pack import apply_delta  # noqa: PLC0415 - loads where it is used

    try:
        return b"".join(apply_delta(base, delta))
    except ApplyDeltaError as error:
        raise ValueError("a damaged delta") from error


def _saying(doing: str, call: Callable[[], T]) -> T:
    """The call's result; its errors again, saying what was being done."""
    try:
        return call()
    except Transient as error:
        text = f"{doing}: {error}"
        raise Transient(text, reason=error.reason, retry_after=error.retry_after) from error
    except PenstockError as error:
        raise type(error)(f"{doing}: {error}", reason=error.reason) from error
