"""The proxy of a source (``spec.proxySecretRef``): Flux's Secret as a URL."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from penstock.core.errors import Terminal

_DENIED = "AuthenticationFailed"


def proxy_url(secret: Mapping[str, bytes]) -> str:
    """``http[s]://[user:password@]host[:port]`` of ``address``, ``username`` and ``password``.

    Raises Terminal where the address is none; messages never show it.
    """
    address, user, password = (
        secret.get(name, b"").decode("utf-8", "replace").strip() for name in ("address", "username", "password")
    )
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not address.isprintable() or " " in address:
        raise Terminal("the proxy's Secret has no 'address' that is an http or https URL", reason=_DENIED)
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{parts.scheme}://{login}{host}"
