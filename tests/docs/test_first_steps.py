"""README, word by word: its commands are run against a Git server and an in-process cluster, as a newcomer would."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import yaml
from tests.docs import shell
from tests.docs.markdown import ROOT, fences

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.devcluster import DevCluster

SECONDS = 60
AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


class World:
    """A home directory with a kubeconfig whose context is ``production``, and a fleet on a Git server."""

    def __init__(self, home, git_url):
        self.home, self.git_url = home, git_url
        (home / "bin").mkdir()
        program = home / "bin/penstock"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m penstock.cli "$@"\n')
        program.chmod(0o755)
        self.environment = {
            "HOME": str(home),
            "KUBECONFIG": str(home / "kubeconfig"),
            "LANG": "C.UTF-8",
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "shared"),
        }

    def run(self, command, *, status=0):
        found = subprocess.run(
            ["bash", "-ec", command],
            check=False,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert found.returncode == status, (command, found.stdout, found.stderr)
        return found.stdout

    @contextmanager
    def serving(self, command):
        """`penstock serve` until the block ends; yields what it has said when it was synced."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.home, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        try:
            said = ""
            while "synced" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=SECONDS)
            finally:
                process.kill()
        assert process.returncode == 0


@pytest.fixture
def world(tmp_path):
    with DevCluster() as cluster, GitServer(tmp_path / "git") as git:
        home = tmp_path / "home"
        home.mkdir()
        kubeconfig = yaml.safe_load(cluster.kubeconfig())
        kubeconfig["contexts"][0]["name"] = kubeconfig["current-context"] = "production"
        (home / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        world = World(home, git.create("fleet-infra"))
        work = home / "fleet-infra"
        shutil.copytree(ROOT / "examples/fleet-infra", work)
        for arguments in (
            ["init", "-qb", "main"],
            ["add", "-A"],
            ["commit", "-qm", "first"],
            ["push", "-q", world.git_url, "main"],
        ):
            subprocess.run(
                ["git", *arguments], cwd=work, env={**world.environment, **AUTHOR}, check=True, timeout=SECONDS
            )
        path = str(home / "kubeconfig")
        world.cluster = KubeClusters(lambda _: Kubeconfig(paths=(path,))).connect("production")
        yield world


def lines_of(fence):
    """Its commands as they stand, here-documents included."""
    return [line for line in fence.text.splitlines() if not line.startswith("#")]


def test_the_readme_from_the_first_look_to_the_webhook(world):
    blocks = fences("README.md", "sh")
    (plan,) = [block for block in blocks if "penstock plan --" in block.text]
    command = plan.text.strip().replace(".venv/bin/penstock", "penstock")
    looked = world.run(f"cd fleet-infra && {command}", status=1)  # 1: there are changes
    assert "16 changes (16 created" in looked
    (setup,) = [block for block in blocks if "penstock serve" in block.text]
    first, _, serve = setup.text.strip().rpartition("\n")
    assert serve.startswith("penstock serve ")
    assert "plane/fleet created" in world.run(
        first.replace("https://git.example.com/platform/fleet-infra", world.git_url)
    )
    with world.serving(f"{serve} --port 0") as said:
        assert "plane fleet, 1 cluster" in said
        follow(world, blocks)
    assert "0 changes" in world.run(f"cd fleet-infra && {command}")


def follow(world, blocks):
    """What the README does with a plane that runs."""
    (use,) = [block for block in blocks if "penstock suspend" in block.text]
    until_ready(world)
    platform_team(world)
    said = {}
    for line in lines_of(use):
        words = shell.commands(type(use)(use.document, use.line, "sh", line))[0]
        said[" ".join(words[1:3])] = world.run(line)
    assert "6 of 6 are ready" in said["status"]
    assert "github" in said["get all"]
    assert "resumed" in said["resume kustomization/apps"]
    assert "https://penstock.example.com/hook/" in said["webhook url"]


def until_ready(world):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = subprocess.run(
            [world.home / "bin/penstock", "status"],
            check=False,
            env=world.environment,
            cwd=world.home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if found.returncode == 0:
            return
        time.sleep(0.5)
    raise AssertionError(found.stdout + found.stderr)


def platform_team(world):
    """What somebody does by hand once: the webhook's Secret (docs/webhooks.md)."""
    waits = world.run("penstock get receivers")
    assert "waiting for key token of Secret flux-system/webhook-token" in waits
    world.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    metadata = {"name": "webhook-token", "namespace": "flux-system"}
    world.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "t0ken"}})
    assert "is ready" in world.run("penstock reconcile kustomization/notifications --wait 30s")
    (world.home / "token").write_text("t0ken")
    sent = world.run("penstock webhook send github --secret-file token")
    assert sent.startswith("✔ accepted: 1 woken")
    assert "push" in world.run("penstock get receivers")
