"""A loopback server that answers as Secret Manager's REST API does (written after its reference, never compared with the service).

No emulator of it exists. Only what the plane calls: create, get, list, delete, addVersion, access, destroy.
"""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    """``server.kept``: id -> {"labels", "versions": [payload or None where it was destroyed]}; ``calls``: each request."""

    def log_message(self, *_):
        pass

    def handle_any(self):
        parts = urlsplit(self.path)
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else {}
        self.server.calls.append((self.command, parts.path))
        with self.server.lock:
            status, answer = self.answer(parts.path, parse_qs(parts.query), body)
        if status != 200:
            answer = {"error": {"code": status, "status": answer, "message": "canary-text"}}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

    def answer(self, path, query, body):  # noqa: PLR0911 - one answer a call
        kept = self.server.kept
        _, _, _, _, _, ident, tail = [*path.split("/", 6), "", ""][:7]  # /v1/projects/P/secrets/<ident>/<tail>
        ident, _, verb = ident.partition(":")
        parent = "projects/penstock-test/secrets"
        if not ident and self.command == "POST":
            ident = query["secretId"][0]
            if ident in kept:
                return 409, "ALREADY_EXISTS"
            kept[ident] = {"labels": body.get("labels", {}), "versions": []}
            return 200, {"name": f"{parent}/{ident}", "labels": body.get("labels", {})}
        if not ident:
            return self.page(sorted(kept), int(query.get("pageToken", ["0"])[0]), parent)
        if ident not in kept:
            return 404, "NOT_FOUND"
        secret = kept[ident]
        if self.command == "DELETE":
            del kept[ident]
            return 200, {}
        if verb == "addVersion":
            secret["versions"].append(body["payload"]["data"])
            return 200, {"name": f"{parent}/{ident}/versions/{len(secret['versions'])}", "state": "ENABLED"}
        if tail == "versions/latest:access":
            if not secret["versions"]:
                return 404, "NOT_FOUND"
            return 200, {"name": f"{parent}/{ident}/versions/1", "payload": {"data": secret["versions"][-1]}}
        if tail.endswith(":destroy"):
            secret["versions"][int(tail.partition(":")[0].rpartition("/")[2]) - 1] = None
            return 200, {"state": "DESTROYED"}
        return 200, {"name": f"{parent}/{ident}", "labels": secret["labels"]}

    def page(self, idents, start, parent):
        """Two a page."""
        token = {"nextPageToken": str(start + 2)} if len(idents) > start + 2 else {}
        return 200, {"secrets": [{"name": f"{parent}/{ident}"} for ident in idents[start : start + 2]], **token}


@contextlib.contextmanager
def secret_manager():
    """The server; its ``base`` is its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.kept, server.calls, server.lock = {}, [], threading.Lock()
    server.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
