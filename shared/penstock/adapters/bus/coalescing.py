"""Which wake-ups say the same, so that one of them is enough."""

from penstock.core.messages import Event, ReconcileDue
from penstock.ports.bus import Dispatch


def merge_key(dispatch: Dispatch) -> str:
    """Dispatches of equal non-empty merge keys may be one message while nobody has taken it; "" never merges.

    Events each stand for themselves, and what is ordered keeps its place. A wake-up that somebody waits for
    (``request``) never merges into one that would not answer it.
    """
    message = dispatch.envelope.message
    if isinstance(message, Event) or dispatch.order:
        return ""
    request = message.request if isinstance(message, ReconcileDue) else ""
    return f"{message.topic} {message.key} {request}"
