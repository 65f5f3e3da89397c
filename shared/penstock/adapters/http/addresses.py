"""The guard: which addresses a connection may be made to, and looking a name up within a time."""

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from penstock.core.errors import Refused
from penstock.core.sources.addresses import GuardedUrl, is_private_network, may_reach

Found = tuple[int, int, int, tuple[Any, ...]]
"""One address of a name: family, type, protocol, and where."""

Lookup = Callable[[str, int], list[Found]]
"""(host, port) -> addresses, in the order to try them. Raises OSError, UnicodeError."""


def look_up(host: str, port: int) -> list[Found]:
    """What the system says."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, where) for family, kind, protocol, _, where in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What may be connected to.

    ``allowed_hosts``: what the operator allows beside public addresses (see GuardedUrl); None: every address may be
    reached. ``private``: so may private networks, but nothing of this machine or its cloud. ``reason``: of the refusal.
    """

    allowed_hosts: tuple[str, ...] | None = None
    private: bool = False
    reason: str = "URLInvalid"
    look_up: Lookup = look_up

    def addresses(self, host: str, port: int, seconds: float | None) -> list[Found]:
        """Those of a name that may be connected to. Raises Refused where it has others only, OSError, UnicodeError."""
        found = _in_time(self.look_up, host, port, seconds)
        usable = [each for each in found if self._may_reach(host, port, str(each[3][0]))]
        if found and not usable:
            raise Refused(
                f"{host.strip('[]')}:{port} is a loopback, link-local, private or reserved address; the operator can"
                " allow it in policy.allowedHosts",
                reason=self.reason,
            )
        return usable

    def allowing(self, hosts: tuple[str, ...]) -> "Guard":
        """With more that is allowed."""
        return self if self.allowed_hosts is None else replace(self, allowed_hosts=(*self.allowed_hosts, *hosts))

    def _may_reach(self, host: str, port: int, address: str) -> bool:
        if self.allowed_hosts is None or may_reach(host, port, address, self.allowed_hosts):
            return True
        return self.private and is_private_network(address)


def guard_of(url: str) -> Guard:
    """The guard for a URL: none where the operator wrote it, and it is no GuardedUrl."""
    return Guard(allowed_hosts=url.allowed_hosts) if isinstance(url, GuardedUrl) else Guard()


def _in_time(look: Lookup, host: str, port: int, seconds: float | None) -> list[Found]:
    """A look-up's result. Raises TimeoutError after ``seconds``: the system's resolver knows no time limit of ours.

    What takes longer is left to a thread that ends when the resolver gives up.
    """
    if seconds is None or _is_literal(host):
        return look(host, port)
    done: queue.SimpleQueue[list[Found] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(look(host, port))
        except Exception as error:  # noqa: BLE001 - raised again below
            done.put(error)

    threading.Thread(target=run, name="penstock-look-up", daemon=True).start()
    try:
        result = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name was not looked up in time") from None
    if isinstance(result, Exception):
        raise result
    return result


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
