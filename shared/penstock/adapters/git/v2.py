"""Git's protocol v2 over HTTP, as far as a shallow reader needs it: list some refs, fetch one commit.

Format: gitprotocol-v2(5), gitprotocol-http(5). A remote that has once answered in v2 is spoken to without asking again:
one request lists, one fetches.
"""

from collections.abc import Iterator, Sequence

from penstock.adapters.git.http import FAILED, Pool, Response
from penstock.core.errors import Transient
from penstock.version import __version__

SERVICE = "git-upload-pack"
_FLUSH, _DELIMITER = b"0000", b"0001"
_AGENT = f"agent=penstock/{__version__}\n".encode()
_DATA, _FATAL = b"\1", b"\3"
"""Side bands; the one between them is progress."""


def discover(pool: Pool, url: str) -> str | None:
    """The base URL (after redirects) of a remote that speaks v2; None where it speaks an older protocol."""
    tail = f"/info/refs?service={SERVICE}"
    response = pool.request(
        "GET", url.rstrip("/") + tail, headers={**pool.headers, "Git-Protocol": "version=2"}, preload_content=False
    )
    try:
        found = next(_packets(response), b"")
        if found is not None and found.startswith(b"# service="):  # some servers say so before they say v2
            found = next((each for each in _packets(response) if each is not None), b"")
        final = response.geturl()
        if found != b"version 2\n" or not final.endswith(tail):
            return None
        for _capability in _until_flush(response):
            pass
        response.finish()
        return final.removesuffix(tail)
    finally:
        response.close()


def list_refs(pool: Pool, base: str, prefixes: Sequence[str]) -> dict[str, str]:
    """Full ref name -> 40 hex, of refs that begin so; where a tag is annotated also ``name^{}`` -> its commit."""
    arguments = [b"peel\n", *(f"ref-prefix {prefix}\n".encode() for prefix in prefixes)]
    response = _post(pool, base, b"ls-refs", arguments)
    found: dict[str, str] = {}
    try:
        for packet in _until_flush(response):
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


def fetch_pack(pool: Pool, base: str, wanted: Sequence[str]) -> bytes:
    """A pack with these objects (a commit, its tag) and all that they need, one commit deep.

    Raises Transient where the server does not give one of them.
    """
    wants = [f"want {each}\n".encode() for each in wanted]
    arguments = [b"no-progress\n", b"ofs-delta\n", *wants, b"deepen 1\n", b"done\n"]
    response = _post(pool, base, b"fetch", arguments)
    received = bytearray()
    inside = False
    try:
        for packet in _packets(response):
            if packet is None:
                if inside:
                    break
            elif not inside:
                inside = packet == b"packfile\n"
            elif packet[:1] == _DATA:
                received += packet[1:]
            elif packet[:1] == _FATAL:
                raise Transient(_words(packet[1:]), reason=FAILED)
        response.finish()
    finally:
        response.close()
    return bytes(received)


def _post(pool: Pool, base: str, command: bytes, arguments: Sequence[bytes]) -> Response:
    packets = (b"command=" + command + b"\n", _AGENT), arguments
    head, tail = (b"".join(_packet(each) for each in part) for part in packets)
    body = head + _DELIMITER + tail + _FLUSH
    headers = {
        **pool.headers,
        "Content-Type": f"application/x-{SERVICE}-request",
        "Accept": f"application/x-{SERVICE}-result",
        "Git-Protocol": "version=2",
    }
    return pool.request("POST", f"{base}/{SERVICE}", headers=headers, body=body, preload_content=False)


def _packet(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def _until_flush(response: Response) -> Iterator[bytes]:
    for packet in _packets(response):
        if packet is None:
            return
        yield packet


def _packets(response: Response) -> Iterator[bytes | None]:
    """Each pkt-line; None for a flush or a delimiter. Raises Transient where the server ends in between."""
    while True:
        length = response.read(4)
        try:
            size = int(length, 16)
        except ValueError as error:
            text = "the server ended the conversation" if len(length) < 4 else "the server's answer makes no sense"
            raise Transient(text, reason=FAILED) from error
        if size < 4:
            yield None
            continue
        packet = response.read(size - 4)
        if len(packet) != size - 4:
            raise Transient("the server ended the conversation", reason=FAILED)
        if packet.startswith(b"ERR "):
            raise Transient(_words(packet[4:]), reason=FAILED)
        yield packet


def _words(text: bytes) -> str:
    """The server's own words, printable and short."""
    return "".join(each for each in text.decode("utf-8", "replace") if each.isprintable())[:200]
