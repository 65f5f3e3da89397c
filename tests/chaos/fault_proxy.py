"""A proxy on loopback in front of a real server, through which requests get lost, cut, delayed or refused.

It speaks HTTP/1.1, with TLS where it is given a certificate. Each request is asked about once: what ``plan`` says of
(method, path) happens to it. Everything else is forwarded as it is, watches as they come.
"""

import contextlib
import http.client
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CUT_BEFORE, CUT_AFTER, CUT_IN_THE_MIDDLE = "cut before its effect", "cut after its effect", "cut in the answer"
CUT_IN_THE_REQUEST = "cut in the request"
SLOW, HANGS = "slow", "hangs"
STALLS, STALLS_AFTER = "stalls before its effect", "stalls after its effect"
"""Half-open: nothing comes for a while, then the connection is gone."""
REFUSALS = {"412": 412, "429": 429, "500": 500, "503": 503}
ASKING = {
    f"{status} for {seconds} s": (status, {"Retry-After": seconds})
    for status, seconds in ((429, "1"), (503, "2"), (429, "5"))
}
"""Refusals with a Retry-After."""
EVERYTHING = (*REFUSALS, CUT_BEFORE, CUT_AFTER, CUT_IN_THE_MIDDLE, SLOW)
SECONDS, STALLED = 0.5, 12.0
"""That a slow answer takes longer; that nothing comes."""
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}

Plan = Callable[[str, str], str]
Heard = Callable[[str, str, bytes], None]
"""Is told (method, path, answer) of what a server has done, whether or not who asked gets to know."""


class FaultProxy:
    """``url``: instead of the server's; ``happened``: (method, path, fault) of each request that met one."""

    def __init__(
        self, server: str, plan: Plan, tls: ssl.SSLContext | None = None, *, heard: Heard = lambda *_: None
    ) -> None:
        self.server, self.plan, self.happened = urlsplit(server), plan, list[tuple[str, str, str]]()
        self.heard = heard
        self.released, self.hanging = threading.Event(), threading.Event()
        self._client = ssl._create_unverified_context() if self.server.scheme == "https" else None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{self.server.scheme}://127.0.0.1:{self._http.server_address[1]}"

    def connect(self) -> http.client.HTTPConnection:
        host, port = str(self.server.hostname), self.server.port
        if self._client is not None:
            return http.client.HTTPSConnection(host, port, timeout=60, context=self._client)
        return http.client.HTTPConnection(host, port, timeout=60)

    @contextlib.contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def log_message(self, *_: Any) -> None: ...

    def _any(self) -> None:
        what = self.proxy.plan(self.command, self.path)
        if what:
            self.proxy.happened.append((self.command, self.path, what))
        if what == CUT_IN_THE_REQUEST:
            return self._cut()
        body = self._body()
        if not self._held_up(what):
            self._forward(body, what)
        return None

    def _held_up(self, what: str) -> bool:
        """Before its effect: slower, or not at all."""
        if what == HANGS:
            self.proxy.hanging.set()
            self.proxy.released.wait()
        if what == STALLS:
            self.proxy.released.wait(STALLED)
        if what == SLOW:
            time.sleep(SECONDS)
        if what in (HANGS, STALLS, CUT_BEFORE):
            self._cut()
        elif what in REFUSALS or what in ASKING:
            status, after = ASKING.get(what) or (REFUSALS[what], {})
            self._answer(status, after, b'{"error": {"code": "injected"}}')
        else:
            return False
        return True

    def _forward(self, body: bytes, what: str) -> None:
        connection = self.proxy.connect()
        try:
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in {"connection", "expect"}
            }
            if body:
                headers["Content-Length"] = str(len(body))
                headers.pop("Transfer-Encoding", None)
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            if "watch=" in self.path:
                return self._stream(answer)
            data = answer.read()
        except (OSError, http.client.HTTPException):  # the server itself is gone
            return self._cut()
        finally:
            connection.close()
        if answer.status < 300:
            self.proxy.heard(self.command, self.path, data)
        if what == STALLS_AFTER:
            self.proxy.released.wait(STALLED)
        if what in (CUT_AFTER, STALLS_AFTER):
            return self._cut()
        found = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        return self._answer(answer.status, found, data, cut=what == CUT_IN_THE_MIDDLE)

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            pass  # BaseHTTPRequestHandler has answered it
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"date", "server"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if cut:
            self.wfile.write(data[: len(data) // 2])
            return self._cut()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(data)
        return None

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while data := answer.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        """No answer, and the connection is gone."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{verb}", _Handler._any)
