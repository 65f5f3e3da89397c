"""Git's protocol v2 over HTTP, as far as a shallow reader needs it: list some refs, fetch one commit.

Format: gitprotocol-v2(5), gitprotocol-http(5). A remote that has once answered in v2 is spoken to without asking again:
one request lists, one fetches.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock.adapters.git.pkt import DATA, DELIMITER, FAILED, FATAL, FLUSH, line, packets, until_flush, words
from penstock.core.errors import Transient
from penstock.version import __version__

SERVICE = "git-upload-pack"
_AGENT = f"agent=penstock/{__version__}\n".encode()


class Answer(Protocol):
    """What comes back for one request."""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, or what there is until the end."""

    def finish(self) -> None:
        """All was read."""

    def close(self) -> None:
        """Nothing more is wanted."""

    def geturl(self) -> str:
        """Where it came from."""


class Carrier(Protocol):
    """What takes requests to one remote: HTTP, or a session of SSH."""

    headers: dict[str, str]

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Answer:
        """One request."""


def discover(pool: Carrier, url: str) -> str | None:
    """The base URL (after redirects) of a remote that speaks v2; None where it speaks an older protocol."""
    tail = f"/info/refs?service={SERVICE}"
    response = pool.request(
        "GET", url.rstrip("/") + tail, headers={**pool.headers, "Git-Protocol": "version=2"}, preload_content=False
    )
    try:
        found = next(packets(response), b"")
        if found is not None and found.startswith(b"# service="):  # some servers say so before they say v2
            found = next((each for each in packets(response) if each is not None), b"")
        final = response.geturl()
        if found != b"version 2\n" or not final.endswith(tail):
            return None
        for _capability in until_flush(response):
            pass
        response.finish()
        return final.removesuffix(tail)
    finally:
        response.close()


def list_refs(pool: Carrier, base: str, prefixes: Sequence[str]) -> dict[str, str]:
    """Full ref name -> 40 hex, of refs that begin so; where a tag is annotated also ``name^{}`` -> its commit."""
    arguments = [b"peel\n", *(f"ref-prefix {prefix}\n".encode() for prefix in prefixes)]
    response = _post(pool, base, b"ls-refs", arguments)
    found: dict[str, str] = {}
    try:
        for packet in until_flush(response):
            commit, ref, *more = packet.rstrip(b"\n").decode("utf-8", "replace").split(" ")
            found[ref] = commit
            peeled = [each.removeprefix("peeled:") for each in more if each.startswith("peeled:")]
            if peeled:
                found[ref + "^{}"] = peeled[0]
        response.finish()
    except ValueError as error:
        raise Transient("the server's list of refs makes no sense", reason=FAILED) from error
    finally:
        response.close()
    return found


def fetch_pack(pool: Carrier, base: str, wanted: Sequence[str]) -> bytes:
    """A pack with these objects (a commit, its tag) and all that they need, one commit deep.

    Raises Transient where the server does not give one of them.
    """
    wants = [f"want {each}\n".encode() for each in wanted]
    arguments = [b"no-progress\n", b"ofs-delta\n", *wants, b"deepen 1\n", b"done\n"]
    response = _post(pool, base, b"fetch", arguments)
    received = bytearray()
    inside = False
    try:
        for packet in packets(response):
            if packet is None:
                if inside:
                    break
            elif not inside:
                inside = packet == b"packfile\n"
            elif packet[:1] == DATA:
                received += packet[1:]
            elif packet[:1] == FATAL:
                raise Transient(words(packet[1:]), reason=FAILED)
        response.finish()
    finally:
        response.close()
    return bytes(received)


def _post(pool: Carrier, base: str, command: bytes, arguments: Sequence[bytes]) -> Answer:
    packets = (b"command=" + command + b"\n", _AGENT), arguments
    head, tail = (b"".join(line(each) for each in part) for part in packets)
    body = head + DELIMITER + tail + FLUSH
    headers = {
        **pool.headers,
        "Content-Type": f"application/x-{SERVICE}-request",
        "Accept": f"application/x-{SERVICE}-result",
        "Git-Protocol": "version=2",
    }
    return pool.request("POST", f"{base}/{SERVICE}", headers=headers, body=body, preload_content=False)
