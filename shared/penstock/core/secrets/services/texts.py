"""Base64 in files and answers: what is wrong with it is said without it."""

import base64
import binascii
import json
from typing import Any, Literal, overload

from penstock.core.errors import Transient
from penstock.core.secrets.errors import SopsError

MOST_WRAPPED = 8 << 10
"""Bytes of a wrapped data key: no service makes longer ones."""


@overload
def decoded(enc: str, *, as_text: Literal[True]) -> str: ...
@overload
def decoded(enc: str, *, as_text: Literal[False] = False) -> bytes: ...
def decoded(enc: str, *, as_text: bool = False) -> str | bytes:
    """A wrapped data key that a file has in base64; ``as_text``: as it stands, once it is seen to be base64."""
    try:
        found = base64.b64decode(enc, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found or len(found) > MOST_WRAPPED:
        raise SopsError("its wrapped data key (`enc`) is damaged")
    return enc if as_text else found


def text_in(body: bytes, *path: str, url_safe: bool = False) -> bytes:
    """The base64 text at a path of a JSON answer, decoded. Raises Transient where it is not there."""
    try:
        found: Any = json.loads(body)
        for name in path:
            found = found[name]
        padded = found + "=" * (-len(found) % 4)
        return base64.urlsafe_b64decode(padded) if url_safe else base64.b64decode(padded, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Transient("the service's answer is not what is documented") from None
