"""The downloads port's contract, on every adapter; and what only the HTTP adapter can meet."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock.adapters.downloads.http import HttpDownloads
from penstock.adapters.downloads.memory import MemoryDownloads
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.ports.downloads import Download

DATA = b"kind: ConfigMap\n" * 100


class Web:
    """A web server on loopback: ``answers``: path -> (status, headers, body); a callable body writes by itself."""

    def __init__(self):
        self.answers, self.got = {}, []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.got.append((self.path, {name.lower() for name in self.headers}))
                status, headers, body = web.answers.get(self.path, (404, {}, b"nothing here"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for part in body if not isinstance(body, bytes) else (body,):
                        self.wfile.write(part)
                        self.wfile.flush()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_):
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that has read enough hangs up
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web():
    found = Web()
    yield found
    found.close()


@pytest.fixture(params=["http", "memory"])
def served(request, web):
    """(downloads, put(path, bytes))."""
    if request.param == "http":
        return HttpDownloads(), lambda path, data: web.answers.update({path: (200, {}, data)})
    memory = MemoryDownloads()
    return memory, lambda path, data: memory.put(web.url + path, data)


def test_a_file_comes_as_it_is(served, web):
    downloads, put = served
    put("/a.yaml?x=1", DATA)
    assert downloads.get(Download(url=f"{web.url}/a.yaml?x=1")) == DATA
    put("/a.yaml?x=1", b"")
    assert downloads.get(Download(url=f"{web.url}/a.yaml?x=1")) == b""


def test_a_file_that_is_not_there(served, web):
    with pytest.raises(NotFound) as caught:
        served[0].get(Download(url=f"{web.url}/none?token=canary"))
    assert caught.value.reason == "DownloadFailed"
    assert "canary" not in str(caught.value)


def test_a_file_over_the_limit_is_refused(served, web):
    downloads, put = served
    put("/a", DATA)
    assert downloads.get(Download(url=f"{web.url}/a", most=len(DATA))) == DATA
    with pytest.raises(Refused, match="larger than"):
        downloads.get(Download(url=f"{web.url}/a", most=len(DATA) - 1))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Refused),
        (403, Refused),
        (410, NotFound),
        (429, Transient),
        (500, Transient),
        (503, Transient),
        (400, Terminal),
    ],
)
def test_each_status_is_one_kind_of_error(web, status, error):
    web.answers["/a?token=canary"] = (status, {"Retry-After": "7"}, b"canary")
    with pytest.raises(error) as caught:
        HttpDownloads().get(Download(url=f"{web.url}/a?token=canary"))
    assert type(caught.value) is error
    assert "canary" not in str(caught.value)
    if error is Transient:
        assert caught.value.retry_after == 7


def test_redirects_are_followed_three_times(web):
    for number in range(4):
        web.answers[f"/{number}"] = (302, {"Location": f"{number + 1}"}, b"")
    web.answers["/4"] = (200, {}, DATA)
    assert HttpDownloads().get(Download(url=f"{web.url}/1")) == DATA
    with pytest.raises(Terminal, match="redirects"):
        HttpDownloads().get(Download(url=f"{web.url}/0"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://a b/"])
def test_a_redirect_to_another_protocol_is_an_error(web, target):
    web.answers["/a"] = (302, {"Location": target}, b"")
    with pytest.raises(Terminal):
        HttpDownloads().get(Download(url=f"{web.url}/a"))


def test_no_credentials_are_sent(web):
    web.answers["/a"] = (200, {}, DATA)
    HttpDownloads().get(Download(url=f"{web.url}/a"))
    assert {"authorization", "cookie", "proxy-authorization"} & web.got[0][1] == set()


def test_a_guarded_url_reaches_no_loopback_unless_that_is_allowed(web):
    web.answers["/a"] = (200, {}, DATA)
    with pytest.raises(Refused, match=r"policy\.allowedHosts"):
        HttpDownloads().get(Download(url=GuardedUrl(f"{web.url}/a")))
    assert web.got == []
    assert HttpDownloads().get(Download(url=GuardedUrl(f"{web.url}/a", ["127.0.0.1"]))) == DATA


def test_a_redirect_is_guarded_too(web):
    other = Web()
    other.answers["/b"] = (200, {}, DATA)
    host = web.url.removeprefix("http://")
    web.answers["/a"] = (302, {"Location": f"{other.url}/b"}, b"")
    with pytest.raises(Refused, match=r"policy\.allowedHosts"):
        HttpDownloads().get(Download(url=GuardedUrl(f"{web.url}/a", [host])))
    assert other.got == []
    other.close()


def test_a_server_that_drips_is_left_in_time(web):
    def drip():
        for _ in range(100):
            yield b"x"
            time.sleep(0.05)

    web.answers["/a"] = (200, {}, drip())
    with pytest.raises(Transient, match="timed out"):
        HttpDownloads().get(Download(url=f"{web.url}/a", timeout=0.3))


def test_nobody_listens(web):
    web.close()
    with pytest.raises(Transient, match="unreachable"):
        HttpDownloads().get(Download(url=f"{web.url}/a"))


def test_compressed_answers_are_taken_as_they_are(web):
    """Nothing is unpacked: a small answer stays small."""
    web.answers["/a"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b not really")
    assert HttpDownloads().get(Download(url=f"{web.url}/a")).startswith(b"\x1f\x8b")
