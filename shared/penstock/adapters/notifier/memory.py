"""Keeps requests in a list instead of sending them; answers as it is told."""

import threading
from collections.abc import Callable
from dataclasses import replace

from penstock.core.http import HttpRequest, HttpResponse

LONGEST_ANSWER = 64 * 1024
Answer = Callable[[HttpRequest], HttpResponse]


def _accept(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=200, headers={"content-type": "text/plain"}, body=b"ok")


class MemoryNotifier:
    """``answer``: what the provider says to a request; it may raise Transient or Refused. See ports.notifier."""

    def __init__(self, answer: Answer = _accept) -> None:
        self.answer = answer
        self._requests: list[HttpRequest] = []
        self._lock = threading.Lock()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Keep it, answer it."""
        with self._lock:
            self._requests.append(request)
        found = self.answer(request)
        return replace(found, body=found.body[:LONGEST_ANSWER])

    @property
    def requests(self) -> tuple[HttpRequest, ...]:
        """All that was sent so far, oldest first."""
        with self._lock:
            return tuple(self._requests)
