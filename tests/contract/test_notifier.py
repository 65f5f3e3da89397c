"""The notifier port's contract, on every adapter; and what only the HTTP adapter must refuse.

The HTTP adapter talks to a server on loopback, which it is told to allow: everything else about it is as in use.
"""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock.adapters.http.deadline import TimedSocket
from penstock.adapters.notifier.http import HttpNotifier
from penstock.adapters.notifier.memory import MemoryNotifier
from penstock.core.errors import PenstockError, Refused, Transient
from penstock.core.http import HttpRequest, HttpResponse

SECRET = "s3cret-path"


class Provider:
    """A provider on loopback: answers as told, remembers what it got."""

    def __init__(self):
        self.answer = HttpResponse(status=200, headers={"content-type": "text/plain"}, body=b"ok")
        self.got = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.got.append((self.path, headers, self.rfile.read(length)))
                self.send_response(provider.answer.status)
                for name, value in provider.answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(provider.answer.body)))
                self.end_headers()
                try:
                    self.wfile.write(provider.answer.body)
                except ConnectionError:  # the client has read enough
                    self.close_connection = True

            def log_message(self, *args):
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # a client that has read enough hangs up
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def provider():
    found = Provider()
    yield found
    found.close()


@pytest.fixture(params=["http", "memory"])
def port(request, provider):
    """(notifier, provider): what it sends arrives at the provider's ``got``."""
    if request.param == "http":
        return HttpNotifier([f"127.0.0.1:{provider.port}"]), provider

    def answer(sent):
        provider.got.append((sent.url.removeprefix(provider.url), dict(sent.headers), sent.body))
        return provider.answer

    return MemoryNotifier(answer), provider


def post(url, body=b'{"a":1}', **headers):
    base = {"content-type": "application/json"}
    return HttpRequest(method="POST", path="", url=url, headers=base | headers, body=body)


def test_what_is_sent_arrives_unchanged(port):
    notifier, provider = port
    answer = notifier.send(post(f"{provider.url}/services/x?y=%20z", body=b"\x00\xff", authorization="Bearer t"))
    ((path, headers, body),) = provider.got
    assert (path, body) == ("/services/x?y=%20z", b"\x00\xff")
    assert (headers["content-type"], headers["authorization"]) == ("application/json", "Bearer t")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("status", [204, 301, 404, 429, 500])
def test_every_status_is_an_answer_and_no_redirect_is_followed(port, status):
    notifier, provider = port
    headers = {"location": f"{provider.url}/elsewhere", "retry-after": "7"}
    provider.answer = HttpResponse(status=status, headers=headers)
    answer = notifier.send(post(f"{provider.url}/x"))
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert len(provider.got) == 1


def test_a_long_answer_is_cut(port):
    notifier, provider = port
    provider.answer = HttpResponse(status=200, body=b"x" * 1_000_000)
    assert notifier.send(post(f"{provider.url}/x")).body == b"x" * 65_536


def test_memory_remembers_its_requests():
    notifier = MemoryNotifier()
    sent = post("https://x/y")
    assert notifier.send(sent).status == 200
    assert notifier.requests == (sent,)


def found(address, port):
    """A look-up's answer for one address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, (address, port)


def resolving(*addresses):
    def look_up(host, port):
        return [found(address, port) for address in addresses]

    return look_up


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1"),
    ],
)
def test_addresses_that_are_not_public_are_refused_before_anything_is_sent(address, monkeypatch):
    tried = []

    def connect(_socket, where):
        tried.append(where[0])
        raise OSError("nobody there")

    monkeypatch.setattr(TimedSocket, "connect", connect)
    url = f"https://hooks.example.com/{SECRET}?{SECRET}"
    with pytest.raises(Refused, match=r"hooks\.example\.com:443 is a loopback") as caught:
        HttpNotifier(look_up=resolving(address)).send(post(url))
    assert SECRET not in str(caught.value)
    assert tried == []
    with pytest.raises(Transient):
        HttpNotifier(look_up=resolving(address, "93.184.215.14", address)).send(post(url))
    assert tried == ["93.184.215.14"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_no_way_to_write_loopback_passes(host, provider):
    with pytest.raises((Refused, Transient)):
        HttpNotifier().send(post(f"http://{host}:{provider.port}/x"))
    assert provider.got == []


def test_the_connection_goes_to_the_address_that_was_checked_and_names_the_host(provider):
    """The name is looked up once; nothing that a second look-up says could matter."""
    looked_up = []

    def look_up(host, port):
        looked_up.append(host)
        return [found("127.0.0.1" if len(looked_up) == 1 else "169.254.169.254", port)]

    notifier = HttpNotifier(["alerts.example"], look_up=look_up)
    assert notifier.send(post(f"http://alerts.example:{provider.port}/x")).status == 200
    assert looked_up == ["alerts.example"]
    assert provider.got[0][1]["host"] == f"alerts.example:{provider.port}"


def test_the_next_address_is_tried_where_the_first_does_not_answer(provider):
    notifier = HttpNotifier(["alerts.example"], look_up=resolving("::1", "127.0.0.1"))
    assert notifier.send(post(f"http://alerts.example:{provider.port}/x")).status == 200


def test_proxies_of_the_environment_are_not_used(provider, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert HttpNotifier(["127.0.0.1"]).send(post(f"{provider.url}/x")).status == 200


def silent():
    """A listener that takes connections and never says anything."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_provider_that_never_answers_is_tried_again_later(scheme):
    listener, port = silent()
    with listener, pytest.raises(Transient, match="timed out") as caught:
        HttpNotifier(["127.0.0.1"], timeout=0.3).send(post(f"{scheme}://127.0.0.1:{port}/{SECRET}"))
    assert SECRET not in str(caught.value)


