"""Fulcio's certificates: their chain at the time of signing, their entry in a certificate log, and whom they name.

RFC 6962 for signed certificate timestamps; the issuer: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.core.signatures.keys import is_signed
from penstock.core.signatures.trust_root import Authority, TrustRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_ISSUER, _ISSUER_V1 = "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTF8_STRING = b"\x0c"


def certificate(pem: bytes) -> "Certificate":
    """A certificate in PEM. Raises ValueError."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - only where something is verified

    try:
        return load_pem_x509_certificate(pem)
    except ValueError:
        raise ValueError("a certificate is none") from None


def check_certificate(found: "Certificate", root: TrustRoot, moment: datetime) -> None:
    """Whether it was good for signing at that moment (UTC), and is in a certificate log. Raises ValueError."""
    issuer = next((chain[1] for each in root.authorities if (chain := _chain(found, each, moment))), None)
    if issuer is None:
        raise ValueError("a certificate is of no trusted authority, or was not valid at the time of signing")
    _check_usage(found)
    _check_log(found, issuer, root)


def names(found: "Certificate") -> tuple[str, tuple[str, ...]]:
    """The OIDC issuer ("" where it names none), and the subjects: e-mail addresses, URIs and DNS names."""
    from cryptography.x509 import (  # noqa: PLC0415 - see certificate
        DNSName,
        ExtensionNotFound,
        RFC822Name,
        SubjectAlternativeName,
        UniformResourceIdentifier,
    )

    try:
        alternatives = found.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return _issuer(found), ()
    subjects = [
        value
        for kind in (RFC822Name, UniformResourceIdentifier, DNSName)
        for value in alternatives.get_values_for_type(kind)
    ]
    return _issuer(found), tuple(str(each) for each in subjects)


def _issuer(found: "Certificate") -> str:
    from cryptography.x509 import ExtensionNotFound, ObjectIdentifier, UnrecognizedExtension  # noqa: PLC0415 - see above

    for oid in (_ISSUER, _ISSUER_V1):
        try:
            value = found.extensions.get_extension_for_oid(ObjectIdentifier(oid)).value
        except ExtensionNotFound:
            continue
        data = value.value if isinstance(value, UnrecognizedExtension) else b""
        return (_utf8_string(data) if oid == _ISSUER else data).decode("utf-8", "replace")
    return ""


def _utf8_string(data: bytes) -> bytes:
    """The content of a UTF8String in DER, of at most 255 bytes; nothing where it is none."""
    tag, rest = data[:1], data[1:]
    head = rest[1:2] if rest[:1] == b"\x81" else rest[:1]
    content = rest[2:] if rest[:1] == b"\x81" else rest[1:]
    return (
        content if tag == _UTF8_STRING and head == len(content).to_bytes(1 if len(content) < 256 else 2, "big") else b""
    )


def _chain(found: "Certificate", authority: Authority, moment: datetime) -> "list[Certificate]":
    """The chain up to an authority at that moment, the certificate first; [] where there is none."""
    from cryptography.x509 import ExtendedKeyUsage  # noqa: PLC0415 - see certificate
    from cryptography.x509.general_name import UnsupportedGeneralNameType  # noqa: PLC0415 - see certificate
    from cryptography.x509.verification import (  # noqa: PLC0415 - see certificate
        Criticality,
        ExtensionPolicy,
        PolicyBuilder,
        Store,
        VerificationError,
    )

    if not authority.chain or not authority.valid[0] <= moment <= authority.valid[1]:
        return []
    usage = (ExtendedKeyUsage, Criticality.NON_CRITICAL, None)  # checked by itself: it is not client authentication
    policy = PolicyBuilder().store(Store(list(authority.chain))).time(moment)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(*usage),
        ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(*usage),
    )
    try:
        return policy.build_client_verifier().verify(found, list(authority.chain)).chain
    except (VerificationError, UnsupportedGeneralNameType):
        return []


def _check_usage(found: "Certificate") -> None:
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound, KeyUsage  # noqa: PLC0415 - see certificate
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415 - see certificate

    try:
        usage = found.extensions.get_extension_for_class(KeyUsage).value
        extended = found.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except ExtensionNotFound:
        raise ValueError("a certificate does not say that it is for signing code") from None
    if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        raise ValueError("a certificate is not for signing code")


def _check_log(found: "Certificate", issuer: "Certificate", root: TrustRoot) -> None:
    """Whether one of its embedded timestamps is signed by a trusted certificate log."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - see certificate
    from cryptography.x509 import (  # noqa: PLC0415 - see certificate
        ExtensionNotFound,
        PrecertificateSignedCertificateTimestamps,
    )

    try:
        stamps = found.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps).value
    except ExtensionNotFound:
        raise ValueError("a certificate is in no certificate log") from None
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    entry = hashlib.sha256(key).digest() + _counted(found.tbs_precertificate_bytes, 3)
    for stamp in stamps:
        moment = stamp.timestamp.replace(tzinfo=UTC)
        milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
        signed = b"\0\0" + milliseconds.to_bytes(8, "big") + b"\0\1" + entry + _counted(stamp.extension_bytes, 2)
        logs = [each for each in root.ct if each.id == stamp.log_id and each.valid[0] <= moment <= each.valid[1]]
        if any(is_signed(each.key, stamp.signature, signed) for each in logs):
            return
    raise ValueError("a certificate is in no trusted certificate log")


def _counted(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data
