"""Whose certificates are believed."""

import ssl
from collections.abc import Mapping
from functools import lru_cache

from penstock.core.errors import Terminal

DENIED = "AuthenticationFailed"


def system_trust() -> ssl.SSLContext:
    """The authorities that this machine trusts."""
    return _context("")


def tls_context(credentials: Mapping[str, bytes]) -> ssl.SSLContext:
    """The system's trust, and a Secret's ``ca.crt`` (or old ``caFile``). Raises Terminal for a CA that is none."""
    if "tls.crt" in credentials or "tls.key" in credentials:
        raise Terminal("the Secret has tls.crt: client certificates are not served yet", reason=DENIED)
    authority = credentials.get("ca.crt") or credentials.get("caFile") or b""
    return _context(authority.decode("utf-8", "replace").strip("\r\n"))


@lru_cache(maxsize=16)
def _context(authority: str) -> ssl.SSLContext:
    """Kept: reading the system's certificates takes tens of milliseconds."""
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise Terminal("the Secret's ca.crt is no PEM certificate", reason=DENIED) from error
    return context
