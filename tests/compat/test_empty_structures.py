"""On a real API server: empty structures that Flux adds to what it applies, and Git does not have, are let go once.

kustomize-controller sends built-in kinds as their Go types print them (``resources: {}``, ``strategy: {}``, a
Namespace's ``spec: {}``), and so owns these fields.
"""

import copy

import pytest
from tests.memory_plane import kustomization
from tests.real_plane import REAL, RealPlane, text, tidy

pytestmark = REAL
PLANE = "system:serviceaccount:penstock-system:penstock-admin"
APPLY = {"Content_Type": "application/apply-patch+yaml"}


def deployment(name, space):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space}, "spec": spec}


def as_flux_sends(document):
    sent = copy.deepcopy(document)
    sent["metadata"]["labels"] = {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    sent["spec"]["strategy"] = {}
    sent["spec"]["template"]["spec"]["containers"][0]["resources"] = {}
    return sent


@pytest.mark.parametrize("names", [("web",), ("web", "worker")], ids=["one", "two"])
@pytest.mark.parametrize("annotations", [{}, {"penstock.dev/drift": "report"}], ids=["revert", "report"])
def test_they_are_let_go_once_and_nobody_is_told_of_a_change(control_plane, real_namespace, names, annotations):
    space = real_namespace
    objects = [deployment(name, space) for name in names]
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    for each in objects:  # as after `penstock migrate from-flux`
        where = f"{path}/{each['metadata']['name']}?fieldManager=penstock"
        assert control_plane.call("PATCH", where, as_flux_sends(each), **APPLY)[0] == 201
    before = {name: plain(control_plane.call("GET", f"{path}/{name}")[1]) for name in names}
    plane = RealPlane(control_plane)
    root = {"clusters/prod/apps.yaml": kustomization("apps", "apps", annotations=annotations)}
    plane.push({**root, "apps/all.yaml": text(*objects)})
    plane.until("apps", "True")
    assert [e.message for e in plane.events if "configured" in e.message and "apps" in (e.name, e.message)] == []
    live = {name: control_plane.call("GET", f"{path}/{name}")[1] for name in names}
    assert {name: plain(found) for name, found in live.items()} == before
    assert "f:resources" not in str([e for e in live["web"]["metadata"]["managedFields"] if e["manager"] == "penstock"])
    with control_plane.recorded(PLANE) as records:
        plane.reconcile("apps", why="interval")
    assert [r["requestURI"] for r in records if r["verb"] == "patch"] == [], (
        "nothing is asked again, nothing is written"
    )
    tidy(control_plane)


def plain(live):
    """Without what controllers write meanwhile."""
    return live["metadata"]["uid"], live["metadata"]["generation"], live["metadata"]["labels"], live["spec"]


def test_an_atomic_mapping_that_left_git_leaves_the_cluster(control_plane, real_namespace):
    """It is owned just as an empty structure is: the dry-run tells them apart."""
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": real_namespace}}
    plane = RealPlane(control_plane)
    plane.push(
        {"clusters/prod/apps.yaml": kustomization("apps", "apps"), "apps/s.yaml": text({**service, "spec": spec})}
    )
    plane.until("apps", "True")
    revision = plane.push({"apps/s.yaml": text({**service, "spec": {"ports": spec["ports"]}})})
    assert revision in plane.until("apps", "True")
    assert "selector" not in plane.found(f"/api/v1/namespaces/{real_namespace}/services/web")["spec"]
    assert any("Service/" in e.message and "configured" in e.message for e in plane.events)
    tidy(control_plane)
