"""Requests to the clouds' token and look-up endpoints."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.core.errors import Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.version import __version__

if TYPE_CHECKING:
    import ssl

    import urllib3

Send = Callable[[HttpRequest], HttpResponse]
"""Sends a request to its ``url``. Raises Transient where no answer came, Terminal where its certificate is wrong."""

CONNECT_SECONDS, ATTEMPT_SECONDS = 3.0, 13.0
WHOLE_SECONDS = 30.0
"""For all attempts."""
ANSWER_LIMIT = 1 << 20
_WAITS = (0.2, 0.8)
_AGAIN = frozenset({429, 500, 502, 503, 504})


class HttpSender:
    """A Send over kept-alive connections. Redirects are not followed: their answer is what comes back.

    ``proxy_for``: URL -> the operator's proxy, or "". ``trust``: instead of the public certificate authorities.
    ``limit``: bytes of an answer. A cloud that is busy or cut the connection is asked three times within ``seconds``.
    """

    def __init__(
        self,
        proxy_for: Callable[[str], str] = lambda _url: "",
        *,
        sleep: Callable[[float], None] = time.sleep,
        trust: Callable[[], "ssl.SSLContext | None"] = lambda: None,
        limit: int = ANSWER_LIMIT,
        seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._proxy_for, self._sleep, self._trust, self._limit = proxy_for, sleep, trust, limit
        self._seconds = seconds
        self._managers: dict[str, urllib3.PoolManager] = {}

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
        import urllib3  # noqa: PLC0415 - loaded where a connection is made

        from penstock.adapters.http.deadline import Deadline  # noqa: PLC0415 - see above

        host = urlsplit(request.url).hostname
        try:
            raw = self._manager(request.url).request(
                request.method,
                request.url,
                body=request.body or None,
                headers={"user-agent": f"penstock/{__version__}", "accept": "*/*", **request.headers},
                timeout=Deadline(min(ATTEMPT_SECONDS, until - time.monotonic()), connect=CONNECT_SECONDS),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            body = raw.read(self._limit + 1, decode_content=True)
            raw.close() if len(body) > self._limit else raw.release_conn()
        except urllib3.exceptions.SSLError as error:
            raise Terminal(f"{host}: its certificate is not trusted") from error
        except urllib3.exceptions.HTTPError as error:
            raise Transient(f"{host}: no answer ({type(error).__name__})") from None  # its text quotes the URL
        if len(body) > self._limit:
            raise Terminal(f"{host}: the answer is larger than {self._limit >> 20} MiB")
        return HttpResponse(status=raw.status, headers={k.lower(): v for k, v in raw.headers.items()}, body=body)

    def _manager(self, url: str) -> Any:
        import urllib3  # noqa: PLC0415 - see above

        from penstock.adapters.http.connection import Guard, guarded_pools  # noqa: PLC0415 - see above

        proxy = self._proxy_for(url)
        if proxy not in self._managers:
            trust = self._trust()
            made = urllib3.ProxyManager(proxy, ssl_context=trust) if proxy else urllib3.PoolManager(ssl_context=trust)
            made.pool_classes_by_scheme = guarded_pools(Guard())
            self._managers[proxy] = made
        return self._managers[proxy]
