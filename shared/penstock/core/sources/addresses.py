"""Which addresses a URL from a manifest may reach.

Whoever may push to a repository may write a URL; the plane runs in a network that is not theirs. So such a URL
reaches public addresses only, and of the others those that the operator allows (``policy.allowedHosts``). Checked
against the address that a connection is really made to, whatever the name resolved to before.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_METADATA: tuple[Network, ...] = (
    *map(IPv4Network, ("168.63.129.16/32", "192.0.0.0/24", "100.100.100.200/32")),
    *map(IPv6Network, ("fd00:ec2::/32", "fd20:ce::/32")),
)
"""Where Azure, Oracle, Alibaba, AWS and Google answer every virtual machine, beside link-local addresses.

Some are public by their number, and some would pass for those of an ordinary private network.
"""

_PRIVATE: tuple[Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)


class GuardedUrl(str):
    """A URL that somebody other than the operator wrote.

    ``allowed_hosts``: the operator's exceptions: ``host``, ``host:port``, ``[v6]:port``, ``*.domain``, an address or a
    CIDR. A plain ``str`` is the operator's own URL, and reaches what it names.
    """

    __slots__ = ("allowed_hosts",)
    allowed_hosts: tuple[str, ...]

    def __new__(cls, url: str, allowed_hosts: Iterable[str] = ()) -> Self:
        """A url with exceptions."""
        made = super().__new__(cls, url)
        made.allowed_hosts = tuple(allowed_hosts)
        return made


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, and hides no other in it (mapped, 6to4, NAT64)."""
    return not any(
        not each.is_global
        or each.is_multicast
        or each.is_reserved
        or (isinstance(each, IPv6Address) and each.is_site_local)
        or _in(each, _METADATA)
        for each in _inside(_parsed(address))
    )


def is_private_network(address: str) -> bool:
    """Whether an IP address is a host's in a private network: neither a machine's own, link-local nor a cloud's."""
    return all(_in(each, _PRIVATE) and not _in(each, _METADATA) for each in _inside(_parsed(address)))


def may_reach(host: str, port: int, address: str, allowed_hosts: Iterable[str]) -> bool:
    """Whether a guarded URL with this host and port may connect to this IP address."""
    name = host.lower().strip("[]").rstrip(".")
    return is_public(address) or any(_allows(entry.lower(), name, port, address) for entry in allowed_hosts)


def _parsed(address: str) -> Address:
    return ip_address(address.partition("%")[0])


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _inside(address: Address) -> tuple[Address, ...]:
    """The address, or the IPv4 addresses that packets to it end up at."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if _in(address, _NAT64):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return (address,)


def _allows(entry: str, host: str, port: int, address: str) -> bool:
    if entry.strip("[]") == host or entry in (f"{host}:{port}", f"[{host}]:{port}"):
        return True
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    try:
        return _parsed(address) in ip_network(entry.strip("[]"))
    except ValueError:  # a host name
        return False
