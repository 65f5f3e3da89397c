"""The two conversations with a remote, in dulwich's words: list some refs, fetch one commit at depth 1."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

from dulwich.client import HTTPUnauthorized, Urllib3HttpGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import Ref

from penstock.adapters.git.http import FAILED, Pool
from penstock.core.errors import Transient
from penstock.ports.git import Head


class _NoHistory:
    """A graph walker that has nothing yet: every fetch is a first one."""

    def __next__(self) -> None:
        return None

    def ack(self, _sha: bytes) -> None:
        """Nothing to remember."""

    def nak(self) -> None:
        """Nothing to remember."""


def list_refs(pool: Pool, url: str, ref_prefixes: Sequence[str]) -> dict[str, str]:
    """Full ref name -> 40 hex, of refs that begin so; where a tag is annotated also ``name^{}`` -> its commit."""
    client = _client(pool, url)
    try:
        found = client.get_refs("", ref_prefix=[prefix.encode() for prefix in ref_prefixes]).refs
    except (GitProtocolError, NotGitRepository, HTTPUnauthorized, ValueError, AssertionError, IndexError) as error:
        _broken(error)
    return {name.decode("utf-8", "replace"): sha.decode() for name, sha in found.items() if sha is not None}


def fetch_pack(pool: Pool, url: str, head: Head) -> bytes:
    """A pack with one commit and all that it needs.

    Raises Transient where the server does not give it (the ref has moved on, and it gives only what refs point at).
    """
    received = bytearray()

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 - dulwich's
        return [ObjectID(each.encode()) for each in head.wanted]

    def take(data: bytes) -> int:
        received.extend(data)
        return len(data)

    client = _client(pool, url)
    try:
        client.fetch_pack(
            "", wants, cast("Any", _NoHistory()), take, depth=1, ref_prefix=[(head.ref or "HEAD").encode()]
        )
    except HangupException as error:  # git ends so when it is asked for what it has not
        text = f"the server does not give commit {head.commit}: its ref may have moved on"
        raise Transient(text, reason=FAILED) from error
    except (GitProtocolError, NotGitRepository, HTTPUnauthorized, ValueError, AssertionError, IndexError) as error:
        _broken(error)
    return bytes(received)


def _client(pool: Pool, url: str) -> Urllib3HttpGitClient:
    return Urllib3HttpGitClient(str(url), pool_manager=cast("Any", pool), thin_packs=False, quiet=True)


def _broken(error: Exception) -> NoReturn:
    """The server's own words may stand in a message: they are printable, and no secret of ours."""
    text = "".join(character for character in str(error) if character.isprintable())[:200]
    raise Transient(text or "the server ended the conversation", reason=FAILED) from error
