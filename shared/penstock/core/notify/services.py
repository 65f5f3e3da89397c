"""The Provider types that are served: type -> how its requests are made and how its answers are read.

Another type is one more module here and its name in core.flux.provider.SERVED_TYPES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.notify import generic, pagerduty, slack
from penstock.core.notify.notification import Notification
from penstock.core.notify.request import check
from penstock.core.notify.target import Target


def _check(request: HttpRequest, answer: HttpResponse) -> None:  # noqa: ARG001 - one signature for all types
    check(answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """``requests``: what to send, in order. ``check``: (request, answer), raises Transient or Terminal.

    ``updates``: whether it takes the periodic "still so" events (``commit_status: update``), as Flux's generic
    types do and chats do not.
    """

    requests: Callable[[Notification, Target], tuple[HttpRequest, ...]]
    check: Callable[[HttpRequest, HttpResponse], None] = _check
    updates: bool = False


SERVICES: Mapping[str, Service] = {
    "slack": Service(requests=slack.requests, check=slack.check_answer),
    "pagerduty": Service(requests=pagerduty.requests),
    "generic": Service(requests=generic.requests, updates=True),
    "generic-hmac": Service(requests=generic.signed_requests, updates=True),
}
