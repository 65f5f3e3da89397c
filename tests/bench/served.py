"""`penstock serve` as a process of its own on a real control plane, and a client that pushes to it and watches.

Requests are counted by the API server's audit log, CPU and memory by the kernel's account of that one process.
"""

import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from tests.controlplane import fixtures, identities  # noqa: E402 - see above
from tests.controlplane.build import tool  # noqa: E402 - see above
from tests.controlplane.process import ControlPlane  # noqa: E402 - see above

from penstock.adapters.bus.sqlite import SqliteBus  # noqa: E402 - after sys.path
from penstock.adapters.clock.system import SystemClock  # noqa: E402 - see above
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig  # noqa: E402 - see above
from penstock.adapters.git.server import GitServer  # noqa: E402 - see above
from penstock.adapters.state.sqlite import SqliteState  # noqa: E402 - see above
from penstock.core.records import KustomizationStatus, ReceiverRecord, status_key  # noqa: E402 - see above
from penstock.core.resources import Gvk  # noqa: E402 - see above
from penstock.wiring.topology import load_pipeline  # noqa: E402 - see above

TOKEN = "bench-token"
USER = "system:serviceaccount:penstock-system:penstock-admin"
"""As which `penstock cluster add --print-rbac` has it reach the cluster."""
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
WATCHED = {"bench": "watched"}
RECEIVER = {
    "apiVersion": "notification.toolkit.fluxcd.io/v1",
    "kind": "Receiver",
    "metadata": {"name": "github", "namespace": "flux-system"},
    "spec": {
        "type": "github",
        "events": ["push"],
        "secretRef": {"name": "webhook-token"},
        "resources": [{"kind": "GitRepository", "name": "flux-system"}],
    },
}


def kustomization(name: str, path: str, **spec: object) -> str:
    """A Kustomization of the plane's own source, as YAML."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    document = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "1h", "path": path, "prune": True, "sourceRef": source, **spec},
    }
    return yaml.safe_dump(document)


def namespace(name: str) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def control_plane(folder: Path, stack: ExitStack) -> tuple[fixtures.ControlPlane, ControlPlane]:
    """A control plane of this run's own: to talk to, and its processes."""
    binary = tool("controlplane")
    assert binary is not None
    folder.mkdir(parents=True)
    started = ControlPlane(folder, controlplane=binary, kwok=tool("kwok"))
    stack.callback(started.stop)
    started.start()
    return fixtures.ControlPlane(kubeconfig=folder / "kubeconfig", folder=folder), started


