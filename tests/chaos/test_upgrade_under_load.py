"""An upgrade and the way back while pushes go on: functions of two releases work on the same queues and records at once.

The older release is a commit of this repository's own history. Its functions run from the bundle's dependencies and its
own sources, by AWS's runtime client, on moto's server. No tick is called: what got lost would stay so.
"""

import contextlib
import io
import json
import os
import subprocess
import tarfile
import threading
import time

import pytest
from tests.aws import events
from tests.aws.functions import function
from tests.aws.made import Source
from tests.aws.plane import ENVIRONMENT, NAMES, on_a_server
from tests.aws.test_deployed import Poller
from tests.deployed import DEPLOYMENT, Story, World
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.wiring import Runtime, load_pipeline, settings_from

OLDER = "740a61e"
"""Before events were written down with their status, and before anything was left for suspended Kustomizations."""
pytestmark = pytest.mark.slow
"""Half a minute of processor time: a dozen processes' starts."""
PIPELINE = load_pipeline()
STAGES = ("webhook", "fetch", "reconcile", "notify")


def older(directory):
    """The older release's bundle: today's dependencies, its own sources."""
    found = subprocess.run(
        ["git", "archive", OLDER, "shared/penstock", "functions"], cwd=bundles.ROOT, capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip(f"the older release, commit {OLDER}, is not in this checkout's history (a shallow clone)")
    directory.mkdir()
    for entry in bundles.made("aws").root.iterdir():
        if entry.name not in {"functions", "penstock"}:
            (directory / entry.name).symlink_to(entry)
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(directory, filter="data")
    (directory / "shared/penstock").rename(directory / "penstock")
    return directory


class Release:
    """The functions of one release, and what calls them from ``start`` to ``stop``, which lets work in hand finish."""

    def __init__(self, root, client, world, log, stack):
        log.mkdir()
        self.log, self.pollers = log, []
        self.functions = {
            name: stack.enter_context(function(root, client, name, environment(world, name), log / name))
            for name in STAGES
        }

    def start(self):
        self.pollers = [
            Poller(
                Source(queue=NAMES.queue(stage.name), stage=stage.name, batch=10), self.functions[stage.name]
            ).__enter__()
            for stage in PIPELINE.queues()
        ]

    def stop(self):
        pollers, self.pollers = self.pollers, []
        for poller in pollers:
            poller.__exit__()
        assert [poller.errors for poller in pollers] == [[] for _ in pollers]

    def http(self, stage, method, path, headers, body):
        """As a function URL hands a request on."""
        answer = self.functions[stage].invoke(events.function_url(method, path, headers=headers, body=body))
        return answer["statusCode"], {}, ""

    def handled(self):
        """By stage, how many runs it has finished."""
        return {name: (self.log / name).read_text(errors="replace").count('"stage finished"') for name in STAGES}


def environment(world, stage):
    """Token and address stand in the environment: the releases call their copies differently (docs/operations.md)."""
    given = {
        "webhook": ("webhook-token", {"token": world.canaries["hook"]}),
        "notify": ("slack-webhook", {"address": f"{world.room.url}/services/demo"}),
    }
    more = {}
    if stage in given:
        name, data = given[stage]
        secret = {"cluster": "demo", "namespace": "flux-system", "name": name, "stringData": data}
        more["PENSTOCK_SECRET_OF_CLUSTER"] = json.dumps(secret)
    return {**ENVIRONMENT, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], **world.own(stage), **more}


class Pushing:
    """Commits and signed deliveries, one after the other, to whichever releases are up; counts what was not taken."""

    def __init__(self, story):
        self.story, self.answers, self.number = story, [], 10
        self._stopping, self._thread = threading.Event(), threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        while not self._stopping.is_set():
            self.number += 1
            self.story.world.scale(self.number)
            self.answers.append(self.story.hook("hook-canary"))

    def more(self, count=2):
        """Wait for so many further pushes."""
        wanted, end = len(self.answers) + count, time.monotonic() + 120
        while len(self.answers) < wanted:
            assert self._thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.02)


class Front:
    """What a domain name leads to: each request to the next of the releases that are up."""

    def __init__(self):
        self.up, self._turn, self._lock = [], 0, threading.Lock()

    def http(self, *words):
        with self._lock:
            self._turn += 1
            release = self.up[self._turn % len(self.up)]
            return release.http(*words)

    def only(self, *releases):
        with self._lock:
            self.up = list(releases)


@pytest.mark.xdist_group("deployed-aws")
def test_no_event_is_lost_while_a_release_replaces_another_and_goes_back(tmp_path):
    with contextlib.ExitStack() as stack:
        root = older(tmp_path / "older")
        stack.enter_context(on_a_server())
        world = World(stack, tmp_path)
        (tmp_path / "runtime").mkdir()
        client, front = bundles.runtime(tmp_path / "runtime"), Front()
        old = Release(root, client, world, tmp_path / "log-old", stack)
        new = Release(bundles.made("aws").root, client, world, tmp_path / "log-new", stack)
        stack.callback(old.stop)
        stack.callback(new.stop)
        old.start()
        front.only(old)
        story = Story(world, Runtime(settings_from(dict(os.environ))), front.http, tick=None)
        story.begin()
        with Pushing(story) as pushing:
            pushing.more()
            before = old.handled()
            new.start()
            front.only(old, new)
            pushing.more()  # both at a time
            front.only(new)
            old.stop()
            alone = old.handled()
            pushing.more()
            assert old.handled() == alone
            old.start()
            front.only(new, old)
            pushing.more()
            front.only(old)
            new.stop()
            pushing.more()
        story.until(lambda: world.replicas() == pushing.number, "the last push")
        story.until(lambda: depth() == 0, "all messages to be worked off")
        assert min(before.values()) >= 1, before
        assert min(new.handled().values()) >= 1, new.handled()
        assert all(old.handled()[stage] > count for stage, count in alone.items())
        assert set(pushing.answers) == {202}
        assert story.runtime.bus.dead_letters() == ()
        changes = world.cluster.get(DEPLOYMENT, "apps", "myapp")["metadata"]["generation"] - 1
        assert changes >= 3
        assert world.changes_told() == changes


def depth():
    """Messages that wait or are worked on, dead letters too."""
    sqs = Clients(NAMES.region).client("sqs")
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    ]
    found = 0
    for stage in PIPELINE.queues():
        for queue in (NAMES.queue(stage.name), NAMES.dead_queue(stage.name)):
            url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            found += sum(int(told[name]) for name in names)
    return found
