"""What kubectl users see: Kubernetes Events on the inventory object, and its status, with few requests."""

import json

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.errors import Refused, Transient
from penstock.core.messages import ReconcileDue
from penstock.core.resources import Gvk
from penstock.stages.reconcile.attempt import open_attempt
from penstock.stages.reconcile.in_cluster import show_failure
from penstock.stages.reconcile.outcome import Said, event, with_conditions

EVENT = Gvk(version="v1", kind="Event")
NAME = "kustomization.flux-system.apps"
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
}
BROKEN = {"apps/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n"}


def made(**policy):
    plane = MemoryPlane(policy=policy)
    plane.push(FILES)
    plane.settle()
    plane.cluster.calls.clear()
    return plane


def events(plane, name=NAME):
    found = plane.cluster.list(EVENT, namespace="penstock-system").items
    return [each for each in found if each["involvedObject"]["name"] == name]


def inventory(plane):
    return plane.live("v1", "ConfigMap", "penstock-system", NAME)


def told(plane):
    return {(e["type"], e["reason"], e["message"], e["count"]) for e in events(plane)}


def test_changes_are_events_on_the_inventory_object():
    plane = made()
    (first,) = events(plane)
    assert first["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "penstock-system",
        "name": NAME,
        "uid": inventory(plane)["metadata"]["uid"],
    }
    assert (first["type"], first["reason"], first["count"]) == ("Normal", "Progressing", 1)
    assert first["message"] == "Namespace/apps created\nConfigMap/apps/a created"
    assert (first["reportingComponent"], first["source"]) == ("penstock", {"component": "penstock"})


def test_a_run_without_news_sends_nothing():
    plane = made()
    plane.reconcile("apps", why="interval")
    assert not any("Event/" in what for _, what in plane.cluster.calls)
    assert plane.writes() == []


def test_an_event_costs_one_request_whether_or_not_its_words_were_said_of_another_revision():
    plane = made()
    for value in ("2", "3"):
        plane.cluster.calls.clear()
        plane.push({"apps/a.yaml": config_map("a", key=value)})
        plane.settle()
        assert [verb for verb, what in plane.cluster.calls if "Event/" in what] == ["create"]
    same = [e for e in events(plane) if e["message"] == "ConfigMap/apps/a configured"]
    assert [e["count"] for e in same] == [1, 1]
    assert len({e["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/revision"] for e in same}) == 2


def test_equal_events_of_one_revision_are_counted():
    plane = made()
    for _ in range(2):
        plane.cluster.api.delete(plane.live("v1", "ConfigMap", "apps", "a"))
        plane.reconcile("apps", why="interval")
    assert ("Normal", "DriftCorrected", "ConfigMap/apps/a created: it was deleted", 2) in told(plane)


def test_a_failure_is_a_warning_and_the_inventory_object_says_so():
    plane = made()
    plane.push(BROKEN)
    plane.settle(seconds=5)
    shown = inventory(plane)
    assert shown["metadata"]["labels"]["penstock.dev/ready"] == "False"
    assert shown["metadata"]["annotations"]["penstock.dev/message"].startswith("kustomize build failed")
    conditions = {c["type"]: (c["status"], c["reason"]) for c in json.loads(shown["data"]["conditions"])}
    assert conditions == {"Ready": ("False", "BuildFailed"), "Reconciling": ("True", "ProgressingWithRetry")}
    assert shown["data"]["lastAttemptedRevision"] != shown["data"]["lastAppliedRevision"]
    assert [(e["type"], e["reason"]) for e in events(plane) if e["type"] == "Warning"] == [("Warning", "BuildFailed")]
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert plane.cluster.calls == [], "the same failure again is no news"
    plane.push({"apps/a.yaml": config_map("a", key="1")})
    plane.settle()
    assert inventory(plane)["metadata"]["labels"]["penstock.dev/ready"] == "True"


def test_the_history_is_as_flux_counts_it():
    plane = made()
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    plane.push(BROKEN)
    plane.settle(seconds=5)
    plane.push({"apps/a.yaml": config_map("a", key="1")})
    plane.settle()
    history = json.loads(inventory(plane)["data"]["history"])
    told = [(each["lastReconciledStatus"], each["totalReconciliations"]) for each in history]
    assert told == [("ReconciliationSucceeded", 2), ("ReconciliationSucceeded", 1)], "by digest and status"
    assert all(each["digest"].startswith("sha256:") for each in history), "a build that fails has no entry"
    assert set(history[0]) == {
        "digest",
        "firstReconciled",
        "lastReconciled",
        "lastReconciledDuration",
        "lastReconciledStatus",
        "metadata",
        "totalReconciliations",
    }


def test_an_apply_that_fails_has_the_digest_of_its_render():
    plane = made()
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "apps"}}
    plane.push({"apps/w.yaml": yaml.safe_dump(widget)})
    plane.settle(seconds=5)
    newest = plane.status("apps").history[0]
    assert newest["lastReconciledStatus"] == "ReconciliationFailed"
    assert newest["digest"].startswith("sha256:")


def test_the_last_health_is_kept_where_nothing_was_checked():
    plane = MemoryPlane()
    plane.push({**FILES, "clusters/prod/apps.yaml": kustomization("apps", "apps", wait=True)})
    plane.settle()
    assert plane.status("apps").condition("Healthy").status == "True"
    plane.push(BROKEN)
    plane.settle(seconds=5)
    found = {c.type: (c.status, c.reason) for c in plane.status("apps").conditions}
    assert found["Healthy"] == ("True", "Succeeded")
    assert found["Ready"] == ("False", "BuildFailed")
    plane.push({"apps/a.yaml": config_map("a", key="1"), "clusters/prod/apps.yaml": kustomization("apps", "apps")})
    plane.settle()
    assert plane.status("apps").condition("Healthy") is None, "there is nothing to check any more"