class Served:
    """``files``: the first commit, without clusters/bench/receiver.yaml, which stands beside them."""

    def __init__(self, folder: Path, files: Mapping[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.control, self.parts = control_plane(folder / "control", stack)
        self.git = stack.enter_context(GitServer(folder / "git"))
        self.url, self.work = self.git.create("fleet"), folder / "work"
        self._git("clone", "--quiet", self.url, str(self.work), inside=False)
        self._git("checkout", "--quiet", "-B", "main")
        self.commit({**files, "clusters/bench/receiver.yaml": yaml.safe_dump(RECEIVER)})
        self.live = KubeClusters(lambda _: Kubeconfig(paths=(str(self.control.kubeconfig),))).connect("bench")
        self.live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        metadata = {"name": "webhook-token", "namespace": "flux-system"}
        self.live.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}})
        self.data = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self._stack = stack

    def start(self) -> None:
        """Start it; returns when it listens."""
        kubeconfig = self.folder / "plane-kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_bytes(self._printed_identity())
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "bench"},
            "spec": {
                "source": {"url": self.url, "ref": {"branch": "main"}, "interval": "1h"},
                "clusters": [{"name": "bench", "path": "clusters/bench", "kubeConfig": {"path": str(kubeconfig)}}],
            },
        }
        plane = self.folder / "penstock.yaml"
        plane.write_text(yaml.safe_dump(document))
        command = [sys.executable, *os.environ.get("BENCH_PYTHON_FLAGS", "").split(), "-m", "penstock.cli", "serve"]
        command += ["--data-dir", str(self.data), "--port", "0", "--log", "json", "-f", str(plane)]
        with (self.folder / "serve.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._stack.callback(self.stop)
        until((self.data / "address").exists, "the plane listens")
        self.state = SqliteState(self.data / "state.db")
        self.bus = SqliteBus(self.data / "bus.db", load_pipeline(), SystemClock())

    def _printed_identity(self) -> bytes:
        text = identities.printed("admin")
        identities.grant(self.control.call, text)
        cluster = yaml.safe_load(self.control.read_kubeconfig())["clusters"][0]["cluster"]
        return identities.kubeconfig(self.control.call, cluster, text)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit and push; the commit."""
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git("add", "--all")
        self._git("-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "--quiet", "-m", "change")
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str, inside: bool = True) -> str:
        where = ["-C", str(self.work)] if inside else []
        done = subprocess.run(
            ["git", *where, *arguments], env=self.git.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def status(self, name: str) -> KustomizationStatus:
        found = self.state.get(status_key("bench", "Kustomization", "flux-system", name))
        return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()

    def all_ready(self, names: Iterable[str]) -> bool:
        return all(self.status(name).ready() for name in names)

    def has_receiver(self) -> bool:
        return bool(self.state.list("receiver/"))

    def rest(self, seconds: float = 120.0) -> None:
        """Wait until no message is due (one far in the future is no work)."""
        until(lambda: self.bus.backlog() == 0, "the plane rests", seconds, pause=0.05)

    def sweep(self, names: Iterable[str]) -> None:
        """Let the interval of these Kustomizations be over now."""
        for name in names:
            found = self.state.get(status_key("bench", "Kustomization", "flux-system", name))
            self.state.put(found.key, found.value, expected=found.version, due=time.time())

    def hook(self) -> None:
        digest = ReceiverRecord.from_value(self.state.list("receiver/")[0].value).digest
        body = b'{"ref":"refs/heads/main"}'
        signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": f"sha256={signature}",
        }
        parts = urlsplit((self.data / "address").read_text().strip())
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request("POST", f"/hook/{digest}", body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 202, answer.status

    def push(self, files: Mapping[str, str], wanted: Mapping[str, str], names: Iterable[str]) -> tuple[float, float]:
        """Push, and wait: seconds from posting the webhook until the last ConfigMap of ``wanted`` has its value, and
        until all of ``names`` are ready at this commit.

        ``wanted``: name -> ``data.value`` of ConfigMaps that carry the label ``bench: watched``.
        """
        watching = Watching(self.live, wanted)
        commit = self.commit(files)
        self.rest()
        started = time.monotonic()
        self.hook()
        chosen = tuple(names)
        until(lambda: all(self._at(name, commit) for name in chosen), "ready", pause=0.01)
        ready = time.monotonic() - started
        return watching.wait() - started, ready

    def _at(self, name: str, commit: str) -> bool:
        found = self.status(name)
        return found.ready() and found.last_applied_revision.endswith(commit)

    def audited(self) -> "Audit":
        """Counts the plane's own requests from now on."""
        return Audit(self.control)

    def cpu(self) -> float:
        """CPU seconds of the plane's process so far."""
        assert self.process is not None
        return cpu_of(self.process.pid)

    def cpu_of_all(self) -> float:
        """The same, and of the control plane's processes: what the machine has worked."""
        return self.cpu() + sum(cpu_of(each.pid) for each in self.parts.processes.values())

    def peak_mib(self) -> float:
        """The most memory that the plane's process has had, in MiB."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Audit:
    """The API server's records of the plane's requests since this was made."""

    def __init__(self, control: fixtures.ControlPlane) -> None:
        self._control, self._log = control, control._own_folder() / "audit.log"
        control._flush(self._log)
        self._start = self._log.stat().st_size

    def requests(self) -> list[str]:
        """``verb URI`` of each."""
        self._control._flush(self._log)
        with self._log.open("rb") as file:
            file.seek(self._start)
            records = [json.loads(line) for line in file if line.endswith(b"\n")]
        theirs = {r["auditID"]: r for r in records if r["user"].get("username") == USER}
        return [f"{r['verb']} {r['requestURI']}" for r in theirs.values()]


class Watching:
    """Waits for ConfigMaps to get their values, by a watch."""

    def __init__(self, live: object, wanted: Mapping[str, str]) -> None:
        self._missing, self._seen = dict(wanted), 0.0
        version = live.list(CONFIG_MAP, label_selector="bench=watched").resource_version
        self._events = live.watch(
            CONFIG_MAP, namespace="", resource_version=version, timeout=120, label_selector="bench=watched"
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        for event in self._events:
            name = event.object["metadata"].get("name")
            if self._missing.get(name) == (event.object.get("data") or {}).get("value") and name in self._missing:
                del self._missing[name]
            if not self._missing:
                self._seen = time.monotonic()
                return

    def wait(self) -> float:
        """When the last one was there (monotonic)."""
        self._thread.join(120)
        assert not self._missing, f"never seen: {self._missing}"
        return self._seen


def until(condition: Callable[[], object], what: str, seconds: float = 300.0, *, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(pause)


def tell(case: str, value: float, unit: str, goal: str, *, ok: bool | None) -> None:
    print(json.dumps({"case": case, "value": round(value, 3), "unit": unit, "goal": goal, "ok": ok}), flush=True)
