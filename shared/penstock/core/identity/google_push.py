"""Tokens that Pub/Sub and Cloud Scheduler send along with a push: an OpenID Connect ID token, signed RS256 by Google.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions: signature, issuer, audience, expiry, and the
service account's verified e-mail are checked, in this order; nothing of the request's body is read before.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Refused

ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
SKEW = 300.0
"""Seconds that clocks may differ."""
MOST_BYTES = 8_192


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """``audiences``: as the subscription's ``oidcToken.audience``; ``emails``: of its service account.

    Any of them will do: while one is replaced there are two.
    """

    audiences: tuple[str, ...]
    emails: tuple[str, ...]


Keys = Mapping[str, Mapping[str, str]]
"""Key id -> JSON Web Key."""


def bearer(headers: Mapping[str, str]) -> str:
    """The token of an Authorization header. Raises Refused where there is none, or one that is too long."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MOST_BYTES:
        raise Refused("the push carries no bearer token")
    return token.strip()


def key_id(token: str) -> str:
    """The id of the key that signed, as the token says. Raises Refused for what is no RS256 token."""
    header = _json(token.partition(".")[0])
    if header.get("alg") != "RS256" or not isinstance(header.get("kid"), str):
        raise Refused("the push's token is not signed as Google signs")
    return str(header["kid"])


def verify(token: str, keys: Keys, expected: Expected, now: float) -> None:
    """Raises Refused, saying which check failed and nothing of the token. ``now``: POSIX seconds."""
    if not expected.audiences or not expected.emails:
        raise Refused("no audience or e-mail of push tokens is set: every push is refused")
    signed, _, signature = token.rpartition(".")
    _verify_signature(signed, signature, keys.get(key_id(token)))
    claims = _json(signed.partition(".")[2])
    checks = {
        "issuer": claims.get("iss") in ISSUERS,
        "audience": _is_one_of(claims.get("aud"), expected.audiences),
        "expiry": _number(claims.get("exp")) + SKEW > now,
        "issue time": _number(claims.get("iat"), missing=float("inf")) - SKEW < now,
        "e-mail": claims.get("email_verified") is True and _is_one_of(claims.get("email"), expected.emails),
    }
    wrong = [name for name, holds in checks.items() if not holds]
    if wrong:
        raise Refused(f"the push's token has the wrong {', '.join(wrong)}")


def _verify_signature(signed: str, signature: str, key: Mapping[str, str] | None) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where a function verifies by itself
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above

    if key is None or key.get("kty") != "RSA":
        raise Refused("the push's token is signed by a key that Google does not publish")
    exponent, modulus = (int.from_bytes(_decoded(key.get(part, ""))) for part in ("e", "n"))
    try:
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        raise Refused("the push's token has a wrong signature") from None


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused("the push's token is malformed")
    return value


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused("the push's token is malformed") from None


def _is_one_of(found: Any, wanted: Sequence[str]) -> bool:
    return isinstance(found, str) and any([hmac.compare_digest(found.encode(), each.encode()) for each in wanted])  # noqa: C419 - each is compared


def _number(value: Any, *, missing: float = float("-inf")) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else missing
