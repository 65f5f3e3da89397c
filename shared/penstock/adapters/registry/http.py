"""One repository's requests: its credentials, a deadline, a bound, and checked addresses.

Every failure becomes one of the project's errors, so that no library's error and no password leaves the adapter.
"""

import json
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from penstock.adapters.git.http import tls_context
from penstock.adapters.http.connection import pool_classes
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import broken, unreachable
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.registry_auth import Challenge, Login, challenge, login_for
from penstock.ports.registry import FAILED_PULL, RemoteImage
from penstock.version import __version__

_MOST_REDIRECTS = 5
_MOST_TOKEN_BYTES = 1024 * 1024
_DENIED = "AuthenticationFailed"


class RegistryHttp:
    """Requests to one repository, within one deadline, over kept connections. Close it."""

    def __init__(self, image: RemoteImage) -> None:
        """Raises Terminal where the Secret is no login, or its CA no certificate."""
        self._image, self._until = image, time.monotonic() + image.timeout
        self._scheme = "http" if image.insecure else "https"
        self._login = login_for(image.login, image.name.registry)
        self._authorization = ""
        self._manager = urllib3.PoolManager(
            num_pools=4,
            headers={"User-Agent": f"penstock/{__version__}"},
            retries=urllib3.Retry(total=None, connect=0, read=0, other=0, status=0, redirect=_MOST_REDIRECTS),
            ssl_context=tls_context(image.certificates),
        )
        self._manager.pool_classes_by_scheme = pool_classes(GuardedUrl("https://guarded", image.allowed_hosts))

    def close(self) -> None:
        """Close all connections."""
        self._manager.clear()

    def get(self, path: str, *, accept: str = "", most: int, method: str = "GET") -> tuple[bytes, Mapping[str, str]]:
        """Body and headers of ``/v2/<repository>/<path>``, logged in where the registry asks for it.

        Raises Refused (401, 403), NotFound, Transient, else Terminal; Terminal beyond ``most`` bytes.
        """
        url = f"{self._scheme}://{self._image.name.registry}/v2/{self._image.name.repository}/{path}"
        headers = {"Accept": accept} if accept else {}
        answer = self._send(method, url, {**headers, **self._authorized()})
        if answer.status == 401:
            asked = challenge(answer.headers.get("WWW-Authenticate", ""))
            answer.close()
            self._authorization = self._authorize(asked)
            answer = self._send(method, url, {**headers, **self._authorized()})
        try:
            _check(answer, self._image)
            return self._body(answer, most), answer.headers
        finally:
            answer.release_conn()

    def next_page(self, headers: Mapping[str, str]) -> str:
        """The path of the next page that a ``Link`` header names, below the repository; "" for none."""
        link = headers.get("Link", "")
        target, _, relation = link.partition(";")
        if 'rel="next"' not in relation.replace(" ", ""):
            return ""
        found = urlsplit(target.strip().strip("<>"))
        leaf = found.path.rpartition("/v2/" + self._image.name.repository + "/")[2]
        return f"{leaf}?{found.query}"

    def _authorized(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _authorize(self, asked: Challenge) -> str:
        """What to send, as the registry asked. Raises Refused where there is nothing to send."""
        if asked.scheme == "basic" and self._login.basic:
            return f"Basic {self._login.basic}"
        if asked.scheme != "bearer" or not asked.parameters.get("realm"):
            raise Refused(f"{self._image.name}: authentication required", reason=_DENIED)
        return f"Bearer {self._token(asked.parameters)}"

    def _token(self, asked: Mapping[str, str]) -> str:
        realm = urlsplit(asked["realm"])
        if realm.scheme != "https" and not self._image.insecure:
            raise Refused(f"{self._image.name}: the registry's token service is not https", reason=_DENIED)
        wanted = {"service": asked.get("service", ""), "scope": f"repository:{self._image.name.repository}:pull"}
        answer = self._ask_for_token(asked["realm"], {k: v for k, v in wanted.items() if v}, self._login)
        try:
            _check(answer, self._image)
            found = json.loads(self._body(answer, _MOST_TOKEN_BYTES))
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Terminal(f"{self._image.name}: the token service's answer is no token", reason=_DENIED) from error
        finally:
            answer.release_conn()
        if not isinstance(token, str) or not token.isprintable() or " " in token:
            raise Terminal(f"{self._image.name}: the token service's answer is no token", reason=_DENIED)
        return token

    def _ask_for_token(self, realm: str, wanted: Mapping[str, str], login: Login) -> urllib3.BaseHTTPResponse:
        if login.identity_token:
            form = {
                **wanted,
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": "penstock",
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._send("POST", realm, headers, body=urlencode(form).encode())
        headers = {"Authorization": f"Basic {login.basic}"} if login.basic else {}
        return self._send("GET", f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(wanted)}", headers)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        deadline = Deadline(self._until - time.monotonic())
        if deadline.left <= 0:
            raise Transient(f"{self._image.name}: timed out", reason=FAILED_PULL)
        sent = {"User-Agent": f"penstock/{__version__}", **headers}
        try:
            return self._manager.request(
                method, url, headers=sent, body=body, timeout=deadline, preload_content=False, decode_content=False
            )
        except HTTPError as error:
            raise Transient(f"{self._image.name}: {unreachable(error)}", reason=FAILED_PULL) from error

    def _body(self, answer: urllib3.BaseHTTPResponse, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while part := answer.read1(65536):
                size += len(part)
                if size > most:
                    raise Terminal(
                        f"{self._image.name}: an answer is over the limit of {most} bytes", reason=FAILED_PULL
                    )
                if time.monotonic() > self._until:
                    raise Transient(f"{self._image.name}: timed out", reason=FAILED_PULL)
                parts.append(part)
        except HTTPError as error:
            raise Transient(f"{self._image.name}: {broken(error)}", reason=FAILED_PULL) from error
        return b"".join(parts)


def _check(answer: urllib3.BaseHTTPResponse, image: RemoteImage) -> None:
    status = answer.status
    if status == 200:
        return
    raise _error(status, answer.headers.get("Retry-After"), str(image.name))


def _error(status: int, retry_after: str | None, name: str) -> PenstockError:
    if status in (401, 403):
        return Refused(f"{name}: {'authentication required' if status == 401 else 'access denied'}", reason=_DENIED)
    if status in (404, 410):
        return NotFound(f"{name}: not found", reason=FAILED_PULL)
    if status in (408, 429) or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Transient(f"{name}: the registry answers {status}", reason=FAILED_PULL, retry_after=seconds)
    return Terminal(f"{name}: the registry answers {status}", reason=FAILED_PULL)
