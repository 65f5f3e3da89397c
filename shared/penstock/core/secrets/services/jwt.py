"""A signed JWT (RFC 7515, RS256 or PS256): how a private key proves itself to Google and Microsoft."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from penstock.core.secrets.errors import SopsError


def signed_jwt(header: Mapping[str, str], claims: Mapping[str, Any], key: Any) -> str:
    """``header["alg"]``: RS256 or PS256; ``key``: an RSA private key."""
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 - only where a key signs
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above

    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    text = f"{_part(header)}.{_part(claims)}"
    signature = key.sign(text.encode(), pss if header["alg"] == "PS256" else padding.PKCS1v15(), SHA256())
    return f"{text}.{unpadded(signature)}"


def private_key(pem: str, password: str, where: str) -> Any:
    """The RSA private key in a PEM text. Raises SopsError naming ``where``."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_private_key(pem.encode(), password.encode() or None)
    except Exception:  # noqa: BLE001 - many classes; their texts are not ours to repeat
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SopsError(f"{where}: is no RSA private key in PEM, or its password is wrong")
    return key


def unpadded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _part(value: Mapping[str, Any]) -> str:
    return unpadded(json.dumps(value, separators=(",", ":")).encode())
