"""kill -9 of a real process in the middle of a message, on moto and on the Pub/Sub emulator: redelivered, and done once.

The process is a deployed function as the provider runs it; it is killed while its Git server keeps it waiting.
"""

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.aws.plane import ENVIRONMENT, NAMES, on_a_server
from tests.chaos.fault_proxy import HANGS, FaultProxy
from tests.google import plane as google
from tests.google.cloud_tasks import cloud_tasks
from tests.google.secret_manager import secret_manager

from penstock.adapters.git.server import GitServer
from penstock.cli.plane import change_plane
from penstock.core.messages import PLANE, decode
from penstock.core.records import SourceStatus, status_key
from penstock.wiring import Runtime, load_pipeline, settings_from

ROOT = Path(__file__).parents[2]
OWN = status_key(PLANE, "GitRepository", "flux-system", "flux-system")


class Hanging:
    """A plan: the first request waits until it is cut, all others pass."""

    def __init__(self):
        self.first = True

    def __call__(self, method, path):
        first, self.first = self.first, False
        return HANGS if first else ""


@contextlib.contextmanager
def repository(directory):
    """(the proxy in front of a Git server, the URL of its repository through it)."""
    with GitServer(directory / "git") as server:
        url, work = server.create("fleet"), directory / "work"

        def git(*arguments, where=work):
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
            command = ["git", *identity, "-C", str(where), *arguments]
            subprocess.run(command, env=server.environment(), check=True, capture_output=True)

        git("clone", "--quiet", url, str(work), where=directory)
        git("checkout", "--quiet", "-B", "main")
        (work / "clusters").mkdir()
        (work / "clusters/keep.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep}\n")
        git("add", "--all")
        git("commit", "--quiet", "-m", "begin")
        git("push", "--quiet", "origin", "main")
        base, _, path = url.removeprefix("http://").partition("/")
        with FaultProxy(f"http://{base}", Hanging()).running() as proxy:
            yield proxy, f"{proxy.url}/{path}"


def document(url):
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "t"},
        "spec": {
            "source": {"url": url, "ref": {"branch": "main"}, "interval": "10m"},
            "clusters": [{"name": "prod", "path": "clusters"}],
        },
    }


def until(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return found


def fetched(runtime):
    """The source's status once it has an artifact."""
    record = runtime.port("state").get(OWN)
    status = SourceStatus.from_value(record.value) if record else None
    return status if status is not None and status.artifact else None


def check_done_once(runtime, status):
    assert status.observation == 1
    assert runtime.port("storage").digests() == (status.artifact,)


# AWS: a process that does what Lambda's poller and a function do

LAMBDA = """
import importlib.util, json, sys
from penstock.wiring import open_runtime

source, queue, visibility = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec = importlib.util.spec_from_file_location("lambda_handler", source)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
bus = open_runtime().bus


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self):
        return 900_000


while True:
    for record in bus._take(queue, count=1, visibility=visibility, wait=1):
        count = record["Attributes"]["ApproximateReceiveCount"]
        print("takes", count, flush=True)
        event = {
            "messageId": record["MessageId"],
            "receiptHandle": record["ReceiptHandle"],
            "body": record["Body"],
            "attributes": {"ApproximateReceiveCount": count},
            "eventSource": "aws:sqs",
        }
        if not module.handler({"Records": [event]}, Context())["batchItemFailures"]:
            bus._delete(queue, record["ReceiptHandle"])
            print("done", flush=True)
"""


@contextlib.contextmanager
def function(environment):
    """A process of fetch; killed at the end."""
    handler = ROOT / "functions/fetch/lambda_handler.py"
    command = [sys.executable, "-c", LAMBDA, str(handler), NAMES.queue("fetch"), "3"]
    with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGKILL)


def said(process, count):
    """The next lines that are not of its log."""
    lines = (line for line in process.stdout if not line.startswith("{"))
    return list(itertools.islice(lines, count))


