"""One caller's exchanges over kept connections: bounded in time and size, redirects by one policy.

A redirect is followed for GET and HEAD only, never from https to http, and takes no login to another origin.
"""

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from penstock.adapters.http.addresses import Guard
from penstock.adapters.http.connection import CONNECT_SECONDS, pool_manager
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import Telling
from penstock.version import __version__

if TYPE_CHECKING:
    import ssl

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_SAFE = ("GET", "HEAD")
_LOGINS = frozenset({"authorization", "cookie", "proxy-authorization"})
_CHUNK = 65536
_KEPT = 32
"""Connections to one host that are kept: as many as there are requests at once where records are read together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A request. ``redirects``: that are followed at most; ``decode``: unpack a compressed answer."""

    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    redirects: int = 0
    decode: bool = False


class _Body(io.RawIOBase):
    """An answer's body as it comes."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, *, telling: Telling, decode: bool) -> None:
        super().__init__()
        self._raw, self._telling, self._decode = raw, telling, decode

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            part = self._raw.read1(len(buffer), decode_content=self._decode)
        except HTTPError as error:
            raise self._telling.of_failure(error) from error
        buffer[: len(part)] = part
        return len(part)


class Incoming:
    """An answer, whatever its status; its body is read within the deadline. Close it."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str, *, telling: Telling, decode: bool) -> None:
        self._raw, self._telling = raw, telling
        self._body = io.BufferedReader(_Body(raw, telling=telling, decode=decode), _CHUNK)
        self.url, self.status, self.headers = url, raw.status, raw.headers

    def check(self) -> None:
        """Raises the status' error, where it is one."""
        error = self._telling.of_status(self.status, self.headers)
        if error is not None:
            self.close()
            raise error

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what there is until the end."""
        parts: list[bytes] = []
        while size > 0 and (part := self._body.read(min(size, _CHUNK))):
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def all(self, most: int) -> bytes:
        """The body; the connection may be used again. Raises Refused beyond ``most`` bytes."""
        body = self.read(most + 1)
        if len(body) > most:
            self.close()
            raise self._telling.refused(f"the answer is larger than {most} bytes")
        self._raw.release_conn()
        return body

    def finish(self) -> None:
        """Nothing more is wanted: another request may use the connection, unless the server has more to say."""
        if not self._body.read(1):
            self._raw.release_conn()

    def close(self) -> None:
        """Give up the connection, unless it was given back."""
        self._raw.close()


class HttpClient:
    """Several threads may use it. Close it.

    ``guard``: what it may connect to; ``trust``: instead of the public certificate authorities; ``proxy_for``: URL ->
    the operator's proxy, or ""; ``connect``: seconds until a connection stands.
    """

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        trust: "ssl.SSLContext | None" = None,
        proxy_for: Callable[[str], str] = lambda _url: "",
        connect: float = CONNECT_SECONDS,
    ) -> None:
        self._guard, self._trust, self._proxy_for, self._connect = guard or Guard(), trust, proxy_for, connect
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections that are not in use."""
        for manager in self._managers.values():
            manager.clear()

    def open(self, request: Outgoing, deadline: Deadline, telling: Telling) -> Incoming:
        """The answer, at the end of the redirects.

        Raises Refused, Transient or Terminal as adapters.http.errors says, for what went wrong before it came.
        """
        url, headers = request.url, _named(request.headers)
        for left in range(request.redirects, -1, -1):
            raw = self._send(request, url, headers, deadline, telling)
            target = raw.headers.get("Location", "")
            if not request.redirects or request.method not in _SAFE or raw.status not in _REDIRECTS or not target:
                return Incoming(raw, url, telling=telling, decode=request.decode)
            raw.close()
            if left:
                url, headers = _redirected(url, target, headers, telling)
        raise telling.terminal(f"more than {request.redirects} redirects")

    def _send(
        self, request: Outgoing, url: str, headers: Mapping[str, str], deadline: Deadline, telling: Telling
    ) -> urllib3.BaseHTTPResponse:
        _parts(url, telling)
        if deadline.left <= 0:
            raise telling.timed_out()
        try:
            return self._manager(url).urlopen(
                request.method,
                url,
                body=request.body,
                headers=headers,
                timeout=deadline,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=request.decode,
            )
        except HTTPError as error:
            raise telling.of_failure(error) from error
        except ValueError as error:  # the standard library's own checks; its text would quote them
            raise telling.refused("the request has characters that HTTP cannot carry") from error

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxy_for(url)
        with self._lock:  # the first requests are often several at once
            if proxy not in self._managers:
                self._managers[proxy] = pool_manager(
                    self._guard, proxy=proxy, connect=self._connect, ssl_context=self._trust, maxsize=_KEPT
                )
            return self._managers[proxy]


def host_of(url: str) -> str:
    """``host`` or ``host:port`` of a URL, for messages; "" where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return f"{host}:{port}" if port else host


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a login belongs to."""
    return _origin(urlsplit(url))


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def _parts(url: str, telling: Telling) -> SplitResult:
    """The URL's parts. Raises Refused, without quoting it, where it is none of http or https."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.username is not None or not url.isprintable() or " " in url:
        raise telling.refused("the address is no http or https URL without userinfo")
    return parts


def _redirected(url: str, target: str, headers: Mapping[str, str], telling: Telling) -> tuple[str, Mapping[str, str]]:
    """Where to, and the headers to take along."""
    try:
        found = urljoin(url, target)
    except ValueError:
        found = ""
    new, old = _parts(found, telling), urlsplit(url)
    if old.scheme == "https" and new.scheme != "https":
        raise telling.refused("the server redirects away from TLS")
    same = _origin(old) == _origin(new)
    return found, {name: value for name, value in headers.items() if same or name.lower() not in _LOGINS}


def _named(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers, and who we are unless they say so."""
    own = {} if "user-agent" in map(str.lower, headers) else {"User-Agent": f"penstock/{__version__}"}
    return {**own, **headers}
