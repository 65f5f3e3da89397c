"""A cluster that leaves the Plane in the middle of a run of it: its records stay away, and nothing on it is deleted."""

import pytest
import yaml
from tests.chaos.interrupted import at_each_call, fetched, reconciles
from tests.memory_plane import CLUSTER, UID, URL, MemoryPlane, config_map, kustomization

from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.messages import PLANE, ReconcileDue, SourceChanged
from penstock.core.tree import blob

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "hook", "namespace": "flux-system"},
    "stringData": {"token": "token", "address": "https://chat.example.com"},
}


def flux(group, kind, name, **spec):
    metadata = {"name": name, "namespace": "flux-system"}
    return yaml.safe_dump(
        {
            "apiVersion": f"{group}.toolkit.fluxcd.io/{'v1beta3' if kind == 'Provider' else 'v1'}",
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        }
    )


BEFORE = {
    "clusters/prod/keep.yaml": config_map("keep", "default"),
    "clusters/prod/one.yaml": kustomization("one", "one"),
    "clusters/prod/two.yaml": kustomization("two", "two", dependsOn=[{"name": "one"}]),
    "one/a.yaml": config_map("a", "default", x="1"),
    "one/gone.yaml": config_map("gone", "default", x="1"),
    "two/b.yaml": config_map("b", "default", x="1"),
    "two/chat.yaml": flux("notification", "Provider", "chat", type="generic", secretRef={"name": "hook"}),
}
AFTER = {
    **{path: text for path, text in BEFORE.items() if path != "one/gone.yaml"},
    "clusters/prod/three.yaml": kustomization("three", "three"),
    "three/c.yaml": config_map("c", "default", x="1"),
    "one/a.yaml": config_map("a", "default", x="2"),
    "one/hook.yaml": flux(
        "notification",
        "Receiver",
        "hook",
        type="github",
        secretRef={"name": "hook"},
        resources=[{"kind": "GitRepository", "name": "flux-system"}],
    ),
    "one/extra.yaml": flux(
        "source", "GitRepository", "extra", url="https://git.example.com/extra", interval="5m", ref={"branch": "main"}
    ),
}


def standing():
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    plane.cluster.create(SECRET)
    plane.git.commit("https://git.example.com/extra", {"README.md": blob(b"extra")})
    plane.push(BEFORE)
    plane.settle()
    return plane


def remove(plane):
    """The Plane with another cluster in its place, as ``penstock plane apply`` does it."""
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": URL, "ref": {"branch": "main"}, "interval": "5m"},
            "clusters": [{"name": "spare", "path": "clusters/spare"}],
        },
    }
    existing = {record.key: record.value for record in plane.state.list("")}
    change = plane_records(parse_plane(document), document, UID, existing)
    for key, value in change.writes.items():
        plane.state.put(key, value, expected=None)
    for name in change.copies:
        plane.secrets.delete(name, owner=UID)
    for key in change.deletes:
        plane.state.delete(key, expected=None)


def left(plane):
    return [each.key for each in plane.state.list("") if CLUSTER in each.key.split("/")]


def fetches(plane):
    plane.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
    while plane.step_stage("fetch"):
        pass


RUNS = {
    "the root's run": (False, reconciles("flux-system"), 20),
    "a child's run": (False, reconciles("one"), 20),
    "a run that waits": (False, reconciles("two"), 5),
    "the fan-out": (True, fetches, 5),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_cluster_that_leaves_the_plane_in_the_middle_of_a_run(run):
    pushed, work, least = RUNS[run]

    def made():
        plane = standing()
        if pushed:
            plane.git.commit(URL, {path: blob(text.encode()) for path, text in AFTER.items()})
        else:
            fetched(plane, AFTER)
        plane.cluster.calls.clear()
        return plane

    for at, plane in at_each_call(made, work, remove, least=least):
        deleted = [what for verb, what in plane.cluster.calls if verb == "delete" and "Lease" not in what]
        plane.settle(seconds=30)
        for _ in range(3):
            plane.clock.advance(60.0)
            plane.tick()
            plane.settle(seconds=5)
        assert left(plane) == [], at
        assert plane.secrets.names() == (), at
        now = [what for verb, what in plane.cluster.calls if verb == "delete" and "Lease" not in what]
        assert now == deleted, at


def test_the_planes_own_records_are_of_no_removed_cluster():
    """Whatever message comes for the name under which they stand."""
    plane = standing()
    before = {record.key for record in plane.state.list("")}
    assert any(key.startswith(f"status/{PLANE}/") for key in before)
    plane.publish(ReconcileDue(cluster=PLANE, namespace="flux-system", name="none"))
    plane.settle()
    assert {record.key for record in plane.state.list("")} >= before
