"""The control plane of the tests is a real one: controllers act, pods get ready, RBAC denies, audit counts."""

import os
import subprocess
import sys
import time

import pytest
from tests.controlplane import build, process
from tests.controlplane.fixtures import ControlPlane, _named, call

from penstock.devcluster import DevCluster

pytestmark = pytest.mark.real

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
        },
    },
}


def test_a_deployment_becomes_ready(control_plane: ControlPlane, real_namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{real_namespace}/deployments"
    assert control_plane.call("POST", path, DEPLOYMENT)[0] == 201
    deadline = time.monotonic() + 30
    while control_plane.call("GET", f"{path}/web")[1]["status"].get("readyReplicas") != 2:
        assert time.monotonic() < deadline, control_plane.call("GET", f"{path}/web")
        time.sleep(0.1)


def test_rbac_denies_an_account_without_a_role(control_plane: ControlPlane, real_namespace: str) -> None:
    account = f"system:serviceaccount:{real_namespace}:nobody"
    path = f"/api/v1/namespaces/{real_namespace}/secrets"
    status, answer = control_plane.call("GET", path, Impersonate_User=account)
    assert (status, answer["reason"]) == (403, "Forbidden")


def test_requests_are_counted_by_verb_and_user(control_plane: ControlPlane, real_namespace: str) -> None:
    path = f"/api/v1/namespaces/{real_namespace}/configmaps"
    user = f"counted-{real_namespace}"
    kubeconfig = control_plane.kubeconfig_for(user)
    with control_plane.audited(user) as counted:
        assert call(kubeconfig, "GET", path)[0] == 200
        assert call(kubeconfig, "GET", path, Impersonate_User="nobody")[0] == 403
        assert call(kubeconfig, "DELETE", f"{path}/x")[0] == 404
        control_plane.call("GET", path)
    assert counted == {"list": 2, "delete": 1}


def test_a_machine_without_go_is_told_what_to_do(tmp_path) -> None:
    env = {"PATH": "", "PENSTOCK_TOOLS": str(tmp_path / "tools"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, build.__file__, "kustomize"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "MISSING  kustomize 5.8.1" in done.stdout
    assert "--fetch-go" in done.stdout


def test_a_tool_is_found_where_it_was_built(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PENSTOCK_TOOLS", str(tmp_path))
    assert build.tool("helm") is None
    made = next(t for t in build.TOOLS if t.name == "helm").path
    made.parent.mkdir()
    made.touch()
    assert build.tool("helm") == made
    assert made.parent.name.startswith("helm-4.3.1-")
    assert os.sep + "main" + os.sep + "tests" not in str(made)


def test_a_named_cluster_must_be_marked_disposable(control_plane: ControlPlane, tmp_path) -> None:
    assert _named(control_plane.kubeconfig).folder is None
    with DevCluster() as unmarked:
        (tmp_path / "config").write_bytes(unmarked.kubeconfig())
        with pytest.raises(pytest.fail.Exception, match="not marked disposable"):
            _named(tmp_path / "config")


def test_a_killed_run_leaves_nothing_behind(control_plane: ControlPlane, tmp_path) -> None:
    """The supervisor ends its parts when the process that it serves is gone."""
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    command = [sys.executable, process.__file__, str(tmp_path), str(parent.pid)]
    supervisor = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert supervisor.poll() is None, (tmp_path / "failed").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    left = ControlPlane(kubeconfig=tmp_path / "kubeconfig", folder=tmp_path)
    assert left.call("GET", "/readyz")[0] == 200
    parent.kill()
    parent.communicate()
    assert supervisor.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        left.call("GET", "/readyz")
