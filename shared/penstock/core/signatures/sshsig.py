"""Signatures that ``ssh-keygen -Y sign`` makes, and Git with ``gpg.format = ssh`` (OpenSSH's PROTOCOL.sshsig)."""

import base64
import binascii
import hashlib
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.core.signatures.keys import LEAST_RSA_BITS, is_signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

NAMESPACE = b"git"
_MAGIC = b"SSHSIG"
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_RSA = {b"rsa-sha2-256": "SHA256", b"rsa-sha2-512": "SHA512"}
_ECDSA = {b"ecdsa-sha2-nistp256": "SHA256", b"ecdsa-sha2-nistp384": "SHA384", b"ecdsa-sha2-nistp521": "SHA512"}
_SK_ED25519, _SK_ECDSA = b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com"
_PRESENT = 1
"""Flag of a security key: somebody touched it. OpenSSH asks for it, too."""


def verify(signature: bytes, payload: bytes, trusted: Iterable[bytes]) -> str:
    """The fingerprint (``SHA256:…``) of the trusted key that has signed. ``trusted``: authorized_keys files.

    Raises ValueError.
    """
    reader = _Reader(_unarmored(signature))
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
        raise ValueError("its SSH signature is malformed")
    key, namespace, reserved, hashed, signed_by = (reader.text() for _ in range(5))
    if namespace != NAMESPACE or hashed not in _HASHES:
        raise ValueError("its SSH signature is for another purpose than Git, or by another hash")
    if key not in _keys(trusted):
        raise ValueError("no key of the Secret has signed it")
    digest = _HASHES[hashed](payload).digest()
    signed = _MAGIC + b"".join(_counted(each) for each in (namespace, reserved, hashed, digest))
    if not _is_signed(key, signed_by, signed):
        raise ValueError("its SSH signature is of another content")
    return fingerprint(key)


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -l`` shows it. ``key``: in SSH's binary form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _keys(files: Iterable[bytes]) -> frozenset[bytes]:
    """The keys of authorized_keys files, in binary form. Lines that are no keys are passed over."""
    found = set()
    for line in (line for file in files for line in file.splitlines()):
        words = line.split()
        for kind, encoded in itertools.pairwise(words):
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue
            if key.startswith(_counted(kind)):
                found.add(key)
    return frozenset(found)


def _is_signed(key: bytes, signed_by: bytes, signed: bytes) -> bool:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - see above

    kind = _Reader(key).text()
    reader = _Reader(signed_by)
    algorithm, signature = reader.text(), reader.text()
    public = _public_key(key, kind)
    if kind in (_SK_ED25519, _SK_ECDSA):
        flags = reader.take(1)
        if not flags[0] & _PRESENT:
            return False
        application = _application(key, kind)
        signed = hashlib.sha256(application).digest() + flags + reader.take(4) + hashlib.sha256(signed).digest()
    if isinstance(public, rsa.RSAPublicKey):
        fits = algorithm in _RSA and public.key_size >= LEAST_RSA_BITS
    else:
        fits = algorithm == kind
    if not fits:
        return False
    if isinstance(public, ec.EllipticCurvePublicKey):
        signature = _der(signature)
    return is_signed(public, signature, signed, getattr(hashes, (_RSA | _ECDSA).get(algorithm, "SHA256"))())


def _public_key(key: bytes, kind: bytes) -> "PublicKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see _is_signed
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key  # noqa: PLC0415 - see _is_signed

    if kind == _SK_ED25519:
        reader = _Reader(key)
        reader.text()
        kind, key = b"ssh-ed25519", _counted(b"ssh-ed25519") + _counted(reader.text())
    elif kind == _SK_ECDSA:
        reader = _Reader(key)
        reader.text()
        parts = [reader.text(), reader.text()]
        kind = b"ecdsa-sha2-nistp256"
        key = b"".join(_counted(each) for each in (kind, *parts))
    try:
        return load_ssh_public_key(kind + b" " + base64.b64encode(key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("its SSH key is of a kind that is not known here") from error


def _application(key: bytes, kind: bytes) -> bytes:
    """A security key's last field."""
    reader = _Reader(key)
    fields = [reader.text() for _ in range(3 if kind == _SK_ED25519 else 4)]
    return fields[-1]


def _der(signature: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415 - see _is_signed

    reader = _Reader(signature)
    return encode_dss_signature(int.from_bytes(reader.text(), "big"), int.from_bytes(reader.text(), "big"))


def _unarmored(signature: bytes) -> bytes:
    text = signature.strip()
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise ValueError("its SSH signature is malformed")
    try:
        return base64.b64decode(b"".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
    except binascii.Error:
        raise ValueError("its SSH signature is malformed") from None


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class _Reader:
    """SSH's wire format (RFC 4251, section 5). Raises ValueError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise ValueError("its SSH signature is cut off")
        self._at += size
        return found

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def text(self) -> bytes:
        return self.take(self.number())
