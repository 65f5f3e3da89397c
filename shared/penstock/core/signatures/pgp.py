"""OpenPGP signatures, by Sequoia: its policy says which algorithms, keys and dates are good."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysequoia import Cert


def verify(signature: bytes, payload: bytes, keyrings: Iterable[bytes]) -> str:
    """The id of the certificate that has signed the payload (16 hex, upper case). Raises ValueError."""
    import pysequoia  # noqa: PLC0415 - a compiled library that most sources never need

    certificates = _certificates(keyrings)
    if not certificates:
        raise ValueError("the Secret has no PGP public key")
    try:
        detached = pysequoia.Sig.from_bytes(signature)
        found = pysequoia.verify(bytes=payload, store=lambda _ids: certificates, signature=detached)
    except Exception as error:
        raise ValueError("no key of the Secret has signed it") from error
    valid = [each.certificate for each in found.valid_sigs]
    if not valid:
        raise ValueError("no key of the Secret has signed it")
    return str(valid[0])[-16:].upper()


def _certificates(keyrings: Iterable[bytes]) -> "list[Cert]":
    """Of all keyrings that can be read. Raises ValueError where none can."""
    import pysequoia  # noqa: PLC0415 - see verify

    found: list[Cert] = []
    unreadable = 0
    for each in keyrings:
        try:
            found += pysequoia.Cert.split_bytes(each)
        except Exception:  # noqa: BLE001 - see verify
            unreadable += 1
    if unreadable and not found:
        raise ValueError("the Secret's PGP public keys cannot be read")
    return found
