"""The api of a plane in memory, served on the loopback: for commands that ask it."""

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.cli import main
from penstock.core.http import HttpRequest
from penstock.stages.api import TOKEN_SECRET
from penstock.wiring.http import answer
from penstock.wiring.reach import announce

TOKEN = "t0ken-canary"
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    **{f"apps/{number}.yaml": config_map(f"c{number}", key="1") for number in range(14)},
}


class Served:
    """The api of a MemoryPlane on the loopback; what it publishes is worked off before it answers."""

    def __init__(self, data_dir, files=None):
        self.plane = MemoryPlane()
        self.plane.push(FILES if files is None else files)
        self.plane.settle()
        self.data_dir = data_dir
        data_dir.mkdir()
        secrets = MemorySecrets({TOKEN_SECRET: {"token": TOKEN.encode()}})
        self.plane.deps = deps = replace(self.plane.deps, secrets=secrets)
        stage, plane = self.plane.pipeline.stage("api"), self.plane

        class Bus:
            def publish(self, messages):
                plane.bus.publish(messages)
                plane.settle(seconds=5)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = HttpRequest(method=self.command, path=path, query=query, headers=headers, body=body)
                found = answer(stage, request, deps, Bus())
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(found.body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        announce(data_dir, f"http://127.0.0.1:{self.server.server_address[1]}")
        (data_dir / "api-token").write_text(TOKEN + "\n")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def run(self, *arguments):
        return main([*arguments, "--data-dir", str(self.data_dir)])
