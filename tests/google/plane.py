"""One plane's resources on Google's emulators, found on this machine; what is missing is skipped loudly."""

import contextlib
import dataclasses
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from penstock.adapters.google.client import GoogleClient
from penstock.adapters.google.names import Endpoints, GoogleNames, deliveries
from penstock.adapters.identity.http import HttpSender
from penstock.adapters.identity.kept import Kept
from penstock.core.messages import TOPICS

SDK = Path(os.environ.get("CLOUDSDK_ROOT_DIR", "/usr/lib/google-cloud-sdk")) / "platform"
FAKE_GCS = Path.home() / ".cache/penstock/tools/fake-gcs-server/fake-gcs-server"
PROJECT = "penstock-test"
BACKOFF = {"minimumBackoff": "10s", "maximumBackoff": "300s"}


def no_token():
    raise AssertionError("an emulator was sent a token")


def client():
    return GoogleClient(HttpSender(limit=64 << 20), no_token, Kept())


def names(**endpoints):
    return GoogleNames(
        project=PROJECT,
        region="europe-west3",
        bucket="acme-penstock",
        prefix="plane-1",
        tasks_account="tasks@penstock-test.iam.gserviceaccount.com",
        endpoints=Endpoints(**endpoints),
    )


def held_port():
    """A socket that keeps a port from others until it is closed."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


def free_port():
    with held_port() as held:
        return held.getsockname()[1]


def request(method, url, body=None):
    """The JSON answer of an emulator to a test's own call."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


@contextlib.contextmanager
def process(command, port, *, log=None, **more):
    """A program of its own process group, until it accepts connections; ended with its group.

    ``log``: a file that can be read and written, for what it prints.
    """
    # pytest writes a test's id there, and one of bytes is too long for a process
    more.setdefault("env", {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"})
    with contextlib.nullcontext(log) if log else tempfile.TemporaryFile() as told:
        running = subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True, **more)
        try:
            end = time.monotonic() + 120
            while not _listens(port):
                if running.poll() is not None or time.monotonic() > end:
                    told.seek(0)
                    raise RuntimeError(f"{command[0]} does not start: {told.read().decode()[-2000:]}")
                time.sleep(0.1)
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _listens(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()


@functools.cache
def _java():
    return shutil.which("java")


def pubsub_command(port):
    """What starts a Pub/Sub emulator. Skips where there is none."""
    script = SDK / "pubsub-emulator/bin/cloud-pubsub-emulator"
    if not script.exists() or not _java():
        pytest.skip(f"the Pub/Sub emulator is not here: {script} and java, or PUBSUB_EMULATOR_HOST")
    return [str(script), "--host=127.0.0.1", f"--port={port}"]


def firestore_command(port):
    """What starts a Firestore emulator. Skips where there is none."""
    script = SDK / "cloud-firestore-emulator/cloud_firestore_emulator"
    if not script.exists() or not _java():
        pytest.skip(f"the Firestore emulator is not here: {script} and java, or FIRESTORE_EMULATOR_HOST")
    return ["bash", str(script), "start", "--host=127.0.0.1", f"--port={port}"]


def storage_command(port):
    """What starts a Cloud Storage server. Skips where there is none."""
    found = str(FAKE_GCS) if FAKE_GCS.exists() else shutil.which("fake-gcs-server")
    if not found:
        pytest.skip(f"fake-gcs-server is not here: {FAKE_GCS}")
    where = [f"-port={port}", f"-public-host=127.0.0.1:{port}"]
    return [found, "-scheme=http", "-host=127.0.0.1", "-backend=memory", *where]


@contextlib.contextmanager
def pubsub():
    """Base URL of a Pub/Sub emulator."""
    with _emulator("PUBSUB_EMULATOR_HOST", pubsub_command) as base:
        yield base


@contextlib.contextmanager
def firestore():
    """Base URL of a Firestore emulator."""
    with _emulator("FIRESTORE_EMULATOR_HOST", firestore_command) as base:
        yield base


@contextlib.contextmanager
def storage():
    """Base URL of a Cloud Storage server."""
    with _emulator("", storage_command) as base:
        yield base


@contextlib.contextmanager
def _emulator(variable, command):
    if given := os.environ.get(variable):
        yield f"http://{given}"
        return
    port = free_port()
    with process(command(port), port):
        yield f"http://127.0.0.1:{port}"


def drop_records(base, of):
    """Forget all records of an emulator's databases."""
    for root in (of.documents, of.hooks, of.index):
        request("DELETE", f"{base}/emulator/v1/{root}")


def replaced(of, **more):
    """The same names but for ``more``."""
    return dataclasses.replace(of, **more)


def make_topics(of, pipeline):
    """All topics; a subscription of each stage to each of its topics, with dead letters that are kept, and told of."""
    base = f"{of.endpoints.pubsub}/v1/"
    for topic in TOPICS:
        request("PUT", base + of.topic(topic), {})
    for stage in pipeline.queues():
        dead = of.dead_topic(stage.name)
        request("PUT", base + dead, {})
        keeping = {"topic": dead, "expirationPolicy": {}}  # for 7 days: the emulator knows no 14
        request("PUT", base + of.dead_subscription(stage.name), keeping)
        telling = {"filter": "NOT attributes:error", "ackDeadlineSeconds": 90, "retryPolicy": BACKOFF}
        request("PUT", base + of.lost_subscription("tick", stage.name), {**keeping, **telling})
        for topic in stage.subscribes:
            body = {
                "topic": of.topic(topic),
                "ackDeadlineSeconds": min(600, round(stage.timeout) + 30),
                "retryPolicy": BACKOFF,
                "deadLetterPolicy": {"deadLetterTopic": dead, "maxDeliveryAttempts": deliveries(stage.attempts)},
                "expirationPolicy": {},
                **({"enableMessageOrdering": True} if stage.ordered else {}),
            }
            request("PUT", base + of.subscription(stage.name, topic), body)


def drop_topics(of):
    """Everything of the project."""
    for kind in ("subscriptions", "topics"):
        listed = request("GET", f"{of.endpoints.pubsub}/v1/projects/{PROJECT}/{kind}?pageSize=1000").get(kind, [])
        for one in listed:
            request("DELETE", f"{of.endpoints.pubsub}/v1/{one['name']}")


def push_to(of, stage, topic, url):
    """Make a subscription push to an endpoint."""
    name = f"{of.endpoints.pubsub}/v1/{of.subscription(stage, topic)}"
    request("POST", f"{name}:modifyPushConfig", {"pushConfig": {"pushEndpoint": url}})


def retry(of, stage, topic, policy):
    """Give a subscription another backoff."""
    name = of.subscription(stage, topic)
    body = {"subscription": {"name": name, "retryPolicy": policy}, "updateMask": "retryPolicy"}
    request("PATCH", f"{of.endpoints.pubsub}/v1/{name}", body)


def pull_again(of, stage, topic):
    """Make it wait to be pulled."""
    name = f"{of.endpoints.pubsub}/v1/{of.subscription(stage, topic)}"
    request("POST", f"{name}:modifyPushConfig", {"pushConfig": {}})
