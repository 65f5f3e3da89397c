"""Requests to the clouds' token and look-up endpoints."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.core.errors import Transient
from penstock.core.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    import ssl

    from penstock.adapters.http.client import HttpClient

Send = Callable[[HttpRequest], HttpResponse]
"""Sends a request to its ``url``. Raises Transient where no answer came, Terminal where its certificate is wrong."""

CONNECT_SECONDS, WHOLE_SECONDS = 3.0, 30.0
"""Until a connection stands; for all attempts."""

ANSWER_LIMIT = 1 << 20
_ATTEMPT = 0.45
"""The share of one attempt: one that hangs leaves time for another."""

_WAITS = (0.2, 0.8)
_AGAIN = frozenset({429, 500, 502, 503, 504})


class HttpSender:
    """A Send over kept-alive connections. Redirects are not followed: their answer is what comes back.

    ``proxy_for``: URL -> the operator's proxy, or "". ``trust``: instead of the public certificate authorities.
    ``limit``: bytes of an answer. ``allowed_hosts``: private addresses that it may reach; None: every address. A cloud
    that is busy or cut the connection is asked three times within ``seconds``.
    """

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        proxy_for: Callable[[str], str] = lambda _url: "",
        *,
        sleep: Callable[[float], None] = time.sleep,
        trust: Callable[[], "ssl.SSLContext | None"] = lambda: None,
        limit: int = ANSWER_LIMIT,
        seconds: float = WHOLE_SECONDS,
        allowed_hosts: tuple[str, ...] | None = None,
    ) -> None:
        self._allowed_hosts = allowed_hosts
        self._proxy_for, self._sleep, self._trust, self._limit = proxy_for, sleep, trust, limit
        self._seconds = seconds
        self._client: HttpClient | None = None
        self._lock = threading.Lock()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """See Send."""
        until = time.monotonic() + self._seconds
        for wait in _WAITS:
            try:
                answer = self._once(request, until)
            except Transient:
                if time.monotonic() + wait >= until:
                    raise
            else:
                if answer.status not in _AGAIN or time.monotonic() + wait >= until:
                    return answer
            self._sleep(wait)
        return self._once(request, until)

    def _once(self, request: HttpRequest, until: float) -> HttpResponse:
        from penstock.adapters.http.client import Outgoing, host_of  # noqa: PLC0415 - loads where a connection is made
        from penstock.adapters.http.deadline import Deadline  # noqa: PLC0415 - see above
        from penstock.adapters.http.errors import Telling  # noqa: PLC0415 - see above

        outgoing = Outgoing(
            url=request.url,
            method=request.method,
            headers={"accept": "*/*", **request.headers},
            body=request.body or None,
            decode=True,
        )
        deadline = Deadline(min(_ATTEMPT * self._seconds, until - time.monotonic()))
        answer = self._kept().open(outgoing, deadline, Telling(about=host_of(request.url)))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpResponse(status=answer.status, headers=headers, body=answer.all(self._limit))

    def _kept(self) -> "HttpClient":
        from penstock.adapters.http.addresses import Guard  # noqa: PLC0415 - see above
        from penstock.adapters.http.client import HttpClient  # noqa: PLC0415 - see above

        with self._lock:  # see HttpClient
            if self._client is None:
                guard = Guard(allowed_hosts=self._allowed_hosts)
                self._client = HttpClient(
                    guard=guard, trust=self._trust(), proxy_for=self._proxy_for, connect=CONNECT_SECONDS
                )
            return self._client
