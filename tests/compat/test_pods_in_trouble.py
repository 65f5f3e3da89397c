"""Pods that will not become ready end a health check long before its timeout; others are waited for. Real controllers.

The pods are bound to a node without a kubelet: what a kubelet would say is written into their status.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controlplane.process import NODE as MANAGED
from tests.memory_plane import kustomization
from tests.real_plane import REAL, RealPlane, eventually, text, tidy

pytestmark = REAL
NODE = "no-kubelet"
PATCH = {"Content_Type": "application/merge-patch+json"}
GROUPS = {"Job": "batch/v1"}
PULL = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.example/web:2": not found'}
CONFIG = {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
CRASH = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=c"}


def workload(kind: str, space: str, image: str = "registry.example/web:1", **pod: Any) -> dict[str, Any]:
    container = {"name": "c", "image": image}
    restart = {"restartPolicy": "Never"} if kind == "Job" else {}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"nodeName": NODE, "containers": [container], **restart},
    }
    more: dict[str, Any] = {} if kind == "Job" else {"selector": {"matchLabels": {"app": "web"}}}
    if kind == "StatefulSet":
        more["serviceName"] = "web"
    if kind == "Pod":
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": space, "labels": {"app": "web"}},
            "spec": template["spec"],
        }
    return {
        "apiVersion": GROUPS.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "web", "namespace": space},
        "spec": {**more, "template": {**template, "spec": {**template["spec"], **pod}}},
    }


@pytest.fixture
def plane(control_plane, monkeypatch):
    monkeypatch.setattr("penstock.stages.reconcile.watching.MOST_WATCHES", 0)  # the plane's clock is not the watch's
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    node = {**MANAGED, "metadata": {"name": NODE, "labels": labels}}
    control_plane.call("POST", "/api/v1/nodes", node)
    wait_for_the_node(control_plane)
    made = RealPlane(control_plane)
    yield made
    tidy(control_plane)
    control_plane.call("DELETE", f"/api/v1/nodes/{NODE}")


def wait_for_the_node(control_plane: Any) -> None:
    """Until the controllers know of it: before, a DaemonSet wants no pod, and that is ready."""
    daemons = "/apis/apps/v1/namespaces/default/daemonsets"
    probe = workload("DaemonSet", "default")
    probe["metadata"]["name"] = "knows-the-node"
    status, answer = control_plane.call("POST", daemons, probe)
    assert status == 201, answer
    mine = f"{daemons}/knows-the-node"
    eventually(lambda: control_plane.call("GET", mine)[1]["status"].get("desiredNumberScheduled"))
    control_plane.call("DELETE", f"{mine}?propagationPolicy=Orphan")
    control_plane.call("DELETE", "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb&gracePeriodSeconds=0")


def start(plane: RealPlane, *manifests: dict[str, Any], **spec: Any) -> None:
    waits = kustomization("web", "web", wait=True, timeout="30m", **spec)
    plane.push({"clusters/prod/web.yaml": waits, "web/web.yaml": text(*manifests)})
    assert plane.until("web", "Unknown Progressing: Running health checks", "True", "False").startswith("Unknown")


def pods(plane: RealPlane, space: str, image: str = "") -> list[dict[str, Any]]:
    found = plane.found(f"/api/v1/namespaces/{space}/pods")
    listed = [] if found is None else found["items"]
    mine = [each for each in listed if each["spec"].get("nodeName") == NODE]
    return [each for each in mine if not image or each["spec"]["containers"][0]["image"] == image]


def say(
    plane: RealPlane, space: str, waiting: dict[str, str], *, seconds: int = 60, restarts: int = 0, image: str = ""
) -> str:
    """A kubelet's words on every pod there, which it has been at for so long; the name of one of them."""
    eventually(lambda: pods(plane, space, image))
    began = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": restarts}
    status = {
        "phase": "Running" if restarts else "Pending",
        "startTime": began,
        "containerStatuses": [{**container, "state": {"waiting": waiting}}],
    }
    for pod in pods(plane, space, image):
        path = f"/api/v1/namespaces/{space}/pods/{pod['metadata']['name']}/status"
        code, answer = plane.api.call("PATCH", path, {"status": status}, **PATCH)
        assert code == 200, answer
    return str(pods(plane, space, image)[0]["metadata"]["name"])


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod"])
def test_an_image_that_cannot_be_pulled_ends_the_check_early(real_namespace, plane, kind):
    start(plane, workload(kind, real_namespace))
    pod = say(plane, real_namespace, PULL)
    before = plane.clock.monotonic()
    ready = plane.until("web", "False HealthCheckFailed")
    assert plane.clock.monotonic() - before < 120, "of a timeout of 1800 s"
    assert f"{kind}/{real_namespace}/web status: 'Failed': Pod/{real_namespace}/{pod}: ImagePullBackOff" in ready
    assert "registry.example/web:2" in ready
    assert "failed early due to stalled resources" in ready
    assert plane.errors("web") == [ready.removeprefix("False ")]


