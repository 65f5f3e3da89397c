"""Git over SSH: one session runs ``git-upload-pack`` on the server. Keys and known hosts stay in memory.

A server that takes the variable GIT_PROTOCOL is spoken to in protocol v2, as over HTTP; another one in the first
protocol (v0.py). asyncssh, and the event loop that it wants, live for one call.
"""

import asyncio
import contextlib
import shlex
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from penstock.adapters.git import v0, v2
from penstock.adapters.http.addresses import guard_of
from penstock.adapters.http.deadline import Deadline
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.ports.git import Head, Remote
from penstock.version import __version__

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

FAILED, DENIED = "GitOperationFailed", "AuthenticationFailed"
_PORT, _USER = 22, "git"
_CHUNK = 65536
_MOST_WORDS = 4096


def list_refs(remote: Remote, prefixes: Sequence[str], most: int, deadline: Deadline) -> dict[str, str]:
    """Full ref name -> 40 hex, of refs that begin so; where a tag is annotated also ``name^{}`` -> its commit."""
    with Session(remote, most=most, deadline=deadline) as session:
        if session.speaks_v2:
            return v2.list_refs(session, "", prefixes)
        return {name: commit for name, commit in session.refs.items() if name.startswith(tuple(prefixes))}


def fetch_pack(remote: Remote, head: Head, most: int, deadline: Deadline) -> bytes:
    """A pack with the head's commit, its tag, and all that they need, one commit deep."""
    with Session(remote, most=most, deadline=deadline) as session:
        if session.speaks_v2:
            return v2.fetch_pack(session, "", head.wanted)
        return v0.fetch_pack(session, head.tag or head.commit)


class Session:
    """One run of git-upload-pack: what v2 needs of a pool, and of an answer."""

    def __init__(self, remote: Remote, *, most: int, deadline: Deadline) -> None:
        self.headers: dict[str, str] = {}
        self.refs: dict[str, str] = {}
        self.speaks_v2 = False
        self._remote, self._left, self._deadline = remote, most, deadline
        self._loop = asyncio.new_event_loop()
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        try:
            self._connection = self._wait(lambda: _connect(self._remote, self._deadline))
            self._process = self._wait(self._start)
            self.speaks_v2, self.refs = v0.greeting(self)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def request(
        self,
        method: str,  # noqa: ARG002 - see v2.Carrier
        url: str,  # noqa: ARG002 - see v2.Carrier
        *,
        headers: Mapping[str, str],  # noqa: ARG002 - see v2.Carrier
        body: bytes | None = None,
        **_: Any,
    ) -> Self:
        """A command of protocol v2; what comes back is read from here."""
        self.write(body or b"")
        return self

    def write(self, data: bytes) -> None:
        """Send bytes."""
        process = self._running()

        async def drained() -> None:
            process.stdin.write(data)
            await process.stdin.drain()

        self._wait(drained)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what there is until the end. Raises Refused beyond the bound of the session."""
        process = self._running()
        while len(self._buffer) < size:
            part = self._wait(lambda: process.stdout.read(_CHUNK))
            if not part:
                self._ended()
                break
            self._left -= len(part)
            if self._left < 0:
                raise Refused("the answer is over the limit of a clone", reason=FAILED)
            self._buffer += part
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def finish(self) -> None:
        """Nothing is left to say: the session ends with its ``with``."""

    def close(self) -> None:
        """See finish."""

    def geturl(self) -> str:
        """There are no redirects."""
        return str(self._remote.url)

    def _running(self) -> "asyncssh.SSHClientProcess[bytes]":
        if self._process is None:
            raise Transient("the session is closed", reason=FAILED)
        return self._process

    async def _start(self) -> "asyncssh.SSHClientProcess[bytes]":
        if self._connection is None:
            raise Transient("the session is closed", reason=FAILED)
        command = f"git-upload-pack {shlex.quote(_path(self._remote.url))}"
        return await self._connection.create_process(command, encoding=None, env={"GIT_PROTOCOL": "version=2"})

    def _ended(self) -> None:
        """The server has hung up: where it says why, in its words."""
        process = self._running()
        words = self._wait(lambda: process.stderr.read(_MOST_WORDS)).decode("utf-8", "replace")
        told = " ".join("".join(each if each.isprintable() else " " for each in words).split())[:200]
        if "not found" in told.lower() or "does not appear to be a git repository" in told:
            raise NotFound(f"repository not found: {told}", reason=FAILED)
        if told:
            raise Transient(told, reason=FAILED)

    def _wait(self, make: Callable[[], Awaitable[T]]) -> T:
        left = self._deadline.left
        if left <= 0:
            raise Transient("timed out", reason=FAILED)

        async def within() -> T:
            return await asyncio.wait_for(make(), left)

        try:
            return self._loop.run_until_complete(within())
        except PenstockError:
            raise
        except Exception as error:
            raise _failure(error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.abort()

            async def closed(connection: "asyncssh.SSHClientConnection") -> None:
                await asyncio.wait_for(connection.wait_closed(), 1.0)

            with contextlib.suppress(Exception):  # it is given up anyway
                self._loop.run_until_complete(closed(self._connection))
        self._process = self._connection = None
        self._loop.close()


async def _connect(remote: Remote, deadline: Deadline) -> "asyncssh.SSHClientConnection":
    import asyncssh  # noqa: PLC0415 - heavy, and only for ssh

    if remote.proxy:
        raise Terminal("a proxy for ssh is not served: use https, or leave proxySecretRef out", reason=DENIED)
    parts = urlsplit(remote.url)
    host, port = parts.hostname or "", parts.port or _PORT
    key, known = _credentials(remote.credentials)
    connected = _socket(remote, host, port, deadline)
    try:
        return await asyncssh.connect(
            host,
            port,
            sock=connected,
            config=None,
            agent_path=None,
            client_keys=[key],
            known_hosts=known,
            username=unquote(parts.username or _USER),
            preferred_auth=("publickey",),
            client_version=f"penstock_{__version__}",
            disable_trivial_auth=True,
        )
    except BaseException:
        connected.close()
        raise


def _socket(remote: Remote, host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first address that may be reached and answers."""
    try:
        addresses = guard_of(remote.url).addresses(host, port, deadline.left)
    except (OSError, UnicodeError) as error:
        raise Transient("unreachable: the host's name is not found", reason=FAILED) from error
    last: OSError | None = None
    for remaining in range(len(addresses), 0, -1):
        *kind, where = addresses[-remaining]
        made = socket.socket(*kind)
        made.settimeout(max(deadline.left / remaining, 0.001))
        try:
            made.connect(where)
        except OSError as error:
            made.close()
            last = error
        else:
            made.setblocking(False)
            return made
    raise Transient(f"unreachable: {getattr(last, 'strerror', None) or type(last).__name__}", reason=FAILED) from last


