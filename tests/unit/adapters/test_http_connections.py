"""Requests that go out together do so again over the connections that they had."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from penstock.adapters.identity.http import HttpSender
from penstock.adapters.state.together import AT_ONCE, together
from penstock.core.http import HttpRequest


@contextmanager
def server(connections):
    """It answers when AT_ONCE requests are there."""
    all_here = threading.Barrier(AT_ONCE)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            connections.append(self.client_address)

        def do_GET(self):
            all_here.wait(30)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * AT_ONCE

    running = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/"
    finally:
        running.shutdown()
        running.server_close()


def test_each_keeps_its_connection():
    """From the first ones on: a process begins with many at once."""
    connections, clients = [], []

    def trust():
        clients.append("made")
        time.sleep(0.2)  # others come meanwhile

    send = HttpSender(trust=trust)
    with server(connections) as url:
        request = HttpRequest(method="GET", path="", url=url, body=b"", headers={})
        for _ in range(2):
            answers = together([lambda: send(request)] * AT_ONCE)
            assert [answer.status for answer in answers] == [200] * AT_ONCE
    assert (len(clients), len(connections)) == (1, AT_ONCE)
