"""Which addresses a URL from a manifest may reach.

Whoever may push to a repository may write a URL; the plane runs in a network that is not theirs. So such a URL
reaches public addresses only, and of the others those that the operator allows (``policy.allowedHosts``). Checked
against the address that a connection is really made to, whatever the name resolved to before.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

_NAT64 = IPv6Network("64:ff9b::/96")
_PUBLIC_BUT_INTERNAL = frozenset({"168.63.129.16"})
"""Azure's platform service has a public address that only means something inside."""


class GuardedUrl(str):
    """A URL that somebody other than the operator wrote.

    ``allowed_hosts``: the operator's exceptions: ``host``, ``host:port``, ``*.domain``, an address or a CIDR. A plain
    ``str`` is the operator's own URL, and reaches what it names.
    """

    __slots__ = ("allowed_hosts",)
    allowed_hosts: tuple[str, ...]

    def __new__(cls, url: str, allowed_hosts: Iterable[str] = ()) -> Self:
        """A url with exceptions."""
        made = super().__new__(cls, url)
        made.allowed_hosts = tuple(allowed_hosts)
        return made


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet (neither private, loopback, link-local nor multicast)."""
    found = _unwrapped(ip_address(address.partition("%")[0]))
    return found.is_global and not found.is_multicast and str(found) not in _PUBLIC_BUT_INTERNAL


def may_reach(host: str, port: int, address: str, allowed_hosts: Iterable[str]) -> bool:
    """Whether a guarded URL with this host and port may connect to this IP address."""
    return is_public(address) or any(_allows(entry, host.lower().rstrip("."), port, address) for entry in allowed_hosts)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one, where one is."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _allows(entry: str, host: str, port: int, address: str) -> bool:
    entry = entry.lower()
    if entry in (host, f"{host}:{port}", address):
        return True
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    try:
        return ip_address(address.partition("%")[0]) in ip_network(entry)
    except ValueError:  # a host name
        return False
