"""Which wake-ups say the same, so that one of them is enough."""

from penstock.core.errors import Terminal
from penstock.core.messages import LEFT_OUT, RENDER, Event, ReconcileDue, decode, encode
from penstock.ports.bus import Dispatch

ASKS_OTHERWISE = frozenset({"interval", "request", LEFT_OUT, RENDER})
"""Reasons of a ReconcileDue for which a run does what it does not do for others: only their likes stand for them."""


def merge_key(dispatch: Dispatch, order: str) -> str:
    """Dispatches of equal non-empty merge keys may be one message while nobody has taken it; "" never merges.

    Events each stand for themselves, and what is ordered (``order`` is its key) keeps its place.
    """
    message = dispatch.envelope.message
    if isinstance(message, Event) or order:
        return ""
    why = message.why if isinstance(message, ReconcileDue) and message.why in ASKS_OTHERWISE else ""
    return f"{message.topic} {message.key} {why}"


def merged(kept: bytes, other: bytes) -> bytes:
    """The wake-up ``kept`` (encoded), standing for ``other`` as well: linked to its trace."""
    try:
        first, second = decode(kept), decode(other)
        if first.trace == second.trace and not second.links:
            return kept
        return encode(first.standing_for(second))
    except Terminal:  # of another release, or full: the work is the same without the link
        return kept
