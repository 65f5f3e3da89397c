"""Post-quantum age identities (``AGE-SECRET-KEY-PQ-1…``): X-Wing, that is ML-KEM-768 with X25519.

Spec: C2SP age.md (the file's format, recipient type ``mlkem768x25519``), RFC 9180 (HPKE). pyrage, which opens files for
other identities, does not know these yet; what is opened here are data keys, of one chunk.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.bech32 import bech32_decode, bech32_encode

_SECRET, _PUBLIC = "age-secret-key-pq-", "age1pq"
_STANZA, _INFO = "mlkem768x25519", b"age-encryption.org/mlkem768x25519"
_BEGIN, _END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_MARK = b"\n---"
_SEED_BYTES, _NONCE_BYTES, _COLUMNS = 32, 16, 64
_LAST_CHUNK = bytes(11) + b"\1"


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridIdentity:
    """``key``: the private key (never shown); ``recipient``: ``age1pq1…``, some 2,000 letters."""

    key: Any = field(repr=False)
    recipient: str


def parse_hybrid(text: str) -> HybridIdentity:
    """An identity from its line. Raises ValueError, without the text, for a damaged one."""
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey  # noqa: PLC0415 - rarely needed
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey  # noqa: PLC0415 - see above

    prefix, seed = bech32_decode(text)
    if prefix != _SECRET or len(seed) != _SEED_BYTES:
        raise ValueError("another kind of key")
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return HybridIdentity(key=MLKEM768X25519PrivateKey(lattice, curve), recipient=bech32_encode(_PUBLIC, public))


def decrypt_hybrid(armoured: str, identities: tuple[HybridIdentity, ...]) -> bytes | None:
    """What an armoured file of one chunk holds; None where no identity opens it, or it is damaged."""
    try:
        data = base64.b64decode("".join(armoured.partition(_BEGIN)[2].partition(_END)[0].split()), validate=True)
        head, found, rest = data.partition(_MARK)
        mac, _, payload = rest.partition(b"\n")
        if not found:
            return None
        for enc, body in _stanzas(head.decode("ascii")):
            for identity in identities:
                key = _unwrapped(enc + body, identity)
                if key is not None:
                    return _opened(key, head + _MARK, _decoded(mac.decode("ascii").strip()), payload)
    except ValueError:  # of Base64 and ASCII too
        return None
    return None


def _stanzas(head: str) -> Iterator[tuple[bytes, bytes]]:
    """The encapsulated key and the body of each stanza of our type."""
    lines = head.split("\n")[1:]
    for index, line in enumerate(lines):
        mark, _, arguments = line.partition(" ")
        kind, _, enc = arguments.partition(" ")
        if mark == "->" and kind == _STANZA:
            body = ""
            for piece in lines[index + 1 :]:
                body += piece
                if len(piece) < _COLUMNS:
                    break
            yield _decoded(enc), _decoded(body)


def _unwrapped(sealed: bytes, identity: HybridIdentity) -> bytes | None:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see parse_hybrid
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite  # noqa: PLC0415 - see parse_hybrid

    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    try:
        return suite.decrypt(sealed, identity.key, _INFO)
    except InvalidTag:
        return None


def _opened(key: bytes, head: bytes, mac: bytes, payload: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see parse_hybrid
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: PLC0415 - see parse_hybrid

    if not hmac.compare_digest(hmac.digest(_derived(key, b"", b"header"), head, "sha256"), mac):
        return None
    stream = ChaCha20Poly1305(_derived(key, payload[:_NONCE_BYTES], b"payload"))
    try:
        return stream.decrypt(_LAST_CHUNK, payload[_NONCE_BYTES:], None)
    except InvalidTag:
        return None


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), 32 bytes: one block."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def _decoded(text: str) -> bytes:
    """Base64 as age has it: standard, without padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("Base64 that is none") from None
