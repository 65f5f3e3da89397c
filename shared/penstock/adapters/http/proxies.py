"""A proxy that a manifest names: it is reached as any host that a manifest names, at an address that was checked."""

from collections.abc import Callable
from urllib.parse import urlsplit

from penstock.adapters.http.addresses import Guard
from penstock.core.errors import Refused, Transient

_PORTS = {"http": 80, "https": 443}
_SECONDS = 10.0


def tenants_proxy(proxy: str, guard: Guard) -> Callable[[str], str]:
    """URL -> the proxy, whatever the URL; "" where there is none. Its name is resolved once, and the address kept.

    What lies behind it is the proxy's own to reach. One that is spoken to by TLS keeps its name: its certificate says
    who it is. Raises (at the first use) Refused where it is at an address that it may not be, Transient where the name
    is not found.
    """
    found: list[str] = []

    def proxy_for(_url: str) -> str:
        if proxy and not found:
            found.append(_pinned(proxy, guard))
        return found[0] if found else ""

    return proxy_for


def _pinned(proxy: str, guard: Guard) -> str:
    parts = urlsplit(proxy)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        addresses = guard.addresses(host, port, _SECONDS)
    except (OSError, UnicodeError) as error:
        raise Transient("the proxy's name is not found", reason=guard.reason) from error
    if not addresses:
        raise Refused("the proxy's name has no address", reason=guard.reason)
    if parts.scheme == "https":
        return proxy
    address = str(addresses[0][3][0])
    shown = f"[{address}]" if ":" in address else address
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"http://{login}{shown}:{port}"