def test_a_function_on_lambda_that_is_killed_in_the_middle_of_a_message(tmp_path):
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_a_server())
        proxy, url = stack.enter_context(repository(tmp_path))
        runtime = Runtime(settings_from(dict(os.environ)))
        change_plane(runtime, document(url))
        given = {**ENVIRONMENT, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "PYTHONPATH": str(ROOT / "shared")}
        given |= {"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1", "PATH": os.defpath}
        with function(given) as first:
            assert said(first, 1) == ["takes 1\n"]
            asked = proxy.hanging.wait(60)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            assert asked, f"it asks its Git server: {first.stdout.read()}"
        assert fetched(runtime) is None
        with function(given) as second:
            assert said(second, 2) == ["takes 2\n", "done\n"]
        check_done_once(runtime, until(lambda: fetched(runtime), "the artifact"))
        assert runtime.bus.depth()["fetch"] == 0
        woken = runtime.bus._take("plane-1-reconcile", count=10, visibility=60, wait=0)
        kinds = [json.loads(each["Body"])["type"] for each in woken]  # the Plane's own wake-up is there, too
        assert kinds.count("dev.penstock.artifact-stored.v1") == 1
        assert len(runtime.bus._take("plane-1-notify", count=10, visibility=60, wait=0)) == 1
        assert runtime.bus.dead_letters() == ()


# Google Cloud: functions-framework, pushed to by the emulator


@pytest.mark.real
def test_a_function_on_cloud_run_that_is_killed_in_the_middle_of_a_message(tmp_path):
    for variable in ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST"):
        if os.environ.get(variable):
            pytest.skip(f"{variable}: this test wants an emulator of its own")
    with contextlib.ExitStack() as stack:
        tasks, secrets = stack.enter_context(cloud_tasks()), stack.enter_context(secret_manager())
        bases = [stack.enter_context(make()) for make in (google.pubsub, google.firestore, google.storage)]
        pubsub, firestore, storage = (base.removeprefix("http://") for base in bases)
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "shared"),
            "PENSTOCK_BACKEND": "google",
            "GOOGLE_CLOUD_PROJECT": google.PROJECT,
            "PENSTOCK_GOOGLE_REGION": "europe-west3",
            "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
            "PENSTOCK_GOOGLE_PREFIX": "plane-1",
            "PENSTOCK_GOOGLE_TASKS_ACCOUNT": "tasks@penstock-test.iam.gserviceaccount.com",
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
            "PUBSUB_EMULATOR_HOST": pubsub,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": secrets.base,
        }
        runtime = Runtime(settings_from(environment))
        names = runtime.settings.google
        google.make_topics(names, load_pipeline())
        google.request("POST", f"{bases[2]}/storage/v1/b?project={google.PROJECT}", {"name": names.bucket})
        proxy, url = stack.enter_context(repository(tmp_path))
        port = google.free_port()
        source = ROOT / "functions/fetch/main.py"
        framework = str(Path(sys.executable).with_name("functions-framework"))
        command = [framework, "--target", "fetch", "--source", str(source), "--host", "127.0.0.1", "--port", str(port)]
        google.push_to(names, "fetch", "source-changed", f"http://127.0.0.1:{port}/")
        with google.process(command, port, env=environment, cwd="/") as first:
            change_plane(runtime, document(url))
            assert proxy.hanging.wait(60), "it asks its Git server"
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(10)
        assert fetched(runtime) is None
        with google.process(command, port, env=environment, cwd="/"):
            status = until(lambda: fetched(runtime), "the message to come again")
            check_done_once(runtime, status)
            told = google.request(
                "POST",
                f"{bases[0]}/v1/{names.subscription('notify', 'event')}:pull",
                {"maxMessages": 10, "returnImmediately": False},
            ).get("receivedMessages", [])
        assert len(told) == 1
        assert decode(base64.b64decode(told[0]["message"]["data"])).message.reason == "NewArtifact"
