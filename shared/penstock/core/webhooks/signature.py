"""Signatures over the raw body, compared in constant time.

Spec: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

import hashlib
import hmac


def hmac_sha256(body: bytes, key: bytes) -> str:
    """``sha256=<64 lower-case hex digits>``."""
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def matches(signature: str, body: bytes, key: bytes) -> bool:
    """Whether ``signature`` (``sha256=<hex>``) is that of the body; takes as long for a wrong one as for the right."""
    # as bytes: compare_digest refuses text that is not ASCII
    return hmac.compare_digest(signature.strip().lower().encode(), hmac_sha256(body, key).encode())
