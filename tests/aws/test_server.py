"""Over HTTP, on moto's server: adapters as processes use them, and functions started in an empty environment."""

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, NAMES, on_a_server

from penstock.adapters.aws.clients import Clients
from penstock.adapters.storage.s3 import S3Storage
from penstock.core.flux.receiver import webhook_digest
from penstock.core.messages import Envelope, Event, SourceChanged, encode
from penstock.core.records import ReceiverRecord, receiver_key
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.ports.bus import Dispatch
from penstock.wiring import Runtime, load_pipeline, settings_from

ROOT = Path(__file__).parents[2]
TOKEN = b"first-push"
BODY = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/fleet"}}).encode()
ENVELOPE = Envelope(
    message=SourceChanged(cluster="production", namespace="flux-system", name="fleet"),
    id="id-1",
    traceparent=f"00-{'ab' * 16}-{'c' * 16}-01",
)

PROGRAM = """
import importlib.util, json, sys, time

source, event = json.loads(sys.stdin.read())
started = time.perf_counter()
spec = importlib.util.spec_from_file_location("lambda_handler", source)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
loaded = time.perf_counter() - started
imported = sorted(sys.modules)


class Context:
    aws_request_id = "e1506fd5-9e7b-434f-bd42-4f8fa224b599"

    def get_remaining_time_in_millis(self):
        return 900_000


seconds = []
for _ in range(2):
    started = time.perf_counter()
    answer = module.handler(event, Context())
    seconds.append(time.perf_counter() - started)
print(json.dumps({"answer": answer, "imported": imported, "after": sorted(sys.modules), "seconds": [loaded, *seconds]}))
"""
NEVER = {"functions_framework", "flask", "werkzeug", "boto3", "s3transfer", "kubernetes", "dulwich", "grpc", "yaml"}
NEVER |= {"cryptography", "pyrage", "re2"}


@pytest.fixture(scope="module")
def server():
    """The plane's resources on a moto server of this module's own."""
    with on_a_server() as where:
        yield where


@pytest.fixture
def runtime(server):
    return Runtime(settings_from(dict(os.environ)))


def function(stage, event, **more):
    """A new process with nothing in its environment but what its function is given."""
    given = {
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "PYTHONPATH": str(ROOT / "shared"),
        **more,
    }
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([str(ROOT / "functions" / stage / "lambda_handler.py"), event]),
        env=given,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2_000:]
    return json.loads(finished.stdout.splitlines()[-1])


def heavy(modules):
    return [name for name in modules if name.partition(".")[0] in NEVER]


