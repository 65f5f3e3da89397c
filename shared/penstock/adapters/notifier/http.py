"""Sends over HTTP(S), to an address that was checked and to no other.

The name is resolved once; the connection goes to an address that passed the check (a second look-up could answer
differently: DNS rebinding), while TLS and the Host header go by the name. Redirects are not followed, proxies of the
environment are not used.
"""

from collections.abc import Iterable

from penstock.adapters.http.addresses import Guard, Lookup, look_up
from penstock.adapters.notifier.memory import LONGEST_ANSWER
from penstock.core.http import HttpRequest, HttpResponse

TIMEOUT = 15.0
_FAILED = "NotificationDispatchFailed"


class HttpNotifier:
    """``allowed_hosts``: see core.sources.addresses. ``timeout``: seconds for a whole notification."""

    def __init__(
        self, allowed_hosts: Iterable[str] = (), *, timeout: float = TIMEOUT, look_up: Lookup = look_up
    ) -> None:
        self._guard = Guard(allowed_hosts=tuple(allowed_hosts), reason="AccessDenied", look_up=look_up)
        self._timeout = timeout

    def send(self, request: HttpRequest) -> HttpResponse:
        """See ports.notifier."""
        from penstock.adapters.http.client import (  # noqa: PLC0415 - urllib3 loads where a connection is made
            HttpClient,
            Outgoing,
            host_of,
        )
        from penstock.adapters.http.deadline import Deadline  # noqa: PLC0415 - see above
        from penstock.adapters.http.errors import Telling  # noqa: PLC0415 - see above

        client = HttpClient(guard=self._guard)
        outgoing = Outgoing(
            url=request.url, method=request.method, headers={"accept": "*/*", **request.headers}, body=request.body
        )
        try:
            telling = Telling(about=host_of(request.url), reason=_FAILED, who="the provider")
            answer = client.open(outgoing, Deadline(self._timeout), telling)
            try:
                return HttpResponse(
                    status=answer.status,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=answer.read(LONGEST_ANSWER),
                )
            finally:
                answer.close()
        finally:
            client.close()
