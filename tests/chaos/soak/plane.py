"""The real parts: API server with an audit log, Git server, chat room, proxies in front of the first two, `penstock serve`."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.soak.fleet import CLUSTER_PATH, FLUX
from tests.chaos.soak.weather import Weather
from tests.controlplane import fixtures, identities
from tests.controlplane.build import tool
from tests.controlplane.process import ControlPlane, free_ports

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.git.server import GitServer
from penstock.adapters.state.sqlite import SqliteState
from penstock.wiring.topology import load_pipeline

ROOT = Path(__file__).parents[3]
CLUSTER = "soak"
USER, SECOND = "system:serviceaccount:penstock-system:penstock-admin", "second-plane"
WRITES = ["create", "update", "patch", "delete", "deletecollection"]


class Audited(ControlPlane):
    """Its audit log has the answers to the planes' writes, too, and its node stays ready for longer than a minute."""

    kwok_flags = ("--node-lease-duration-seconds", "40")

    audit_policy: ClassVar[Mapping[str, Any]] = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "RequestResponse", "users": [USER, SECOND], "verbs": WRITES},
            {"level": "Metadata"},
        ],
    }


class Room:
    """A chat room: ``told``: (when, event) of everything that came and was taken."""

    def __init__(self, weather: Weather) -> None:
        self.told = list[tuple[float, dict[str, Any]]]()
        room = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                refused = bool(weather(self.command, self.path))
                if not refused:
                    room.told.append((time.time(), json.loads(body)))
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/room"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Serve:
    """`penstock serve` on a directory; it can be killed and started again."""

    def __init__(self, folder: Path, document: Mapping[str, Any], port: int) -> None:
        self.folder, self.data, self.port = folder, folder / "data", port
        folder.mkdir()
        (folder / "penstock.yaml").write_text(yaml.safe_dump(dict(document)))
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0
        self.kills = list[float]()

    def start(self) -> None:
        self.lives += 1
        command = [sys.executable, "-m", "penstock.cli", "serve", "--data-dir", str(self.data), "--log", "json"]
        command += ["--port", str(self.port), "-f", str(self.folder / "penstock.yaml")]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT / "shared"),
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
        }
        with self.log(self.lives).open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def log(self, life: int) -> Path:
        return self.folder / f"serve-{life}.log"

    def kill(self) -> None:
        self._end(signal.SIGKILL)
        self.kills.append(time.time())

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Status and answer; 0 where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): each for name, each in headers.items()}}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        token = (self.data / "api-token").read_text().split()[0] if (self.data / "api-token").exists() else "none"
        sent = b"" if body is None else json.dumps(body).encode()
        status, answer = self.ask(method, path, sent, Authorization=f"Bearer {token}")
        return status, json.loads(answer) if answer else None

    def back_up(self, to: Path) -> None:
        with closing(sqlite3.connect(self.data / "state.db")) as live, closing(sqlite3.connect(to)) as copy:
            live.backup(copy)

    def restore(self, copy: Path) -> None:
        """Of a process that does not run."""
        for name in ("state.db-wal", "state.db-shm"):
            (self.data / name).unlink(missing_ok=True)
        (self.data / "state.db").write_bytes(copy.read_bytes())


