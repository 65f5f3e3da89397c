"""What every plane of a soak stands between: API server with an audit log, Git server, chat room, proxies before the first two."""

import hashlib
import hmac
import http.client
import json
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.soak.fleet import CLUSTER_PATH, FLUX
from tests.chaos.soak.weather import Weather
from tests.controlplane import fixtures, identities
from tests.controlplane.build import tool
from tests.controlplane.process import ControlPlane

from penstock.adapters.git.server import GitServer

CLUSTER = "soak"
LOGIN = ("git", "git-canary")
"""At the Git server."""
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


class Repository:
    """A working copy, from which people push."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server, self.url, self.work = server, server.create("fleet"), folder
        self._git("clone", "--quiet", self.url.replace("//", f"//{':'.join(LOGIN)}@"), str(folder), inside=False)
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


class World:
    """``call``: an administrator's own way to the API server, without any proxy; ``url``: of the repository, through one."""

    def __init__(self, folder: Path, stack: ExitStack, seed: str) -> None:
        self.folder, self.stack = folder, stack
        binary = tool("controlplane")
        assert binary is not None, "no Kubernetes control plane is built here: run `make tools`"
        self.parts = Audited(folder / "control", controlplane=binary, kwok=tool("kwok"))
        stack.callback(self.parts.stop)
        self.parts.start()
        self.control = fixtures.ControlPlane(kubeconfig=folder / "control" / "kubeconfig", folder=folder / "control")
        self.git = stack.enter_context(GitServer(folder / "git", login=LOGIN))
        self.repository = Repository(self.git, folder / "work")
        self.api_weather, self.git_weather, self.room_weather = (Weather(seed, n) for n in ("api", "git", "room"))
        base, _, path = self.repository.url.removeprefix("http://").partition("/")
        self.git_proxy = stack.enter_context(FaultProxy(f"http://{base}", self.git_weather).running())
        self.api_proxy = stack.enter_context(FaultProxy(self.parts.url, self.api_weather, self._tls()).running())
        self.url = f"{self.git_proxy.url}/{path}"
        self.room = Room(self.room_weather)
        stack.callback(self.room.close)
        self.token, self.tokens = "", 0
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": FLUX}})
        self.rotate()

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        return self.control.call(method, path, body, **headers)

    def weather(self) -> list[Weather]:
        return [self.api_weather, self.git_weather, self.room_weather]

    def faults(self) -> int:
        return len(self.api_proxy.happened) + len(self.git_proxy.happened)

    def _tls(self) -> ssl.SSLContext:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.parts.folder / "server.crt", self.parts.folder / "server.key")
        return tls

    def identity(self) -> bytes:
        """A kubeconfig of what `penstock cluster add --print-rbac` prints, through the proxy."""
        text = identities.printed("admin")
        identities.grant(self.call, text)
        cluster = yaml.safe_load(self.control.read_kubeconfig())["clusters"][0]["cluster"]
        return identities.kubeconfig(self.call, {**cluster, "server": self.api_proxy.url}, text)

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

    @property
    def digest(self) -> str:
        """Of the Receiver, by its newest token."""
        return hashlib.sha256(f"{self.token}github{FLUX}".encode()).hexdigest()

    def delivery(self) -> tuple[str, bytes, dict[str, str]]:
        """A signed push: path, body, headers."""
        body = b'{"ref":"refs/heads/main"}'
        signature = hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()
        return f"/hook/{self.digest}", body, {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}

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


def document(name: str, url: str, kubeconfig: Mapping[str, Any]) -> dict[str, Any]:
    """A Plane. ``kubeconfig``: where that of its one cluster is."""
    described = {"url": url, "ref": {"branch": "main"}, "interval": "15s", "secretRef": {"name": "fleet-token"}}
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": name},
        "spec": {
            "source": described,
            "clusters": [{"name": CLUSTER, "path": CLUSTER_PATH, "kubeConfig": dict(kubeconfig)}],
        },
    }


def secret(namespace: str, name: str, data: Mapping[str, str]) -> str:
    """The plane's own, as the environment of one that needs it has it."""
    return json.dumps({"cluster": "-", "namespace": namespace, "name": name, "stringData": dict(data)})


def git_login() -> dict[str, str]:
    """Of whoever fetches."""
    data = dict(zip(("username", "password"), LOGIN, strict=True))
    return {"PENSTOCK_SECRET_GIT": secret(FLUX, "fleet-token", data)}


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Status and answer of something on loopback; 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
