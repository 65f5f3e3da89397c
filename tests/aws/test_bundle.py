"""aws.zip, unpacked: every function is started by AWS's own runtime client in an empty environment, and called with
events as they come on AWS, against moto's server.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.functions import FunctionError, function
from tests.aws.plane import ENVIRONMENT
from tests.aws.test_server import BODY, ENVELOPE, seed, server  # noqa: F401 - a fixture
from tests.package import bundles

from penstock.core.messages import encode
from penstock.wiring import Runtime, load_pipeline, settings_from

STAGES = load_pipeline().stages


@pytest.fixture(scope="module")
def runtime_client(tmp_path_factory):
    return bundles.runtime(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def start(server, runtime_client, tmp_path):  # noqa: F811 - see above
    def started(stage, **more):
        environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], **more}
        return function(bundles.made("aws").root, runtime_client, stage, environment, tmp_path / "log")

    return started


def event_of(stage):
    return {
        "http": events.function_url(path="/nowhere", method="GET"),
        "schedule": events.schedule("aws.events"),
        "topic": events.sqs(("not ours", "receipt", 1), stage=stage),
    }[STAGES[stage].trigger]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_function_starts_from_the_bundle_alone(start, stage, tmp_path):
    with start(stage) as running:
        for _ in range(2):  # cold, then warm
            answer = running.invoke(event_of(stage), seconds=60)
    match STAGES[stage].trigger:
        case "http":
            assert answer["statusCode"] in {401, 404}
        case "schedule":
            assert answer is None
        case "topic":
            assert answer == {"batchItemFailures": []}
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_signed_push_goes_through_the_bundle(start):
    path, headers = seed()
    with start("webhook") as running:
        assert running.invoke(events.function_url(path=path, headers=headers, body=BODY))["statusCode"] == 202
        headers = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}
        assert running.invoke(events.function_url(path=path, headers=headers, body=BODY))["statusCode"] == 401
    bus = Runtime(settings_from(dict(os.environ))).bus
    delivery = bus.receive("fetch", wait=5)
    assert delivery.envelope.message.name == "fleet"
    bus.ack(delivery)
    assert bus.receive("fetch", wait=0) is None


def test_a_message_of_a_queue_goes_through_the_bundle(start):
    """No Plane names that source: there is nothing to do, and the message is done."""
    body = encode(ENVELOPE).decode()
    with start("fetch") as running:
        assert running.invoke(events.sqs((body, "receipt", 1))) == {"batchItemFailures": []}


def test_a_handler_that_is_not_in_the_bundle_is_an_error_of_the_runtime(start):
    """The check above can fail: the runtime tells of what it cannot load."""
    with start("webhooks") as running, pytest.raises(FunctionError, match="Unable to import module"):
        running.invoke({}, seconds=30)


def test_the_environment_is_empty(runtime_client):
    """Neither this project's dependencies nor pytest can be imported there, only the bundle's."""
    program = """
import importlib.util, json, sys
names = ("pytest", "moto", "boto3", "kubernetes", "yaml", "botocore", "penstock")
print(json.dumps({name: getattr(importlib.util.find_spec(name), "origin", None) for name in names}))
"""
    root = bundles.made("aws").root
    told = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PATH": os.defpath, "PYTHONPATH": str(runtime_client)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert {name for name, origin in found.items() if origin is None} == {"pytest", "moto", "boto3", "kubernetes"}
    assert {Path(origin).is_relative_to(root) for origin in found.values() if origin} == {True}


def test_every_service_that_adapters_call_has_its_model_in_the_bundle():
    """And not one that they do not: botocore's models are most of its size."""
    program = """
import botocore.session, json, os
session = botocore.session.Session()
print(json.dumps({
    "services": session.get_available_services(),
    "made": [session.create_client(name, region_name="eu-central-1").meta.endpoint_url
             for name in session.get_available_services()],
}))
"""
    told = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PATH": os.defpath, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        cwd=bundles.made("aws").root,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    code = "".join(path.read_text() for path in sorted((bundles.ROOT / "shared/penstock/adapters").rglob("*.py")))
    called = set(re.findall(r'\.(?:call|client|download)\(\s*"([a-z0-9]+)"', code))
    assert called > {"dynamodb", "s3", "sns"}
    assert set(found["services"]) == called | {"sts"}  # with which botocore finds credentials by itself
    assert all(url.startswith("https://") and "eu-central-1" in url for url in found["made"])
