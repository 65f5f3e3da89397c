"""HTTP to one API server over kept-alive connections: retries, deadlines, counting, streams.

Every request of an adapter goes through ``Transport``; libraries' errors end here.
"""

import contextlib
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from penstock.adapters.cluster.answers import Answer, Call, error_of, is_passing, status_of
from penstock.adapters.cluster.counting import Count, one_request
from penstock.adapters.cluster.credentials import Login
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.pools import Pools
from penstock.core.errors import Conflict, Terminal, Transient
from penstock.version import __version__

if TYPE_CHECKING:
    import urllib3

ANSWER_LIMIT = 256 << 20
"""Bytes of one decoded answer (a page of 500 objects of 512 KiB)."""

LINE_LIMIT = 8 << 20
"""Bytes of one watch event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a call may take, in seconds, and how it waits between attempts.

    ``total`` bounds the call with all its attempts; waits grow from ``first`` to ``longest`` with full jitter.
    ``sleep``, ``clock`` (monotonic) and ``jitter`` (0..1) are for tests.
    """

    total: float = 30.0
    attempts: int = 8
    first: float = 0.1
    longest: float = 5.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds before the attempt after number ``attempt`` (from 0); the server's own wish comes first."""
        if asked is not None:
            return asked
        return float(min(self.longest, self.first * 2**attempt) * (0.5 + 0.5 * self.jitter()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request.

    ``replayable``: sending it twice does what sending it once does. ``despite_conflict``: a 409 is worth another
    attempt (the request has no precondition that could have failed).
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    replayable: bool = True
    despite_conflict: bool = False

    @property
    def target(self) -> str:
        """Path and query, escaped."""
        if not self.query:
            return self.path
        pairs = (f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.query)
        return f"{self.path}?{'&'.join(pairs)}"


class Transport:
    """A Connection in use. Safe to use from several threads; counts its requests."""

    def __init__(
        self,
        connection: Connection,
        *,
        impersonate: str = "",
        patience: Patience | None = None,
        pools: Pools | None = None,
    ) -> None:
        self.connection = connection
        self.identity = impersonate or connection.user
        self._patience = patience or Patience()
        self._pools = pools or Pools(connection)
        self._acting_as = (("Impersonate-User", impersonate),) if impersonate else connection.acting_as
        self._sent = Count()
        self.server_time: datetime | None = None
        """By the Date header of the newest answer."""

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, retries included."""
        return self._sent.number

    @property
    def pools(self) -> Pools:
        """The connections, to be shared with other identities on the same server."""
        return self._pools

    def send(self, request: Request, call: Call) -> Answer:
        """The answer, with a status below 300 or 404 (the caller knows what absence means).

        Retries what passes (429, 5xx, cut connections, a 401 whose credential can be renewed), then raises the
        port's error.
        """
        deadline = self._patience.clock() + self._patience.total
        renewed = False
        for attempt in range(self._patience.attempts):
            login = self.connection.credentials.login()
            answer, failure = self._attempt(request, call, login, deadline)
            if answer is not None and (answer.status < 300 or answer.status == 404):
                return answer
            last = attempt + 1 == self._patience.attempts
            refused = answer is not None and answer.status == 401
            if refused and not renewed and not last and self.connection.credentials.renew(login):
                renewed = True
                continue
            error = failure if answer is None else error_of(answer, call)
            assert error is not None
            again = self._may_retry(request, answer) or (request.despite_conflict and isinstance(error, Conflict))
            wait = self._patience.wait(attempt, answer.retry_after if answer else None)
            left = deadline - self._patience.clock()
            if not again or wait >= left or last:
                raise error
            self._patience.sleep(wait)
        raise AssertionError("the loop raises or returns")  # pragma: no cover

    @contextlib.contextmanager
    def stream(self, request: Request, call: Call, *, timeout: float) -> Iterator[Iterator[bytes]]:
        """The lines of an answer as they come, until it ends, for at most ``timeout`` seconds.

        Yields an iterator of lines; raises the port's error where the answer is a refusal.
        """
        import urllib3  # noqa: PLC0415 - loaded where a connection is made

        login = self.connection.credentials.login()
        with _mapped(call):
            response = self._open(request, login, timeout=timeout, gzip=False)
            if response.status == 401 and self.connection.credentials.renew(login):
                response.close()
                response = self._open(request, self.connection.credentials.login(), timeout=timeout, gzip=False)
        try:
            if response.status >= 300:
                raise error_of(_answer(response, response.read(1 << 20)), call)
            with _mapped(call, quiet=urllib3.exceptions.ReadTimeoutError):
                yield _lines(response, call)
        finally:
            response.close()  # a stream that was left early is not reused

    def _attempt(
        self, request: Request, call: Call, login: Login, deadline: float
    ) -> tuple[Answer | None, Transient | None]:
        """An answer, or the failure of a connection (raised at once where a replay might do harm)."""
        left = deadline - self._patience.clock()
        try:
            with _mapped(call):
                response = self._open(request, login, timeout=max(left, 0.1), gzip=self.connection.compress)
                answer = _read(response, call)
                self.server_time = _date(answer.headers.get("date", "")) or self.server_time
                return answer, None
        except Unreachable as error:
            return None, error
        except Transient as error:
            if not request.replayable:
                raise
            return None, error

    def _may_retry(self, request: Request, answer: Answer | None) -> bool:
        if answer is None:
            return True
        if answer.status == 429:
            return True  # was not begun
        return request.replayable and is_passing(answer, status_of(answer))

    def _open(self, request: Request, login: Login, *, timeout: float, gzip: bool) -> "urllib3.BaseHTTPResponse":
        import urllib3  # noqa: PLC0415 - loaded where a connection is made

        from penstock.adapters.http.deadline import Deadline  # noqa: PLC0415 - see above

        deadline = Deadline(timeout)
        headers = urllib3.HTTPHeaderDict(request.headers)
        headers.setdefault("Accept", "application/json")
        headers["User-Agent"] = f"penstock/{__version__}"
        if gzip:
            headers["Accept-Encoding"] = "gzip"
        if login.authorization:
            headers["Authorization"] = login.authorization
        for name, value in self._acting_as:
            headers.add(name, value)
        one_request()
        self._sent.add()
        return self._pools.of(login).urlopen(
            request.method,
            self._pools.prefix + request.target,
            body=request.body,
            headers=headers,
            timeout=deadline,
            retries=False,
            redirect=False,
            preload_content=False,
        )


class Unreachable(Transient):
    """No connection was made, so nothing was sent."""


@contextlib.contextmanager
def _mapped(call: Call, *, quiet: type[Exception] | None = None) -> Iterator[None]:
    """urllib3's errors as the port's. ``quiet``: one that ends the block in peace."""
    import urllib3  # noqa: PLC0415 - loaded where a connection is made

    errors = urllib3.exceptions
    try:
        yield
    except errors.HTTPError as error:
        if quiet is not None and isinstance(error, quiet):
            return
        if isinstance(error, errors.SSLError) and isinstance(error.args[0], ssl.SSLCertVerificationError):
            raise Terminal(f"{call}: the API server's certificate is not trusted: {error.args[0]}") from error
        if isinstance(error, errors.NewConnectionError | errors.ConnectTimeoutError | errors.ProxyError):
            raise Unreachable(f"{call}: no connection to the API server: {_plain(error)}") from error
        raise Transient(f"{call}: the connection to the API server failed: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    """What happened, without the pool's repr before it."""
    return str(error).rpartition(">: ")[2] or error.__class__.__name__


def _read(response: "urllib3.BaseHTTPResponse", call: Call) -> Answer:
    """The whole answer within its bound; the connection goes back to the pool."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read(1 << 20, decode_content=True):
        size += len(chunk)
        if size > ANSWER_LIMIT:
            response.close()
            raise Terminal(f"{call}: the API server's answer is larger than {ANSWER_LIMIT >> 20} MiB")
        chunks.append(chunk)
    response.release_conn()
    return _answer(response, b"".join(chunks))


def _date(text: str) -> datetime | None:
    """An HTTP date (RFC 9110) as UTC; None where it is none."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _answer(response: "urllib3.BaseHTTPResponse", body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status, headers=headers, body=body)


def _lines(response: "urllib3.BaseHTTPResponse", call: Call) -> Iterator[bytes]:
    held = b""
    for chunk in response.stream(1 << 16, decode_content=True):
        held += chunk
        *lines, held = held.split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(held) > LINE_LIMIT:
            raise Terminal(f"{call}: a watch event is larger than {LINE_LIMIT >> 20} MiB")
    if held.strip():
        yield held
