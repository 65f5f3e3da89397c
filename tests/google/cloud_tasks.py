"""A loopback Cloud Tasks: takes ``tasks.create`` (no emulator of it exists) and does each task when it is due.

On a simulated clock (``by_clock``) it does nothing by itself: see ``do_due``.
"""

import base64
import contextlib
import json
import threading
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """``server.tasks``: what was taken; ``server.timers``, or by clock ``server.waiting``: what is yet to be done."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["content-length"])))["task"]
        self.server.tasks.append(task)
        if self.server.by_clock:
            self.server.waiting.append(task)
        else:
            wait = (datetime.fromisoformat(task["scheduleTime"]) - datetime.now(UTC)).total_seconds()
            timer = threading.Timer(max(0, wait), _do, [task["httpRequest"]])
            timer.daemon = True
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


def do_due(server, now):
    """Do what is due by a simulated clock; whether anything was."""
    due = [task for task in server.waiting if datetime.fromisoformat(task["scheduleTime"]) <= now]
    for task in due:
        server.waiting.remove(task)
        _do(task["httpRequest"])
    return bool(due)


def next_due(server):
    """POSIX seconds; infinity where nothing waits."""
    times = [datetime.fromisoformat(task["scheduleTime"]).timestamp() for task in server.waiting]
    return min(times, default=float("inf"))


@contextlib.contextmanager
def cloud_tasks(*, by_clock=False):
    """The server; its ``base`` is its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.tasks, server.timers, server.waiting, server.by_clock = [], [], [], by_clock
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