def test_they_can_be_turned_off():
    plane = made(kubernetesEvents=False)
    plane.push(BROKEN)
    plane.settle(seconds=5)
    assert not any("Event/" in what for _, what in plane.cluster.calls)
    assert inventory(plane)["metadata"]["labels"]["penstock.dev/ready"] == "False"


def test_no_rights_to_events_is_no_failure():
    plane = made()
    for _ in range(8):
        plane.cluster.fail(lambda: Refused("may not create events"), verb="create", kind="Event")
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    assert plane.ready("apps").startswith("True")


def test_an_api_server_that_is_down_is_not_asked_to_say_so():
    plane = made()
    plane.cluster.fail(lambda: Transient("connection refused"), verb="get", times=100)
    plane.reconcile("apps", why="interval")
    assert not any("Event/" in what for _, what in plane.cluster.calls)


def test_where_somebody_else_owns_the_inventory_nothing_is_said():
    plane = made()
    other = MemoryPlane()
    other.cluster.api, other.cluster.calls = plane.cluster.api, plane.cluster.calls
    other.apply_plane(uid="e" * 32)
    other.push(FILES)
    before = plane.cluster.api.version
    other.settle(seconds=5)
    assert "OwnedByOther" in other.ready("flux-system") + other.ready("apps")
    assert plane.cluster.api.version == before


@pytest.mark.parametrize(("reason", "asked"), [("OwnedByOther", False), ("OwnedByFlux", False), ("BuildFailed", True)])
def test_a_failure_because_of_another_owner_is_not_said_in_the_cluster(reason, asked):
    plane = made()
    attempt = open_attempt(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps"), plane.deps)
    said = Said(ready="False", reason=reason, message="no")
    status = with_conditions(attempt.status, said, plane.clock.now())
    show_failure(attempt, status, [event(attempt, "error", reason, "no")], Refused("no", reason=reason))
    assert bool(plane.cluster.calls) is asked


@pytest.mark.parametrize("canary", ["canary-value", "Y2FuYXJ5LXZhbHVl"])
def test_no_secret_stands_in_an_event_or_on_the_inventory_object(canary):
    plane = made()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "apps"},
        "stringData": {"password": "canary-value"},
    }
    plane.push({"apps/s.yaml": yaml.safe_dump(secret)})
    plane.settle()
    live = plane.live("v1", "Secret", "apps", "login")
    plane.cluster.api.replace({**live, "data": {"password": "ZWRpdGVk"}}, manager="kubectl-edit")
    plane.reconcile("apps", why="interval")
    plane.push({"apps/s.yaml": yaml.safe_dump({**secret, "stringData": {"password": ["canary-value"]}})})
    plane.settle(seconds=5)
    assert plane.ready("apps").startswith("False")
    assert any(e["reason"] == "DriftCorrected" for e in events(plane))
    assert canary not in json.dumps([*events(plane), inventory(plane)])


@pytest.mark.parametrize(
    "text", ["${login}", "${login^^}", "${login/canary/CANARY}", "${login:0:9}", "${x:=(${login,,})}"]
)
def test_a_value_that_came_out_of_a_secret_is_in_no_plan(text):
    plane = MemoryPlane()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vars", "namespace": "flux-system"}}
    plane.cluster.create(yaml.safe_load(namespace("flux-system")))
    plane.cluster.create({**secret, "data": {"login": "Y2FuYXJ5LWxvZ2lu"}})
    build = {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}}
    plane.push({**FILES, "clusters/prod/apps.yaml": kustomization("apps", "apps", **build)})
    plane.settle()
    plane.push({"apps/a.yaml": config_map("a", key="user:" + text)})
    plane.settle()
    assert "canary-lo" in plane.config_map("a")["key"].lower(), "it is applied as it is"
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.api.replace({**live, "data": {"key": "canary-login?"}}, manager="kubectl-edit")
    plane.reconcile("apps", why="plan", request="2" * 32)
    stored = plane.state.get("request/" + "2" * 32).value
    assert stored["changes"][0]["fields"][0]["new"].startswith("user:*** (")
    assert "canary" not in json.dumps(stored).lower()


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")
def test_kubectl_finds_the_events_on_the_real_api_server(real, control_plane):
    made = yaml.safe_load(config_map("a", key="1"))
    assert real.apply(made).startswith("True")
    live = real.found(made)
    real.real.replace({**live, "data": {"key": "edited"}})
    real.reconcile(real.space, why="interval")
    assert real.found(made)["data"] == {"key": "1"}
    assert real.apply({**made, "data": {"key": ["no text"]}}).startswith("False")
    name = f"kustomization.flux-system.{real.space}"
    shown = real.real.get(Gvk(version="v1", kind="ConfigMap"), "penstock-system", name)
    selector = f"involvedObject.name={name},involvedObject.uid={shown['metadata']['uid']}"
    path = f"/api/v1/namespaces/penstock-system/events?fieldSelector={selector}"
    status, found = control_plane.call("GET", path)
    assert status == 200
    told = {(e["type"], e["reason"]): e["message"] for e in found["items"]}
    assert told["Normal", "Progressing"] == f"ConfigMap/{real.space}/a created"
    assert told["Normal", "DriftCorrected"].startswith(f"ConfigMap/{real.space}/a configured: data.key (penstock, ")
    assert ("Warning", "ReconciliationFailed") in told
    assert shown["metadata"]["labels"]["penstock.dev/ready"] == "False"
