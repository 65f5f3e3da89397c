"""What a push costs at the API server: at most 10 requests, and 2 for each changed object."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace


def service(name, port):
    spec = {"selector": {"app": name}, "ports": [{"port": port, "protocol": "TCP"}]}
    metadata = {"name": name, "namespace": "apps"}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "clusters/prod/idle.yaml": kustomization("idle", "idle"),
    "apps/namespace.yaml": namespace("apps"),
    **{f"apps/c{n}.yaml": config_map(f"c{n}", key="1") for n in range(10)},
    **{f"apps/s{n}.yaml": service(f"s{n}", 80) for n in range(9)},
    **{f"idle/i{n}.yaml": config_map(f"i{n}", key="1") for n in range(20)},
}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(FILES)
    made.settle()
    made.cluster.calls.clear()
    return made


def sent(plane):
    """Requests, without the discovery that every connection keeps."""
    return [f"{verb} {what}" for verb, what in plane.cluster.calls]


@pytest.mark.parametrize("changed", [1, 3, 10])
def test_a_push_that_changes_objects(plane, changed):
    plane.push({f"apps/c{n}.yaml": config_map(f"c{n}", key="2") for n in range(changed)})
    plane.settle()
    assert plane.config_map("c0") == {"key": "2"}
    assert len(sent(plane)) <= 10 + 2 * changed, sent(plane)
    assert not any("idle" in call or "/i1" in call for call in sent(plane))
    assert not any("review" in call for call in sent(plane)), "what has been seen to work is not asked for"


def test_a_push_that_removes_an_object(plane):
    plane.push({"apps/c0.yaml": None})
    plane.settle()
    asked = sent(plane)
    assert plane.config_map("c0") is None
    assert len(asked) <= 11, asked  # the Event included


def test_a_sweep_that_finds_nothing(plane):
    """One LIST a kind (a GET where there is one object of it) and the inventory."""
    plane.reconcile("apps", why="interval")
    assert sorted(sent(plane)) == [
        "get ConfigMap/penstock-system/kustomization.flux-system.apps",
        "get Namespace/apps",
        "list ConfigMap/",
        "list Service/",
    ]
