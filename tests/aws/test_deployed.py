"""The deployed shape: each function by AWS's own runtime client, in a process and environment of its own, from the
unpacked aws.zip and nothing else, on moto's server with what Terraform's module made there; pollers do what the event source
mappings say, a function URL what AWS's front does. The story is tests/deployed.py's.
"""

import base64
import contextlib
import json
import os
import threading
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.functions import function
from tests.aws.made import how, made
from tests.aws.plane import NAMES
from tests.deployed import GIVEN, Story, World
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.core.messages import PLANE, Envelope, SourceChanged
from penstock.ports.bus import Dispatch
from penstock.wiring import Runtime, load_pipeline, settings_from

PIPELINE = load_pipeline()

pytestmark = pytest.mark.xdist_group("deployed-aws")  # one plane for all of them


class Poller:
    """An event source mapping: batches, of which is deleted what the function does not report."""

    def __init__(self, source, running):
        self.source, self.running = source, running
        self.stopping, self.errors = threading.Event(), []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def run(self):
        sqs, stage = Clients(NAMES.region).client("sqs"), PIPELINE.stage(self.source.stage)
        url = sqs.get_queue_url(QueueName=self.source.queue)["QueueUrl"]
        asked = {"QueueUrl": url, "MaxNumberOfMessages": self.source.batch, "WaitTimeSeconds": 1, "AttributeNames": ["All"]}
        while not self.stopping.is_set():
            messages = sqs.receive_message(**asked).get("Messages", ())
            if not messages:
                continue
            batch = [(m["Body"], m["ReceiptHandle"], int(m["Attributes"]["ApproximateReceiveCount"])) for m in messages]
            event = events.sqs(*batch, stage=stage.name)
            try:
                answer = self.running.invoke(event, seconds=stage.timeout)
            except Exception as error:
                self.errors.append(error)
                return
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for record, (_, receipt, _) in zip(event["Records"], batch, strict=True):
                if record["messageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)


class Deployed:
    """The plane's resources, its functions, and the world around them."""

    def __init__(self, stack, directory):
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.made = stack.enter_context(made(directory))
        self.world = World(stack, directory)
        (directory / "runtime").mkdir()
        root, client = bundles.made("aws").root, bundles.runtime(directory / "runtime")
        self.functions = {
            name: stack.enter_context(function(root, client, name, self.environment(name), self.logs / name))
            for name in self.made.environments
        }
        sources = {each.stage: Poller(each, self.functions[each.stage]) for each in self.made.sources}
        self.pollers = {stage: stack.enter_context(poller) for stage, poller in sources.items()}
        self.story = Story(self.world, Runtime(settings_from(self.made.shell)), self.http, self.tick)

    def environment(self, stage):
        """What its configuration says, what Lambda adds, keys of its own, as a role gives them, and its secrets."""
        keys = {"AWS_ACCESS_KEY_ID": f"key-of-{stage}", "AWS_SECRET_ACCESS_KEY": f"secret-of-{stage}"}
        added = {"AWS_REGION": NAMES.region, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
        secrets = {name: text for name, text in self.world.own(stage).items() if name.startswith("PENSTOCK_SECRET_")}
        return {**self.made.environments[stage], **added, **keys, **secrets}

    def http(self, stage, method, path, headers, body):
        """As a function URL hands a request on."""
        path, _, query = path.partition("?")
        event = events.function_url(method, path, headers=headers, body=body, query=query)
        answer = self.functions[stage].invoke(event, seconds=60)
        text = base64.b64decode(answer["body"]).decode() if answer.get("isBase64Encoded") else answer.get("body", "")
        return answer["statusCode"], {n.lower(): v for n, v in answer.get("headers", {}).items()}, text

    def tick(self):
        """The scheduled rule's call."""
        (stage,) = self.made.scheduled
        assert self.functions[stage].invoke(events.schedule("aws.events"), seconds=60) is None


@pytest.fixture(scope="module", params=[how()])
def deployed(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        found = Deployed(stack, tmp_path_factory.mktemp("deployed"))
        found.story.begin()
        yield found


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
    assert [poller.errors for poller in deployed.pollers.values()] == [[], [], []]
    assert deployed.story.runtime.bus.dead_letters() == ()
    assert deployed.world.changes_told() == deployed.world.scaled


def test_what_no_attempt_ends_becomes_a_dead_letter_that_tick_tells_of(deployed):
    """By the queue's own redrive policy; the last test, since fetch stops for it."""
    deployed.pollers["fetch"].stop()
    sqs, pipeline = Clients(NAMES.region).client("sqs"), PIPELINE.stage("fetch")
    url = sqs.get_queue_url(QueueName=next(each.queue for each in deployed.made.sources if each.stage == "fetch"))["QueueUrl"]
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["RedrivePolicy"])
    assert policy["maxReceiveCount"] == pipeline.attempts
    wake = SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system")
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    deployed.story.runtime.bus.publish([Dispatch(envelope=Envelope(message=wake, id="killer", traceparent=traceparent))])
    for _ in range(pipeline.attempts):
        assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    deployed.tick()
    (letter,) = deployed.story.runtime.bus.dead_letters()
    assert (letter.stage, letter.error) == ("fetch", "not finished in 8 attempts: its worker died or hung each time")