def test_a_provider_that_dribbles_is_cut_off_all_the_same():
    listener, port = silent()
    done = threading.Event()

    def dribble():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    with listener, pytest.raises(Transient, match="timed out"):
        HttpNotifier(["127.0.0.1"], timeout=0.4).send(post(f"http://127.0.0.1:{port}/x"))
    done.set()
    thread.join(5)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def unknown(host, port):
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


def talks_nonsense():
    listener, port = silent()

    def talk():
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"nonsense\r\n\r\n")

    threading.Thread(target=talk, daemon=True).start()
    return listener, port


@pytest.mark.parametrize(
    ("notifier", "error", "text"),
    [
        (HttpNotifier(["127.0.0.1"]), Transient, "unreachable: Connection refused"),
        (HttpNotifier(look_up=unknown), Transient, "unreachable"),
        (HttpNotifier(look_up=resolving()), Transient, "no address"),
    ],
)
def test_connection_errors_are_tried_again_and_show_only_the_host(notifier, error, text):
    with pytest.raises(error, match=text) as caught:
        notifier.send(post(f"http://127.0.0.1:{closed_port()}/{SECRET}?{SECRET}"))
    assert SECRET not in str(caught.value)


def test_a_server_that_speaks_no_http_is_tried_again():
    listener, port = talks_nonsense()
    with listener, pytest.raises(Transient, match="BadStatusLine"):
        HttpNotifier(["127.0.0.1"]).send(post(f"http://127.0.0.1:{port}/x"))


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://example.com/{SECRET}",
        f"https:///{SECRET}",
        f"https://user:{SECRET}@example.com/",
        f"https://[{SECRET}/",
        f"https://example.com:0/{SECRET}",
        f"https://example.com:99999/{SECRET}",
        "",
    ],
)
def test_what_is_no_url_is_refused_and_never_quoted(url):
    with pytest.raises(Refused, match="no http or https URL") as caught:
        HttpNotifier(look_up=unknown).send(post(url))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("path", "headers"), [(f"/{SECRET}\r\nX: y", {}), ("/x", {"x-a": f"{SECRET}\r\nX-B: c"})])
def test_nothing_can_be_slipped_into_the_request(path, headers, provider):
    with pytest.raises(PenstockError) as caught:
        HttpNotifier(["127.0.0.1"]).send(post(f"{provider.url}{path}", **headers))
    assert SECRET not in str(caught.value)
    assert not any("x-b" in got[1] or "x" in got[1] for got in provider.got)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    certificate = self_signed(tmp_path)
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener, port = silent()

    def shake():
        connection, _ = listener.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:  # the client hangs up
            connection.close()

    thread = threading.Thread(target=shake, daemon=True)
    thread.start()
    with listener, pytest.raises(Refused, match="certificate is not trusted"):
        HttpNotifier(["127.0.0.1"]).send(post(f"https://127.0.0.1:{port}/x"))
    thread.join(5)


def self_signed(directory):
    """A file with a fresh key and a certificate for 127.0.0.1 that signs itself."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + built.public_bytes(serialization.Encoding.PEM)
    path = directory / "server.pem"
    path.write_bytes(text)
    return path
