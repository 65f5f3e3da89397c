"""Public keys in PEM, and one signature by one key, as Sigstore's libraries read and check them."""

from typing import TYPE_CHECKING

from penstock.core.errors import Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

REASON = "VerificationError"
LEAST_RSA_BITS = 2048


def refused(problem: str) -> Refused:
    """The error of everything here."""
    return Refused(problem, reason=REASON)


def malformed() -> tuple[type[Exception], ...]:
    """What ``cryptography`` raises, besides ValueError, over certificates and keys that are not as they should be."""
    from cryptography import x509  # noqa: PLC0415 - only where something is verified
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - see above

    of_certificates = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
    return (*of_certificates, InvalidSignature, UnsupportedAlgorithm)


def public_key(pem: bytes, name: str) -> "PublicKeyTypes":
    """An ECDSA, RSA or Ed25519 key. ``name``: what it is called in messages. Raises Refused for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only where something is verified
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise refused(f"{name} is no public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise refused(f"{name} is no ECDSA, RSA or Ed25519 key")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise refused(f"{name} is an RSA key of {key.key_size} bits, at least {LEAST_RSA_BITS} are asked for")
    return key


def is_signed(key: "PublicKeyTypes", signature: bytes, data: bytes, algorithm: "HashAlgorithm | None" = None) -> bool:
    """Whether ``signature`` is the key's over ``data``: ECDSA or RSA (PKCS#1 v1.5) by SHA-256, or Ed25519."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see public_key
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: PLC0415 - see public_key
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see public_key

    hashed = algorithm or SHA256()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashed)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True
