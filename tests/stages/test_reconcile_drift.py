"""Drift: told with the paths and who changed them, reverted or only reported, and told from a change in Git."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.core.drift.report import ANNOTATION
from penstock.core.resources import gvk_of
from penstock.ports.cluster import ApiRefused

REPORT = {ANNOTATION: "report"}


def files(**annotations):
    return {
        "clusters/prod/apps.yaml": kustomization("apps", "apps", annotations=annotations),
        "apps/namespace.yaml": namespace("apps"),
        "apps/a.yaml": config_map("a", key="1", other="1"),
        "apps/b.yaml": config_map("b", key="1"),
    }


def made(**annotations):
    plane = MemoryPlane()
    plane.push(files(**annotations))
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    plane.events.clear()
    plane.cluster.calls.clear()
    return plane


def edit(plane, manager="kubectl-edit", name="a", **data):
    live = plane.live("v1", "ConfigMap", "apps", name)
    plane.cluster.api.replace({**live, "data": {**live["data"], **data}}, manager=manager)


def remove(plane, name):
    plane.cluster.api.delete(plane.live("v1", "ConfigMap", "apps", name))


def drift_events(plane):
    return [(e.reason, e.message) for e in plane.events if e.reason.startswith("Drift")]


def test_reverted_drift_names_the_paths_and_who_changed_them():
    plane = made()
    edit(plane, key="edited", extra="canary")
    remove(plane, "b")
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1", "other": "1"}
    ((reason, message),) = drift_events(plane)
    assert reason == "DriftCorrected"
    first, second = sorted(message.splitlines())
    assert first.startswith("ConfigMap/apps/a configured: data.key (kubectl-edit")
    assert "data.extra (kubectl-edit" in first
    assert second == "ConfigMap/apps/b created: it was deleted"
    assert "canary" not in message
    plane.reconcile("apps", why="interval")
    assert len(drift_events(plane)) == 1


def test_a_change_in_git_is_no_drift():
    plane = made()
    plane.push({"apps/a.yaml": config_map("a", key="2", other="1")})
    plane.settle()
    assert plane.config_map("a")["key"] == "2"
    assert drift_events(plane) == []
    assert "ConfigMap/apps/a configured" in [e.message for e in plane.events]


def test_a_half_applied_revision_that_is_reverted_is_no_drift():
    plane = made()
    api, apply = plane.cluster.api, plane.cluster.api.apply

    def refusing(manifest, options):
        if manifest["metadata"]["name"] == "c" and not options.dry_run:
            raise ApiRefused("exceeded quota", code=422)
        return apply(manifest, options)

    api.apply = refusing
    plane.push({"apps/a.yaml": config_map("a", key="2", other="1"), "apps/c.yaml": config_map("c", key="1")})
    plane.settle(seconds=5)
    assert plane.config_map("a")["key"] == "2"
    assert plane.ready("apps").startswith("False"), plane.ready("apps")
    plane.push({"apps/a.yaml": config_map("a", key="1", other="1"), "apps/c.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert plane.config_map("a")["key"] == "1"
    assert drift_events(plane) == []


def test_reported_drift_stays_is_said_once_and_shown():
    plane = made(**REPORT)
    edit(plane, key="edited")
    for _ in range(3):
        plane.clock.advance(600)
        plane.reconcile("apps", why="interval")
    assert plane.config_map("a")["key"] == "edited"
    stored = [call for call in plane.writes() if "ConfigMap/apps" in call[1]]
    assert stored == [("patch", "ConfigMap/apps/a")] * 3, "by dry-runs: see whether it is drift indeed"
    ((reason, message),) = drift_events(plane)
    assert reason == "DriftDetected"
    assert message.startswith("ConfigMap/apps/a drifted: data.key (kubectl-edit")
    assert plane.ready("apps").endswith("; drift is reported, not reverted: ConfigMap/apps/a")
    assert plane.ready("apps").startswith("True ReconciliationSucceeded: Applied revision: main@sha1:")
    edit(plane, other="edited too")
    plane.reconcile("apps", why="interval")
    assert len(drift_events(plane)) == 2, "another drift"
    edit(plane, key="1", other="1")
    plane.reconcile("apps", why="interval")
    assert "drift" not in plane.ready("apps")


def test_what_a_webhook_sets_is_no_drift_to_report():
    """A dry-run says so: it sets it again."""
    plane = made(**REPORT)
    apply = plane.cluster.api.apply

    def hooked(manifest, options):
        data = {**manifest["data"], "other": "injected"} if "other" in (manifest.get("data") or {}) else None
        return apply({**manifest, "data": data} if data else manifest, options)

    plane.cluster.api.apply = hooked
    plane.push({"apps/a.yaml": config_map("a", key="2", other="1")})
    plane.settle()
    assert plane.config_map("a") == {"key": "2", "other": "injected"}
    plane.reconcile("apps", why="interval")
    assert drift_events(plane) == []
    assert "drift" not in plane.ready("apps")


def test_an_object_that_somebody_deleted_is_reported_too():
    plane = made(**REPORT)
    remove(plane, "b")
    plane.reconcile("apps", why="interval")
    assert plane.config_map("b") is None
    assert drift_events(plane) == [("DriftDetected", "ConfigMap/apps/b drifted: it was deleted")]
    assert "apps_b__ConfigMap@v1" in plane.status("apps").inventory, "it is still ours"


def test_a_change_in_git_reaches_an_object_whose_drift_is_reported():
    plane = made(**REPORT)
    edit(plane, key="edited")
    edit(plane, name="b", key="edited")
    plane.push({"apps/a.yaml": config_map("a", key="2", other="1")})
    plane.settle()
    assert plane.config_map("a")["key"] == "2"
    assert plane.config_map("b")["key"] == "edited", "Git asks for the same as before: that is drift"
    assert [reason for reason, _ in drift_events(plane)] == ["DriftDetected"]


@pytest.mark.parametrize(("whole", "own", "stays"), [("report", "revert", False), ("revert", "report", True)])
def test_an_objects_own_annotation_wins(whole, own, stays):
    plane = MemoryPlane()
    found = yaml.safe_load(config_map("a", key="1"))
    found["metadata"]["annotations"] = {ANNOTATION: own}
    plane.push({**files(**{ANNOTATION: whole}), "apps/a.yaml": yaml.safe_dump(found)})
    plane.settle()
    edit(plane, key="edited")
    edit(plane, name="b", key="edited")
    plane.reconcile("apps", why="interval")
    assert (plane.config_map("a")["key"] == "edited") is stays
    assert (plane.config_map("b")["key"] == "edited") is not stays


def test_a_wrong_annotation_is_named_and_nothing_is_applied():
    plane = MemoryPlane()
    plane.push(files(**{ANNOTATION: "ignore"}))
    plane.settle(seconds=5)
    assert "metadata.annotations[penstock.dev/drift]: is 'ignore', must be report or revert" in plane.ready("apps")
    assert plane.config_map("a") is None


def test_a_plan_says_that_it_would_only_be_reported():
    plane = made(**REPORT)
    edit(plane, key="edited")
    plane.reconcile("apps", why="plan", request="1" * 32)
    (change,) = plane.state.get("request/" + "1" * 32).value["changes"]
    assert (change["object"], change["action"]) == ("ConfigMap/apps/a", "skipped")
    assert change["reason"] == "its drift is reported, not reverted"


def test_the_scale_of_an_autoscaler_is_named_by_its_subresource():
    plane = MemoryPlane()
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }
    plane.push({**files(), "apps/d.yaml": yaml.safe_dump(deployment)})
    plane.settle()
    plane.events.clear()
    live = plane.cluster.get(gvk_of(deployment), "apps", "web")
    plane.cluster.api.replace({**live, "spec": {**live["spec"], "replicas": 5}}, manager="kube-controller-manager")
    plane.reconcile("apps", why="interval")
    ((_, message),) = drift_events(plane)
    assert message.startswith("Deployment/apps/web configured: spec.replicas (kube-controller-manager")


@pytest.mark.parametrize("annotations", [{}, REPORT])
@pytest.mark.parametrize(("manager", "names"), [("kubectl-edit", "a"), ("somebody", "a"), ("somebody", "ab")])
def test_a_value_that_was_set_back_is_no_drift_and_its_field_is_ours_again(annotations, manager, names):
    plane = made(**annotations)
    for name in names:
        edit(plane, manager, name, key="edited")
        edit(plane, manager, name, key="1")
    plane.reconcile("apps", why="interval")
    assert drift_events(plane) == []
    for name in names:
        owners = [
            entry["manager"]
            for entry in plane.live("v1", "ConfigMap", "apps", name)["metadata"]["managedFields"]
            if "f:key" in entry["fieldsV1"].get("f:data", {})
        ]
        assert "penstock" in owners
        assert "kubectl-edit" not in owners, "what leaves Git now leaves the cluster"
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert plane.writes() == []
