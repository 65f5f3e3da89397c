"""The story that a deployed plane tells, on either cloud, and the world around it: a Git server behind a login, a
cluster, a chat room. Each stage runs elsewhere, with what it alone is given.

A signed push -> webhook -> fetch -> reconcile -> the cluster has changed -> notify -> one message; then the same
through tick, without a delivery, and through the api.
"""

import hashlib
import hmac
import json
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from penstock.adapters.git.server import GitServer
from penstock.cli.demo.fleet import NAMESPACES, fleet_files
from penstock.cli.demo.world import ChatRoom, connect, simulated_cluster
from penstock.cli.plane import change_plane
from penstock.core.records import ReceiverRecord
from penstock.core.resources import Gvk
from penstock.core.secrets.encrypt import Fresh, encrypt_secret

REPLICAS = "apps/production/myapp/patch-replicas.yaml"
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")
SECRET = Gvk(version="v1", kind="Secret")
API = {"authorization": "Bearer api-canary", "content-type": "application/json"}
GIVEN = {"fetch": ("git",), "reconcile": ("kubeconfig",), "api": ("api",)}
"""Of whom each credential is; every other stage runs without it."""


class World:
    """``canaries``: credential -> a text that appears wherever it does."""

    def __init__(self, stack, directory):
        self.directory, self.work, self.scaled = directory, directory / "work", 0
        self.git = stack.enter_context(GitServer(directory / "git", login=("git", "git-canary")))
        self.url = self.git.create("fleet-infra")
        self.room = stack.enter_context(ChatRoom())
        self.demo = stack.enter_context(simulated_cluster())
        self.cluster = connect(self.demo)
        self.age = pyrage.x25519.Identity.generate()
        self.kubeconfig = Path(self.demo.kubeconfig).read_text()
        self.canaries = {
            "age": str(self.age),
            "api": "api-canary",
            "database": "database-canary",
            "git": "git-canary",
            "hook": "hook-canary",
            "kubeconfig": next(line for line in self.kubeconfig.splitlines() if "token" in line).split()[-1],
        }
        self.files = self._fleet()
        self.commit(self.files)
        self._secrets()

    def _fleet(self):
        """The demo's, and a Secret that only reconcile can open, by a key that only the cluster holds."""
        files = fleet_files("")
        fresh = Fresh(random=os.urandom, now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database", "namespace": "apps"}}
        secret["stringData"] = {"password": self.canaries["database"]}
        files["apps/production/database.yaml"] = encrypt_secret(secret, [str(self.age.to_public())], fresh)
        files["apps/production/kustomization.yaml"] += "  - database.yaml\n"
        files["clusters/production/apps.yaml"] += "  decryption: {provider: sops, secretRef: {name: sops-age}}\n"
        return files

    def _secrets(self):
        for name in NAMESPACES:
            if name == "flux-system":
                self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name, data in (
            ("webhook-token", {"token": self.canaries["hook"]}),
            ("slack-webhook", {"address": f"{self.room.url}/services/demo"}),
            ("sops-age", {"age.agekey": self.canaries["age"]}),
        ):
            metadata = {"name": name, "namespace": "flux-system"}
            self.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def document(self):
        """The Plane: its two credentials by name."""
        cluster = {"name": "demo", "path": "clusters/production", "kubeConfig": {"secretRef": {"name": "kubeconfig"}}}
        source = {"url": self.url, "ref": {"branch": "main"}, "interval": "1s", "secretRef": {"name": "fleet-token"}}
        return {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "demo"},
            "spec": {"source": source, "clusters": [cluster]},
        }

    def own(self, stage):
        """The environment that one stage has beyond all stages'."""
        secrets = {
            "api": ("penstock-system", "api-token", {"token": "api-canary"}),
            "git": ("flux-system", "fleet-token", {"username": "git", "password": "git-canary"}),
            "kubeconfig": ("flux-system", "kubeconfig", {"value": self.kubeconfig}),
        }
        found = {"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"} if stage == "notify" else {}
        for name in GIVEN.get(stage, ()):
            namespace, secret, data = secrets[name]
            value = {"cluster": "-", "namespace": namespace, "name": secret, "stringData": data}
            found[f"PENSTOCK_SECRET_{name.upper()}"] = json.dumps(value)
        return found

    def commit(self, files):
        def git(*arguments, inside=True):
            where = ["-C", str(self.work)] if inside else []
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *where, *identity, *arguments], env=self.git.environment(), check=True)

        if not self.work.exists():
            git("clone", "--quiet", self.url.replace("//", "//git:git-canary@"), str(self.work), inside=False)
            git("checkout", "--quiet", "-B", "main")
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "-m", "change")
        git("push", "--quiet", "origin", "main")

    def scale(self, number):
        self.scaled += 1
        self.commit({REPLICAS: self.files[REPLICAS].replace("replicas: 3", f"replicas: {number}")})

    def replicas(self):
        found = self.cluster.get(DEPLOYMENT, "apps", "myapp")
        return found and found["spec"]["replicas"]

    def changes_told(self):
        """How many messages tell that the Deployment was changed: one for each of the ``scaled`` commits."""
        return len([text for text in self.room.messages if "Deployment/apps/myapp configured" in text])


