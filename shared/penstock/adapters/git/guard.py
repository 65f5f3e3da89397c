"""Connections that check the address they are about to be made to."""

import socket
from typing import ClassVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from penstock.core.errors import Refused
from penstock.core.sources.addresses import GuardedUrl, may_reach

PoolClasses = dict[str, type[HTTPConnectionPool]]


class _Guarded(HTTPConnection):
    """Resolves a name itself, and connects to the addresses that are allowed, in their order."""

    allowed_hosts: ClassVar[tuple[str, ...]] = ()

    def _new_conn(self) -> socket.socket:
        host = self._dns_host
        addresses = self._addresses(host)
        for last, address in enumerate(addresses, start=1 - len(addresses)):
            self._dns_host = address
            try:
                return super()._new_conn()
            except NewConnectionError:
                if last == 0:
                    raise
            finally:
                self._dns_host = host  # certificates are checked against the name
        raise Refused(f"{host} is at an address that policy.allowedHosts does not allow", reason="URLInvalid")

    def _addresses(self, host: str) -> list[str]:
        port = self.port or 0
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        return [each for each in addresses if may_reach(host, port, each, self.allowed_hosts)]


class _GuardedTls(_Guarded, HTTPSConnection):
    pass


def pool_classes(url: str) -> PoolClasses:
    """urllib3's pool classes by scheme for a remote: guarded ones where its url is a GuardedUrl."""
    if not isinstance(url, GuardedUrl):
        return {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
    own = {"allowed_hosts": url.allowed_hosts}
    plain = type("GuardedConnection", (_Guarded,), own)
    tls = type("GuardedTlsConnection", (_GuardedTls,), own)
    return {
        "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
