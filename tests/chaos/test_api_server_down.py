"""The API server, its store or its trust in us goes away in the middle of an apply: said, nothing lost, and it goes on.

On a real control plane of each test's own; the parts are killed for real, between two writes.
"""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.controlplane.fixtures import ControlPlane
from tests.memory_plane import config_map, kustomization, namespace
from tests.real_plane import RealPlane, connections, eventually

from penstock.core.resources import Manifest
from penstock.ports.cluster import ApplyOptions

pytestmark = pytest.mark.real
MANY = 6
SPACE = "apps"
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace(SPACE),
    **{f"apps/c{n}.yaml": config_map(f"c{n}", SPACE, k="1") for n in range(MANY)},
}


class Interrupted:
    """Connections through which, after ``after`` real applies, something happens once."""

    def __init__(self, clusters: Any, happens: Callable[[], None], *, after: int) -> None:
        self.clusters, self.happens, self.left = clusters, happens, after
        self.lock = threading.Lock()

    def connect(self, cluster: str, *, impersonate: str = "") -> Any:
        return _Watched(self.clusters.connect(cluster, impersonate=impersonate), self)


class _Watched:
    def __init__(self, cluster: Any, interrupted: Interrupted) -> None:
        self._cluster, self._interrupted = cluster, interrupted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        if options.dry_run or self._interrupted.left == 0:
            return self._cluster.apply(manifest, options)
        with self._interrupted.lock:  # one by one, so that there is a middle
            if self._interrupted.left == 0:
                return self._cluster.apply(manifest, options)
            answer = self._cluster.apply(manifest, options)
            if self._interrupted.left == 1:
                self._interrupted.happens()
            self._interrupted.left -= 1  # only now: nobody writes on while it happens
            return answer


def started(api: ControlPlane, happens: Callable[[], None]) -> RealPlane:
    """A plane whose first apply is interrupted after its third write."""
    plane = RealPlane(api, clusters=Interrupted(connections(api, seconds=3), happens, after=3))
    plane.push(FILES)
    return plane


def converged(plane: RealPlane) -> bool:
    found = [plane.found(f"/api/v1/namespaces/{SPACE}/configmaps/c{n}") for n in range(MANY)]
    return [each and each["data"] for each in found] == [{"k": "1"}] * MANY


@pytest.mark.parametrize("parts", [("apiserver",), ("etcd",), ("apiserver", "etcd")], ids="+".join)
def test_what_is_killed_between_two_writes_is_waited_for(own_control_plane, parts):
    api = own_control_plane
    before = []

    def happens() -> None:
        found = api.call("GET", f"/api/v1/namespaces/{SPACE}/configmaps")[1]["items"]
        before.append(sum(each["metadata"]["name"].startswith("c") for each in found))
        for part in parts:
            api.power(part, on=False)

    plane = started(api, happens)
    ready = plane.until("apps", "False")
    assert ready.startswith("False ReconciliationFailed: "), ready
    assert "API server" in ready or "etcd" in ready or "context deadline exceeded" in ready, ready
    assert plane.errors("apps"), "an event"
    assert len(plane.status("apps").inventory) == MANY + 1, "the inventory went first: nothing is forgotten"
    for part in reversed(parts):
        api.power(part, on=True)
    eventually(api.answers, seconds=60)
    plane.until("apps", "True", seconds=60)
    assert before == [2], "it was in the middle"
    assert converged(plane)
    plane.push({"apps/c0.yaml": None})
    plane.until("apps", "True")
    assert plane.found(f"/api/v1/namespaces/{SPACE}/configmaps/c0") is None


def test_a_token_that_is_revoked_in_the_middle_is_named_and_a_new_one_goes_on(own_control_plane):
    home = "/api/v1/namespaces/penstock-system"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bound"}}
    status, made = own_control_plane.call("POST", f"{home}/secrets", secret)
    assert status == 201, made
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "bound", "uid": made["metadata"]["uid"]}
    api = own_control_plane.with_identity(bound_to=bound)

    def happens() -> None:
        own_control_plane.call("DELETE", f"{home}/secrets/bound")
        eventually(lambda: not _known(api), seconds=30)  # the API server believes what it has checked for 10 s

    plane = started(api, happens)
    ready = plane.until("apps", "False AccessDenied", seconds=60)
    assert "the API server does not know user 'penstock-admin' of context 'test'" in ready
    assert "(401)" in ready
    assert "token" in ready, "what to do"
    assert plane.errors("apps") == [ready.removeprefix("False ")]
    assert len(plane.status("apps").inventory) == MANY + 1
    assert not converged(plane)
    api.kubeconfig.write_bytes(own_control_plane.read_kubeconfig())
    plane.forget_connections()
    plane.reconcile("apps")
    assert plane.ready("apps").startswith("True")
    assert converged(plane)


def _known(api: ControlPlane) -> bool:
    from tests.controlplane.fixtures import call

    return call(api.read_kubeconfig(), "GET", "/api/v1/namespaces")[0] == 200
