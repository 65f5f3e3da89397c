"""One deadline for a whole exchange, however slowly the other side trickles.

urllib3's and the system's timeouts are for each piece that is received: a server that sends one byte a second outlasts
them all. A Deadline is a urllib3 timeout that ends at one moment, and the sockets here take a timeout as the time
for everything until it is set anew: connecting, the TLS handshake, proxies' answers, headers and bodies.
"""

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from urllib3 import Timeout

_SHORTEST = 0.001
"""Seconds: to the system, 0 means not to wait at all."""

if TYPE_CHECKING:
    _Socket = socket.socket
else:
    _Socket = object


class Deadline(Timeout):
    """``seconds`` from now on for all that is done under it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; negative afterwards."""
        return self._until - time.monotonic()

    def clone(self) -> "Deadline":
        """Itself: a copy would end at the same moment."""
        return self

    def start_connect(self) -> float:
        """The clock runs already."""
        return self._until

    @property
    def connect_timeout(self) -> float:
        """Seconds for the connection and the request."""
        return max(self.left, _SHORTEST)

    @property
    def read_timeout(self) -> float:
        """Seconds for the answer; 0 makes urllib3 give up."""
        return max(self.left, 0.0)


class _Timed(_Socket):
    """A socket's ``settimeout`` is a deadline for all that follows, until it is called again."""

    _until: float | None = None

    def settimeout(self, value: float | None) -> None:
        """``value``: seconds for all that is sent and received from now on; None: for ever."""
        super().settimeout(value)
        self._until = None if value is None else time.monotonic() + value

    def gettimeout(self) -> float | None:
        """Seconds that are left: a TLS socket that is made from this one goes on with them."""
        return None if self._until is None else max(self._until - time.monotonic(), _SHORTEST)

    def recv(self, *arguments: Any) -> bytes:
        """As usual."""
        self._wait_no_longer()
        return super().recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """As usual."""
        self._wait_no_longer()
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        """As usual."""
        self._wait_no_longer()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """As usual."""
        self._wait_no_longer()
        super().sendall(*arguments)

    def _wait_no_longer(self) -> None:
        """The system's own timeout becomes what is left."""
        if self._until is None:
            return
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        super().settimeout(left)


class TimedSocket(_Timed, socket.socket):
    """A plain socket with a deadline."""


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS socket with a deadline. Give it to a context as ``sslsocket_class``."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT002 - the standard library's signature
        """As usual; the standard library sets the timeout anew after it, which is no new deadline."""
        until = self._until
        try:
            super().do_handshake(block)
        finally:
            self._until = until
