"""Git's pkt-lines (gitprotocol-common(5)): every protocol's framing."""

from collections.abc import Iterator
from typing import Protocol

from penstock.core.errors import Transient

FAILED = "GitOperationFailed"
FLUSH, DELIMITER = b"0000", b"0001"
DATA, FATAL = b"\1", b"\3"
"""Side bands; the one between them is progress."""


class Stream(Protocol):
    """What comes from a server."""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, or what there is until the end."""


def line(data: bytes) -> bytes:
    """Data as one pkt-line."""
    return b"%04x%s" % (len(data) + 4, data)


def packets(stream: Stream) -> Iterator[bytes | None]:
    """Each pkt-line; None for a flush or a delimiter. Raises Transient where the server ends in between."""
    while True:
        length = stream.read(4)
        try:
            size = int(length, 16)
        except ValueError as error:
            text = "the server ended the conversation" if len(length) < 4 else "the server's answer makes no sense"
            raise Transient(text, reason=FAILED) from error
        if size < 4:
            yield None
            continue
        packet = stream.read(size - 4)
        if len(packet) != size - 4:
            raise Transient("the server ended the conversation", reason=FAILED)
        if packet.startswith(b"ERR "):
            raise Transient(words(packet[4:]), reason=FAILED)
        yield packet


def until_flush(stream: Stream) -> Iterator[bytes]:
    """The pkt-lines before a flush."""
    for packet in packets(stream):
        if packet is None:
            return
        yield packet


def words(text: bytes) -> str:
    """The server's own words, printable and short."""
    return "".join(each for each in text.decode("utf-8", "replace") if each.isprintable())[:200]
