"""The stand-in for kube-controller-manager, with a delay of 0.05 s."""

import time

import pytest

from penstock.devcluster.workloads import STATUSES, Moment, is_stuck, revised

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "r:5000/i:1"}]}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
APPS = "/apis/apps/v1/namespaces/default"
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def eventually(probe, *, within=5.0):
    """The first true answer of a probe."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := probe():
            return found
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


def condition(obj, kind):
    return next((c for c in obj.get("status", {}).get("conditions") or () if c["type"] == kind), {})


def manifest(version, kind, **more):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **more}


def is_true(obj, kind):
    return condition(obj, kind).get("status") == "True"


@pytest.mark.parametrize(
    ("path", "body", "done"),
    [
        (
            f"{APPS}/deployments",
            manifest("apps/v1", "Deployment", spec={**SELECTED, "replicas": 2}),
            lambda o: is_true(o, "Available") and o["status"]["readyReplicas"] == 2,
        ),
        (
            f"{APPS}/statefulsets",
            manifest("apps/v1", "StatefulSet", spec=SELECTED),
            lambda o: o["status"].get("readyReplicas") == 1,
        ),
        (
            f"{APPS}/daemonsets",
            manifest("apps/v1", "DaemonSet", spec=SELECTED),
            lambda o: o["status"].get("numberAvailable") == 1,
        ),
        (
            f"{APPS}/replicasets",
            manifest("apps/v1", "ReplicaSet", spec=SELECTED),
            lambda o: o["status"].get("availableReplicas") == 1,
        ),
        (
            "/apis/batch/v1/namespaces/default/jobs",
            manifest("batch/v1", "Job", spec={"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}),
            lambda o: is_true(o, "Complete"),
        ),
        (
            "/api/v1/namespaces/default/pods",
            manifest("v1", "Pod", spec=TEMPLATE["spec"]),
            lambda o: is_true(o, "Ready"),
        ),
        (
            "/api/v1/namespaces/default/persistentvolumeclaims",
            manifest("v1", "PersistentVolumeClaim", spec=CLAIM),
            lambda o: o["status"]["phase"] == "Bound" and o["spec"].get("volumeName"),
        ),
        (
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
            manifest("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1}),
            lambda o: condition(o, "DisruptionAllowed"),
        ),
    ],
)
def test_it_becomes_ready(living, path, body, done):
    code, made = living("POST", path, body)
    assert code == 201, made
    assert not done(made)
    ready = eventually(lambda: done(obj := living("GET", f"{path}/x")[1]) and obj)
    assert ready["metadata"].get("generation") == made["metadata"].get("generation")
    assert ready["status"].get("observedGeneration", 1) == 1
    assert "kube-controller-manager" in {entry["manager"] for entry in ready["metadata"]["managedFields"]}


def test_a_change_is_rolled_out_anew(living):
    path = f"{APPS}/deployments"
    living("POST", path, manifest("apps/v1", "Deployment", spec=SELECTED))
    first = eventually(lambda: is_true(obj := living("GET", f"{path}/x")[1], "Available") and obj)
    assert first["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    living.merge(f"{path}/x", {"spec": {"template": {"metadata": {"labels": {"c": "d"}}}}})
    second = eventually(lambda: (obj := living("GET", f"{path}/x")[1])["status"].get("observedGeneration") == 2 and obj)
    assert second["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}


def test_an_image_with_the_marker_never_gets_ready(living):
    path = f"{APPS}/deployments"
    living(
        "POST", path, manifest("apps/v1", "Deployment", spec={**SELECTED, "replicas": 2, "progressDeadlineSeconds": 1})
    )
    eventually(lambda: is_true(living("GET", f"{path}/x")[1], "Available"))
    broken = {"template": {"spec": {"containers": [{"name": "c", "image": "i:2-never-ready"}]}}}
    living.merge(f"{path}/x", {"spec": broken})
    stuck = eventually(
        lambda: (
            condition(obj := living("GET", f"{path}/x")[1], "Progressing").get("reason") == "ProgressDeadlineExceeded"
            and obj
        )
    )
    assert {
        key: stuck["status"][key] for key in ("replicas", "updatedReplicas", "availableReplicas", "unavailableReplicas")
    } == {
        "replicas": 3,
        "updatedReplicas": 1,
        "availableReplicas": 2,
        "unavailableReplicas": 1,
    }


@pytest.mark.parametrize(
    ("image", "stuck"),
    [
        ("i:never-ready", True),
        ("r:5000/i:1-never-ready", True),
        ("never-ready/i:1", False),
        ("i", False),
        ("r-never-ready:5000/i", False),
    ],
)
def test_the_marker_stands_in_the_tag(image, stuck):
    obj = {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}
    assert is_stuck(obj, "never-ready") is stuck


@pytest.mark.parametrize("key", sorted(STATUSES))
def test_nothing_is_ready_before_its_time(key):
    obj = {"kind": "X", "metadata": {"name": "x", "generation": 3}, "spec": {"replicas": 2, "template": {}}}
    early = STATUSES[key](obj, Moment(now="2026-01-01T00:00:00Z", ready=False))
    assert not early.get("readyReplicas")
    assert not early.get("numberReady")
    assert early.get("phase") in {None, "Pending"}
    assert early.get("observedGeneration", 3) == 3


def test_a_suspended_job_does_nothing():
    obj = {"spec": {"suspend": True, "parallelism": 1}}
    status = STATUSES["batch", "jobs"](obj, Moment(now="t", ready=True))
    assert "active" not in status
    assert "conditions" not in status


def test_a_seen_template_keeps_its_revision():
    obj = {"metadata": {"name": "x", "generation": 1, "annotations": {}}, "spec": {"replicas": 1, "template": {}}}
    moment = Moment(now="t", ready=True)
    obj["metadata"]["annotations"] = revised(obj)
    obj["status"] = STATUSES["apps", "deployments"](obj, moment)
    assert revised(obj) == {"deployment.kubernetes.io/revision": "1"}


def test_every_namespace_has_an_account_and_a_root_certificate(living):
    living("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    eventually(lambda: living("GET", "/api/v1/namespaces/n/configmaps/kube-root-ca.crt")[0] == 200)
    assert living("GET", "/api/v1/namespaces/n/serviceaccounts/default")[0] == 200


def test_a_deleted_namespace_is_emptied_and_goes(living):
    living("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    path = "/api/v1/namespaces/n/configmaps"
    living("POST", path, {"metadata": {"name": "plain"}})
    living("POST", path, {"metadata": {"name": "held", "finalizers": ["ex.io/f"]}})
    code, marked = living("DELETE", "/api/v1/namespaces/n")
    assert (code, marked["status"]["phase"]) == (200, "Terminating")
    code, refused = living("POST", path, {"metadata": {"name": "late"}})
    assert (code, refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    eventually(lambda: living("GET", f"{path}/plain")[0] == 404)
    assert living("GET", "/api/v1/namespaces/n")[0] == 200
    living.merge(f"{path}/held", {"metadata": {"finalizers": None}})
    eventually(lambda: living("GET", "/api/v1/namespaces/n")[0] == 404)


def owned_by(owner, name="child"):
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {"metadata": {"name": name, "ownerReferences": [reference]}}


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_owned_objects_go_with_their_owner(living, policy):
    path = "/api/v1/namespaces/default/configmaps"
    _, owner = living("POST", path, {"metadata": {"name": "owner"}})
    living("POST", path, owned_by(owner))
    assert living("DELETE", f"{path}/owner?propagationPolicy={policy}")[0] == 200
    eventually(lambda: living("GET", f"{path}/child")[0] == 404)
    eventually(lambda: living("GET", f"{path}/owner")[0] == 404)


def test_orphans_stay_without_their_owner(living):
    path = "/api/v1/namespaces/default/configmaps"
    _, owner = living("POST", path, {"metadata": {"name": "owner"}})
    living("POST", path, owned_by(owner))
    living("DELETE", f"{path}/owner", {"propagationPolicy": "Orphan"})
    eventually(lambda: living("GET", f"{path}/owner")[0] == 404)
    assert "ownerReferences" not in living("GET", f"{path}/child")[1]["metadata"]


def test_an_object_with_two_owners_needs_both_to_go(living):
    path = "/api/v1/namespaces/default/configmaps"
    owners = [living("POST", path, {"metadata": {"name": name}})[1] for name in ("one", "two")]
    references = [owned_by(owner)["metadata"]["ownerReferences"][0] for owner in owners]
    living("POST", path, {"metadata": {"name": "child", "ownerReferences": references}})
    living("DELETE", f"{path}/one")
    time.sleep(0.1)
    assert living("GET", f"{path}/child")[0] == 200
    living("DELETE", f"{path}/two")
    eventually(lambda: living("GET", f"{path}/child")[0] == 404)
