"""What the Git adapter does with servers that are slow, wrong, hostile or elsewhere."""

import datetime as dt
import ipaddress
import shutil
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.git_remotes import LOGIN, ServedRemote

from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.server import GitServer
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.ports.git import GitRef, Head, Limits, Remote

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it")
MAIN = GitRef(branch="main")
HEAD = Head(ref="refs/heads/main", commit="1" * 40, revision="")


class Scripted:
    """An HTTP server that gives every request the same answer, and remembers what it was sent."""

    def __init__(self, status=200, headers=None, body=b"", drip=0.0):
        scripted = self
        self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                scripted.seen.append((self.path, dict(self.headers)))
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                for at in range(len(body)) if drip else ():
                    try:
                        self.wfile.write(body[at : at + 1])
                    except OSError:
                        return
                    threading.Event().wait(drip)
                if not drip:
                    self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/fleet.git"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def fleet(tmp_path):
    with GitServer(tmp_path) as server:
        served = ServedRemote(server)
        served.commit({"a": b"1"})
        yield served


@pytest.mark.parametrize(
    ("status", "headers", "kind", "reason", "message"),
    [
        (401, {}, Refused, "AuthenticationFailed", "authentication required"),
        (403, {}, Refused, "AuthenticationFailed", "authorization failed"),
        (404, {}, NotFound, "GitOperationFailed", "repository not found"),
        (410, {}, NotFound, "GitOperationFailed", "repository not found"),
        (429, {"Retry-After": "7"}, Transient, "GitOperationFailed", "the server answers 429"),
        (500, {}, Transient, "GitOperationFailed", "the server answers 500"),
        (503, {"Retry-After": "soon"}, Transient, "GitOperationFailed", "the server answers 503"),
        (400, {}, Terminal, "GitOperationFailed", "the server answers 400"),
        (200, {"Content-Type": "text/html"}, NotFound, "GitOperationFailed", "does not speak Git's smart HTTP"),
        (200, {"Content-Type": "text/plain"}, NotFound, "GitOperationFailed", "does not speak Git's smart HTTP"),
    ],
)
def test_answers_become_errors(status, headers, kind, reason, message):
    with Scripted(status, headers) as server:
        for call in (
            lambda: DulwichGit().resolve(Remote(url=server.url), MAIN),
            lambda: DulwichGit().checkout(Remote(url=server.url), HEAD, Limits()),
        ):
            with pytest.raises(kind, match=message) as error:
                call()
            assert error.value.reason == reason
            assert server.url in str(error.value)
            if isinstance(error.value, Transient):
                assert error.value.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"001e# service=git-upload-pack\n",
        b"001e# service=git-upload-pack\n0000",
        b"fffe",
        b"000eversion 2\n0000",
    ],
)
def test_a_server_that_talks_nonsense_is_a_failure_that_may_pass(body):
    headers = {"Content-Type": "application/x-git-upload-pack-advertisement"}
    with Scripted(200, headers, body) as server, pytest.raises((Transient, NotFound)):
        DulwichGit().resolve(Remote(url=server.url), MAIN)


def test_a_server_that_sends_one_byte_now_and_then_does_not_hold_us():
    headers = {"Content-Type": "application/x-git-upload-pack-advertisement"}
    with (
        Scripted(200, headers, b"0fff" + b"x" * 1000, drip=0.05) as server,
        pytest.raises(Transient, match="timed out"),
    ):
        DulwichGit().resolve(Remote(url=server.url, timeout=0.3), MAIN)


def test_a_server_that_is_not_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/r"
        with pytest.raises(Transient, match="unreachable: Connection refused"):
            DulwichGit().resolve(Remote(url=url), MAIN)
    with pytest.raises(Transient, match="unreachable"):
        DulwichGit().resolve(Remote(url="http://no-such-host.invalid/r"), MAIN)


@pytest.mark.parametrize("allowed", [(), ("example.com",), ("10.0.0.0/8",), ("127.0.0.1:1",)])
def test_a_url_of_a_manifest_does_not_reach_inside(fleet, allowed):
    for url in (fleet.url, fleet.url.replace("127.0.0.1", "localhost")):
        with Scripted() as inside:
            target = url.replace(url.split("/")[2].rpartition(":")[2], str(inside.port))
            with pytest.raises(Refused, match=r"policy\.allowedHosts") as error:
                DulwichGit().resolve(Remote(url=GuardedUrl(target, allowed)), MAIN)
            assert error.value.reason == "URLInvalid"
            assert inside.seen == []


