"""The deployed shape: each function by AWS's own runtime client, in a process and environment of its own, from the
unpacked aws.zip and nothing else, on moto's server; pollers do what Lambda's event source mappings do, a function URL
what AWS's front does. The story is tests/deployed.py's.
"""

import base64
import contextlib
import os
import threading
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.functions import function
from tests.aws.plane import ENVIRONMENT, NAMES, on_a_server
from tests.deployed import GIVEN, Story, World
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.wiring import Runtime, load_pipeline, settings_from

PIPELINE = load_pipeline()

pytestmark = pytest.mark.xdist_group("deployed-aws")  # one plane for all of them


class Poller:
    """An event source mapping: batches of one, deleted where the function does not report them."""

    def __init__(self, stage, running):
        self.stage, self.running = stage, running
        self.stopping, self.errors = threading.Event(), []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        sqs = Clients(NAMES.region).client("sqs")
        url = sqs.get_queue_url(QueueName=NAMES.queue(self.stage.name))["QueueUrl"]
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 1, "AttributeNames": ["All"]}
        while not self.stopping.is_set():
            for message in sqs.receive_message(**asked).get("Messages", ()):
                count = int(message["Attributes"]["ApproximateReceiveCount"])
                event = events.sqs((message["Body"], message["ReceiptHandle"], count), stage=self.stage.name)
                try:
                    failed = self.running.invoke(event, seconds=self.stage.timeout)["batchItemFailures"]
                except Exception as error:
                    self.errors.append(error)
                    return
                if not failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


class Deployed:
    """The plane's resources, its functions, and the world around them."""

    def __init__(self, stack, directory):
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.world = World(stack, directory)
        (directory / "runtime").mkdir()
        root, client = bundles.made("aws").root, bundles.runtime(directory / "runtime")
        self.functions = {
            name: stack.enter_context(function(root, client, name, self.environment(name), self.logs / name))
            for name in PIPELINE.stages
        }
        self.pollers = [stack.enter_context(Poller(stage, self.functions[stage.name])) for stage in PIPELINE.queues()]
        self.story = Story(self.world, Runtime(settings_from(dict(os.environ))), self.http, self.tick)

    def environment(self, stage):
        """Keys of its own, as a role gives them."""
        keys = {"AWS_ACCESS_KEY_ID": f"key-of-{stage}", "AWS_SECRET_ACCESS_KEY": f"secret-of-{stage}"}
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], **keys, **self.world.own(stage)}

    def http(self, stage, method, path, headers, body):
        """As a function URL hands a request on."""
        path, _, query = path.partition("?")
        event = events.function_url(method, path, headers=headers, body=body, query=query)
        answer = self.functions[stage].invoke(event, seconds=60)
        text = base64.b64decode(answer["body"]).decode() if answer.get("isBase64Encoded") else answer.get("body", "")
        return answer["statusCode"], {n.lower(): v for n, v in answer.get("headers", {}).items()}, text

    def tick(self):
        """The scheduled rule's call."""
        assert self.functions["tick"].invoke(events.schedule("aws.events"), seconds=60) is None


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_a_server())
        made = Deployed(stack, tmp_path_factory.mktemp("deployed"))
        made.story.begin()
        yield made


def test_a_signed_push_changes_the_cluster_and_tells_once(deployed):
    deployed.story.push()


def test_a_tick_finds_a_commit_that_nobody_told_of(deployed):
    deployed.story.scheduled()


def test_the_api_tells_what_is_and_reconciles(deployed):
    deployed.story.asked()


def test_each_process_has_its_own_credentials_and_tells_none(deployed):
    """Not even in its memory of the environment: what Linux says that each process was started with."""
    canaries = deployed.world.canaries
    for stage, running in deployed.functions.items():
        given = Path(f"/proc/{running.process.pid}/environ").read_text()
        held = {name for name, text in canaries.items() if text in given}
        assert held == set(GIVEN.get(stage, ())), stage
        assert [other for other in PIPELINE.stages if f"secret-of-{other}" in given] == [stage]
        log = (deployed.logs / stage).read_text(errors="replace")
        assert '"stage finished"' in log, stage
        assert [name for name, text in canaries.items() if text in log] == [], stage


def test_nothing_was_lost_or_failed(deployed):
    assert [poller.errors for poller in deployed.pollers] == [[], [], []]
    assert deployed.story.runtime.bus.dead_letters() == ()
    assert deployed.world.changes_told() == deployed.world.scaled
