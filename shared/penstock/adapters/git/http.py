"""HTTP for Git: one remote's requests, with its credentials, a deadline and a bound.

dulwich takes any object that looks like a urllib3 pool: this is one.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from penstock.adapters.http.addresses import guard_of
from penstock.adapters.http.client import HttpClient, Incoming, Outgoing, origin
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import Telling
from penstock.adapters.http.proxies import tenants_proxy
from penstock.adapters.http.trust import DENIED, tls_context
from penstock.core.errors import NotFound, Terminal
from penstock.ports.git import Remote
from penstock.version import __version__

FAILED = "GitOperationFailed"
_MOST_REDIRECTS = 3
_TELLING = Telling(reason=FAILED, denied=DENIED, forbidden="authorization failed", missing="repository not found")
"""The Git adapter names the URL by itself."""


class Response:
    """An answer that is read no further than ``most`` bytes."""

    def __init__(self, answer: Incoming, *, most: int) -> None:
        self._answer, self._left = answer, most
        self.status, self.headers = answer.status, answer.headers
        self.content_type: str | None = None  # dulwich sets these two
        self.redirect_location = ""

    def geturl(self) -> str:
        """Where the answer came from, after redirects."""
        return self._answer.url

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what there is until the end."""
        found = self._answer.read(min(size, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise _TELLING.refused("the answer is over the limit of a clone")
        return found

    def finish(self) -> None:
        """All was read: another request may use the connection, unless the server has more to say."""
        self._answer.finish()

    def close(self) -> None:
        """Give up the connection, unless it is given back already."""
        self._answer.close()


class Pool:
    """What dulwich needs of a urllib3 pool, for one call to one remote."""

    def __init__(self, remote: Remote, *, most: int, deadline: Deadline) -> None:
        """``most``: bytes of one answer. Raises Terminal where the credentials are no usable ones."""
        self.headers: dict[str, str] = {"User-Agent": f"git/2.0 (penstock/{__version__})"}
        self._remote, self._most, self._deadline = remote, most, deadline
        self._authorization = authorization(remote.credentials)
        guard = guard_of(remote.url)
        proxy_for = tenants_proxy(remote.proxy, guard)
        self._client = HttpClient(guard=guard, trust=tls_context(remote.credentials), proxy_for=proxy_for)

    def renew(self, *, most: int, deadline: Deadline) -> None:
        """Another call to the same remote, over the same connections."""
        self._most, self._deadline = most, deadline

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Response:
        """One request. Raises Refused (401, 403), NotFound (404), Transient (429, 5xx, unreachable), else Terminal."""
        sent = dict(headers)
        if self._authorization and origin(url) == origin(self._remote.url):
            sent["Authorization"] = self._authorization
        request = Outgoing(url=str(url), method=method, headers=sent, body=body, redirects=_MOST_REDIRECTS, decode=True)
        answer = self._client.open(request, self._deadline, _TELLING)
        answer.check()
        if not answer.headers.get("Content-Type", "").startswith("application/x-git-"):
            answer.close()
            raise NotFound("repository not found: the server does not speak Git's smart HTTP there", reason=FAILED)
        return Response(answer, most=self._most)


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


def _text(credentials: Mapping[str, bytes], key: str) -> str:
    text = credentials.get(key, b"").decode("utf-8", "replace").strip("\r\n")
    if any(character in text for character in "\r\n\0"):
        raise Terminal(f"the Secret's {key} has more than one line", reason=DENIED)
    return text
