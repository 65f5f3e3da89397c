"""Connections with a deadline that check the address they are about to be made to."""

import contextlib
import errno
import http.client
import socket
import ssl
import sys
import time
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from penstock.adapters.http.addresses import Found, Guard
from penstock.adapters.http.deadline import TimedSocket, TimedTlsSocket
from penstock.adapters.http.errors import HeadersTooLarge
from penstock.adapters.http.trust import system_trust

CONNECT_SECONDS = 10.0
"""Until a connection stands: through proxies, with TLS."""

HEADER_LIMIT = 256 << 10
"""Bytes of an answer's headers, interim answers included."""

PoolClasses = dict[str, type[HTTPConnectionPool]]


class _Lines:
    """A stream's lines, within the bound of headers. The standard library takes headers that break off for whole."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, HEADER_LIMIT

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._stream.readline(limit)
        started = self._left < HEADER_LIMIT or line
        if started and not line.endswith(b"\n") and len(line) != limit:
            raise http.client.IncompleteRead(line)
        self._left -= len(line)
        if self._left < 0:
            raise HeadersTooLarge
        return line

    def close(self) -> None:
        self._stream.close()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        """Read the headers, within their bound: the standard library's is one for each line."""
        stream: Any = self.fp
        self.fp = _Lines(stream)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream


class TimedConnection(HTTPConnection):
    """Resolves a name itself, and connects to the addresses that are allowed, in their order.

    ``timeout``, as urllib3 sets it before each request and each answer, is a deadline for all that follows.
    """

    guard: ClassVar[Guard] = Guard()
    connect_seconds: ClassVar[float] = CONNECT_SECONDS
    response_class = _Response
    _until: float | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds that are left; None: for ever."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.001)

    @timeout.setter
    def timeout(self, value: Any) -> None:
        self._until = time.monotonic() + value if isinstance(value, int | float) else None

    def connect(self) -> None:
        """Within ``connect_seconds`` of the time that there is; what follows has all of it."""
        until = self._until
        soon = time.monotonic() + self.connect_seconds
        self._until = soon if until is None else min(until, soon)
        try:
            super().connect()
        finally:
            self._until = until
        self.sock.settimeout(self.timeout)

    def _new_conn(self) -> socket.socket:
        """A connection to the first address that answers; each but the last gets a share of the time that is left."""
        addresses = self._addresses()
        for remaining in range(len(addresses), 0, -1):
            *kind, where = addresses[-remaining]
            left = self.timeout
            made = TimedSocket(*kind)
            try:
                for option in self.socket_options or ():
                    made.setsockopt(*option)
                made.settimeout(None if left is None else left / remaining)
                made.connect(where)
                made.settimeout(self.timeout)
            except OSError as error:
                made.close()
                if remaining == 1:
                    raise self._failed(error) from error
            else:
                sys.audit("http.client.connect", self, self.host, self.port)
                return made
        nowhere = OSError(errno.EADDRNOTAVAIL, "the name has no address")
        raise self._failed(nowhere) from nowhere

    def _failed(self, error: OSError) -> HTTPError:
        if isinstance(error, TimeoutError):
            return ConnectTimeoutError(self, f"Connection to {self.host} timed out.")
        return NewConnectionError(self, f"Failed to establish a new connection: {error}")

    def _addresses(self) -> list[Found]:
        """Where to connect to. Through a tunnel it is the proxy that connects: what we know of the server is asked."""
        try:
            if not self._tunnel_host:
                return self.guard.addresses(self._dns_host, self.port or 0, self.timeout)
            with contextlib.suppress(OSError, UnicodeError):  # names that the proxy alone knows
                self.guard.addresses(self._tunnel_host, self._tunnel_port or 443, self.timeout)
            return Guard(look_up=self.guard.look_up).addresses(self._dns_host, self.port or 0, self.timeout)
        except TimeoutError as error:
            raise self._failed(error) from error
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type] # or no name at all


class TimedTlsConnection(TimedConnection, HTTPSConnection):
    """The same under TLS: the certificate is checked against the name."""

    def __init__(self, *arguments: Any, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        super().__init__(*arguments, ssl_context=_timed(ssl_context or system_trust()), **options)


def pool_manager(
    guard: Guard | None = None, *, proxy: str = "", connect: float = CONNECT_SECONDS, **options: Any
) -> PoolManager:
    """Pools whose connections keep deadlines and ask the guard.

    ``proxy``: URL or ""; an https one is trusted as the system does. ``connect``: seconds until a connection stands.
    ``options``: of urllib3's PoolManager.
    """
    if proxy:
        made: PoolManager = _proxied(proxy, options)
    else:
        made = PoolManager(**options)
    made.pool_classes_by_scheme = _pools(guard or Guard(), connect)
    return made


def _timed(context: ssl.SSLContext) -> ssl.SSLContext:
    context.sslsocket_class = TimedTlsSocket
    return context


def _proxied(proxy: str, options: dict[str, Any]) -> ProxyManager:
    """Through a proxy, logged in where its URL has a user."""
    parts = urlsplit(proxy)
    headers = None
    if parts.username is not None:
        headers = make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return ProxyManager(bare, proxy_headers=headers, proxy_ssl_context=_timed(system_trust()), **options)


@lru_cache(maxsize=64)
def _pools(guard: Guard, connect: float) -> PoolClasses:
    """urllib3's pool classes by scheme."""
    own = {"guard": guard, "connect_seconds": connect}
    plain = type("GuardedConnection", (TimedConnection,), own)
    tls = type("GuardedTlsConnection", (TimedTlsConnection,), own)
    return {
        "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