def _credentials(secret: Mapping[str, bytes]) -> "tuple[asyncssh.SSHKey, asyncssh.SSHKnownHosts]":
    """The private key and the known hosts of Flux's Secret. Raises Terminal, showing nothing of it."""
    import asyncssh  # noqa: PLC0415 - see _connect

    missing = [name for name in ("identity", "known_hosts") if not secret.get(name, b"").strip()]
    if missing:
        raise Terminal(f"the Secret has no {' and no '.join(missing)}: ssh needs both", reason=DENIED)
    passphrase = secret.get("password", b"").decode("utf-8", "replace").strip("\r\n") or None
    try:
        key = asyncssh.import_private_key(secret["identity"], passphrase)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        encrypted = "is encrypted, and the Secret has no password for it" if passphrase is None else "does not open"
        problem = encrypted if "assphrase" in str(error) else "is no private key"
        raise Terminal(f"the Secret's identity {problem}", reason=DENIED) from error
    try:
        return key, asyncssh.import_known_hosts(secret["known_hosts"].decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise Terminal("the Secret's known_hosts cannot be read", reason=DENIED) from error


def _path(url: str) -> str:
    """The repository's path on the server; ``/~user/…`` is below a home, as Git has it."""
    path = unquote(urlsplit(url).path)
    return path[1:] if path.startswith("/~") else path


def _failure(error: Exception) -> PenstockError:
    import asyncssh  # noqa: PLC0415 - see _connect

    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return Refused("the server's host key is not among the Secret's known_hosts", reason=DENIED)
    if isinstance(error, asyncssh.PermissionDenied):
        return Refused("authentication required: the server does not accept the Secret's identity", reason=DENIED)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return Transient("timed out", reason=FAILED)
    if isinstance(error, asyncssh.Error | OSError | ValueError):
        return Transient(f"the connection broke: {type(error).__name__}", reason=FAILED)
    raise error
