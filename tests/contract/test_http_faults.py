"""Servers that misbehave, against every adapter that speaks HTTP: left in time, and told without a secret."""

import time

import pytest
from tests.contract import http_faults as faults
from tests.contract.http_faults import ADAPTERS, CANARY, OK, FaultServer

from penstock.core.errors import PenstockError, Transient

SECONDS = 0.5
LATEST = 1.5
"""On a busy machine. A server drips for three seconds."""
LOOPBACK = ["127.0.0.1"]

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """What loads at an adapter's first call has been loaded."""
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
