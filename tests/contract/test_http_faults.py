"""Servers that misbehave, against every adapter that speaks HTTP: left in time, and told without a secret."""

import contextlib
import gzip
import importlib
import socket
import time
import tracemalloc

import pytest
from tests.contract import http_faults as faults
from tests.contract.http_faults import ADAPTERS, CANARY, OK, FaultServer

from penstock.adapters.cluster import transport
from penstock.adapters.git import dulwich as git_adapter
from penstock.adapters.http import trust
from penstock.adapters.http.client import HttpClient, Outgoing
from penstock.adapters.http.deadline import Deadline, TimedSocket
from penstock.adapters.http.errors import Telling
from penstock.adapters.identity.http import HttpSender
from penstock.core.errors import PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpRequest

SECONDS = 0.5
LATEST = 1.5
"""On a busy machine. A server drips for three seconds."""
LOOPBACK = ["127.0.0.1"]

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """What loads at an adapter's first call has been loaded."""
    importlib.import_module("penstock.adapters.git.client")
    for adapter in ADAPTERS.values():
        with pytest.raises(PenstockError):
            adapter("http://127.0.0.1:1", SECONDS, LOOPBACK)


def met(adapter, url, *, seconds=SECONDS, allowed=LOOPBACK, **more):
    """(the error that a call ends with, the seconds that it took)."""
    began = time.monotonic()
    with pytest.raises(PenstockError) as caught:
        adapter(url, seconds, allowed, **more)
    took = time.monotonic() - began
    assert CANARY not in str(caught.value)
    return caught.value, took


def redirects_slowly(connection):
    time.sleep(0.2)
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")


GIT = OK + b"Content-Type: application/x-git-upload-pack-advertisement\r\n"
CHUNKED = GIT + b"Transfer-Encoding: chunked\r\n\r\n"

DRIPS = {
    "header": faults.drips(OK, b"x"),
    "headers": faults.drips(OK, b"x: y\r\n"),
    "interim answers": faults.drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": faults.drips(GIT + b"Content-Length: 100000\r\n\r\n", b"0"),
    "chunks": faults.drips(CHUNKED, b"1\r\n0\r\n"),
    "chunk size": faults.drips(CHUNKED, b"0"),
    "trailers": faults.drips(CHUNKED + b"0\r\n", b"x: y\r\n"),
    "nothing": faults.silent,
}


@every_adapter
@pytest.mark.parametrize("fault", DRIPS.values(), ids=DRIPS.keys())
def test_a_server_that_drips_is_left_in_time(adapter, fault):
    with FaultServer(fault) as server:
        error, took = met(adapter, server.url)
    assert isinstance(error, Transient)
    assert took < LATEST


@pytest.mark.parametrize("adapter", [faults.downloads, faults.git, faults.registry])
def test_redirects_that_trickle_are_left_in_time(adapter):
    with FaultServer(redirects_slowly) as server:
        error, took = met(adapter, server.url)
    assert isinstance(error, Transient)
    assert took < LATEST


@every_adapter
@pytest.mark.parametrize("piece", [b"\x16", b""], ids=["drips", "silent"])
def test_a_tls_handshake_that_drips_is_left_in_time(adapter, piece):
    hello = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
    with FaultServer(faults.drips(hello, piece), at_once=True) as server:
        error, took = met(adapter, server.url.replace("http:", "https:"))
    assert isinstance(error, Transient)
    assert took < LATEST


