"""Whole stories on the ports of AWS: real stages, called as Lambda calls them, and the same outcome as in memory."""

import dataclasses
import random

import pytest
import yaml
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, in_process, make_bucket, make_queues, make_table
from tests.bench.bench_cloud import BODY, commit, receiver
from tests.memory_plane import MemoryPlane, OneCluster, config_map, kustomization

from penstock.adapters.clock.memory import SimulatedClock
from penstock.core.messages import Event, decode
from penstock.wiring import Runtime, lambda_functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once


class AwsPlane(MemoryPlane):
    """Bus, state, storage and secrets on moto; a poller that does what Lambda's does, and repeats and reorders."""

    def __init__(self, clock, *, deliveries=1, seed=0):
        super().__init__()
        self.clock, self.deliveries, self.random = clock, deliveries, random.Random(seed)
        instead = {
            "clock": lambda: clock,
            "clusters": lambda: OneCluster(self.cluster),
            "git": lambda: self.git,
            "notifier": lambda: self.notifier,
            "telemetry": lambda: self.telemetry,
        }
        self.runtime = Runtime(settings_from(ENVIRONMENT), instead=instead)
        self.bus = self.runtime.bus
        self.state, self.storage, self.secrets = (self.runtime.port(n) for n in ("state", "storage", "secrets"))
        self.deps = dataclasses.replace(
            self.deps, clock=clock, state=self.state, storage=self.storage, secrets=self.secrets
        )
        self.apply_plane()

    def settle(self, *, seconds=120.0, most=2000):
        """As in memory, but the clock runs faster: each look at a queue is a request."""
        end = self.clock.now().timestamp() + seconds
        for _ in range(most):
            if not self.step():
                if not any(self.bus.depth().values()) or self.clock.now().timestamp() >= end:
                    return
                self.clock.advance(5)
        raise AssertionError(f"does not settle: {self.bus.depth()}")

    def step(self):
        stages = [stage.name for stage in self.pipeline.queues()]
        self.random.shuffle(stages)
        return any(self.step_stage(name) for name in stages)

    def step_stage(self, name):
        """Up to three messages, in any order, each as often as ``deliveries`` says; what is not reported is deleted."""
        visibility = 6 * self.pipeline.stage(name).timeout
        records = self.bus._take(f"plane-1-{name}", count=3, visibility=visibility, wait=0)
        self.random.shuffle(records)
        for record in records:
            count = int(record["Attributes"]["ApproximateReceiveCount"])
            event = events.sqs((record["Body"], record["ReceiptHandle"], count), stage=name)
            message = decode(record["Body"].encode()).message
            if isinstance(message, Event):
                self.events.append(message)
            for _ in range(self.deliveries):
                failed = lambda_functions.topic_handler(name)(event, events.Context())["batchItemFailures"]
            if not failed:
                self.bus._delete(f"plane-1-{name}", record["ReceiptHandle"])
        return bool(records)

    def tick(self):
        lambda_functions.schedule_handler("tick")(events.schedule(), events.Context())


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def on_aws(clock, monkeypatch):
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)

        def make(**more):
            plane = AwsPlane(clock, **more)
            monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: plane.runtime))
            return plane

        yield make


def story(plane):
    """Two Kustomizations, one behind the other; a change; one ConfigMap fewer."""
    plane.push(
        {
            "clusters/prod/base.yaml": kustomization("base", "./base"),
            "clusters/prod/web.yaml": kustomization("web", "./web", dependsOn=[{"name": "base"}]),
            "base/a.yaml": config_map("a", "default", x="1"),
            "base/b.yaml": config_map("b", "default", x="1"),
            "web/c.yaml": config_map("c", "default", x="1"),
        }
    )
    plane.settle()
    plane.push({"base/a.yaml": config_map("a", "default", x="2"), "base/b.yaml": None})
    plane.settle()
    return {
        **{name: plane.config_map(name, "default") for name in ("a", "b", "c")},
        **{name: plane.ready(name) for name in ("base", "web", "flux-system")},
    }


@pytest.mark.parametrize(("deliveries", "seed"), [(1, 1), (2, 2)])
def test_a_story_ends_as_in_memory_however_messages_are_delivered(on_aws, deliveries, seed):
    plane = on_aws(deliveries=deliveries, seed=seed)
    expected = story(MemoryPlane())
    assert story(plane) == expected
    assert expected["a"] == {"x": "2"}
    assert expected["b"] is None
    assert plane.bus.dead_letters() == ()
    assert not any(plane.bus.depth().values())


def test_the_tick_finds_a_push_whose_message_was_lost(on_aws, clock):
    plane = on_aws()
    story(plane)
    plane.push({"web/c.yaml": config_map("c", "default", x="2")})
    (lost,) = plane.bus._take("plane-1-fetch", count=10, visibility=60, wait=0)
    plane.bus._delete("plane-1-fetch", lost["ReceiptHandle"])
    clock.advance(600)
    plane.tick()
    plane.settle()
    assert plane.config_map("c", "default") == {"x": "2"}


def alerted():
    """A Provider, and an Alert for everything of the plane."""
    provider = {"type": "generic", "address": "https://chat.example.com/hook"}
    sources = [{"kind": "Kustomization", "name": "*"}, {"kind": "GitRepository", "name": "*"}]
    return yaml.safe_dump_all(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
            "kind": kind,
            "metadata": {"name": "chat", "namespace": "flux-system"},
            "spec": spec,
        }
        for kind, spec in (
            ("Provider", provider),
            ("Alert", {"providerRef": {"name": "chat"}, "eventSources": sources}),
        )
    )


def test_one_push_is_one_trace_from_the_webhook_to_the_message_over_sns_and_sqs(on_aws):
    plane = on_aws()
    plane.push({"clusters/prod/alerts.yaml": alerted(), "clusters/prod/a.yaml": config_map("a", "default", x="1")})
    plane.settle()
    path, headers = receiver(plane)
    commit(plane, {"clusters/prod/a.yaml": config_map("a", "default", x="2")})
    before, told = len(plane.telemetry.named("stage finished")), len(plane.notifier.requests)
    request = events.function_url(path=path, headers=headers, body=BODY)
    assert lambda_functions.http_handler("webhook")(request, events.Context())["statusCode"] == 202
    plane.settle()
    assert plane.config_map("a", "default") == {"x": "2"}
    assert len(plane.notifier.requests) > told
    runs = plane.telemetry.named("stage finished")[before:]
    assert {run["stage"] for run in runs} >= {"webhook", "fetch", "reconcile", "notify"}
    assert len({run["trace"] for run in runs}) == 1
