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
