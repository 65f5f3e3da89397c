"""The demo's story in a cloud: a real Git server, a cluster over HTTP, and a new process for every message.

So each figure is one of a cold function: what it loads, how long its first work takes, and the most memory it has.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.aws import events
from tests.bench.clouds import ROOT, Aws, Cloud

from penstock.adapters.git.server import GitServer
from penstock.cli.demo.fleet import NAMESPACES, fleet_files
from penstock.cli.demo.world import ChatRoom, connect, simulated_cluster
from penstock.cli.plane import change_plane
from penstock.core.records import ReceiverRecord
from penstock.core.resources import Gvk
from penstock.wiring import Runtime, settings_from

TOKEN = "hook-canary"
REPLICAS = "apps/production/myapp/patch-replicas.yaml"
BODY = json.dumps({"ref": "refs/heads/main", "after": "0" * 40})
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")

PROGRAM = """
import importlib.util, json, re, sys, time

provider, stage, source, event = json.loads(sys.stdin.read())
started = time.perf_counter()
if provider == "aws":
    spec = importlib.util.spec_from_file_location("lambda_handler", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    call = lambda: module.handler(event, Context())
else:
    import functions_framework
    client = functions_framework.create_app(stage, source).test_client()
    call = lambda: client.post(event["path"], headers=event["headers"], data=event["body"]).status_code


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self):
        return 900_000


loaded, cpu = time.perf_counter() - started, time.process_time()
answer = call()
print(json.dumps({"answer": answer, "loaded": loaded, "first": time.perf_counter() - started - loaded,
    "cpu": time.process_time() - cpu, "modules": len(sys.modules),
    "kib": int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1])}))
"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cold:
    """A new process's work: milliseconds until it is loaded, then of its first message; MiB at most."""

    stage: str
    loaded: float
    first: float
    cpu: float
    mib: float


class Story:
    """The demo's repository, cluster and chat room; the plane's records are in the cloud."""

    def __init__(self, cloud: Cloud, stack: contextlib.ExitStack) -> None:
        self.cloud, self.stack = cloud, stack
        self.found: list[Cold] = []
        self.runtime = Runtime(settings_from(cloud.environment))
        cloud.use(self.runtime)
        cloud.renew()
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.git, self.work = stack.enter_context(GitServer(directory / "git")), directory / "work"
        self.url = self.git.create("fleet-infra")
        self.room = stack.enter_context(ChatRoom())
        self.files = fleet_files("")
        self.commit(self.files)
        demo = stack.enter_context(simulated_cluster())
        self.cluster = connect(demo)
        for name in NAMESPACES:
            if name == "flux-system":
                self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        secrets = {"webhook-token": {"token": TOKEN}, "slack-webhook": {"address": f"{self.room.url}/services/demo"}}
        for name, data in secrets.items():
            metadata = {"name": name, "namespace": "flux-system"}
            self.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        cluster = {"name": "demo", "path": "clusters/production", "kubeConfig": {"path": str(demo.kubeconfig)}}
        spec = {"source": {"url": self.url, "ref": {"branch": "main"}, "interval": "10m"}, "clusters": [cluster]}
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "demo"},
            "spec": spec,
        }
        change_plane(self.runtime, document)

    def commit(self, files: dict[str, str]) -> None:
        def git(*arguments: str, inside: bool = True) -> None:
            where = ["-C", str(self.work)] if inside else []
            identity = ["-c", "user.name=b", "-c", "user.email=b@example.com", "-c", "commit.gpgsign=false"]
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

    def settle(self) -> None:
        """Each message to a process of its own, until none is left."""
        while sum(self._stage(stage.name) for stage in self.cloud.pipeline.queues()):
            pass

    def _stage(self, stage: str) -> bool:
        found = self.cloud.take(stage)
        for message in found:
            if isinstance(self.cloud, Aws):
                event = events.sqs((message["Body"], message["ReceiptHandle"], 1), stage=stage)
                done = self.call(stage, event)["batchItemFailures"] == []
            else:
                body = {"message": message["message"], "subscription": "s", "deliveryAttempt": 1}
                headers = {"content-type": "application/json"}
                done = self.call(stage, {"path": "/", "headers": headers, "body": json.dumps(body)}) == 204
            if done:
                self.cloud.forget(stage, message)
        return bool(found)

    def hook(self) -> None:
        """A signed push."""
        (record,) = self.runtime.port("state").list("receiver/")
        path = f"/hook/{ReceiverRecord.from_value(record.value).digest}"
        signature = hmac.new(TOKEN.encode(), BODY.encode(), hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": f"sha256={signature}",
        }
        if isinstance(self.cloud, Aws):
            status = self.call("webhook", events.function_url(path=path, headers=headers, body=BODY.encode()))
            assert status["statusCode"] == 202, status
        else:
            status = self.call("webhook", {"path": path, "headers": headers, "body": BODY})
            assert status == 202, status

    def call(self, stage: str, event: object) -> object:
        """The answer of a function in a new process."""
        name = "lambda_handler.py" if isinstance(self.cloud, Aws) else "main.py"
        given = [self.cloud.name, stage, str(ROOT / "functions" / stage / name), event]
        environment = {
            **self.cloud.environment,
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "shared"),
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], input=json.dumps(given), env=environment, cwd="/", capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2_000:]
        told = json.loads(done.stdout.splitlines()[-1])
        self.found.append(
            Cold(
                stage=stage,
                loaded=told["loaded"] * 1000,
                first=told["first"] * 1000,
                cpu=told["cpu"] * 1000,
                mib=told["kib"] / 1024,
            )
        )
        return told["answer"]

    def replicas(self) -> int:
        found = self.cluster.get(DEPLOYMENT, "apps", "myapp")
        return int(found["spec"]["replicas"]) if found else 0


def story(cloud: Cloud) -> list[Cold]:
    """First sync, one push, and a request and a tick: what each process had."""
    with contextlib.ExitStack() as stack:
        world = Story(cloud, stack)
        world.settle()
        assert world.replicas() == 3
        world.commit({REPLICAS: world.files[REPLICAS].replace("replicas: 3", "replicas: 5")})
        world.hook()
        world.settle()
        assert world.replicas() == 5
        if isinstance(cloud, Aws):
            world.call("tick", events.schedule())
            world.call("api", events.function_url(path="/status", method="GET"))
        else:
            world.call("tick", {"path": "/", "headers": {}, "body": ""})
            world.call("api", {"path": "/status", "headers": {}, "body": ""})
        return world.found


def by_stage(found: list[Cold]) -> Iterator[tuple[str, list[Cold]]]:
    """In the order of their names."""
    for stage in sorted({each.stage for each in found}):
        yield stage, [each for each in found if each.stage == stage]
