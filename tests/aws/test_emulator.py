"""aws.zip, unpacked, under AWS's own Lambda runtime interface emulator: the program that starts and calls a function
there, with its Runtime API, its environment and its deadlines. One function of each kind of trigger, on moto's server.
"""

import contextlib
import json
import os
import sys
import urllib.request

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT
from tests.aws.test_server import BODY, ENVELOPE, seed, server  # noqa: F401 - a fixture
from tests.controlplane.build import tool
from tests.google.plane import free_port, process
from tests.package import bundles

from penstock.core.messages import encode
from penstock.wiring import Runtime, load_pipeline, settings_from


@pytest.fixture(scope="module")
def runtime_client(tmp_path_factory):
    return bundles.runtime(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def emulated(server, runtime_client, tmp_path):  # noqa: F811 - see above
    """emulated(stage): a context with invoke(event) -> what the function gives back."""
    emulator = tool("aws-lambda-rie")
    if emulator is None:
        pytest.skip("AWS's Lambda emulator is not built here: run tests/controlplane/build.py --all")

    @contextlib.contextmanager
    def started(stage):
        port, own = free_port(), free_port()
        handler = f"functions/{stage}/lambda_handler.handler"
        words = [str(emulator), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        words += ["--runtime-api-address", f"127.0.0.1:{own}", sys.executable, "-S", "-m", "awslambdaric", handler]
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(runtime_client),
            "AWS_LAMBDA_FUNCTION_NAME": f"plane-1-{stage}",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(round(load_pipeline().stage(stage).timeout)),
            "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
            **ENVIRONMENT,
        }
        root = bundles.made("aws").root
        with (tmp_path / "log").open("w+b") as log, process(words, port, log=log, env=environment, cwd=root):
            yield lambda event: invoke(port, event)

    return started


def invoke(port, event):
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    with urllib.request.urlopen(url, data=json.dumps(event).encode(), timeout=120) as answer:
        return json.loads(answer.read())


def test_a_signed_push_is_taken_and_a_forged_one_refused(emulated):
    path, headers = seed()
    with emulated("webhook") as call:
        assert call(events.function_url(path=path, headers=headers, body=BODY))["statusCode"] == 202
        forged = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}
        assert call(events.function_url(path=path, headers=forged, body=BODY))["statusCode"] == 401
    bus = Runtime(settings_from(dict(os.environ))).bus
    delivery = bus.receive("fetch", wait=5)
    assert delivery.envelope.message.name == "fleet"
    bus.ack(delivery)


def test_a_message_is_done_and_poison_given_up(emulated):
    with emulated("fetch") as call:
        assert call(events.sqs((encode(ENVELOPE).decode(), "receipt", 1))) == {"batchItemFailures": []}
        assert call(events.sqs(("not ours", "receipt", 1))) == {"batchItemFailures": []}
    bus = Runtime(settings_from(dict(os.environ))).bus
    (letter,) = bus.dead_letters()
    assert letter.body == b"not ours"
    bus.drop_dead_letters([letter], again=False)


def test_the_schedule_ends_well(emulated, tmp_path):
    with emulated("tick") as call:
        assert call(events.schedule("aws.events")) is None
    assert "INVOKE RTDONE(status: success" in (tmp_path / "log").read_text(errors="replace")