@pytest.mark.parametrize(("waiting", "restarts"), [(CONFIG, 0), (CRASH, 4)])
def test_so_do_a_missing_config_map_and_a_crash_loop(real_namespace, plane, waiting, restarts):
    start(plane, workload("Deployment", real_namespace))
    pod = say(plane, real_namespace, waiting, restarts=restarts)
    ready = plane.until("web", "False HealthCheckFailed")
    assert f"Pod/{real_namespace}/{pod}: {waiting['reason']}: {waiting['message']}" in ready


@pytest.mark.parametrize(("waiting", "seconds", "restarts"), [(PULL, 0, 0), (CONFIG, 2, 0), (CRASH, 20, 1)])
def test_what_may_pass_is_named_and_waited_for(real_namespace, plane, waiting, seconds, restarts):
    start(plane, workload("Deployment", real_namespace))
    end = time.monotonic() + 8
    while time.monotonic() < end:
        say(plane, real_namespace, waiting, seconds=seconds, restarts=restarts)
        plane.settle(seconds=5)
        assert plane.ready("web").startswith("Unknown"), plane.ready("web")
    assert waiting["reason"] in plane.ready("web")


def test_pods_of_the_revision_before_do_not_fail_the_one_that_mends_them(real_namespace, plane):
    """What crashes is what the push replaces: its pods stay until the new ones are ready."""
    start(plane, workload("Deployment", real_namespace))
    say(plane, real_namespace, PULL)
    assert plane.until("web", "False HealthCheckFailed")
    mended = "registry.example/web:2"
    plane.push({"web/web.yaml": text(workload("Deployment", real_namespace, mended))})
    assert plane.until("web", "Unknown").startswith("Unknown")
    eventually(lambda: pods(plane, real_namespace, mended))
    for _ in range(5):
        plane.settle(seconds=20)
        ready = plane.ready("web")
        assert ready.startswith("Unknown"), ready
    assert pods(plane, real_namespace, "registry.example/web:1"), "the old one is still there, and still fails"
    made_ready(plane, real_namespace, mended)
    assert plane.until("web", "True")


def made_ready(plane: RealPlane, space: str, image: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [{"type": each, "status": "True", "lastTransitionTime": now} for each in ("Ready", "ContainersReady")]
    for pod in pods(plane, space, image):
        path = f"/api/v1/namespaces/{space}/pods/{pod['metadata']['name']}/status"
        plane.api.call("PATCH", path, {"status": {"phase": "Running", "conditions": conditions}}, **PATCH)


def test_expressions_of_the_user_decide_for_their_kind(real_namespace, plane):
    alive = {"apiVersion": "apps/v1", "kind": "Deployment", "current": "status.readyReplicas > 0"}
    start(plane, workload("Deployment", real_namespace), healthCheckExprs=[alive])
    say(plane, real_namespace, PULL)
    for _ in range(4):
        plane.settle(seconds=20)
    assert plane.ready("web").startswith("Unknown"), plane.ready("web")
