"""Clouds for tests: moto for AWS; for Google and Azure a loopback server that answers in recorded shapes.

Requests leave a real HttpSender over real HTTP; only their origin is led here, and the server notes where they were
meant for. Shapes: Google's REST references of sts, iamcredentials, container and connectgateway; Microsoft's of the
identity platform, IMDS and managedClusters. What the real clouds check beyond what stands here is not tested.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from penstock.adapters.identity.http import HttpSender
from penstock.core.http import HttpRequest, HttpResponse

Answer = tuple[int, Any]
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """``answers``: (host, start of the path) -> what is answered, or a function of the request."""

    answers: dict[tuple[str, str], Answer | Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    origin: str = ""
    moto: str = ""

    def send(self, request: HttpRequest) -> HttpResponse:
        """A Send that leads every request here."""
        parts = urlsplit(request.url)
        assert parts.scheme == "https" or parts.hostname == "169.254.169.254", request.url
        aws = str(parts.hostname).endswith(AWS_DOMAINS)
        origin = self.moto if aws else self.origin
        assert origin, f"nothing stands for {parts.hostname}"
        url = f"{origin}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        headers = {**request.headers, "host" if aws else "x-meant-for": str(parts.hostname)}
        if aws:
            self.asked.append(Asked(request.method, str(parts.hostname), parts.path, {}, headers, request.body))
        return _SENDER(replace(request, url=url, headers=headers))

    def hosts(self) -> list[str]:
        return [each.host for each in self.asked]

    def _answer(self, asked: Asked) -> Answer:
        for (host, path), answer in self.answers.items():
            if asked.host == host and asked.path.startswith(path):
                return answer(asked) if callable(answer) else answer
        return 404, {"error": {"code": 404, "message": f"{asked.host}{asked.path} is not there", "status": "NOT_FOUND"}}


_SENDER = HttpSender(sleep=lambda _seconds: None)


@contextmanager
def serving(world: World) -> Iterator[World]:
    """The world, listening on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(
                self.command, headers.pop("x-meant-for", ""), parts.path, dict(parse_qsl(parts.query)), headers, body
            )
            world.asked.append(asked)
            status, value = world._answer(asked)
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            if status in {301, 302, 307}:
                self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.send_header("Content-Type", "text/plain" if isinstance(value, bytes) else "application/json")
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - the names of http.server

        def log_message(self, *_args: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    world.origin = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
