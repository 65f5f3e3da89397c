"""Which addresses a URL from a manifest may reach: what is public, and what the operator allows by name or network.

Everything else (loopback, link-local with the clouds' metadata servers, private, reserved, multicast) is refused, also
where it hides in an IPv6 address (mapped, 6to4, NAT64).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_METADATA = (IPv4Network("168.63.129.16/32"), IPv4Network("192.0.0.0/24"))
"""Servers of Azure and Oracle that answer every virtual machine; not all Pythons call these networks private."""

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class AllowedHosts:
    """``entries``: ``host``, ``host:port``, ``[v6]:port``, ``*.suffix`` or a network (``10.0.0.0/8``).

    Compared without regard to case. An entry without port allows every port.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            try:
                self._networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                self._names.add(entry.lower())

    def name(self, host: str, port: int) -> bool:
        """Whether the operator allows the host by its name."""
        bare = host.lower().rstrip(".")
        names = {bare, f"{bare}:{port}", f"[{bare}]:{port}"}
        labels = bare.split(".")
        names |= {"*." + ".".join(labels[index:]) for index in range(1, len(labels))}
        return bool(names & self._names)

    def address(self, text: str) -> bool:
        """Whether an address may be connected to: public, or in a network that the operator allows."""
        found = ip_address(text.partition("%")[0])
        return any(found in network for network in self._networks) or _public(found)


def _public(address: Address) -> bool:
    return not any(
        not each.is_global
        or each.is_multicast
        or each.is_reserved
        or (isinstance(each, IPv6Address) and each.is_site_local)
        or any(each in network for network in _METADATA)
        for each in _inside(address)
    )


def _inside(address: Address) -> tuple[Address, ...]:
    """The address, or the IPv4 addresses that packets to it end up at."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if any(address in network for network in _NAT64):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return (address,)
