"""Connections with a deadline that check the address they are about to be made to."""

import http.client
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from penstock.adapters.http.deadline import TimedSocket, TimedTlsSocket
from penstock.core.errors import Refused
from penstock.core.sources.addresses import GuardedUrl, may_reach

HEADER_LIMIT = 256 << 10
"""Bytes of an answer's headers, interim answers included."""

PoolClasses = dict[str, type[HTTPConnectionPool]]
_Address = tuple[int, int, int, tuple[Any, ...]]
"""Family, type, protocol, and where."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What may be connected to: public addresses and ``allowed_hosts`` (see GuardedUrl); None: every address."""

    allowed_hosts: tuple[str, ...] | None = None


class HeadersTooLarge(http.client.HTTPException):
    """An answer's headers do not end."""


class _Lines:
    """A stream's lines, as long as they are within the bound of headers."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, HEADER_LIMIT

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._stream.readline(limit)
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
    response_class = _Response
    _until: float | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds that are left; None: for ever."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.001)

    @timeout.setter
    def timeout(self, value: Any) -> None:
        self._until = time.monotonic() + value if isinstance(value, int | float) else None

    def _new_conn(self) -> socket.socket:
        """A connection to the first address that answers; each but the last gets a share of the time that is left."""
        addresses = self._addresses(self._dns_host, self.port or 0)
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
                if remaining > 1:
                    continue
                if isinstance(error, TimeoutError):
                    raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
                raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
            sys.audit("http.client.connect", self, self.host, self.port)
            return made
        raise Refused(f"{self.host} is at an address that policy.allowedHosts does not allow", reason="URLInvalid")

    def _addresses(self, host: str, port: int) -> list[_Address]:
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        allowed = self.guard.allowed_hosts
        return [
            (family, kind, protocol, where)
            for family, kind, protocol, _, where in found
            if allowed is None or may_reach(host, port, str(where[0]), allowed)
        ]


class TimedTlsConnection(TimedConnection, HTTPSConnection):
    """The same under TLS: the certificate is checked against the name."""

    def __init__(self, *arguments: Any, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        context = ssl_context or system_trust()
        context.sslsocket_class = TimedTlsSocket
        super().__init__(*arguments, ssl_context=context, **options)


@lru_cache(maxsize=1)
def system_trust() -> ssl.SSLContext:
    """The public certificate authorities that this machine trusts. Kept: reading them takes tens of milliseconds."""
    return ssl.create_default_context()


@lru_cache(maxsize=64)
def guarded_pools(guard: Guard) -> PoolClasses:
    """urllib3's pool classes by scheme, whose connections keep deadlines and ask the guard."""
    plain = type("GuardedConnection", (TimedConnection,), {"guard": guard})
    tls = type("GuardedTlsConnection", (TimedTlsConnection,), {"guard": guard})
    return {
        "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


def pool_classes(url: str) -> PoolClasses:
    """The pool classes for a URL: guarded ones where it is a GuardedUrl."""
    return guarded_pools(Guard(allowed_hosts=url.allowed_hosts if isinstance(url, GuardedUrl) else None))