def answers(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@every_adapter
@pytest.mark.parametrize(
    "answer",
    [
        GIT + b"Content-Le",
        GIT + b"Content-Length: 100\r\n\r\n0123",
        CHUNKED + b"10\r\n0123",
        CHUNKED + b"4\r\n0123\r\n",
        CHUNKED + b"nonsense\r\n0123\r\n0\r\n\r\n",
    ],
    ids=["headers", "content-length", "chunk", "chunks", "nonsense"],
)
@pytest.mark.parametrize("fault", [faults.says, faults.resets])
def test_an_answer_that_breaks_off_is_no_answer(adapter, answer, fault):
    with FaultServer(fault(answer)) as server:
        error, _ = met(adapter, server.url)
    assert isinstance(error, Transient)


@every_adapter
@pytest.mark.parametrize(
    ("before", "piece"),
    [(OK, b"x: y\r\n"), (OK + b"x: ", b"y"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["headers", "header", "interim answers"],
)
def test_headers_that_do_not_end_are_refused(adapter, before, piece):
    sent = []

    def fault(connection):
        sent.append(0)
        faults.floods(before, piece)(connection)

    with FaultServer(fault) as server:
        error, _ = met(adapter, server.url, seconds=5)
    if adapter is not faults.cluster:  # an API server is asked again
        assert isinstance(error, Refused)
        assert "headers are over the limit" in str(error)
        assert sent == [0]


@pytest.fixture
def small(monkeypatch):
    """The bounds that are too large for a test."""
    monkeypatch.setattr(git_adapter, "_MOST_REFS_BYTES", 1 << 20)
    monkeypatch.setattr(transport, "ANSWER_LIMIT", 1 << 20)


BOUNDED = [each for each in ADAPTERS.values() if each is not faults.notifier]


@pytest.mark.parametrize("adapter", BOUNDED)
@pytest.mark.parametrize(
    "head", [GIT + b"\r\n", GIT + b"Content-Length: 67108864\r\n\r\n"], ids=["until it ends", "told before"]
)
def test_a_body_over_its_bound_is_not_read(adapter, head, small):
    with FaultServer(faults.floods(head, b"001e# service=git-upload-pack\n")) as server:
        error, _ = met(adapter, server.url, seconds=5)
    assert isinstance(error, Terminal)
    assert "larger than" in str(error) or "over the limit" in str(error)


def test_a_provider_is_not_listened_to_for_ever():
    """What it says beyond the first 64 KiB is nobody's business."""
    with FaultServer(faults.floods(OK + b"\r\n", b"x")) as server:
        faults.notifier(server.url, SECONDS, LOOPBACK)


@every_adapter
def test_an_answer_that_unpacks_to_much_stays_small(adapter, small):
    bomb = gzip.compress(b"0000" * (64 << 20), 9)
    answer = answers(200, "Content-Type: application/x-git-", "Content-Encoding: gzip", body=bomb)
    with FaultServer(faults.says(answer)) as server:
        tracemalloc.start()
        with contextlib.suppress(Terminal, Transient):
            adapter(server.url, 20, LOOPBACK)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 << 20  # of 256 MiB


STATUS_IS_VALUE = (faults.identity, faults.notifier)
TELLING = [each for each in ADAPTERS.values() if each not in STATUS_IS_VALUE]


@pytest.mark.parametrize("adapter", TELLING)
@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7), ("999999999999999999999999", 3600), ("-1", None), ("1e9", None), ("\xb2", None), ("never", None)],
)
def test_a_wish_to_be_left_alone_is_heard_within_reason(adapter, header, expected):
    answer = answers(429, f"Retry-After: {header}", "Connection: close").replace("\xb2".encode(), b"\xb2")
    with FaultServer(faults.says(answer)) as server:
        error, _ = met(adapter, server.url, seconds=5)
    assert isinstance(error, Transient)
    assert error.retry_after == expected


FOLLOWING = pytest.mark.parametrize("adapter", [faults.downloads, faults.git, faults.registry])


@FOLLOWING
def test_redirects_come_to_an_end(adapter):
    with FaultServer(faults.says(answers(302, "Location: /again"))) as server:
        error, _ = met(adapter, server.url, seconds=5)
    assert isinstance(error, Terminal)
    assert "redirects" in str(error)
    assert len(server.requests) <= 6