def eventually(look, seconds=20):
    """What ``look`` gives, as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_message_goes_from_topic_to_queue_and_back(runtime):
    runtime.bus.publish([Dispatch(envelope=ENVELOPE)])
    delivery = runtime.bus.receive("fetch", wait=5)
    assert delivery.envelope == ENVELOPE
    assert runtime.bus.retry(delivery, delay=0, error="x") is True
    again = eventually(lambda: runtime.bus.receive("fetch", wait=1))
    assert again.envelope.attempt == 2
    runtime.bus.ack(again)
    assert runtime.bus.depth()["fetch"] == 0


def test_a_delay_is_really_waited_for(runtime):
    runtime.bus.publish([Dispatch(envelope=ENVELOPE, delay=2)])
    published = time.monotonic()
    assert runtime.bus.receive("fetch", wait=0) is None
    delivery = eventually(lambda: runtime.bus.receive("fetch", wait=1))
    assert time.monotonic() - published > 1
    runtime.bus.ack(delivery)


def test_records_artifacts_and_secrets_over_http(runtime):
    state, storage, secrets = (runtime.port(name) for name in ("state", "storage", "secrets"))
    record = state.put("status/prod/Kustomization/apps/web", {"n": os.urandom(300_000).hex()}, expected="", due=1.0)
    assert state.due(2.0, limit=5) == (record,)
    state.delete(record.key, expected=record.version)
    data = os.urandom(5_000_000)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    assert (storage.put(digest, data), storage.put(digest, data)) == (True, False)
    assert storage.get(digest) == data
    storage.delete(digest)
    assert secrets.put("n", {"token": b"\x00"}, owner="uid") is True
    assert secrets.get("n") == {"token": b"\x00"}
    secrets.delete("n", owner="uid")
    assert secrets.names() == ()


def test_a_writer_that_dies_in_the_middle_of_an_artifact_leaves_nothing(server):
    data = os.urandom(100_000)
    digest = hashlib.sha256(data).hexdigest()
    with socket.create_connection(server) as connection:
        head = (
            f"PUT /{NAMES.bucket}/artifacts/sha256/{digest} HTTP/1.1\r\nHost: {server[0]}:{server[1]}\r\n"
            f"Content-Length: {len(data)}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=testing/20260101/"
            f"{NAMES.region}/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n"
        )
        connection.sendall(head.encode() + data[:50_000])
    storage = S3Storage(Clients(NAMES.region), NAMES.bucket)
    time.sleep(0.5)
    assert storage.get(f"sha256:{digest}") is None


def seed():
    """A Receiver in the index and its token in the store: path and headers of a push that it verifies."""
    runtime = Runtime(settings_from(dict(os.environ)))
    digest = webhook_digest(TOKEN, "fleet", "flux-system")
    name = secret_name(WEBHOOK, "production", "flux-system", "webhook-token")
    record = ReceiverRecord(
        cluster="production",
        namespace="flux-system",
        name="fleet",
        type="github",
        digest=digest,
        secret=name,
        events=("push",),
        resources=({"kind": "GitRepository", "namespace": "flux-system", "name": "fleet"},),
    )
    runtime.port("state").put(
        receiver_key(digest, "production", "flux-system", "fleet"), record.to_value(), expected=None
    )
    runtime.port("secrets").put(name, {"token": TOKEN}, owner="uid-1")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": "1",
        "x-hub-signature-256": "sha256=" + hmac.new(TOKEN, BODY, hashlib.sha256).hexdigest(),
    }
    return f"/hook/{digest}", headers


@pytest.mark.parametrize(("forged", "status"), [(False, 202), (True, 401)])
def test_a_push_to_the_function_url_wakes_fetch_and_a_forged_one_nobody(runtime, forged, status):
    path, headers = seed()
    if forged:
        headers = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}
    told = function("webhook", events.function_url(path=path, headers=headers, body=BODY))
    assert told["answer"]["statusCode"] == status
    delivery = runtime.bus.receive("fetch", wait=0 if forged else 5)
    assert (delivery is None) == forged
    while delivery:
        assert delivery.envelope.message == ENVELOPE.message or delivery.envelope.message.hint
        runtime.bus.ack(delivery)
        delivery = runtime.bus.receive("fetch", wait=0)
    assert "botocore" not in told["imported"]
    assert heavy(told["after"]) == []


@pytest.mark.parametrize(
    ("stage", "event"),
    [
        ("tick", events.schedule()),
        (
            "notify",
            events.sqs(
                (
                    encode(
                        Envelope(
                            message=Event(
                                id="e",
                                cluster="production",
                                api_version="v1",
                                kind="Kustomization",
                                namespace="flux-system",
                                name="apps",
                                severity="info",
                                reason="ReconciliationSucceeded",
                                message="m",
                                timestamp="2026-01-01T00:00:00Z",
                            ),
                            id="1",
                            traceparent="",
                        )
                    ).decode(),
                    "receipt",
                    1,
                )
            ),
        ),
    ],
)
def test_the_other_lean_functions_load_no_more_than_botocore(server, stage, event):
    told = function(stage, event)
    assert told["answer"] == (None if stage == "tick" else {"batchItemFailures": []})
    assert "botocore" not in told["imported"]
    assert heavy(told["after"]) == []


@pytest.mark.parametrize("stage", sorted(load_pipeline().stages))
def test_every_function_starts_in_an_empty_environment(server, stage):
    trigger = load_pipeline().stage(stage).trigger
    event = {"http": events.function_url(path="/nowhere"), "schedule": events.schedule(), "topic": {"Records": []}}[
        trigger
    ]
    told = function(stage, event)
    if trigger == "http":
        assert told["answer"]["statusCode"] in {401, 404}
    assert "botocore" not in told["imported"]
    assert not set(told["imported"]) & {"functions_framework", "flask", "werkzeug", "boto3"}
