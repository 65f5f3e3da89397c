"""`kill -9` of `penstock serve` at any moment of a push: after the restart the cluster is what the head renders."""

import hashlib
import hmac
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.cli.demo.fleet import fleet_files
from penstock.core.flux.receiver import webhook_digest
from penstock.core.resources import Gvk
from penstock.devcluster import DevCluster

TOKEN = "a-token-for-tests"
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")
AUTOSCALER = Gvk(group="autoscaling", version="v2", kind="HorizontalPodAutoscaler")
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


class Fleet:
    """A repository, a cluster and a data directory; the plane comes and goes."""

    def __init__(self, directory: Path, git: GitServer, cluster: DevCluster) -> None:
        self.directory, self.git = directory, git
        self.url = git.create("fleet")
        self.work = directory / "work"
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_bytes(cluster.kubeconfig())
        self.live = KubeClusters(lambda _: Kubeconfig(paths=(str(self.kubeconfig),))).connect("prod")
        self._run("git", "clone", "--quiet", self.url, str(self.work))
        self._git("checkout", "--quiet", "-B", "main")
        self._prepare()

    def _prepare(self) -> None:
        self.live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        for name, key in (("webhook-token", "token"), ("slack-webhook", "address")):
            self.live.create(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name, "namespace": "flux-system"},
                    "stringData": {key: TOKEN if key == "token" else "http://127.0.0.1:9/none"},
                }
            )
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "test"},
            "spec": {
                "source": {"url": self.url, "ref": {"branch": "main"}, "interval": "10m"},
                "clusters": [
                    {"name": "prod", "path": "clusters/production", "kubeConfig": {"path": str(self.kubeconfig)}}
                ],
            },
        }
        (self.directory / "penstock.yaml").write_text(yaml.safe_dump(document))
        self._penstock("plane", "apply", "-f", str(self.directory / "penstock.yaml"))

    def commit(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git("add", "--all")
        self._git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "change")
        self._git("push", "--quiet", "origin", "main")

    @contextmanager
    def serving(self):
        """A plane in a process of its own: (process, port); killed at the end, politely or not."""
        command = [sys.executable, "-m", "penstock.cli", "serve", "--port", "0", "--log", "none"]
        process = subprocess.Popen(
            [*command, "--data-dir", str(self.directory / "data")], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            port = 0
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
                port = int(found[1]) if found and line.startswith("listening") else port
                if line.startswith("synced"):
                    break
            yield process, port
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def hook(self, port: int) -> int:
        body = b'{"ref": "refs/heads/main"}'
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": "sha256=" + hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest(),
        }
        digest = webhook_digest(TOKEN.encode(), "github", "flux-system")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", f"/hook/{digest}", body=body, headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def until(self, condition, what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what}"
            time.sleep(0.02)

    def _git(self, *arguments: str) -> None:
        self._run("git", "-C", str(self.work), *arguments)

    def _penstock(self, *arguments: str) -> None:
        self._run(sys.executable, "-m", "penstock.cli", *arguments, "--data-dir", str(self.directory / "data"))

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, env=self.git.environment(), capture_output=True)


@pytest.fixture
def fleet(tmp_path):
    with DevCluster() as cluster, GitServer(tmp_path / "git") as git:
        made = Fleet(tmp_path, git, cluster)
        made.files = fleet_files("")
        made.commit(made.files)
        yield made


MOMENTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6)


def test_kill_9_at_any_moment_of_a_push(fleet):
    replicas = "apps/production/myapp/patch-replicas.yaml"
    base = "apps/base/api-gateway/kustomization.yaml"
    with fleet.serving() as (process, port):
        fleet.until(lambda: fleet.live.get(DEPLOYMENT, "apps", "myapp"), "the first sync")
        fleet.until(lambda: fleet.hook(port) == 202, "the Receiver")
        process.send_signal(signal.SIGKILL)
    for number, moment in enumerate(MOMENTS):
        wanted = 4 + number
        gone = number % 2 == 0
        text = fleet.files[base]
        fleet.commit(
            {
                replicas: fleet.files[replicas].replace("replicas: 3", f"replicas: {wanted}"),
                base: text.replace("  - hpa.yaml\n", "") if gone else text,
            }
        )
        with fleet.serving() as (process, port):
            assert fleet.hook(port) == 202
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        with fleet.serving():
            fleet.until(
                lambda wanted=wanted: fleet.live.get(DEPLOYMENT, "apps", "myapp")["spec"]["replicas"] == wanted,
                f"the replicas after a kill at {moment} s",
            )
            fleet.until(
                lambda gone=gone: (fleet.live.get(AUTOSCALER, "apps", "api-gateway") is None) == gone,
                f"the autoscaler to be {'gone' if gone else 'back'} after a kill at {moment} s",
            )
        assert fleet.live.get(AUTOSCALER, "apps", "myapp") is not None
    held = fleet.live.get(CONFIG_MAP, "penstock-system", "kustomization.flux-system.apps")
    names = json.loads(held["data"]["inventory"])
    assert any("HorizontalPodAutoscaler" in name and "myapp" in name for name in names)
