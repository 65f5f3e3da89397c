"""Where a secret can be: in every form that somebody may read it in."""

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress


def needles(value: str) -> tuple[bytes, ...]:
    """The value as text, in hexadecimal, and inside base64 wherever it starts there."""
    data = value.encode()
    inside = [base64.b64encode(b"\0" * shift + data)[(8 * shift + 5) // 6 :] for shift in range(3)]
    return (data, data.hex().encode(), *(each.rstrip(b"=")[:-1] for each in inside))


def views(data: bytes, depth: int = 3) -> Iterator[bytes]:
    """The bytes, and what is packed in them: gzip, zlib, base64, one in another."""
    yield data
    if not depth:
        return
    for found in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", data):
        with suppress(zlib.error):
            unpacked = zlib.decompressobj(wbits=47).decompress(data[found.start() :], 1 << 24)
            yield from views(unpacked, depth - 1) if len(unpacked) > 8 else ()
    for text in re.findall(rb"[A-Za-z0-9+/_-]{24,}", data):
        plain = base64.urlsafe_b64decode(text.replace(b"+", b"-").replace(b"/", b"_")[: len(text) // 4 * 4])
        yield from views(plain, depth - 1)
