"""A Git server on the loopback for demos and tests: real ``git http-backend`` behind Python's HTTP server.

Serves every bare repository of a directory for fetch (shallow and protocol v2 included) and push, to anybody or,
with a login, to whoever has it. Not for the internet.
"""

import shutil
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import unquote

from penstock.core.errors import NotFound, Terminal

_CHUNK = 65536


class GitServer:
    """A context manager. ``login``: (username, password) that every request must carry, or None.

    ``logins``: all that will do; none lets everybody in.
    """

    def __init__(self, root: Path, *, login: tuple[str, str] | None = None) -> None:
        """Raises NotFound where this machine has no git."""
        git = shutil.which("git")
        if git is None:
            raise NotFound("git is not installed here: install it, then try again")
        self.root, self.git = Path(root), git
        handler = type("Handler", (_Handler,), {"served": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.logins = [login] if login else []

    def __enter__(self) -> Self:
        """Starts to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops, and waits for requests that are being answered."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def create(self, name: str) -> str:
        """A new bare repository with default branch main; its URL."""
        self.run("init", "--quiet", "--bare", "--initial-branch=main", str(self.path(name)))
        return self.url(name)

    def url(self, name: str) -> str:
        """Where a repository is served, whether it exists or not."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}.git"

    def path(self, name: str) -> Path:
        """Its directory."""
        return self.root / f"{name}.git"

    def run(self, *arguments: str) -> str:
        """A git command's standard output. Raises Terminal with its standard error when it fails."""
        done = subprocess.run(  # noqa: S603 - git by its full path, arguments from the caller
            [self.git, *arguments], env=self.environment(), capture_output=True, check=False
        )
        if done.returncode != 0:
            raise Terminal(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout.decode()

    def environment(self) -> dict[str, str]:
        """What git sees: nobody's configuration but ours."""
        return {
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
        }


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news; whatever else goes wrong is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[GitServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small writes would wait 40 ms for an acknowledgement

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Quiet: requests are the caller's to log."""

    def _answer(self) -> None:
        body = b"".join(self._body())
        if not self._admitted():
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"', "Content-Type": "text/plain"}, b"")
            return
        done = subprocess.run(  # noqa: S603 - git by its full path
            [self.served.git, "http-backend"],
            env=self._environment(len(body)),
            input=body,
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = headers.pop("Status", "200" if head else "500")
        self._send(int(status.split()[0]), headers, content)

    def _admitted(self) -> bool:
        expected = [b64encode(":".join(each).encode()) for each in self.served.logins]
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        admitted = any(compare_digest(given.encode(), each) for each in expected)
        return not expected or (kind == "Basic" and admitted)

    def _environment(self, length: int) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            **self.served.environment(),
            "GIT_PROJECT_ROOT": str(self.served.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(8)
        self.rfile.readline(8)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
