"""What keeps its place: messages of one key for stages that pipeline.json calls ordered."""

import hashlib

from penstock.core.errors import Terminal
from penstock.core.messages import decode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import Dispatch


def order_key(pipeline: Pipeline, dispatch: Dispatch) -> str:
    """The group within which it keeps its place (64 hex digits, which every bus takes); "" where nobody asks for order.

    Raises Terminal for one that is delayed: FIFO queues take no delay, and who waits would hold up those behind.
    """
    order = pipeline.order_of(dispatch.envelope.message)
    if order and dispatch.delay > 0:
        topic = dispatch.envelope.message.topic
        raise Terminal(f"{topic} keeps order: a message to it cannot be delayed (by {dispatch.delay:g} s)")
    return _group(order)


def order_again(pipeline: Pipeline, body: bytes) -> str:
    """The same of a message that was published before; "" for one that cannot be read."""
    try:
        return _group(pipeline.order_of(decode(body).message))
    except Terminal:
        return ""


def _group(order: str) -> str:
    return hashlib.sha256(order.encode()).hexdigest() if order else ""
