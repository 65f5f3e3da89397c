"""Calls to Google's REST APIs; their errors leave as ours. google-auth loads at the first call that needs a token."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from penstock.adapters.google.errors import code_of, translated
from penstock.adapters.identity.http import Send
from penstock.adapters.identity.kept import Kept
from penstock.core.errors import Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.ports.identity import Bearer

JSON_TYPE = "application/json"


class Answered(Exception):
    """Google answered with an error that the caller expects. ``code``: its google.rpc code, or the HTTP status."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What a call does, for errors: the IAM ``permission`` that it needs, and the ``resource`` that it is about.

    ``expect``: google.rpc codes and HTTP statuses (as text) that are raised as Answered.
    """

    permission: str
    resource: str
    expect: Collection[str] = ()


class GoogleClient:
    """One process's calls.

    ``token``: the plane's own access token (adapters.identity.own); kept until shortly before it ends. A URL of plain
    http is an emulator's: no token goes there.
    """

    def __init__(self, send: Send, token: Callable[[], Bearer], kept: Kept) -> None:
        self._send, self._token, self._kept = send, token, kept

    def call(self, method: str, url: str, act: Act, body: Any = None) -> Any:
        """The JSON answer to a JSON body (None: no body). Raises Answered, or one of our errors.

        A stream of answers may end with an error though its status is 200: what came before it is no answer either.
        """
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        answer = self.send(method, url, act, data, {"content-type": JSON_TYPE} if data else {})
        try:
            found = json.loads(answer.body) if answer.body else {}
        except ValueError:  # of something in between: no change of ours would help
            raise Transient(f"Google's answer to {act.permission} on {act.resource} is no JSON") from None
        if isinstance(found, list) and any("error" in each for each in found):
            raise Transient(f"Google's answer to {act.permission} on {act.resource} ended with an error")
        return found

    def pages(self, url: str, act: Act, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The answers to a GET that hands out ``nextPageToken``, to the last. Errors as ``call``'s."""
        token: dict[str, str] = {}
        while True:
            page = self.call("GET", f"{url}?{urlencode({**query, **token})}", act)
            yield page
            if not page.get("nextPageToken"):
                return
            token = {"pageToken": page["nextPageToken"]}

    def send(
        self, method: str, url: str, act: Act, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """The answer, with a status below 300. Raises as ``call``."""
        sent = {**(headers or {}), **self._authorization(url)}
        answer = self._send(HttpRequest(method=method, path="", url=url, body=body, headers=sent))
        if answer.status < 300:
            return answer
        for code in (code_of(answer), str(answer.status)):
            if code in act.expect:
                raise Answered(code)
        raise translated(answer, act.permission, act.resource)

    def _authorization(self, url: str) -> dict[str, str]:
        if url.startswith("http://"):
            return {}
        return {"authorization": f"Bearer {self._kept.get('google', self._fresh)}"}

    def _fresh(self) -> tuple[str, float]:
        bearer = self._token()
        return bearer.token, bearer.expires
