"""Chains of certificates for signing code (Notary Project's certificate requirements)."""

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_MOST = 10


def pem_certificates(data: bytes) -> "list[Certificate]":
    """The certificates of a file in PEM, or the one in DER. Raises ValueError."""
    from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificates  # noqa: PLC0415 - where used

    return load_pem_x509_certificates(data) if b"-----BEGIN" in data else [load_der_x509_certificate(data)]


def der_chain(value: Any) -> "tuple[Certificate, ...]":
    """The chain in a header ``x5c``, the signing one first. Raises ValueError."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - see pem_certificates

    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise ValueError("an envelope has no chain of certificates")
    try:
        return tuple(load_der_x509_certificate(base64.b64decode(str(each), validate=True)) for each in value)
    except (binascii.Error, ValueError):
        raise ValueError("an envelope's chain of certificates is none") from None


def check_chain(chain: "tuple[Certificate, ...]", moment: datetime) -> None:
    """Whether each is issued by the next, the last by itself, all are valid at that moment (UTC). Raises ValueError."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see pem_certificates

    for index, each in enumerate(chain):
        if not each.not_valid_before_utc <= moment <= each.not_valid_after_utc:
            raise ValueError("a certificate was not valid then, or is not now")
        issuer = chain[min(index + 1, len(chain) - 1)]
        try:
            each.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError):
            raise ValueError("a certificate is not issued by the next one of its chain") from None
        if index:
            _check_authority(each, below=index - 1)
    _check_signing(chain[0], alone=len(chain) == 1)


def revocable(found: "Certificate") -> bool:
    """Whether it names where to ask if it was revoked."""
    from cryptography.x509.oid import ExtensionOID  # noqa: PLC0415 - see pem_certificates

    named = {each.oid for each in found.extensions}
    return bool(named & {ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS})


def _check_authority(found: "Certificate", below: int) -> None:
    from cryptography.x509 import BasicConstraints, ExtensionNotFound, KeyUsage  # noqa: PLC0415 - see pem_certificates

    try:
        constraints = found.extensions.get_extension_for_class(BasicConstraints).value
        usage = found.extensions.get_extension_for_class(KeyUsage).value
    except ExtensionNotFound:
        raise ValueError("a certificate of the chain is no authority") from None
    longest = constraints.path_length if constraints.path_length is not None else _MOST
    if not constraints.ca or not usage.key_cert_sign or below > longest:
        raise ValueError("a certificate of the chain is no authority")


def _check_signing(found: "Certificate", *, alone: bool) -> None:
    from cryptography.x509 import (  # noqa: PLC0415 - see pem_certificates
        BasicConstraints,
        ExtendedKeyUsage,
        ExtensionNotFound,
        KeyUsage,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415 - see pem_certificates

    def extension(kind: Any) -> Any:
        try:
            return found.extensions.get_extension_for_class(kind).value
        except ExtensionNotFound:
            return None

    usage, extended, constraints = extension(KeyUsage), extension(ExtendedKeyUsage), extension(BasicConstraints)
    if usage is None or not usage.digital_signature:
        raise ValueError("a certificate is not for signatures")
    if constraints is not None and constraints.ca and not alone:
        raise ValueError("an authority's certificate has signed by itself")
    if extended is not None and ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        raise ValueError("a certificate is not for signing code")
