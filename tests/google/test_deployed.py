"""The deployed shape: each function by the real functions-framework command, in a process and environment of its own,
over the Pub/Sub and Firestore emulators, fake-gcs-server, and loopback servers for Cloud Tasks and Secret Manager.

A signed push -> webhook -> fetch (a real Git server) -> reconcile (a cluster) -> notify -> one message.
"""

import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.google import plane
from tests.google.cloud_tasks import cloud_tasks
from tests.google.secret_manager import secret_manager

from penstock.adapters.git.server import GitServer
from penstock.cli.demo.fleet import NAMESPACES, fleet_files
from penstock.cli.demo.world import ChatRoom, connect, simulated_cluster
from penstock.cli.plane import change_plane
from penstock.core.records import ReceiverRecord
from penstock.core.resources import Gvk
from penstock.wiring import Runtime, load_pipeline, settings_from

ROOT = Path(__file__).parents[2]
TOKEN = "hook-canary"
REPLICAS = "apps/production/myapp/patch-replicas.yaml"
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")
COMMAND = Path(sys.executable).with_name("functions-framework")
OWN = {"notify": {"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}}
"""What one stage's environment has beyond all stages'."""


class Deployed:
    """The plane's resources, its processes, and the world around them."""

    def __init__(self, stack, directory):
        self.stack, self.directory = stack, directory
        self.tasks = stack.enter_context(cloud_tasks())
        self.secrets = stack.enter_context(secret_manager())
        bases = [stack.enter_context(make()) for make in (plane.pubsub, plane.firestore, plane.storage)]
        pubsub, firestore, storage = (base.removeprefix("http://") for base in bases)
        self.environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "shared"),
            "PENSTOCK_BACKEND": "google",
            "GOOGLE_CLOUD_PROJECT": plane.PROJECT,
            "PENSTOCK_GOOGLE_REGION": "europe-west3",
            "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
            "PENSTOCK_GOOGLE_PREFIX": "plane-1",
            "PENSTOCK_GOOGLE_TASKS_ACCOUNT": "tasks@penstock-test.iam.gserviceaccount.com",
            "PUBSUB_EMULATOR_HOST": pubsub,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": self.tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": self.secrets.base,
        }
        self.runtime = Runtime(settings_from(self.environment))
        self.names = self.runtime.settings.google
        self.work = directory / "work"

    def build(self):
        """Resources, then functions, then the world, and last the Plane."""
        plane.make_topics(self.names, load_pipeline())
        bucket = {"name": self.names.bucket}
        plane.request("POST", f"{self.names.endpoints.storage}/storage/v1/b?project={plane.PROJECT}", bucket)
        self.ports = {name: self.start(name) for name in ("webhook", "fetch", "reconcile", "notify")}
        for stage in load_pipeline().queues():
            for topic in stage.subscribes:
                plane.push_to(self.names, stage.name, topic, f"http://127.0.0.1:{self.ports[stage.name]}/")
        self.git = self.stack.enter_context(GitServer(self.directory / "git"))
        self.url = self.git.create("fleet-infra")
        self.room = self.stack.enter_context(ChatRoom())
        self.files = fleet_files("")
        self.commit(self.files)
        demo = self.stack.enter_context(simulated_cluster())
        self.cluster = connect(demo)
        for name in NAMESPACES:
            if name == "flux-system":
                self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name, data in (
            ("webhook-token", {"token": TOKEN}),
            ("slack-webhook", {"address": f"{self.room.url}/services/demo"}),
        ):
            metadata = {"name": name, "namespace": "flux-system"}
            self.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        cluster = {"name": "demo", "path": "clusters/production", "kubeConfig": {"path": str(demo.kubeconfig)}}
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "demo"},
            "spec": {
                "source": {"url": self.url, "ref": {"branch": "main"}, "interval": "10m"},
                "clusters": [cluster],
            },
        }
        change_plane(self.runtime, document)

    def start(self, stage):
        """One function; its port."""
        port = plane.free_port()
        source = ROOT / "functions" / stage / "main.py"
        command = [str(COMMAND), "--target", stage, "--source", str(source), "--host", "127.0.0.1", "--port", str(port)]
        environment = {**self.environment, **OWN.get(stage, {})}
        self.stack.enter_context(plane.process(command, port, env=environment, cwd="/"))
        return port

    def commit(self, files):
        def git(*arguments, inside=True):
            where = ["-C", str(self.work)] if inside else []
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *where, *identity, *arguments], env=self.git.environment(), check=True)

        if not self.work.exists():
            git("clone", "--quiet", self.url, str(self.work), inside=False)
            git("checkout", "--quiet", "-B", "main")
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "-m", "change")
        git("push", "--quiet", "origin", "main")

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
        url = f"http://127.0.0.1:{self.ports['webhook']}/hook/{self.receiver().digest}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def replicas(self):
        found = self.cluster.get(DEPLOYMENT, "apps", "myapp")
        return found and found["spec"]["replicas"]

    def until(self, condition, what, seconds=90):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                told = {r.key: r.value for r in self.runtime.port("state").list("status/")}
                raise AssertionError(f"waited {seconds} s for {what}: {json.dumps(told)[:3000]}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    for variable in ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST"):
        if os.environ.get(variable):
            pytest.skip(f"{variable}: this test wants an emulator of its own")
    with contextlib.ExitStack() as stack:
        made = Deployed(stack, tmp_path_factory.mktemp("deployed"))
        made.build()
        yield made


@pytest.mark.real
def test_a_signed_push_changes_the_cluster_and_tells_once(deployed):
    deployed.until(lambda: deployed.replicas() == 3, "the first sync")
    deployed.until(deployed.receiver, "the Receiver to be indexed")
    assert deployed.hook("guessed") == 401
    deployed.commit({REPLICAS: deployed.files[REPLICAS].replace("replicas: 3", "replicas: 5")})
    assert deployed.hook(TOKEN) == 202
    deployed.until(lambda: deployed.replicas() == 5, "the push to reach the cluster")
    deployed.until(lambda: deployed.room.heard("apps", "Deployment/apps/myapp configured"), "the message")
    told = [text for text in deployed.room.messages if "Deployment/apps/myapp configured" in text]
    assert len(told) == 1
