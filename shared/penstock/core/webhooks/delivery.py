"""What the webhook stage asks of a sender's module, and how that module says no.

A sender's module is a function ``RequestReader``: it verifies first, over the raw bytes, and parses only what is
verified. ``Refusal`` carries the status that the sender sees and the reason that only the operator sees.
"""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookDelivery:
    """A verified delivery. ``event``: the sender's name for it (``push``); ``ping``: it only tests the connection.

    ``hint``: what was pushed, as Flux writes a revision (``main@sha1:<40 hex>``), or "": a claim of the payload.
    """

    event: str
    hint: str = ""
    ping: bool = False


class Refusal(Terminal):
    """A delivery that is not served. ``status``: HTTP status; ``str()``: the reason, for the operator alone."""

    reason = "AuthenticationFailed"

    def __init__(self, status: int, message: str, *, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.status = status


RequestReader = Callable[[HttpRequest, bytes], WebhookDelivery]
"""(request, token) -> the delivery. Raises Refusal. The token is never empty."""
