"""Sends over HTTP(S) with the standard library alone, to an address that was checked and to no other.

The name is resolved once; the connection goes to the address that passed the check (a second look-up could answer
differently: DNS rebinding), while TLS and the Host header go by the name. Redirects are not followed, proxies of the
environment are not used.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from penstock.adapters.notifier.addresses import AllowedHosts
from penstock.adapters.notifier.memory import LONGEST_ANSWER
from penstock.core.errors import Refused, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.version import __version__

TIMEOUT = 15.0
_PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str, int], list[str]]
"""(host, port) -> addresses as text. Raises OSError."""


def resolve(host: str, port: int) -> list[str]:
    """The system's answer, in its order."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HttpNotifier:
    """``allowed_hosts``: see AllowedHosts. ``timeout``: seconds for a whole notification, from the connection on."""

    def __init__(
        self, allowed_hosts: Iterable[str] = (), *, timeout: float = TIMEOUT, resolver: Resolver = resolve
    ) -> None:
        self._allowed = AllowedHosts(allowed_hosts)
        self._timeout, self._resolver = timeout, resolver

    def send(self, request: HttpRequest) -> HttpResponse:
        """See ports.notifier."""
        host, port, secure, path = _parts(request.url)
        connection = self._connection(host, port, secure=secure, addresses=self._addresses(host, port))
        watchdog = threading.Timer(self._timeout, connection.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.request(request.method, path, body=request.body, headers=_headers(request))
            answer = connection.getresponse()
            body = answer.read(LONGEST_ANSWER)
            if connection.was_cut:  # what came before the cut may read like the whole
                raise TimeoutError
            return HttpResponse(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=body,
            )
        except ssl.SSLCertVerificationError as error:
            message = f"{host}:{port}: its certificate is not trusted ({error.verify_message})"
            raise Refused(message, reason="NotificationDispatchFailed") from error
        except (OSError, http.client.HTTPException) as error:
            cause = f"no answer within {self._timeout:g} s" if connection.was_cut else type(error).__name__
            raise Transient(f"{host}:{port}: {cause}", reason="NotificationDispatchFailed") from error
        except ValueError as error:
            # http.client's own checks of the request line and the headers; its text would quote them
            raise Refused(f"{host}:{port}: the request has characters that HTTP cannot carry") from error
        finally:
            watchdog.cancel()
            connection.close()

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise Transient(f"{host}: the name is not known", reason="NotificationDispatchFailed") from error
        if not addresses:
            raise Transient(f"{host}: the name has no address", reason="NotificationDispatchFailed")
        if not self._allowed.name(host, port) and not all(self._allowed.address(each) for each in addresses):
            message = f"{host}:{port} is a loopback, link-local, private or reserved address; an operator can allow it"
            raise Refused(message, reason="AccessDenied")
        return addresses

    def _connection(self, host: str, port: int, *, secure: bool, addresses: list[str]) -> "_Connection":
        context = ssl.create_default_context() if secure else None
        return _Connection(host, port, addresses=addresses, context=context, timeout=self._timeout)


class _Connection(http.client.HTTPConnection):
    """To one of ``addresses``, whatever the host's name would resolve to now. ``cut`` ends it from another thread."""

    def __init__(
        self, host: str, port: int, *, addresses: list[str], context: ssl.SSLContext | None, timeout: float
    ) -> None:
        super().__init__(host, port, timeout=timeout)
        self._addresses, self._context = addresses, context
        self.default_port = 443 if context else 80  # http.client names another port in the Host header
        self.was_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers, then do the TLS handshake by the host's name."""
        self.sock = self._first_that_answers()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            # the handshake apart from wrapping, so that ``cut`` reaches the socket while it goes on
            secured = self._context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = secured
            secured.do_handshake()

    def _first_that_answers(self) -> socket.socket:
        *others, last = self._addresses
        for address in others:
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError:  # no route for IPv6, say
                if self.was_cut:
                    raise
        return socket.create_connection((last, self.port), self.timeout)

    def cut(self) -> None:
        """End it now: reads and writes in progress fail."""
        self.was_cut = True
        sock: Any = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # not connected any more
                return


def _parts(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether TLS, path with query. Raises Refused without quoting the URL."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        found, port = urlsplit(""), None
    if found.scheme not in _PORTS or not found.hostname or found.username is not None or port == 0:
        raise Refused("the address is no http or https URL without userinfo", reason="InvalidConfig")
    path = (found.path or "/") + (f"?{found.query}" if found.query else "")
    return found.hostname, port or _PORTS[found.scheme], found.scheme == "https", path


def _headers(request: HttpRequest) -> dict[str, str]:
    return {"user-agent": f"penstock/{__version__}", "accept": "*/*", **request.headers}
