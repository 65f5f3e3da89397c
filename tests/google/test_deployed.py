"""The deployed shape: each function by the real functions-framework command, in a process and environment of its own,
from the unpacked google.zip and nothing else, over the Pub/Sub and Firestore emulators, fake-gcs-server, and loopback
servers for Cloud Tasks and Secret Manager, with what Terraform's module made there. The story is tests/deployed.py's.
"""

import base64
import contextlib
import json
import os
from pathlib import Path

import pytest
from tests.deployed import GIVEN, Story, World
from tests.google import plane
from tests.google.bundle import ask, started
from tests.google.cloud_tasks import cloud_tasks
from tests.google.made import made
from tests.google.secret_manager import secret_manager
from tests.infra.applied import run
from tests.needles import needles
from tests.observability.logs import documented

from penstock.core.messages import PLANE, Envelope, SourceChanged, encode
from penstock.wiring import Runtime, load_pipeline, settings_from

STAGES = tuple(load_pipeline().stages)

pytestmark = pytest.mark.xdist_group("deployed-google")  # one plane for all of them


class Deployed:
    """The plane's resources, its processes, and the world around them."""

    def __init__(self, stack, directory):
        self.stack, self.logs = stack, directory / "logs"
        self.logs.mkdir()
        self.tasks = stack.enter_context(cloud_tasks())
        self.secrets = stack.enter_context(secret_manager())
        bases = [stack.enter_context(make()) for make in (plane.pubsub, plane.firestore, plane.storage)]
        pubsub, firestore, storage = (base.removeprefix("http://") for base in bases)
        self.emulators = {
            "PUBSUB_EMULATOR_HOST": pubsub,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": self.tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": self.secrets.base,
        }
        # said to Terraform before anything listens there: held until then
        self.held = {stage: stack.enter_context(plane.held_port()) for stage in STAGES}
        self.ports = {stage: held.getsockname()[1] for stage, held in self.held.items()}
        self.made = stack.enter_context(made(directory, self.emulators, self.ports))
        runtime = Runtime(settings_from({**self.made.shell, **self.emulators}))
        self.world, self.processes = World(stack, directory), {}
        for name in STAGES:
            self.start(name)
        self.story = Story(self.world, runtime, self.http, self.tick)

    def start(self, stage):
        """One function, from the bundle."""
        log = self.stack.enter_context((self.logs / stage).open("w+b"))
        given = {**self.made.environments[stage], **self.emulators, **self.world.own(stage), **self.more(stage)}
        port = self.ports[stage]
        self.held[stage].close()
        self.processes[stage], _ = self.stack.enter_context(started(stage, log=log, port=port, **given))

    def more(self, _stage):
        """Variables beside those of Terraform."""
        return {}

    def http(self, stage, method, path, headers, body):
        return ask(self.ports[stage], method, path, body, headers)

    def tick(self):
        """Cloud Scheduler's call."""
        (stage,) = self.made.scheduled
        assert self.http(stage, "POST", "/", {}, b"")[0] == 204


@pytest.fixture(scope="module", params=[run.how()])
def deployed(tmp_path_factory):
    for variable in ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST"):
        if os.environ.get(variable):
            pytest.skip(f"{variable}: this test wants an emulator of its own")
    with contextlib.ExitStack() as stack:
        found = Deployed(stack, tmp_path_factory.mktemp("deployed"))
        found.story.begin()
        yield found


@pytest.mark.real
def test_a_signed_push_changes_the_cluster_and_tells_once(deployed):
    deployed.story.push()


@pytest.mark.real
def test_a_tick_finds_a_commit_that_nobody_told_of(deployed):
    deployed.story.scheduled()


@pytest.mark.real
def test_the_api_tells_what_is_and_reconciles(deployed):
    deployed.story.asked()


@pytest.mark.real
def test_each_process_has_its_own_credentials_and_tells_none(deployed):
    """Not even in its memory of the environment: what Linux says that each process was started with."""
    canaries = deployed.world.canaries
    for stage, process in deployed.processes.items():
        given = Path(f"/proc/{process.pid}/environ").read_text()
        held = {name for name, text in canaries.items() if text in given}
        assert held == set(GIVEN.get(stage, ())), stage
        log = (deployed.logs / stage).read_bytes()
        assert b'"stage finished"' in log, stage
        assert [name for name, text in canaries.items() if any(form in log for form in needles(text))] == [], stage


@pytest.mark.real
def test_each_line_of_a_log_is_an_object_in_cloud_loggings_words(deployed):
    for stage in deployed.processes:
        for line in (deployed.logs / stage).read_text().splitlines():
            told = json.loads(line)
            assert {"time", "severity", "message"} <= told.keys(), line
            assert {name for name in told if not name.startswith("logging.googleapis.com/")} <= documented(), line
            if told["message"] == "stage finished":
                assert {"trace", "stage", "outcome", "milliseconds"} <= told.keys(), line
                assert told["logging.googleapis.com/trace"].endswith(f"/traces/{told['trace']}")


@pytest.mark.real
def test_nothing_was_told_twice(deployed):
    assert deployed.world.changes_told() == deployed.world.scaled


@pytest.mark.real
def test_what_pubsub_gives_up_is_told_of_by_tick(deployed):
    """Pub/Sub would move it there; the emulator moves nothing. From there on it goes by Terraform's subscriptions."""
    if run.how() != "terraform":
        pytest.skip("tick is pushed nothing where no Terraform made its subscriptions")
    wake = SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system")
    data = encode(Envelope(message=wake, id="killer", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    names = deployed.story.runtime.settings.google
    body = {"messages": [{"data": base64.b64encode(data).decode()}]}
    plane.request("POST", f"{names.endpoints.pubsub}/v1/{names.dead_topic('fetch')}:publish", body)
    bus = deployed.story.runtime.bus
    deployed.story.until(lambda: any(each.error for each in bus.dead_letters()), "tick to tell of a dead letter")
    assert {each.stage for each in bus.dead_letters()} == {"fetch"}
