"""A loopback Cloud Tasks: takes ``tasks.create`` (no emulator of it exists) and does each task when it is due, until its
target takes it.

On a simulated clock (``by_clock``) it does nothing by itself: see ``do_due``.
"""

import base64
import contextlib
import http.client
import json
import threading
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AGAIN = 1.0
"""Seconds until what was not taken is tried again."""


class Handler(BaseHTTPRequestHandler):
    """``server.tasks``: what was taken; ``server.timers``, or by clock ``server.waiting``: what is yet to be done.

    ``server.undone``: when each is due, POSIX seconds, of those that no clock is simulated for.
    """

    def log_message(self, *_):
        pass

    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["content-length"])))["task"]
        self.server.tasks.append(task)
        if self.server.by_clock:
            self.server.waiting.append(task)
        else:
            due = datetime.fromisoformat(task["scheduleTime"])
            self.server.undone[id(task)] = due.timestamp()
            _later(self.server, max(0, (due - datetime.now(UTC)).total_seconds()), task)
        answer = json.dumps({**task, "name": f"{self.path.partition('/v2/')[2]}/{len(self.server.tasks)}"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def _later(server, seconds, task):
    timer = threading.Timer(seconds, _try, [server, task])
    timer.daemon = True
    server.timers.append(timer)
    timer.start()


def _try(server, task):
    if _do(task["httpRequest"]):
        del server.undone[id(task)]
    elif server.open:
        _later(server, AGAIN, task)


def _do(request):
    """Whether it was taken."""
    asked = urllib.request.Request(
        request["url"], data=base64.b64decode(request["body"]), headers=request["headers"], method=request["httpMethod"]
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            answer.read()
    except (OSError, http.client.HTTPException):
        return False
    return True


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
    server.undone, server.open = {}, True
    server.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.open = False
        for timer in server.timers:
            timer.cancel()
        server.shutdown()
        thread.join()
        server.server_close()
