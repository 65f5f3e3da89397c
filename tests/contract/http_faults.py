"""A server on loopback that misbehaves, and every adapter that speaks HTTP as one call to it.

A fault is a function of a connection whose request has been read; it writes what it likes.
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.adapters.buckets.azure import AzureBuckets
from penstock.adapters.buckets.gcs import GcsBuckets
from penstock.adapters.buckets.s3 import S3Buckets
from penstock.adapters.cluster.answers import Call
from penstock.adapters.cluster.credentials import Login, Static
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.transport import Patience, Request, Transport
from penstock.adapters.downloads.http import HttpDownloads
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.google.client import Act, GoogleClient
from penstock.adapters.http.addresses import Guard
from penstock.adapters.identity.http import HttpSender
from penstock.adapters.identity.kept import Kept
from penstock.adapters.notifier.http import HttpNotifier
from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.core.http import HttpRequest
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.oci import ImageName
from penstock.ports.buckets import RemoteBucket
from penstock.ports.downloads import Download
from penstock.ports.git import GitRef, Remote
from penstock.ports.identity import Bearer
from penstock.ports.registry import RemoteImage

CANARY = "canary-7f3a"
"""Stands in every login, path and query that an adapter is given."""

OK = b"HTTP/1.1 200 OK\r\n"


class FaultServer:
    """Runs ``fault(connection)`` for every connection; ``tls``: a server's context; ``at_once``: before any request."""

    def __init__(self, fault, *, tls=None, at_once=False):
        self._fault, self._tls, self._at_once = fault, tls, at_once
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.requests, self.connections = [], []
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            with connection:
                if self._at_once:
                    self._fault(connection)
                    return
                while request := self._request(connection):
                    self.requests.append(request)
                    self._fault(connection)

    def _request(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head


def drips(before, piece, *, every=0.03):
    """Sends ``before``, and then ``piece`` again and again for three seconds, or until the client hangs up."""

    def fault(connection):
        connection.sendall(before)
        for _ in range(100):
            time.sleep(every)
            connection.sendall(piece)

    return fault


def says(answer):
    """Sends these bytes, and ends."""

    def fault(connection):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    return fault


def floods(before, piece, most=64 << 20):
    """Sends ``before`` and then ``piece`` without an end, as fast as it is taken."""

    def fault(connection):
        connection.sendall(before)
        many = piece * max(1, 65536 // len(piece))
        for _ in range(most // len(many)):
            connection.sendall(many)

    return fault


def resets(before):
    """Sends ``before``, and then resets the connection."""

    def fault(connection):
        connection.sendall(before)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()

    return fault


def silent(connection):
    """Says nothing."""
    time.sleep(3)


def downloads(url, seconds, allowed):
    HttpDownloads().get(
        Download(url=GuardedUrl(f"{url}/{CANARY}?token={CANARY}", allowed), timeout=seconds, most=1 << 20)
    )


def git(url, seconds, allowed, *, certificates=None):
    credentials = {"username": b"flux", "password": CANARY.encode(), **(certificates or {})}
    remote = Remote(url=GuardedUrl(f"{url}/fleet.git", allowed), credentials=credentials, timeout=seconds)
    DulwichGit().resolve(remote, GitRef(branch="main"))


def _image(url, seconds, allowed, certificates):
    scheme, _, host = url.partition("://")
    auths = {"auths": {host: {"username": "flux", "password": CANARY}}}
    return RemoteImage(
        name=ImageName(registry=host, repository="fleet/apps"),
        login={".dockerconfigjson": json.dumps(auths).encode()},
        certificates=certificates or {},
        insecure=scheme == "http",
        allowed_hosts=tuple(allowed),
        timeout=seconds,
    )


def registry(url, seconds, allowed, *, certificates=None):
    DistributionRegistry().tags(_image(url, seconds, allowed, certificates))


def _bucket(url, seconds, allowed, certificates, **more):
    return RemoteBucket(
        name="fleet",
        endpoint=url,
        certificates=certificates or {},
        allowed_hosts=tuple(allowed),
        timeout=seconds,
        **more,
    )


def s3(url, seconds, allowed, *, certificates=None):
    login = {"accesskey": b"flux", "secretkey": CANARY.encode()}
    S3Buckets().read(_bucket(url, seconds, allowed, certificates, credentials=login), CANARY, most=1 << 20)


def gcs(url, seconds, allowed, *, certificates=None):
    GcsBuckets().read(_bucket(url, seconds, allowed, certificates, provider="gcp"), CANARY, most=1 << 20)


def azure(url, seconds, allowed, *, certificates=None):
    key = b64encode(CANARY.encode())
    login = {"accountName": b"flux", "accountKey": key}
    AzureBuckets().read(
        _bucket(url, seconds, allowed, certificates, provider="azure", credentials=login), "a", most=1 << 20
    )


def _post(url):
    headers = {"authorization": f"Bearer {CANARY}", "content-type": "application/json"}
    return HttpRequest(method="POST", path="", url=f"{url}/{CANARY}?token={CANARY}", headers=headers, body=b"{}")


def identity(url, seconds, allowed):
    HttpSender(sleep=lambda _seconds: None, seconds=seconds)(_post(url))


def google(url, seconds, allowed):
    sender = HttpSender(sleep=lambda _seconds: None, seconds=seconds)
    client = GoogleClient(sender, lambda: Bearer(token=CANARY, expires=2e9), Kept())
    client.call("POST", f"{url}/v1/secrets?token={CANARY}", Act(permission="secrets.get", resource="a"), {})


def notifier(url, seconds, allowed):
    HttpNotifier(allowed, timeout=seconds).send(_post(url))


def cluster(url, seconds, allowed, *, certificates=None):
    connection = Connection(
        server=url,
        credentials=Static(value=Login(authorization=f"Bearer {CANARY}")),
        ca=(certificates or {}).get("ca.crt", b""),
        guard=Guard(allowed_hosts=tuple(allowed)),
    )
    transport = Transport(connection, patience=Patience(total=seconds))
    transport.send(Request(method="GET", path="/api/v1/secrets"), Call(verb="list", resource="secrets", identity="we"))


ADAPTERS = {
    each.__name__: each for each in (downloads, git, registry, s3, gcs, azure, identity, google, notifier, cluster)
}


def server_identity(directory, name="127.0.0.1"):
    """(a server's TLS context, the PEM that vouches for it) for a name or an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    try:
        alternative = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "server.pem"
    path.write_bytes(secret + made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, made