class Story:
    """``runtime``: the plane's records, for whoever watches; ``http(stage, method, path, headers, body)``: a request
    to the stage's function, its answer as (status, headers, text); ``tick()``: the scheduler's call.
    """

    def __init__(self, world, runtime, http, tick):
        self.world, self.runtime, self.http, self.tick = world, runtime, http, tick

    def begin(self):
        """The Plane, and what stands in Git already."""
        change_plane(self.runtime, self.world.document())
        self.until(lambda: self.world.replicas() == 3, "the first sync")
        self.until(self.receiver, "the Receiver to be indexed")

    def until(self, condition, what, seconds=240):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                told = {r.key: r.value for r in self.runtime.port("state").list("status/")}
                raise AssertionError(f"waited {seconds} s for {what}: {json.dumps(told)[:3000]}")
            time.sleep(0.1)

    def receiver(self):
        found = self.runtime.port("state").list("receiver/")
        return ReceiverRecord.from_value(found[0].value) if found else None

    def hook(self, token):
        """A signed push at the webhook's function; the status of its answer."""
        body = json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "1",
            "x-hub-signature-256": "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest(),
        }
        return self.http("webhook", "POST", f"/hook/{self.receiver().digest}", headers, body)[0]

    def push(self):
        """From a signed push to one message; a forged one changes nothing."""
        world = self.world
        assert self.hook("guessed") == 401
        world.scale(5)
        assert self.hook(world.canaries["hook"]) == 202
        self.until(lambda: world.replicas() == 5, "the push to reach the cluster")
        self.until(lambda: world.changes_told() == world.scaled, "the message")
        opened = world.cluster.get(SECRET, "apps", "database")["data"]["password"]
        assert opened == "ZGF0YWJhc2UtY2FuYXJ5"

    def scheduled(self):
        """A commit of which no server tells: the scheduler's call finds the source due."""
        self.world.scale(6)
        time.sleep(1.1)

        def found():
            self.tick()
            return self.world.replicas() == 6

        self.until(found, "the tick to find the commit")
        self.until(lambda: self.world.changes_told() == self.world.scaled, "the message")

    def asked(self):
        """What an operator asks of the api: status, a reconcile and its outcome; without the token, nothing."""
        assert self.http("api", "GET", "/status", {}, b"")[0] == 401
        status, _, text = self.http("api", "GET", "/status", API, b"")
        assert status == 200
        names = {each["name"] for each in json.loads(text)["objects"]}
        assert {"apps", "flux-system", "infrastructure-controllers", "notifications"} <= names
        asked = json.dumps({"cluster": "demo", "name": "apps"}).encode()
        status, headers, _ = self.http("api", "POST", "/reconcile", API, asked)
        assert status == 202
        answers = []

        def known():
            answers.append(self.http("api", "GET", headers["location"], API, b""))
            return answers[-1][0] == 200

        self.until(known, "the outcome of the reconcile")
        assert json.loads(answers[-1][2])["ready"] == "True"
