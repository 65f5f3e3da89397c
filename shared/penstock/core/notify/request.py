"""The JSON POST that all types are made of, and what its answer means."""

import json
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse, seconds_to_wait


def post(url: str, body: Any, *, headers: Mapping[str, str]) -> HttpRequest:
    """``body`` as JSON to ``url``; ``headers``: lower-case names, they win over the content type."""
    return HttpRequest(
        method="POST",
        path="",
        url=url,
        headers={"content-type": "application/json", **headers},
        body=json.dumps(body, separators=(",", ":")).encode(),
    )


def check(answer: HttpResponse) -> None:
    """Nothing for 2xx. Raises Transient for what may go away (429, 5xx but 501), Terminal for the rest.

    The answer's body stays out of the message: some services echo the request.
    """
    if 200 <= answer.status < 300:
        return
    message = f"the provider answered {answer.status}"
    if answer.status == 429 or (answer.status >= 500 and answer.status != 501):
        seconds = seconds_to_wait(answer.headers.get("retry-after", ""))
        raise Transient(message, reason="NotificationDispatchFailed", retry_after=seconds)
    if 300 <= answer.status < 400:
        message += ": redirects are not followed, the address must be the final one"
    raise Terminal(message, reason="NotificationDispatchFailed")
