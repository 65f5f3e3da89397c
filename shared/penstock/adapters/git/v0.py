"""Git's first protocol over SSH (gitprotocol-pack(5)): a server lists all its refs, then sends one pack."""

from typing import Protocol

from penstock.adapters.git.pkt import DATA, FAILED, FATAL, FLUSH, Stream, line, until_flush, words
from penstock.core.errors import Transient
from penstock.version import __version__

_NOTHING = "0" * 40


class Conversation(Stream, Protocol):
    """Both ways."""

    def write(self, data: bytes) -> None:
        """Send bytes."""


def greeting(stream: Stream) -> tuple[bool, dict[str, str]]:
    """Whether the server speaks protocol v2; where it does not, its refs (full name -> 40 hex)."""
    lines = list(until_flush(stream))
    if lines and lines[0].startswith(b"version 2"):
        return True, {}
    refs: dict[str, str] = {}
    for each in lines:
        commit, _, rest = each.decode("utf-8", "replace").partition(" ")
        if commit not in ("version", _NOTHING):
            refs[rest.partition("\0")[0].strip()] = commit
    return False, refs


def fetch_pack(stream: Conversation, wanted: str) -> bytes:
    """A pack with this object and all that it needs, one commit deep."""
    capabilities = f"side-band-64k ofs-delta shallow no-progress agent=penstock/{__version__}"
    stream.write(line(f"want {wanted} {capabilities}\n".encode()) + line(b"deepen 1\n") + FLUSH)
    for _shallow in until_flush(stream):
        pass
    stream.write(line(b"done\n"))
    received = bytearray()
    for packet in until_flush(stream):
        if packet[:1] == DATA:
            received += packet[1:]
        elif packet[:1] == FATAL:
            raise Transient(words(packet[1:]), reason=FAILED)
    return bytes(received)
