"""HTTP/1.1 with kept-alive connections over an Api."""

import contextlib
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from penstock.devcluster.api import Api
from penstock.devcluster.exchange import MAX_BODY, Request, Response, json_response, too_large
from penstock.devcluster.statuses import bad_request

AUDIT_LIMIT = 10_000
IDLE_SECONDS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """One answered request. ``path`` has its query."""

    method: str
    path: str
    user_agent: str
    code: int


@dataclass(slots=True, kw_only=True)
class Requests:
    """What was asked so far: a total, a count by method, and the last entries."""

    total: int = 0
    by_method: Counter[str] = field(default_factory=Counter)
    log: deque[Audited] = field(default_factory=lambda: deque(maxlen=AUDIT_LIMIT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, entry: Audited) -> None:
        """Count one request."""
        with self._lock:
            self.total += 1
            self.by_method[entry.method] += 1
            self.log.append(entry)

    def clear(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.total = 0
            self.by_method.clear()
            self.log.clear()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "penstock-devcluster"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: "HttpServer"

    def _serve(self) -> None:
        request = self._read()
        if request is None:
            return
        response = self.server.api.handle(request)
        agent = request.headers.get("user-agent", "")
        entry = Audited(method=request.method, path=self.path, user_agent=agent, code=response.code)
        self.server.requests.record(entry)
        try:
            self._send(response)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    # The base class calls do_<METHOD>.
    do_GET = _serve  # noqa: N815 — as above
    do_POST = _serve  # noqa: N815 — as above
    do_PUT = _serve  # noqa: N815 — as above
    do_PATCH = _serve  # noqa: N815 — as above
    do_DELETE = _serve  # noqa: N815 — as above
    do_HEAD = _serve  # noqa: N815 — as above

    def _read(self) -> Request | None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdigit():
            self.close_connection = True
            self._send(json_response(bad_request("send a Content-Length").to_json(), 400))
            return None
        if int(length) > MAX_BODY:
            self.close_connection = True
            self._send(json_response(too_large().to_json(), 413))
            self._drain(int(length))
            return None
        parts = urlsplit(self.path)
        query: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, value)
        body = self.rfile.read(int(length))
        return Request(method=self.command, path=parts.path, query=query, headers=headers, body=body)

    def _drain(self, length: int) -> None:
        """Take what is being sent, up to a bound: a client that is cut off in the middle would not hear the answer."""
        self.wfile.flush()
        self.connection.settimeout(1)
        with contextlib.suppress(OSError):
            self.rfile.read(min(length, 2 * MAX_BODY))

    def _send(self, response: Response) -> None:
        self.send_response(response.code)
        self.send_header("Content-Type", response.media_type)
        self.send_header("Cache-Control", "no-cache, private")
        for name, value in response.headers:
            self.send_header(name, value)
        if response.stream is not None:
            self._stream(response)
            return
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def _stream(self, response: Response) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for piece in response.stream or ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class names it
        """Nothing: requests stand in the audit log."""


class HttpServer(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: Api, requests: Requests, port: int = 0) -> None:
        self.api, self.requests = api, requests
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is the client's business; anything else is a defect and is shown."""
        import sys  # noqa: PLC0415 — only here

        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
