"""The deployed shape: each function by the real functions-framework command, in a process and environment of its own,
from the unpacked google.zip and nothing else, over the Pub/Sub and Firestore emulators, fake-gcs-server, and loopback
servers for Cloud Tasks and Secret Manager. The story is tests/deployed.py's.
"""

import contextlib
import os
from pathlib import Path

import pytest
from tests.deployed import GIVEN, Story, World
from tests.google import plane
from tests.google.bundle import ask, started
from tests.google.cloud_tasks import cloud_tasks
from tests.google.secret_manager import secret_manager

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
        self.environment = {
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
        runtime = Runtime(settings_from(self.environment))
        names = runtime.settings.google
        plane.make_topics(names, load_pipeline())
        bucket = {"name": names.bucket}
        plane.request("POST", f"{names.endpoints.storage}/storage/v1/b?project={plane.PROJECT}", bucket)
        self.world = World(stack, directory)
        self.ports, self.processes = {}, {}
        for name in STAGES:
            self.start(name)
        for stage in load_pipeline().queues():
            for topic in stage.subscribes:
                plane.push_to(names, stage.name, topic, f"http://127.0.0.1:{self.ports[stage.name]}/")
        self.story = Story(self.world, runtime, self.http, self.tick)

    def start(self, stage):
        """One function, from the bundle."""
        log = self.stack.enter_context((self.logs / stage).open("w+b"))
        given = {**self.environment, **self.world.own(stage)}
        self.processes[stage], self.ports[stage] = self.stack.enter_context(started(stage, log=log, **given))

    def http(self, stage, method, path, headers, body):
        return ask(self.ports[stage], method, path, body, headers)

    def tick(self):
        """Cloud Scheduler's call."""
        assert self.http("tick", "POST", "/", {}, b"")[0] == 204


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    for variable in ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST"):
        if os.environ.get(variable):
            pytest.skip(f"{variable}: this test wants an emulator of its own")
    with contextlib.ExitStack() as stack:
        made = Deployed(stack, tmp_path_factory.mktemp("deployed"))
        made.story.begin()
        yield made


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
        log = (deployed.logs / stage).read_text(errors="replace")
        assert '"stage finished"' in log, stage
        assert [name for name, text in canaries.items() if text in log] == [], stage


@pytest.mark.real
def test_nothing_was_told_twice(deployed):
    assert deployed.world.changes_told() == deployed.world.scaled
