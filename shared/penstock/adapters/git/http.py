"""HTTP for Git: one remote's requests, with its credentials, a deadline, a bound, and checked addresses.

dulwich takes any object that looks like a urllib3 pool; this one turns every failure into the project's errors, so
that no library's error and no password leaves the adapter.
"""

import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from penstock.adapters.http.connection import pool_classes
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import broken, unreachable
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.ports.git import Remote
from penstock.version import __version__

FAILED, DENIED = "GitOperationFailed", "AuthenticationFailed"
_MOST_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}


class Response:
    """An answer that is read no longer than until ``until`` (monotonic seconds) and no further than ``most`` bytes."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str, *, until: float, most: int) -> None:
        self._raw, self._url, self._until, self._left = raw, url, until, most
        self.status, self.headers = raw.status, raw.headers
        self.content_type: str | None = None  # dulwich sets these two
        self.redirect_location = ""

    def geturl(self) -> str:
        """Where the answer came from, after redirects."""
        return urljoin(self._url, self._raw.geturl() or "")

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what there is until the end."""
        parts: list[bytes] = []
        while size > 0:
            if time.monotonic() > self._until:
                raise Transient("timed out", reason=FAILED)
            try:
                part = self._raw.read1(size)
            except HTTPError as error:
                raise Transient(broken(error), reason=FAILED) from error
            if not part:
                break
            size, self._left = size - len(part), self._left - len(part)
            if self._left < 0:
                raise Refused("the answer is over the limit of a clone", reason=FAILED)
            parts.append(part)
        return b"".join(parts)

    def finish(self) -> None:
        """All was read: another request may use the connection, unless the server has more to say."""
        if not self.read(1):
            self._raw.release_conn()

    def close(self) -> None:
        """Give up the connection, unless it is given back already."""
        self._raw.close()


class Pool:
    """What dulwich needs of a urllib3 pool, for one call to one remote."""

    def __init__(self, remote: Remote, *, most: int, until: float) -> None:
        """``most``: bytes of one answer; ``until``: monotonic seconds. Raises Terminal for unusable credentials."""
        self.headers: dict[str, str] = {"User-Agent": f"git/2.0 (penstock/{__version__})"}
        self._remote, self._most = remote, most
        self._until = until
        self._authorization = authorization(remote.credentials)
        self._manager = urllib3.PoolManager(
            num_pools=2,
            retries=urllib3.Retry(total=None, connect=0, read=0, other=0, status=0, redirect=_MOST_REDIRECTS),
            ssl_context=tls_context(remote.credentials),
        )
        self._manager.pool_classes_by_scheme = pool_classes(remote.url)

    def renew(self, *, most: int, until: float) -> None:
        """Another call to the same remote, over the same connections."""
        self._most, self._until = most, until

    def close(self) -> None:
        """Close all connections."""
        self._manager.clear()

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **options: Any) -> Response:
        """One request. Raises Refused (401, 403), NotFound (404), Transient (429, 5xx, unreachable), else Terminal."""
        deadline = Deadline(self._until - time.monotonic())
        if deadline.left <= 0:
            raise Transient("timed out", reason=FAILED)
        sent = dict(headers)
        if self._authorization and _origin(urlsplit(url)) == _origin(urlsplit(self._remote.url)):
            sent["Authorization"] = self._authorization
        try:
            raw = self._manager.request(method, url, headers=sent, timeout=deadline, **options)
        except HTTPError as error:
            raise Transient(unreachable(error), reason=FAILED) from error
        _check(raw)
        return Response(raw, url, until=self._until, most=self._most)


def authorization(credentials: Mapping[str, bytes]) -> str:
    """The Authorization header of a Secret's data, "" for none. Raises Terminal for data that contradict themselves.

    The key ``bearerToken`` selects a bearer token by its mere presence; with username and password it is an error.
    """
    username, password = _text(credentials, "username"), _text(credentials, "password")
    if "bearerToken" in credentials:
        if username or password:
            raise Terminal("the Secret has bearerToken and username or password: keep one", reason=DENIED)
        return f"Bearer {_text(credentials, 'bearerToken')}"
    if password and not username:
        raise Terminal("the Secret has a password without a username", reason=DENIED)
    if not username:
        return ""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def tls_context(credentials: Mapping[str, bytes]) -> ssl.SSLContext:
    """The system's trust, and the Secret's ``ca.crt`` (or old ``caFile``). Raises Terminal for a CA that is none."""
    if "tls.crt" in credentials or "tls.key" in credentials:
        raise Terminal("the Secret has tls.crt: client certificates are not served yet", reason=DENIED)
    return _context(_text(credentials, "ca.crt") or _text(credentials, "caFile"))


@lru_cache(maxsize=16)
def _context(authority: str) -> ssl.SSLContext:
    """Kept: reading the system's certificates takes tens of milliseconds."""
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise Terminal("the Secret's ca.crt is no PEM certificate", reason=DENIED) from error
    return context


def _text(credentials: Mapping[str, bytes], key: str) -> str:
    text = credentials.get(key, b"").decode("utf-8", "replace").strip("\r\n")
    if key not in ("ca.crt", "caFile") and any(character in text for character in "\r\n\0"):
        raise Terminal(f"the Secret's {key} has more than one line", reason=DENIED)
    return text


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    return url.scheme, (url.hostname or "").lower(), url.port or _PORTS.get(url.scheme)


def _check(raw: urllib3.BaseHTTPResponse) -> None:
    error = status_error(raw.status, raw.headers.get("Retry-After"))
    if error is not None:
        raw.close()
        raise error
    served = raw.headers.get("Content-Type", "")
    if not served.startswith("application/x-git-"):
        raw.close()
        raise NotFound("repository not found: the server does not speak Git's smart HTTP there", reason=FAILED)


def status_error(status: int, retry_after: str | None) -> PenstockError | None:
    """The error of an HTTP status, None for 200. ``retry_after``: the header, seconds are honoured."""
    if status == 200:
        return None
    if status == 401:
        return Refused("authentication required", reason=DENIED)
    if status == 403:
        return Refused("authorization failed", reason=DENIED)
    if status in (404, 410):
        return NotFound("repository not found", reason=FAILED)
    if status in (408, 429) or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Transient(f"the server answers {status}", reason=FAILED, retry_after=seconds)
    return Terminal(f"the server answers {status}", reason=FAILED)
