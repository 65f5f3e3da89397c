"""One repository's requests: its credentials, a deadline, a bound, and checked addresses.

Every failure becomes one of the project's errors, so that no library's error and no password leaves the adapter.
"""

import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from penstock.adapters.http.addresses import Guard
from penstock.adapters.http.client import HttpClient, Incoming, Outgoing
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import Telling
from penstock.adapters.http.proxies import tenants_proxy
from penstock.adapters.http.trust import tls_context
from penstock.core.errors import Refused, Terminal
from penstock.core.sources.registry_auth import Challenge, Login, challenge, login_for
from penstock.ports.registry import FAILED_PULL, RemoteImage

_MOST_REDIRECTS = 5
_MOST_TOKEN_BYTES = 1024 * 1024
_DENIED = "AuthenticationFailed"


class RegistryHttp:
    """Requests to one repository, within one deadline, over kept connections. Close it."""

    def __init__(self, image: RemoteImage, login: Login | None = None) -> None:
        """``login``: instead of the Secret's. Raises Terminal where the Secret is none, or its CA no certificate."""
        self._image, self._deadline = image, Deadline(image.timeout)
        self._scheme = "http" if image.insecure else "https"
        self._login = login or login_for(image.login, image.name.registry)
        self._authorization = ""
        guard = Guard(allowed_hosts=image.allowed_hosts)
        proxy_for = tenants_proxy(image.proxy, guard)
        self._client = HttpClient(guard=guard, trust=tls_context(image.certificates), proxy_for=proxy_for)
        self._telling = Telling(about=str(image.name), reason=FAILED_PULL, denied=_DENIED, who="the registry")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

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
        answer.check()
        return answer.all(most), answer.headers

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
        answer.check()
        try:
            found = json.loads(answer.all(_MOST_TOKEN_BYTES))
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Terminal(f"{self._image.name}: the token service's answer is no token", reason=_DENIED) from error
        if not isinstance(token, str) or not token.isprintable() or " " in token:
            raise Terminal(f"{self._image.name}: the token service's answer is no token", reason=_DENIED)
        return token

    def _ask_for_token(self, realm: str, wanted: Mapping[str, str], login: Login) -> Incoming:
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

    def _send(self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None) -> Incoming:
        sent = {"accept-encoding": "identity", **headers}
        request = Outgoing(url=url, method=method, headers=sent, body=body, redirects=_MOST_REDIRECTS)
        return self._client.open(request, self._deadline, self._telling)
