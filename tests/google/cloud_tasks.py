"""A loopback Cloud Tasks: takes ``tasks.create`` (no emulator of it exists) and does each task when it is due."""

import base64
import contextlib
import json
import threading
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """``server.tasks``: what was taken; ``server.timers``: what is yet to be done."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["content-length"])))["task"]
        wait = (datetime.fromisoformat(task["scheduleTime"]) - datetime.now(UTC)).total_seconds()
        timer = threading.Timer(max(0, wait), _do, [task["httpRequest"]])
        timer.daemon = True
        self.server.tasks.append(task)
        self.server.timers.append(timer)
        timer.start()
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def _do(request):
    asked = urllib.request.Request(
        request["url"], data=base64.b64decode(request["body"]), headers=request["headers"], method=request["httpMethod"]
    )
    with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=10) as answer:
        answer.read()


@contextlib.contextmanager
def cloud_tasks():
    """The server; its ``base`` is its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.tasks, server.timers = [], []
    server.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        for timer in server.timers:
            timer.cancel()
        server.shutdown()
        thread.join()
        server.server_close()
