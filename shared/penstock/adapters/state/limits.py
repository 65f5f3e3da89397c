"""What every state adapter accepts: the limits of the strictest backend, checked in all of them alike."""

import json
from typing import Any

from penstock.core.errors import Terminal
from penstock.ports.state import MAX_VALUE_BYTES, TooLarge, Value

MAX_KEY_BYTES = 1_024
END = "\U0010ffff"
"""Above every character that a key may hold: it is not printable."""


def check_key(key: str) -> str:
    """The key. Raises Terminal when it is empty, too long or holds control characters."""
    if not key or len(key.encode()) > MAX_KEY_BYTES or not key.isprintable():
        raise Terminal(f"{key[:100]!r} cannot be a record's key: 1 to {MAX_KEY_BYTES} bytes of printable text")
    return key


def to_json(key: str, value: Value) -> str:
    """The value as JSON text. Raises Terminal, naming the key, when it is no JSON object; TooLarge."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Terminal(f"record {key} is no JSON object: {error}") from error
    if not text.startswith("{") or len(text) > MAX_VALUE_BYTES:
        refusal = TooLarge if text.startswith("{") else Terminal
        raise refusal(f"record {key} must be a JSON object of at most {MAX_VALUE_BYTES} bytes ({len(text)} given)")
    return text


def from_json(text: str) -> dict[str, Any]:
    """The value that ``to_json`` wrote."""
    value: dict[str, Any] = json.loads(text)
    return value
