"""Kept-alive connections to one server, and the TLS settings of a client: key material stays in memory."""

import ssl
import threading
from typing import TYPE_CHECKING, Any

from penstock.adapters.cluster.credentials import Login
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.http.trust import readable
from penstock.core.errors import Terminal

if TYPE_CHECKING:
    import urllib3

POOL = 32
"""Connections kept alive; more threads than that open short-lived ones."""


class Pools:
    """The kept-alive connections to one server, made anew when the client certificate changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._made: tuple[bytes, urllib3.HTTPConnectionPool] | None = None
        # A server may be a path below a host, as at Rancher: https://host/k8s/clusters/c-1
        _, _, path = connection.server.partition("://")[2].partition("/")
        self.prefix = f"/{path}" if path else ""

    def of(self, login: Login) -> "urllib3.HTTPConnectionPool":
        """The pool for a Login."""
        with self._lock:
            if self._made is None or self._made[0] != login.certificate:
                if self._made is not None:
                    self._made[1].close()
                self._made = (login.certificate, self._make(login))
            return self._made[1]

    def close(self) -> None:
        """Closes what is idle; the next request opens anew."""
        with self._lock:
            if self._made is not None:
                self._made[1].close()
                self._made = None

    def _make(self, login: Login) -> "urllib3.HTTPConnectionPool":
        import urllib3  # noqa: PLC0415 - loaded where a connection is made

        from penstock.adapters.http.connection import pool_manager  # noqa: PLC0415 - see above

        options: dict[str, Any] = {"maxsize": POOL, "block": False}
        if self._connection.server.startswith("https:"):
            options["ssl_context"] = tls_context(self._connection, login.certificate)
            if not self._connection.verify:  # the kubeconfig asks for it: no warning at every request
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            if self._connection.tls_server_name:
                options["server_hostname"] = self._connection.tls_server_name
        try:
            found = self._connection
            return pool_manager(found.guard, proxy=found.proxy, **options).connection_from_url(found.server)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Terminal(f"{self._connection.server}: not a server to connect to: {error}") from error


def tls_context(connection: Connection, certificate: bytes) -> ssl.SSLContext:
    """A client's TLS settings; key material stays in memory. Raises Terminal where a certificate is unusable."""
    try:
        context = ssl.create_default_context(cadata=connection.ca.decode() or None)
        # Python 3.13 insists on extensions that clusters' own authorities often lack; client-go does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not connection.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate:
            with readable(certificate) as path:
                context.load_cert_chain(path, password=b"")  # never ask a terminal for a passphrase
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise Terminal(f"{connection.server}: the kubeconfig's certificates cannot be used: {error}") from error
    return context
