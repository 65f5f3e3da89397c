"""Whose certificates are believed."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache

from penstock.core.errors import Terminal

DENIED = "AuthenticationFailed"


def system_trust() -> ssl.SSLContext:
    """The authorities that this machine trusts."""
    return _context("")


def tls_context(credentials: Mapping[str, bytes]) -> ssl.SSLContext:
    """The system's trust and a Secret's ``ca.crt`` (or old ``caFile``); who connects is ``tls.crt`` with ``tls.key``.

    Raises Terminal for a CA that is none, and for a certificate and key that do not go together.
    """
    certificate, key = credentials.get("tls.crt", b""), credentials.get("tls.key", b"")
    if bool(certificate) != bool(key):
        raise Terminal("the Secret needs both tls.crt and tls.key, or neither", reason=DENIED)
    authority = credentials.get("ca.crt") or credentials.get("caFile") or b""
    return _context(authority.decode("utf-8", "replace").strip("\r\n"), certificate, key)


@contextlib.contextmanager
def readable(data: bytes) -> Iterator[str]:
    """A path under which OpenSSL finds ``data``: in memory where the system can, else a private file, gone at once."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("penstock", os.MFD_CLOEXEC)
        try:
            os.write(number, data)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile() as file:  # made with mode 0600
        file.write(data)
        file.flush()
        yield file.name


@lru_cache(maxsize=16)
def _context(authority: str, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Kept: reading the system's certificates takes tens of milliseconds."""
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise Terminal("the Secret's ca.crt is no PEM certificate", reason=DENIED) from error
    if certificate:
        try:
            with readable(certificate.rstrip() + b"\n" + key) as path:
                context.load_cert_chain(path, password=lambda: "")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise Terminal("the Secret's tls.crt and tls.key are no certificate and its key", reason=DENIED) from error
    return context
