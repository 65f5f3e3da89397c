"""Proxies and client certificates of sources, on real sockets: every adapter of a source goes through the same client."""

import base64
import http.server
import select
import socket
import ssl
import threading
import urllib.parse

import pytest
from tests.compat.test_git_http import Scripted, certificate

from penstock.adapters.buckets.providers import ProviderBuckets
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.oci import ImageName
from penstock.core.sources.proxies import proxy_url
from penstock.ports.buckets import RemoteBucket
from penstock.ports.git import GitRef, Remote
from penstock.ports.registry import RemoteImage

LOOPBACK = ("127.0.0.1",)
MAIN = GitRef(branch="main")


class Proxy:
    """Forwards plain requests and tunnels. ``seen``: (method, target, Proxy-Authorization)."""

    def __enter__(self):
        proxy = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.seen.append(("GET", self.path, self.headers.get("Proxy-Authorization")))
                parts = urllib.parse.urlsplit(self.path)
                with socket.create_connection((parts.hostname, parts.port), timeout=10) as upstream:
                    upstream.sendall(
                        f"GET {parts.path}?{parts.query} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
                    )
                    while data := upstream.recv(65536):
                        self.connection.sendall(data)
                self.close_connection = True

            def do_CONNECT(self):
                proxy.seen.append(("CONNECT", self.path, self.headers.get("Proxy-Authorization")))
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), timeout=10) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    both = {upstream: self.connection, self.connection: upstream}
                    while True:
                        for ready in select.select(list(both), [], [], 10)[0]:
                            data = ready.recv(65536)
                            if not data:
                                self.close_connection = True
                                return
                            both[ready].sendall(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def ask(kind, url, *, proxy="", certificates=None, allowed=LOOPBACK):
    """One request of an adapter to a server that answers 404 to everything."""
    host = urllib.parse.urlsplit(url).netloc
    held = certificates or {}
    if kind == "git":
        DulwichGit().resolve(Remote(url=GuardedUrl(url, allowed), credentials=held, proxy=proxy, timeout=10), MAIN)
    elif kind == "registry":
        name = ImageName(registry=host, repository="r")
        insecure = url.startswith("http:")
        image = RemoteImage(
            name=name, insecure=insecure, certificates=held, proxy=proxy, allowed_hosts=allowed, timeout=10
        )
        DistributionRegistry().tags(image)
    else:
        bucket = RemoteBucket(
            name="b",
            endpoint=f"{url.partition(host)[0]}{host}",
            certificates=held,
            proxy=proxy,
            allowed_hosts=allowed,
            timeout=10,
        )
        ProviderBuckets().objects(bucket, "", most=9)


KINDS = ("git", "registry", "bucket")


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_is_gone_through_with_its_login(kind):
    login = proxy_url({"address": b"http://proxy.example.com:3128", "username": b"dev", "password": b"ca:n/ary"})
    assert login == "http://dev:ca%3An%2Fary@proxy.example.com:3128"
    with Scripted(404) as server, Proxy() as proxy:
        for url, sent in (
            (proxy.url, None),
            (proxy.url.replace("//", "//dev:ca%3An%2Fary@"), "Basic " + base64.b64encode(b"dev:ca:n/ary").decode()),
        ):
            with pytest.raises(NotFound):
                ask(kind, server.url, proxy=url)
            method, target, login = proxy.seen[-1]
            assert (method, login) == ("GET", sent)
            assert target.startswith(server.url.rpartition("/")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_is_reached_only_where_the_operator_allows_it(kind):
    with Scripted(404) as server, Proxy() as proxy:
        with pytest.raises(Refused, match=r"policy\.allowedHosts"):
            ask(kind, server.url, proxy=proxy.url, allowed=())
        assert (proxy.seen, server.seen) == ([], [])
    with pytest.raises((Transient, Refused, Terminal)) as caught:
        ask(kind, "http://git.example.com/r", proxy="http://dev:canary@127.0.0.1:1")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_certificate_is_presented_through_a_proxy_too(kind, tmp_path):
    authority = certificate(tmp_path)
    pair = (tmp_path / "tls.pem").read_bytes()
    key = pair[pair.index(b"-----BEGIN PRIVATE KEY-----") :] if b"BEGIN PRIVATE KEY" in pair else pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.decode())
    with Scripted(404) as server, Proxy() as proxy:
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        url = server.url.replace("http:", "https:")
        for through in ("", proxy.url):
            with pytest.raises(NotFound):
                ask(kind, url, proxy=through, certificates={"ca.crt": authority, "tls.crt": authority, "tls.key": key})
            with pytest.raises(Transient):
                ask(kind, url, proxy=through, certificates={"ca.crt": authority})
        assert proxy.seen[0][0] == "CONNECT"


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"address": b"proxy:3128"},
        {"address": b"socks5://canary"},
        {"address": b"http://"},
        {"address": b"http://a b"},
    ],
)
def test_a_secret_that_names_no_proxy_is_refused(secret):
    with pytest.raises(Terminal, match="no 'address'") as caught:
        proxy_url(secret)
    assert "canary" not in str(caught.value)