class Repository:
    """A working copy, from which people push."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server, self.url, self.work = server, server.create("fleet"), folder
        self._git("clone", "--quiet", self.url, str(folder), inside=False)
        self._git("checkout", "--quiet", "-B", "main")

    def commit(self, files: Mapping[str, str], subject: str, *, onto: str = "") -> str:
        """Exactly these files; the commit. ``onto``: history goes back to there first (a forced push)."""
        if onto:
            self._git("reset", "--quiet", "--hard", onto)
        self._git("rm", "--quiet", "-r", "--cached", "--ignore-unmatch", ".")
        for each in self.work.iterdir():
            if each.name != ".git":
                subprocess.run(["rm", "-r", str(each)], check=True)
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git("add", "--all")
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        self._git(*identity, "commit", "--quiet", "--allow-empty", "-m", subject)
        return self._git("rev-parse", "HEAD")

    def push(self) -> None:
        self._git("push", "--quiet", "--force", "origin", "main")

    def _git(self, *arguments: str, inside: bool = True) -> str:
        where = ["-C", str(self.work)] if inside else []
        done = subprocess.run(
            ["git", *where, *arguments], env=self.server.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.strip()


class Plane:
    """All of it. ``api``: an administrator's own way to the API server, without any proxy."""

    def __init__(self, folder: Path, stack: ExitStack, seed: str) -> None:
        self.folder, self.stack = folder, stack
        binary = tool("controlplane")
        assert binary is not None, "no Kubernetes control plane is built here: run `make tools`"
        self.parts = Audited(folder / "control", controlplane=binary, kwok=tool("kwok"))
        stack.callback(self.parts.stop)
        self.parts.start()
        self.control = fixtures.ControlPlane(kubeconfig=folder / "control" / "kubeconfig", folder=folder / "control")
        self.git = stack.enter_context(GitServer(folder / "git"))
        self.repository = Repository(self.git, folder / "work")
        self.api_weather, self.git_weather, self.room_weather = (Weather(f"{seed} {n}") for n in ("api", "git", "room"))
        base, _, path = self.repository.url.removeprefix("http://").partition("/")
        self.git_proxy = stack.enter_context(FaultProxy(f"http://{base}", self.git_weather).running())
        self.api_proxy = stack.enter_context(FaultProxy(self.parts.url, self.api_weather, self._tls()).running())
        self.room = Room(self.room_weather)
        stack.callback(self.room.close)
        self.token, self.tokens = "", 0
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": FLUX}})
        self.rotate()
        self.serve = self._serve("first", self._identity(), f"{self.git_proxy.url}/{path}")
        self._second: Serve | None = None
        self.state = self.bus = None

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        return self.control.call(method, path, body, **headers)

    def _tls(self) -> ssl.SSLContext:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.parts.folder / "server.crt", self.parts.folder / "server.key")
        return tls

    def _identity(self) -> bytes:
        """What `penstock cluster add --print-rbac` prints, through the proxy."""
        text = identities.printed("admin")
        identities.grant(self.call, text)
        cluster = yaml.safe_load(self.control.read_kubeconfig())["clusters"][0]["cluster"]
        return identities.kubeconfig(self.call, {**cluster, "server": self.api_proxy.url}, text)

    def _serve(self, name: str, kubeconfig: bytes, url: str) -> Serve:
        file = self.folder / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_bytes(kubeconfig)
        source = {"url": url, "ref": {"branch": "main"}, "interval": "15s"}
        clusters = [{"name": CLUSTER, "path": CLUSTER_PATH, "kubeConfig": {"path": str(file)}}]
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": name},
            "spec": {"source": source, "clusters": clusters},
        }
        made = Serve(self.folder / name, document, free_ports(1)[0])
        self.stack.callback(made._end, signal.SIGKILL)
        return made

    def start(self) -> None:
        """Serve, until it takes requests."""
        self.serve.start()
        until(lambda: self.serve.ask("GET", "/healthz")[0] == 200 or not self.serve.alive(), "serve listens")
        assert self.serve.alive(), self.serve.log(self.serve.lives).read_text()[-2000:]

    def second(self, *, on: bool) -> None:
        """Another plane's serve on the same cluster and repository, as another user, without proxies."""
        if self._second is None:
            self._second = self._serve("second", self.control.kubeconfig_for(SECOND), self.repository.url)
        if on:
            self._second.start()
        else:
            self._second.kill()

    def records(self) -> SqliteState:
        """The plane's records, beside the running process."""
        return SqliteState(self.serve.data / "state.db")

    def backlog(self) -> int:
        with closing(SqliteBus(self.serve.data / "bus.db", load_pipeline(), SystemClock())) as bus:
            return bus.backlog()

    def rotate(self) -> None:
        """Somebody replaces the Receiver's token."""
        self.tokens += 1
        self.token = f"token-canary-{self.tokens}"
        path = f"/api/v1/namespaces/{FLUX}/secrets"
        self.call("DELETE", f"{path}/webhook-token")
        status, answer = self.call(
            "POST", path, {"metadata": {"name": "webhook-token"}, "stringData": {"token": self.token}}
        )
        assert status == 201, answer

    def hook(self) -> int:
        """A signed push; the status of its answer, 0 where there is none."""
        digest = hashlib.sha256(f"{self.token}github{FLUX}".encode()).hexdigest()
        body = b'{"ref":"refs/heads/main"}'
        signature = hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X_GitHub_Event": "push", "X_Hub_Signature_256": f"sha256={signature}"}
        return self.serve.ask("POST", f"/hook/{digest}", body, **headers)[0]

    def freeze(self, *, on: bool) -> None:
        """The API server hangs: connections stay open, nothing comes."""
        self.parts.processes["apiserver"].send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def power(self, *, on: bool) -> None:
        """The API server is killed, or there again."""
        if on:
            self.parts._run("apiserver", self.parts._apiserver())
            with suppress(OSError):
                self.parts._wait("/readyz", 120)
        else:
            self.parts.processes["apiserver"].kill()
            self.parts.processes["apiserver"].wait()


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
