"""``policy.overrideManagers`` on a real API server: what another manager set, and Git does not have, goes."""

import pytest
from tests.memory_plane import config_map, kustomization
from tests.real_plane import REAL, RealPlane, tidy

pytestmark = REAL
MERGE = {"Content_Type": "application/merge-patch+json"}
APPLY = {"Content_Type": "application/apply-patch+yaml"}


@pytest.mark.parametrize(("overridden", "stays"), [([], True), (["rancher"], False)])
@pytest.mark.parametrize("how", [MERGE, APPLY], ids=["update", "apply"])
def test_what_an_overridden_manager_set_is_taken_over(control_plane, real_namespace, overridden, stays, how):
    plane = RealPlane(control_plane, policy={"overrideManagers": overridden})
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps"),
            "apps/a.yaml": config_map("a", real_namespace, key="1"),
            "apps/b.yaml": config_map("b", real_namespace, key="1"),
        }
    )
    plane.until("apps", "True")
    path = f"/api/v1/namespaces/{real_namespace}/configmaps/a"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"extra": "x"}}
    code, answer = control_plane.call("PATCH", f"{path}?fieldManager=rancher-agent", body, **how)
    assert code == 200, answer
    plane.reconcile("apps", why="interval")
    plane.until("apps", "True")
    assert plane.found(path)["data"] == ({"key": "1", "extra": "x"} if stays else {"key": "1"})
    before = plane.found(path)["metadata"]["resourceVersion"]
    plane.reconcile("apps", why="interval")
    assert plane.found(path)["metadata"]["resourceVersion"] == before, "once is enough"
    tidy(control_plane)
