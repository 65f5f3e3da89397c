"""Where Flux itself is unsafe and nothing else holds it: each a row of docs/differences-from-flux.md."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.core.resources import ObjectRef
from penstock.ports.cluster import ApiRefused

FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "apps"}}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(FILES)
    made.settle()
    made.cluster.calls.clear()
    return made


def test_nothing_is_written_before_a_whole_stage_has_passed_its_dry_run(plane):
    """Flux rewrites managedFields, and deletes for force, while it still asks whether all of it can be applied."""
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.api.replace({**live, "data": {**live["data"], "extra": "x"}}, manager="kubectl-edit")
    before = plane.live("v1", "ConfigMap", "apps", "a")
    plane.push({"apps/a.yaml": config_map("a", key="2"), "apps/w.yaml": yaml.safe_dump(WIDGET)})
    plane.settle(seconds=3)
    assert plane.ready("apps").startswith("False ReconciliationFailed: Widget/apps/w dry-run failed")
    assert plane.live("v1", "ConfigMap", "apps", "a") == before
    assert not [call for call in plane.cluster.calls if call[0] in ("delete", "update") and "/apps/" in call[1]]


def test_what_a_run_that_failed_half_way_made_is_in_the_inventory(plane):
    """Flux knows nothing of it until a run succeeds: removed from Git before that, it stays for ever."""
    plane.push({f"apps/{name}.yaml": config_map(name, key="1") for name in ("made", "refused")})
    refused = Refusing(plane, "ConfigMap/apps/refused")
    plane.settle(seconds=3)
    assert plane.ready("apps").startswith("False"), plane.ready("apps")
    assert plane.config_map("made") == {"key": "1"}, "it was applied before the other was refused"
    assert "apps_made__ConfigMap@v1" in plane.status("apps").inventory
    refused.stop()
    plane.push({"apps/made.yaml": None, "apps/refused.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert plane.config_map("made") is None


class Refusing:
    """An API server that takes one object in a dry-run, and refuses it then."""

    def __init__(self, plane, name):
        self.api, self.apply = plane.cluster.api, plane.cluster.api.apply

        def apply(manifest, options):
            if f"{manifest['kind']}/apps/{manifest['metadata']['name']}" == name and not options.dry_run:
                raise ApiRefused("exceeded quota", code=422)
            return self.apply(manifest, options)

        self.api.apply = apply

    def stop(self):
        self.api.apply = self.apply


@pytest.mark.parametrize("blocked", [False, True])
def test_the_flag_covers_dependencies_in_other_namespaces(blocked):
    plane = MemoryPlane(policy={"noCrossNamespaceRefs": blocked})
    source = {"sourceRef": {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}}
    other = {"dependsOn": [{"name": "other", "namespace": "elsewhere"}]}
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps", **other, **source),
            "clusters/prod/other.yaml": kustomization("other", "other", namespace="elsewhere", **source),
            "other/c.yaml": config_map("c", namespace="default", key="1"),
            "apps/d.yaml": config_map("d", namespace="default", key="1"),
        }
    )
    plane.settle(seconds=30)
    ready = plane.ready("apps")
    if blocked:
        told = "can't access 'Kustomization/elsewhere/other', cross-namespace references have been blocked"
        assert ready == f"False AccessDenied: {told}"
        assert plane.status("apps").condition("Stalled").status == "True"
    else:
        assert ready.startswith("True"), ready


def test_a_failed_health_check_names_object_and_pod_with_its_message():
    plane = MemoryPlane()
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}}}
    spec["template"]["spec"] = {"containers": [{"name": "web", "image": "web:1"}]}
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": spec,
    }
    files = {**FILES, "apps/web.yaml": yaml.safe_dump(web)}
    plane.cluster.create(yaml.safe_load(namespace("apps")))
    pod = {"name": "web-x", "namespace": "apps", "labels": {"app": "web"}}
    plane.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": spec["template"]["spec"]})
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:1"'}
    status = {"phase": "Pending", "containerStatuses": [{"name": "web", "state": {"waiting": waiting}}]}
    plane.cluster.set_status(ObjectRef(kind="Pod", namespace="apps", name="web-x"), status)
    plane.push({**files, "clusters/prod/apps.yaml": kustomization("apps", "apps", wait=True, timeout="1m")})
    plane.settle(seconds=90)
    ready = plane.ready("apps")
    assert ready.startswith("False HealthCheckFailed: health check failed after")
    assert "Deployment/apps/web status: 'InProgress'" in ready
    assert 'Pod/apps/web-x: ImagePullBackOff: Back-off pulling image "web:1"' in ready
    assert "ConfigMap/apps/a" not in ready, "only those that are not healthy"