@pytest.mark.parametrize(
    "adapter", [each for each in ADAPTERS.values() if each not in (faults.downloads, faults.git, faults.registry)]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_else_follows_a_redirect(adapter, status):
    with FaultServer(faults.says(answers(status, "Location: /again"))) as server, contextlib.suppress(Terminal):
        adapter(server.url, 5, LOOPBACK)
    assert len(server.requests) == 1


@FOLLOWING
def test_a_redirect_leads_to_no_private_address(adapter):
    with (
        FaultServer(faults.says(answers(200))) as inside,
        FaultServer(faults.says(answers(302, f"Location: {inside.url}/secret"))) as server,
    ):
        error, _ = met(adapter, server.url, allowed=[f"127.0.0.1:{server.port}"])
    assert isinstance(error, Refused)
    assert inside.connections == []


@FOLLOWING
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "//[", "http://user:pw@127.0.0.1/", "http:// x/", "gopher://a/"]
)
def test_a_redirect_leads_to_no_other_protocol(adapter, target):
    with FaultServer(faults.says(answers(302, f"Location: {target}"))) as server:
        error, _ = met(adapter, server.url)
    assert isinstance(error, Terminal)
    assert len(server.requests) == 1


@FOLLOWING
def test_a_redirect_does_not_lead_away_from_tls(adapter, tmp_path, monkeypatch):
    context, authority = faults.server_identity(tmp_path)
    (tmp_path / "ca.pem").write_bytes(authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    trust._context.cache_clear()
    with (
        FaultServer(faults.says(answers(200))) as plain,
        FaultServer(faults.says(answers(302, f"Location: {plain.url}/x")), tls=context) as server,
    ):
        error, _ = met(adapter, server.url, seconds=5)
    trust._context.cache_clear()
    assert isinstance(error, Refused)
    assert "away from TLS" in str(error)
    assert len(server.requests) == 1
    assert plain.connections == []


@pytest.mark.parametrize("adapter", [faults.git, faults.registry])
def test_a_login_does_not_go_to_another_origin(adapter):
    def fault(connection):
        asked = b"authorization:" not in server.requests[-1].lower()
        connection.sendall(answers(401, 'WWW-Authenticate: Basic realm="x"') if asked else moved)

    with FaultServer(faults.says(answers(403))) as other:
        moved = answers(302, f"Location: {other.url}/elsewhere")
        with FaultServer(fault) as server:
            error, _ = met(adapter, server.url, seconds=5)
    assert isinstance(error, Refused)
    assert b"authorization" in server.requests[-1].lower()
    assert len(other.requests) == 1
    assert b"authorization" not in other.requests[0].lower()


GUARDED = [each for each in ADAPTERS.values() if each not in (faults.identity, faults.google)]


@pytest.fixture
def names(monkeypatch):
    """host -> addresses (of which a look-up gives one after the other), or seconds that a look-up takes."""
    told, real = {}, socket.getaddrinfo

    def look_up(host, port, *arguments, **options):
        if host not in told:
            return real(host, port, *arguments, **options)
        if isinstance(told[host], float):
            time.sleep(told[host])
            return real("127.0.0.1", port, *arguments, **options)
        return real(told[host].pop(0), port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return told


@pytest.mark.parametrize("adapter", GUARDED)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:169.254.169.254"])
def test_a_name_leads_to_no_private_address(adapter, address, names):
    names["evil.example"] = [address] * 9
    error, _ = met(adapter, "http://evil.example:1", allowed=[])
    assert isinstance(error, Refused)
    assert "evil.example" in str(error)


@pytest.mark.parametrize("adapter", GUARDED)
def test_a_name_that_changes_after_the_check_changes_nothing(adapter, names, monkeypatch):
    """The connection is made to the address that was checked, whatever a second look-up would say."""
    tried, real = [], TimedSocket.connect

    def connect(made, where):
        tried.append(where[0])
        return real(made, where)

    monkeypatch.setattr(TimedSocket, "connect", connect)
    names["evil.example"] = ["127.0.0.1", *["169.254.169.254"] * 9]
    with FaultServer(faults.says(answers(403))) as server, contextlib.suppress(Terminal):
        adapter(f"http://evil.example:{server.port}", SECONDS, LOOPBACK)
    assert tried == ["127.0.0.1"]
    assert len(server.requests) == 1


@every_adapter
def test_a_name_that_is_looked_up_slowly_is_left_in_time(adapter, names):
    names["slow.example"] = 3.0
    error, took = met(adapter, "http://slow.example:1")
    assert isinstance(error, Transient)
    assert took < LATEST


@every_adapter
def test_nobody_listens(adapter):
    error, _ = met(adapter, "http://127.0.0.1:1")
    assert isinstance(error, Transient)


PROXIED = HttpRequest(method="GET", path="", url=f"https://cloud.example/{CANARY}?token={CANARY}")


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (OK, b"x: y\r\n"),
        (b"", b"H"),
        (OK + b"\r\n\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x16"),
        (OK + b"\r\n", b""),
    ],
    ids=["headers", "status", "handshake", "silent"],
)
def test_a_proxy_that_drips_is_left_in_time(before, piece):
    with FaultServer(faults.drips(before, piece)) as server:
        sender = HttpSender(lambda _url: server.url, sleep=lambda _seconds: None, seconds=2 * SECONDS)
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            sender(PROXIED)
    assert time.monotonic() - began < LATEST
    assert CANARY not in str(caught.value)
    assert server.requests[0].startswith(b"CONNECT cloud.example:443 ")


