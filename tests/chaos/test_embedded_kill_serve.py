"""kill -9 of a real `penstock serve` at random moments of real pushes: each restart goes on, the end is the newest state.

Git server and cluster live in the test's process and outlast every kill. Each commit adds one ConfigMap and removes the
one before, so a lost wake-up, a forgotten prune or a stale write shows in what the cluster holds at the end.
"""

import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.core.resources import Gvk
from penstock.devcluster import DevCluster

ROOT = Path(__file__).parents[2]
KILLS = 5
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
NAMESPACE = "apps"

APPS = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {"name": "apps", "namespace": "flux-system"},
    "spec": {
        "interval": "10m",
        "path": "./apps",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
    },
}


def config_map(number):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"version-{number}", "namespace": NAMESPACE},
        "data": {"number": str(number)},
    }


class Repository:
    def __init__(self, server, url, work):
        self._server, self._url, self._work = server, url, work
        self._git("clone", "--quiet", url, str(work), cwd=work.parent)
        self._git("checkout", "--quiet", "-B", "main")

    def _git(self, *arguments, cwd=None):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        environment = self._server.environment()
        command = ["git", *identity, *arguments]
        subprocess.run(command, cwd=cwd or self._work, env=environment, check=True, capture_output=True)

    def push(self, number):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        files = {
            "clusters/prod/apps.json": APPS,
            "apps/kustomization.yaml": {"resources": ["namespace.yaml", "version.yaml"]},
            "apps/namespace.yaml": namespace,
            "apps/version.yaml": config_map(number),
        }
        files["clusters/prod/kustomization.yaml"] = {"resources": ["apps.json"]}
        for path, value in files.items():
            (self._work / path).parent.mkdir(parents=True, exist_ok=True)
            (self._work / path).write_text(json.dumps(value))
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", f"version {number}")
        self._git("push", "--quiet", "origin", "main")


class Serve:
    """One life of the process."""

    def __init__(self, directory, plane):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock.cli", "serve", "--data-dir", directory, "--port", "0", "-f", plane],
            env={**os.environ, "PYTHONPATH": str(ROOT / "shared"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.match(r"listening  (http://\S+)", line):
                self.url = match[1]

    def wait_listening(self):
        wait_for(lambda: self.url or self.process.poll() is not None)
        assert self.url, "".join(self.lines)

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        self.process.stdout.close()

    def look_at_the_source(self, token):
        """What a push does: wake fetch. The status of the answer."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        body = {"kind": "GitRepository", "cluster": "prod", "namespace": "flux-system", "name": "flux-system"}
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            connection.request("POST", "/reconcile", json.dumps(body), headers)
            return connection.getresponse().status
        finally:
            connection.close()


def wait_for(condition, seconds=40.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


def test_a_plane_that_is_killed_in_the_middle_of_pushes_ends_at_the_newest_state(tmp_path):
    chance = random.Random(20260102)
    with DevCluster() as dev, GitServer(tmp_path / "git") as git:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(dev.kubeconfig())
        cluster = KubeClusters(lambda _name: Kubeconfig(paths=(str(kubeconfig),))).connect("prod")
        repository = Repository(git, git.create("fleet"), tmp_path / "work")
        plane = tmp_path / "penstock.yaml"
        clusters = [{"name": "prod", "path": "clusters/prod", "kubeConfig": {"path": str(kubeconfig)}}]
        source = {"url": git.url("fleet"), "interval": "10m"}
        document = {"apiVersion": "penstock.dev/v1alpha1", "kind": "Plane", "metadata": {"name": "t"}}
        plane.write_text(json.dumps({**document, "spec": {"source": source, "clusters": clusters}}))

        def versions():
            page = cluster.list(CONFIG_MAP, namespace=NAMESPACE)
            return sorted(name for item in page.items if (name := item["metadata"]["name"]).startswith("version-"))

        repository.push(0)
        for number in range(1, KILLS + 1):
            serve = Serve(tmp_path / "data", plane)
            try:
                serve.wait_listening()
                token = (tmp_path / "data" / "api-token").read_text().strip()
                repository.push(number)
                assert serve.look_at_the_source(token) == 202
                time.sleep(chance.uniform(0, 2.5))
            finally:
                serve.kill()
        serve = Serve(tmp_path / "data", plane)
        try:
            wait_for(lambda: versions() == [f"version-{KILLS}"])
        finally:
            serve.kill()
        assert cluster.get(CONFIG_MAP, NAMESPACE, f"version-{KILLS}")["data"] == {"number": str(KILLS)}
        assert not any("Traceback" in line for line in serve.lines)
