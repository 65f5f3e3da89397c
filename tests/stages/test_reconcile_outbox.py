"""A run that is killed between its status and its publishing: everything that it had to tell is told all the same."""

import json
import re
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, fill, kustomization, namespace

from penstock.core.errors import Conflict, Transient
from penstock.core.messages import Event, ReconcileDue
from penstock.core.reconcile.outbox import KEPT
from penstock.core.records import status_key
from penstock.stages.reconcile.attempt import open_attempt
from penstock.stages.reconcile.endings import superseded
from penstock.stages.reconcile.outcome import event
from penstock.wiring.run import run_message

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "clusters/prod/web.yaml": kustomization("web", "web", dependsOn=[{"name": "apps"}]),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
    "web/c.yaml": config_map("c", key="1"),
}


def test_a_record_that_is_almost_full_has_no_room_for_events_and_is_written_all_the_same():
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    fill(plane, "apps", free=1100)
    plane.push({"apps/bad.yaml": "kind: ["})
    plane.settle()
    assert "BuildFailed" in plane.ready("apps")
    assert plane.status("apps").outbox == ()
    assert [e.reason for e in plane.events if e.name == "apps"][-1] == "BuildFailed"
    assert plane.bus.dead_letters() == ()


def test_events_that_cannot_be_written_down_are_published_all_the_same():
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    attempt = open_attempt(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps"), plane.deps)
    event(attempt, "info", "Progressing", "ConfigMap/apps/a configured")
    for refused in (Conflict("written meanwhile"), Transient("the store is away")):
        plane.state.put = Mock(side_effect=refused)
        assert [out.message.why for out in superseded(attempt)] == ["again"]
        assert plane.state.put.called


def test_what_was_applied_is_told_though_the_store_is_away_when_the_failure_is_to_be_written_down():
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    plane.push({"apps/a.yaml": config_map("a", key="2"), "apps/b.yaml": config_map("b", key="2")})
    apply, read, fails = plane.cluster.apply, plane.state.read, []

    def cut(manifest, options):
        if manifest["metadata"]["name"] == "b" and not options.dry_run and not fails:
            fails.extend(["cut", "away"])
            raise Transient("cut")
        return apply(manifest, options)

    def away(*arguments, **more):
        if fails[-1:] == ["away"]:
            fails.pop()
            raise Transient("the store is away")
        return read(*arguments, **more)

    plane.cluster.apply, plane.state.read = cut, away
    plane.events.clear()
    plane.settle(seconds=0)
    assert fails == ["cut"], "the store was away after the cut"
    assert "ConfigMap/apps/a configured" in {e.message for e in plane.events if e.name == "apps"}
    plane.settle()
    assert plane.ready("apps").startswith("True")


class Killed(BaseException):
    """The process is gone."""


class FragilePlane(MemoryPlane):
    """Its reconcile dies when it is about to publish an event of ``victim``; what was published, in order."""

    def __init__(self):
        self.victim = ""
        self.published = []
        super().__init__()

    def publish_from(self, stage):
        publish = self.bus.publish

        def fragile(messages):
            events = [m for m in (each.envelope.message for each in messages) if isinstance(m, Event)]
            if stage == "reconcile" and any(each.name == self.victim for each in events):
                self.victim = ""
                raise Killed
            self.published += events
            publish(messages)

        return SimpleNamespace(publish=fragile)

    def deliver(self, delivery):
        stage = self.pipeline.stage(delivery.stage)
        try:
            outcome = run_message(stage, delivery.envelope, self.deps, self.publish_from(stage.name))
        except Killed:
            return
        if outcome.kind == "retry":
            self.bus.retry(delivery, delay=outcome.delay, error=outcome.error)
        else:
            self.bus.ack(delivery)


def changed(plane):
    plane.push({"apps/a.yaml": config_map("a", key="2"), "apps/b.yaml": None, "apps/d.yaml": config_map("d", key="1")})


def fails(plane):
    plane.push({"apps/bad.yaml": "kind: ["})


def recovers(plane):
    fails(plane)
    plane.settle()
    plane.push({"apps/bad.yaml": None})


def is_removed(plane):
    plane.push({"clusters/prod/apps.yaml": None, "clusters/prod/web.yaml": kustomization("web", "web")})


def has_drifted(plane):
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.replace({**live, "data": {"key": "by hand"}})
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps", why="interval"))


def is_stopped(plane):
    plane.push({"clusters/prod/ns.yaml": None, "apps/ns.yaml": namespace("other"), "apps/a.yaml": None})
    plane.settle()
    plane.push({"apps/ns.yaml": None, "apps/b.yaml": None, "apps/x.yaml": config_map("x", key="1")})


CASES = {
    "changed": (changed, "apps", {"Progressing"}),
    "fails": (fails, "apps", {"BuildFailed"}),
    "recovers": (recovers, "apps", {"ReconciliationSucceeded"}),
    "is removed": (is_removed, "apps", {"Progressing"}),
    "has drifted": (has_drifted, "apps", {"DriftCorrected"}),
    "is stopped": (is_stopped, "apps", {"PruneStopped"}),
    "waits": (fails, "web", {"DependencyNotReady"}),
}


def told(case, *, killed):
    """Events of a case's Kustomization as (id, reason, message), each as often as it was published.

    Those from before that are published again (under their ids: they are told once) are left out.
    """
    happens, name, _ = CASES[case]
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    if case == "waits":
        plane.push({"web/c.yaml": config_map("c", key="2"), "apps/bad.yaml": "kind: ["})
    else:
        happens(plane)
    before = {e.id for e in plane.published}
    plane.published.clear()
    plane.victim = name if killed else ""
    plane.settle(seconds=300, most=5000)
    assert not plane.victim, "nobody was killed"
    return [
        (e.id, e.reason, e.message) for e in plane.published if e.name == name and (not killed or e.id not in before)
    ]


def words(message):
    """A message without what two planes say differently: an approval's digest, when the API server noted a change."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "when", message.partition("--prune")[0])


@pytest.mark.parametrize("case", CASES)
def test_what_a_killed_run_had_to_tell_is_told_by_the_next_delivery(case):
    expected, found = told(case, killed=False), told(case, killed=True)
    assert {reason for _, reason, _ in expected} >= CASES[case][2]
    assert [reason for _, reason, _ in found] == [reason for _, reason, _ in expected]
    assert [words(message) for *_, message in found] == [words(message) for *_, message in expected]
    assert len({ident for ident, *_ in expected}) == len(expected), "on the ordinary path each is published once"


def test_what_a_killed_run_had_to_tell_is_told_though_its_kustomization_was_removed_meanwhile():
    """Before its message came again, and its removal has nothing to tell: its events stand in a status that was its."""
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    plane.push({"clusters/prod/late.yaml": kustomization("late", "late"), "late/bad.yaml": "kind: ["})
    plane.victim = "late"
    plane.settle(seconds=0)
    assert not plane.victim, "nobody was killed"
    plane.push({"clusters/prod/late.yaml": None})
    plane.settle(seconds=0)
    assert not plane.known("Kustomization", "late")
    assert [e for e in plane.published if e.name == "late"] == []
    plane.settle(seconds=300, most=5000)
    assert {e.reason for e in plane.published if e.name == "late"} == {"BuildFailed"}
    plane.clock.advance(KEPT)
    for _ in range(2):
        plane.tick()
        plane.settle()
    assert plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", "late")) is None


def test_the_same_event_has_the_same_id_when_it_was_published_and_the_acknowledgement_was_lost():
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    changed(plane)
    plane.published.clear()
    deliver = plane.deliver

    def twice(delivery):
        if delivery.stage == "reconcile" and delivery.envelope.attempt == 1:
            run_message(
                plane.pipeline.stage("reconcile"), delivery.envelope, plane.deps, plane.publish_from("reconcile")
            )
        else:
            deliver(delivery)

    plane.deliver = twice
    plane.settle(seconds=300, most=5000)
    mine = [e for e in plane.published if e.name == "apps" and "configured" in e.message]
    assert len(mine) == 2
    assert mine[0] == mine[1]


def test_a_run_that_is_not_killed_publishes_nothing_of_an_earlier_one():
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    changed(plane)
    plane.settle()
    assert plane.status("apps").outbox != ()
    plane.published.clear()
    plane.reconcile("apps")
    plane.push({"apps/a.yaml": config_map("a", key="3")})
    plane.settle()
    assert [e.message for e in plane.published if e.name == "apps"] == ["ConfigMap/apps/a configured"]


def test_it_leaves_the_record_after_its_time():
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    plane.clock.advance(KEPT)
    plane.reconcile("apps", why="interval")
    assert plane.status("apps").outbox == ()


def test_what_is_kept_of_a_removed_one_is_forgotten_after_its_time():
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    is_removed(plane)
    plane.settle()
    key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
    held = plane.state.get(key)
    assert [entry["event"]["reason"] for entry in held.value["outbox"]][-1] == "Progressing"
    assert not plane.known("Kustomization", "apps")
    assert plane.state.list(f"reads/{CLUSTER}/GitRepository/flux-system/flux-system/apps") == ()
    plane.clock.advance(KEPT)
    plane.tick()
    plane.settle()
    assert plane.state.get(key) is None


def test_what_an_overtaken_run_writes_after_the_removal_is_looked_at_once_and_not_each_minute():
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
    late = plane.state.get(key).value
    is_removed(plane)
    plane.settle()
    plane.state.put(key, late, expected=plane.state.get(key).version, due=plane.clock.now().timestamp())
    looks, deliver = [], plane.deliver
    plane.deliver = lambda delivery: (looks.append(delivery.envelope.message), deliver(delivery))
    for _ in range(10):
        plane.tick()
        plane.settle(seconds=0)
        plane.clock.advance(60)
    assert len([each for each in looks if isinstance(each, ReconcileDue) and each.name == "apps"]) == 1
    held = plane.state.get(key)
    assert held.value["outbox"] == late["outbox"], "their messages may yet come again"
    assert held.value["conditions"] == []
    plane.clock.advance(KEPT)
    plane.tick()
    plane.settle()
    assert plane.state.get(key) is None


def test_no_secret_stands_in_it():
    canary = "c4n4ry-value"
    plane = FragilePlane()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "apps"}}
    plane.push({**FILES, "apps/s.yaml": json.dumps({**secret, "stringData": {"password": canary}})})
    plane.settle()
    assert "Secret/apps/s created" in json.dumps(plane.status("apps").outbox)
    assert canary not in json.dumps([record.value for record in plane.state.list("status/")])


@pytest.mark.parametrize("failing", ["request/", "status/"])
def test_what_was_changed_is_told_though_the_store_fails_afterwards(failing):
    """The run goes on as a failed one, and its message is not delivered again."""
    plane = FragilePlane()
    plane.push(FILES)
    plane.settle()
    plane.published.clear()
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    while plane.step_stage("fetch"):
        pass
    put, failed = plane.state.put, []

    def failing_put(key, value, **options):
        ended = failing == "request/" or plane.config_map("a") == {"key": "2"}
        if key.startswith(failing) and ended and not failed:
            failed.append(key)
            raise Transient("the store is away")
        return put(key, value, **options)

    plane.state.put = failing_put
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps", why="request", request="7"))
    plane.settle(seconds=300, most=5000)
    assert failed
    assert "ConfigMap/apps/a configured" in [e.message for e in plane.published]