@pytest.mark.parametrize(("before", "piece"), [(OK, b"x: y\r\n"), (OK + b"\r\n\x16\x03\x03\x40\x00", b"\x16")])
def test_a_proxy_under_tls_that_drips_is_left_in_time(before, piece, tmp_path, monkeypatch):
    context, authority = faults.server_identity(tmp_path)
    (tmp_path / "ca.pem").write_bytes(authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    trust._context.cache_clear()
    with FaultServer(faults.drips(before, piece), tls=context) as server:
        sender = HttpSender(lambda _url: server.url, sleep=lambda _seconds: None, seconds=2 * SECONDS)
        began = time.monotonic()
        with pytest.raises(Transient):
            sender(PROXIED)
    trust._context.cache_clear()
    assert time.monotonic() - began < LATEST
    assert server.requests[0].startswith(b"CONNECT cloud.example:443 ")


def test_a_connection_that_does_not_come_about_is_given_up_soon():
    began = time.monotonic()
    with FaultServer(faults.drips(b"\x16\x03\x03\x40\x00", b"\x16"), at_once=True) as server:
        client = HttpClient(connect=SECONDS)
        with contextlib.closing(client), pytest.raises(Transient, match="timed out"):
            client.open(Outgoing(url=server.url.replace("http:", "https:")), Deadline(60), Telling())
    assert time.monotonic() - began < LATEST


def test_sending_has_more_time_than_connecting():
    def fault(connection):
        time.sleep(3 * connect)
        connection.recv(1000)
        left = 16 << 20
        while left > 0:
            left -= len(connection.recv(1 << 20))
        connection.sendall(answers(200, body=b"thanks"))

    connect, body = 0.2, b"x" * ((16 << 20) + 1000)
    with FaultServer(fault, at_once=True) as server, contextlib.closing(HttpClient(connect=connect)) as client:
        sent = Outgoing(url=server.url, method="PUT", body=body)
        assert client.open(sent, Deadline(60), Telling()).all(100) == b"thanks"


def test_a_server_that_does_not_listen_is_left_in_time():
    """The request itself is never taken."""
    with FaultServer(faults.silent, at_once=True) as server:
        began = time.monotonic()
        with pytest.raises(Transient):
            HttpSender(seconds=SECONDS)(HttpRequest(method="PUT", path="", url=server.url, body=b"x" * (64 << 20)))
    assert time.monotonic() - began < LATEST
