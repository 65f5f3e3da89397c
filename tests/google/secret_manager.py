"""A loopback server that answers as Secret Manager's REST API v1 does, as far as its published reference says.

No emulator of it exists, and it was never compared with the service. Only what the plane calls: create, get, list,
delete, addVersion, access, destroy. What the reference calls required, unknown or out of bounds is refused; names in
answers hold the project's number, as the service's do.
"""

import base64
import binascii
import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PARENT = "projects/123456789012/secrets"
LABEL = r"[a-z][a-z0-9_-]{0,62}"


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
        found = re.fullmatch(r"/v1/projects/[^/]+/secrets(?:/([^/:]+)(?:/versions/([^/:]+))?)?(?::([a-zA-Z]+))?", path)
        if not found:
            return 404, "NOT_FOUND"
        ident, version, verb = found.groups()
        match (self.command, ident, version, verb):
            case ("POST", None, None, None):
                return self.create(query.get("secretId", [""])[0], body)
            case ("GET", None, None, None):
                return self.page(query)
        if ident not in self.server.kept:
            return 404, "NOT_FOUND"
        secret = self.server.kept[ident]
        match (self.command, version, verb):
            case ("GET", None, None):
                return 200, resource(ident, secret)
            case ("DELETE", None, None):
                del self.server.kept[ident]
                return 200, {}
            case ("POST", None, "addVersion"):
                return add(ident, secret, body)
            case ("GET", _, "access"):
                return access(ident, secret, version)
            case ("POST", _, "destroy"):
                return destroy(ident, secret, version, body)
        return 404, "NOT_FOUND"

    def create(self, ident, body):
        """The body is the Secret itself."""
        labels = body.get("labels", {})
        wrong = (
            not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", ident)
            or set(body) - {"replication", "labels"}
            or body.get("replication") not in ({"automatic": {}}, *user_managed(body))
            or not all(re.fullmatch(LABEL, k) and re.fullmatch(r"[a-z0-9_-]{0,63}", v) for k, v in labels.items())
        )
        if wrong:
            return 400, "INVALID_ARGUMENT"
        if ident in self.server.kept:
            return 409, "ALREADY_EXISTS"
        self.server.kept[ident] = {"labels": labels, "versions": [], "replication": body["replication"]}
        return 200, resource(ident, self.server.kept[ident])

    def page(self, query):
        """Two a page, the newest first. ``filter``: ``name:part``."""
        field, _, part = query.get("filter", ["name:"])[0].partition(":")
        if field != "name":
            return 400, "INVALID_ARGUMENT"
        idents = [ident for ident in reversed(self.server.kept) if part in f"{PARENT}/{ident}"]
        start = int(query.get("pageToken", ["0"])[0])
        token = {"nextPageToken": str(start + 2)} if len(idents) > start + 2 else {}
        listed = [resource(ident, self.server.kept[ident]) for ident in idents[start : start + 2]]
        return 200, {"secrets": listed, "totalSize": len(idents), **token}


def user_managed(body):
    """The replication itself, where it names its locations."""
    replicas = body.get("replication", {}).get("userManaged", {}).get("replicas", [])
    return (body["replication"],) if replicas and all(set(each) == {"location"} for each in replicas) else ()


def resource(ident, secret):
    made = {"createTime": "2026-01-01T00:00:00.000000Z", "etag": '"16"'}
    replication = secret.get("replication", {"automatic": {}})
    return {"name": f"{PARENT}/{ident}", "replication": replication, "labels": secret["labels"], **made}


def add(ident, secret, body):
    try:
        payload = base64.b64decode(body["payload"]["data"], validate=True)
    except (KeyError, binascii.Error):
        return 400, "INVALID_ARGUMENT"
    if set(body) != {"payload"} or len(payload) > 65_536:
        return 400, "INVALID_ARGUMENT"
    secret["versions"].append(body["payload"]["data"])
    return 200, {"name": f"{PARENT}/{ident}/versions/{len(secret['versions'])}", "state": "ENABLED", "etag": '"17"'}


def access(ident, secret, version):
    """``latest`` is the one that was made last, destroyed or not: that one cannot be read."""
    number = len(secret["versions"]) if version == "latest" else int(version)
    if not 0 < number <= len(secret["versions"]):
        return 404, "NOT_FOUND"
    data = secret["versions"][number - 1]
    if data is None:
        return 400, "FAILED_PRECONDITION"
    return 200, {"name": f"{PARENT}/{ident}/versions/{number}", "payload": {"data": data, "dataCrc32c": "0"}}


def destroy(ident, secret, version, body):
    if body or not 0 < int(version) <= len(secret["versions"]):
        return 400, "INVALID_ARGUMENT"
    if secret["versions"][int(version) - 1] is None:
        return 400, "FAILED_PRECONDITION"
    secret["versions"][int(version) - 1] = None
    return 200, {"name": f"{PARENT}/{ident}/versions/{version}", "state": "DESTROYED"}


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
