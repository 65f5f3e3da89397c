"""Lambda around a bundle: each function is AWS's own runtime interface client in a process and environment of its own,
asking a loopback Runtime API for events, as on AWS. Nothing but the bundle and that client can be imported.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGION = "eu-central-1"
PREFIX = "/2018-06-01/runtime"


class FunctionError(Exception):
    """The function raised, or could not be loaded. The runtime's own words."""


class RuntimeApi(BaseHTTPRequestHandler):
    """GET invocation/next waits for an event; POST invocation/<id>/response or error answers it; POST init/error."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        assert self.path == f"{PREFIX}/invocation/next", self.path
        found = self.server.function.next()
        if found is None:
            with contextlib.suppress(ConnectionError):  # whoever has asked was ended
                self.send_error(500)
            return
        ident, event, seconds = found
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": ident,
            "Lambda-Runtime-Deadline-Ms": str(round(1000 * (time.time() + seconds))),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:123456789012:function:plane-1",
            "Lambda-Runtime-Trace-Id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e;Sampled=0",
        }
        self.answer(200, json.dumps(event).encode(), headers)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = self.path.removeprefix(f"{PREFIX}/").split("/")
        with contextlib.suppress(ConnectionError):  # the function was ended in the middle
            self.answer(202, b"{}", {})
        self.server.function.done(parts, json.loads(body))

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Function:
    """One function. ``root``: the unpacked bundle; ``runtime``: a folder with the runtime client; ``log``: a path."""

    def __init__(self, root, runtime, stage, environment, log):
        self.stage = stage
        self._events, self._answers, self._lock = queue.SimpleQueue(), {}, threading.Lock()
        self._broken = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
        self._server.daemon_threads = True
        self._server.function = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        handler = f"functions/{stage}/lambda_handler.handler"
        given = {
            "AWS_LAMBDA_FUNCTION_NAME": f"plane-1-{stage}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "LAMBDA_TASK_ROOT": str(root),
            "PATH": os.defpath,
            "PYTHONPATH": str(runtime),
            "_HANDLER": handler,
            **environment,
        }
        command = [sys.executable, "-S", "-m", "awslambdaric", handler]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command, cwd=root, env=given, stdout=file, stderr=file, start_new_session=True
            )

    def invoke(self, event, *, seconds=120):
        """What the handler returns. Raises FunctionError with what the runtime says it raised."""
        ident, answer = str(uuid.uuid4()), queue.SimpleQueue()
        with self._lock:
            self._answers[ident] = answer
        self._events.put((ident, event, seconds))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                kind, told = answer.get(timeout=0.2)
                if kind == "error":
                    raise FunctionError(f"{told['errorType']}: {told['errorMessage']}")
                return told
            with contextlib.suppress(queue.Empty):
                told = self._broken.get_nowait()
                raise FunctionError(f"{told['errorType']}: {told['errorMessage']}")
            if self.process.poll() is not None:
                raise FunctionError(f"the process of {self.stage} has ended with {self.process.returncode}")
        raise FunctionError(f"{self.stage} gave no answer in {seconds} s")

    def next(self):
        """For the Runtime API: the next event, or None at the end."""
        return self._events.get()

    def done(self, parts, told):
        """For the Runtime API: ``invocation/<id>/response``, ``invocation/<id>/error`` or ``init/error``."""
        if parts[0] == "init":
            self._broken.put(told)
            return
        with self._lock:
            answer = self._answers.pop(parts[1])
        answer.put((parts[2], told))

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._events.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def function(root, runtime, stage, environment, log):
    """A Function, ended afterwards."""
    made = Function(root, runtime, stage, environment, log)
    try:
        yield made
    finally:
        made.close()
