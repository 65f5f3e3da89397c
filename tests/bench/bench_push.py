"""A push on the real control plane: webhook to visible, and what it costs the API server.

Prints one JSON object a line: case, value, unit, goal, ok. Scenario a (and b with --large): one Kustomization of 20
(500) objects, 40 % ConfigMaps, 30 % Deployments, 30 % Services in a base with one overlay (namespace, prefix, labels,
image, one patch); each push changes one ConfigMap. Requests are counted by the adapter; the test suite compares its
count with the API server's audit log.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from tests.controlplane.build import tool  # noqa: E402 - see above
from tests.controlplane.process import ControlPlane  # noqa: E402 - see above

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig  # noqa: E402 - after sys.path
from penstock.adapters.git.server import GitServer  # noqa: E402 - see above
from penstock.adapters.telemetry.memory import MemoryTelemetry  # noqa: E402 - see above
from penstock.cli.plane import change_plane  # noqa: E402 - see above
from penstock.core.records import KustomizationStatus, ReceiverRecord, status_key  # noqa: E402 - see above
from penstock.core.resources import Gvk  # noqa: E402 - see above
from penstock.wiring import Runtime, settings_from  # noqa: E402 - see above
from penstock.wiring.embedded import EmbeddedPlane, Options  # noqa: E402 - see above

TOKEN = "bench-token"
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


def objects(count: int, value: str) -> dict[str, str]:
    """A base of ``count`` objects; the first ConfigMap holds ``value``."""
    files = {}
    for i in range(count):
        name, part = f"o{i:04}", i % 10
        if part < 4:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": value if i == 0 else "same"}}
        elif part < 7:
            labels = {"app": name}
            container = {"name": "main", "image": "registry.example.com/app", "ports": [{"containerPort": 80}]}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
            spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
        else:
            spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
            body = {"apiVersion": "v1", "kind": "Service", "spec": spec}
        files[f"base/{name}.yaml"] = yaml.safe_dump({**body, "metadata": {"name": name}})
    names = sorted(path.removeprefix("base/") for path in files)
    files["base/kustomization.yaml"] = yaml.safe_dump({"resources": names})
    patch = [{"op": "add", "path": "/data/patched", "value": "yes"}]
    files["app/kustomization.yaml"] = yaml.safe_dump(
        {
            "resources": ["../base", "namespace.yaml"],
            "namespace": "bench",
            "namePrefix": "x-",
            "labels": [{"pairs": {"team": "bench"}}],
            "images": [{"name": "registry.example.com/app", "newTag": "1.2.3"}],
            "patches": [{"target": {"kind": "ConfigMap", "name": "o0000"}, "patch": yaml.safe_dump(patch)}],
        }
    )
    files["app/namespace.yaml"] = yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}
    )
    return files


class Bench:
    """A repository, a plane in this process, and a client that posts the webhook."""

    def __init__(self, directory: Path, kubeconfig: Path, count: int, stack: ExitStack) -> None:
        self.directory, self.count = directory, count
        self.telemetry = MemoryTelemetry()
        self.git = stack.enter_context(GitServer(directory / "git"))
        self.url = self.git.create("fleet")
        self.work = directory / "work"
        self._git("clone", "--quiet", self.url, str(self.work), inside=False)
        self._git("checkout", "--quiet", "-B", "main")
        source = {"kind": "GitRepository", "name": "flux-system"}
        spec = {"interval": "1h", "path": "app", "prune": True, "sourceRef": source}
        name = {"name": "app", "namespace": "flux-system"}
        document = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": name}
        receiver = {
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
        cluster = {
            "clusters/bench/app.yaml": yaml.safe_dump({**document, "spec": spec}),
            "clusters/bench/receiver.yaml": yaml.safe_dump(receiver),
        }
        self.commit({**cluster, **objects(count, "0")})
        self.live = KubeClusters(lambda _: Kubeconfig(paths=(str(kubeconfig),))).connect("bench")
        metadata = {"name": "webhook-token", "namespace": "flux-system"}
        self.live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        self.live.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}})
        self.plane = self._plane(kubeconfig, stack)

    def _plane(self, kubeconfig: Path, stack: ExitStack) -> EmbeddedPlane:
        settings = settings_from({}, data_dir=self.directory / "plane")
        instead = {"telemetry": lambda: self.telemetry}
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "bench"},
            "spec": {
                "source": {"url": self.url, "ref": {"branch": "main"}, "interval": "1h"},
                "clusters": [{"name": "bench", "path": "clusters/bench", "kubeConfig": {"path": str(kubeconfig)}}],
            },
        }
        runtime = Runtime(settings, instead=instead)
        change_plane(runtime, document)
        runtime.close()
        return stack.enter_context(EmbeddedPlane(Options(settings=settings, instead=instead)))

    def commit(self, files: dict[str, str]) -> str:
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
        command = ["git", *where, *arguments]
        done = subprocess.run(command, env=self.git.environment(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def status(self) -> KustomizationStatus:
        found = self.plane.runtime.port("state").get(status_key("bench", "Kustomization", "flux-system", "app"))
        return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()

    def value(self) -> str:
        found = self.live.get(CONFIG_MAP, "bench", "x-o0000")
        return found["data"]["value"] if found else ""

    def rest(self) -> None:
        until(lambda: not any(self.plane.runtime.port("bus").depth().values()), "rest")

    def requests(self) -> int:
        return self.plane.runtime.port("clusters").connect("bench").requests

    def push(self, value: str) -> tuple[float, float, int]:
        """Seconds from posting the webhook to visible, and to ready; the plane's API requests."""
        commit = self.commit(objects(self.count, value))
        self.rest()
        before = self.requests()
        started = time.monotonic()
        self.hook()
        until(lambda: self.value() == value, "the value")
        visible = time.monotonic() - started
        until(lambda: self.status().ready() and self.status().last_applied_revision.endswith(commit), "ready")
        ready = time.monotonic() - started
        self.rest()
        return visible, ready, self.requests() - before

    def hook(self) -> None:
        found = self.plane.runtime.port("state").list("receiver/")
        digest = ReceiverRecord.from_value(found[0].value).digest
        body = b'{"ref":"refs/heads/main"}'
        signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": f"sha256={signature}",
        }
        parts = urlsplit(self.plane.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request("POST", f"/hook/{digest}", body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 202, answer.status


def until(condition, what: str, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.002)


def tell(case: str, value: float, unit: str, goal: str, *, ok: bool | None) -> None:
    print(json.dumps({"case": case, "value": round(value, 3), "unit": unit, "goal": goal, "ok": ok}), flush=True)


def measure(name: str, count: int, pushes: int, kubeconfig: Path, goal: int) -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        started = time.monotonic()
        bench = Bench(Path(directory), kubeconfig, count, stack)
        until(lambda: bench.status().ready(), "the first sync")
        until(lambda: bench.plane.runtime.port("state").list("receiver/"), "the Receiver")
        tell(f"push {name}: first sync of {count} objects", time.monotonic() - started, "s", "", ok=None)
        bench.push("warm-up")
        found = [bench.push(f"v{i}") for i in range(pushes)]
        visible = sorted(each[0] * 1000 for each in found)
        ready = sorted(each[1] * 1000 for each in found)
        requests = [each[2] for each in found]
        p95 = visible[min(len(visible) - 1, round(0.95 * len(visible)))]
        tell(f"push {name}: webhook to visible, p50 of {pushes}", statistics.median(visible), "ms", "", ok=None)
        tell(f"push {name}: webhook to visible, p95 of {pushes}", p95, "ms", "", ok=None)
        tell(f"push {name}: webhook to ready, p50", statistics.median(ready), "ms", "", ok=None)
        tell(f"push {name}: API requests, the most", max(requests), "requests", f"<= {goal}", ok=max(requests) <= goal)
        stages = bench.telemetry.named("stage finished")[-4 * pushes :]
        for stage in ("webhook", "fetch", "reconcile"):
            times = [float(f["milliseconds"]) for f in stages if f.get("stage") == stage]
            if times:
                tell(f"push {name}: {stage}, p50", statistics.median(times), "ms", "", ok=None)
        bench.live.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="500 objects")
    parser.add_argument("--pushes", type=int, default=12)
    parser.add_argument("--kubeconfig", default="", help="a disposable cluster; default: start one")
    args = parser.parse_args()
    binary, kwok = tool("controlplane"), tool("kwok")
    if binary is None and not args.kubeconfig:
        print("bench_push skipped: no control plane here; `make tools` builds it", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        kubeconfig = Path(args.kubeconfig)
        if not args.kubeconfig:
            control = ControlPlane(Path(folder), controlplane=binary, kwok=kwok)
            control.start()
            stack.callback(control.stop)
            kubeconfig = Path(folder) / "kubeconfig"
        if args.large:
            measure("b", 500, args.pushes, kubeconfig, 25)
        else:
            measure("a", 20, args.pushes, kubeconfig, 12)
    return 0


if __name__ == "__main__":
    sys.exit(main())
