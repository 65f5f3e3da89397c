"""Fields that kubectl, Flux or a controller set: what is not in Git goes, what is somebody's own stays."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.ports.cluster import ApplyOptions

APPS = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(APPS)
    made.settle()
    made.cluster.calls.clear()
    return made


def edited_by(plane, manager, **data):
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.api.replace({**live, "data": {**live["data"], **data}}, manager=manager)


@pytest.mark.parametrize(
    ("manager", "stays"),
    [
        ("kubectl-edit", False),
        ("kubectl-client-side-apply", False),
        ("before-first-apply", False),
        ("kustomize-controller", False),
        ("some-controller", True),
    ],
)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with-others"])
def test_a_field_that_is_not_in_git(plane, manager, stays, others):
    edited_by(plane, manager, extra="x")
    if others:
        plane.push({"apps/b.yaml": config_map("b", key="2"), "apps/c.yaml": config_map("c", key="1")})
        plane.settle()
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == ({"key": "1", "extra": "x"} if stays else {"key": "1"})
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert plane.writes() == [], "once is enough"


def test_a_field_that_flux_applied_goes_with_git(plane):
    live = yaml.safe_load(config_map("c", key="1", old="1"))
    plane.cluster.apply(live, ApplyOptions(field_manager="kustomize-controller"))
    plane.push({"apps/c.yaml": config_map("c", key="1", old="1")})
    plane.settle()
    plane.push({"apps/c.yaml": config_map("c", key="1")})
    plane.settle()
    assert plane.config_map("c") == {"key": "1"}


def test_merge_leaves_fields_of_others(plane):
    merged = yaml.safe_load(config_map("a", key="1"))
    merged["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/ssa": "Merge"}
    plane.push({"apps/a.yaml": yaml.safe_dump(merged)})
    plane.settle()
    edited_by(plane, "kubectl-edit", extra="x", key="edited")
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1", "extra": "x"}


def test_a_field_of_a_manager_that_the_operator_overrides_goes(plane):
    """Flux's --override-manager; also where the object was found equal before the switch was turned on."""
    edited_by(plane, "some-controller", extra="x")
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1", "extra": "x"}
    plane.apply_plane(policy={"overrideManagers": ["some-"]})
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1"}
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert plane.writes() == [], "once is enough"


def test_flags_of_the_repositorys_own_flux_hold_and_what_is_not_served_of_them_is_said(plane):
    flags = ["--override-manager=some-", "--sops-age-secret=keys"]
    metadata = {"name": "kustomize-controller", "namespace": "flux-system"}
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "kustomize-controller"}
    container = {"name": "manager", "args": flags}
    controller = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "labels": labels},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    edited_by(plane, "some-controller", extra="x")
    plane.push({"clusters/prod/gotk.yaml": yaml.safe_dump(controller)})
    plane.settle()
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1"}
    assert "Flux's flags sops-age-secret of this repository are not served" in plane.ready("flux-system")
    assert plane.ready("flux-system").startswith("True")