def test_the_operator_may_allow_an_address_inside(fleet):
    port = fleet.url.split("/")[2].rpartition(":")[2]
    for allowed in (("127.0.0.0/8",), (f"127.0.0.1:{port}",), ("127.0.0.1",)):
        remote = Remote(url=GuardedUrl(fleet.url, allowed))
        assert len(DulwichGit().checkout(remote, DulwichGit().resolve(remote, MAIN), Limits())) == 1


def test_a_redirect_is_followed_but_not_inside_and_never_with_the_credentials(fleet):
    target = f"{fleet.url}/info/refs?service=git-upload-pack"
    with Scripted(302, {"Location": target}) as server:
        remote = Remote(url=server.url, credentials=LOGIN)
        head = DulwichGit().resolve(remote, MAIN)
        assert len(DulwichGit().checkout(remote, head, Limits())) == 1
        guarded = GuardedUrl(server.url, (f"127.0.0.1:{server.port}",))
        with pytest.raises(Refused, match="allowedHosts"):
            DulwichGit().resolve(Remote(url=guarded), MAIN)
    with Scripted(404) as elsewhere, Scripted(302, {"Location": f"{elsewhere.url}/info/refs"}) as server:
        with pytest.raises(NotFound):
            DulwichGit().resolve(Remote(url=server.url, credentials=LOGIN), MAIN)
        assert "Authorization" in server.seen[0][1]
        assert [headers.get("Authorization") for _, headers in elsewhere.seen] == [None]


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({}, None),
        ({"username": b"git", "password": b"pa:ss"}, "Basic Z2l0OnBhOnNz"),
        ({"username": b"git"}, "Basic Z2l0Og=="),
        ({"bearerToken": b"tok\n"}, "Bearer tok"),
    ],
)
def test_credentials_are_sent_as_flux_would(credentials, header):
    with Scripted(404) as server, pytest.raises(NotFound):
        DulwichGit().resolve(Remote(url=server.url, credentials=credentials), MAIN)
    assert server.seen[0][1].get("Authorization") == header


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"bearerToken": b"", "username": b"a", "password": b"hunter2"}, "bearerToken and username"),
        ({"password": b"hunter2"}, "a password without a username"),
        ({"username": b"a", "password": b"hunter2\nX-Evil: 1"}, "password has more than one line"),
        ({"tls.crt": b"", "tls.key": b"hunter2"}, "needs both tls.crt and tls.key"),
        ({"tls.crt": b"hunter2", "tls.key": b"hunter2"}, "no certificate and its key"),
        ({"ca.crt": b"hunter2"}, "ca.crt is no PEM certificate"),
    ],
)
def test_credentials_that_contradict_themselves_are_refused(credentials, message):
    with pytest.raises(Terminal, match=message) as error:
        DulwichGit().resolve(Remote(url="http://127.0.0.1:1/r", credentials=credentials), MAIN)
    assert error.value.reason == "AuthenticationFailed"
    assert "hunter2" not in str(error.value)


def test_a_private_authority_is_trusted_when_it_is_given(fleet, tmp_path):
    authority = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    with Scripted(404) as server:
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        url = server.url.replace("http:", "https:")
        with pytest.raises(Refused, match="certificate is not trusted"):
            DulwichGit().resolve(Remote(url=url), MAIN)
        for key in ("ca.crt", "caFile"):
            for allowed in (url, GuardedUrl(url, ("127.0.0.1",))):
                with pytest.raises(NotFound):
                    DulwichGit().resolve(Remote(url=allowed, credentials={key: authority}), MAIN)
        with pytest.raises(Refused, match="certificate is not trusted"):
            DulwichGit().resolve(
                Remote(url=url.replace("127.0.0.1", "localhost"), credentials={"ca.crt": authority}), MAIN
            )


def certificate(directory):
    """A certificate for 127.0.0.1 that is its own authority, with its key in ``tls.pem``; the certificate's PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "tls.pem").write_bytes(private + pem)
    return pem
