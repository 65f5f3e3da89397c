"""Two planes on one cluster: the second writes nothing, until somebody gives it what the first has; then the first."""

from dataclasses import replace

import pytest
import yaml
from tests.memory_plane import CLUSTER, UID, MemoryPlane, OneCluster, config_map, kustomization, namespace
from tests.stages.test_reconcile_safety import lose_records

from penstock.core.flux.fields import Fields, Where
from penstock.core.http import HttpRequest
from penstock.core.reconcile.inventory import NAMESPACE, Inventory, Owner, Shown, from_config_map, to_config_map
from penstock.core.records import Adoption, adoption_key
from penstock.core.resources import Gvk, ObjectRef
from penstock.stages.api import actions

OTHER = "e" * 32
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
}


def first():
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    plane.cluster.calls.clear()
    return plane


def beside(plane, files=FILES):
    """Another plane on the same cluster, of the same names."""
    other = MemoryPlane()
    other.clock._ids = 10**6  # its own names for its own runs
    other.cluster = plane.cluster
    other.deps = replace(other.deps, clusters=OneCluster(plane.cluster))
    for record in other.state.list(""):
        other.state.delete(record.key, expected=None)
    other.apply_plane(uid=OTHER)
    other.push(files)
    return other


def adopt(plane, name="", who="ann"):
    body = {"cluster": CLUSTER, "who": who} | ({"name": name} if name else {})
    request = HttpRequest(method="POST", path="/adopt", query="", headers={}, body=b"")
    response, messages = actions.adopt(Fields(body, where=Where(document="request")), request, plane.deps)
    assert response.status == 202
    for out in messages:
        plane.publish(out.message)
    plane.settle(seconds=30)


def owners(plane):
    found = plane.cluster.list(Gvk(version="v1", kind="ConfigMap"), namespace=NAMESPACE).items
    return {item["metadata"]["name"].rpartition(".")[2]: item["data"]["owner"].partition("/")[0] for item in found}


def test_a_fork_with_the_same_names_writes_nothing_at_all():
    plane = first()
    other = beside(plane, {**FILES, "apps/a.yaml": config_map("a", key="2")})
    other.settle(seconds=20)
    for _ in range(3):
        other.tick()
        other.reconcile("flux-system")
    assert plane.writes() == [], "neither objects, nor Lease, Namespace or inventory"
    said = other.ready("flux-system")
    assert said.startswith("False OwnedByOther")
    assert f"owned by {UID}/prod/flux-system/flux-system" in said
    assert "penstock reconcile kustomization/flux-system -n flux-system --adopt" in said


def test_adoption_moves_the_ownership_once_and_the_first_stops():
    plane = first()
    other = beside(plane, {**FILES, "apps/a.yaml": config_map("a", key="2")})
    other.settle(seconds=20)
    adopt(other)
    assert other.ready("apps").startswith("True"), other.ready("apps")
    assert plane.config_map("a") == {"key": "2"}
    assert owners(plane) == {"flux-system": OTHER, "apps": OTHER}
    told = [event.message for event in other.events if event.reason in ("AdoptionAsked", "Adopted")]
    assert told[0] == "ann gave everything on cluster prod to this plane, whoever has it"
    assert f"ownership moved from {UID}/prod/flux-system/apps to {OTHER}/prod/flux-system/apps" in "".join(told)

    plane.cluster.calls.clear()
    plane.push({"apps/a.yaml": config_map("a", key="3")})
    plane.settle(seconds=30)
    assert plane.writes() == []
    expected = f"False OwnedByOther: Kustomization flux-system/apps of this cluster is owned by {OTHER}"
    assert plane.ready("apps").startswith(expected)

    adopt(plane, "apps")
    assert plane.config_map("a") == {"key": "3"}
    assert owners(plane)["apps"] == UID
    plane.cluster.calls.clear()
    other.reconcile("apps")
    assert plane.writes() == [], "an adoption is used up when the ownership has moved"
    assert other.ready("apps").startswith("False OwnedByOther")


def test_adopting_prunes_nothing_in_that_run_and_forgets_nothing():
    plane = first()
    files = {path: text for path, text in FILES.items() if path != "apps/b.yaml"}
    other = beside(plane, files)
    other.settle(seconds=20)
    adopt(other, "flux-system")
    asked = Adoption(who="ann", when=other.clock.now().isoformat())
    other.state.put(adoption_key(CLUSTER, "flux-system", "apps"), asked.to_value(), expected=None)
    plane.cluster.calls.clear()
    other.reconcile("apps")
    writes = [call for call in plane.cluster.calls if call[0] in ("create", "update", "patch", "delete", "list")]
    (at,) = [n for n, call in enumerate(writes) if call == ("delete", "ConfigMap/apps/b")]
    assert (
        sum(call == ("update", "ConfigMap/penstock-system/kustomization.flux-system.apps") for call in writes[:at]) >= 1
    )
    assert plane.config_map("b") is None


def test_a_run_of_the_other_plane_ends_before_anything_is_taken():
    plane = first()
    other = beside(plane)
    other.settle(seconds=20)
    lease_gvk = Gvk(group="coordination.k8s.io", version="v1", kind="Lease")
    held = plane.cluster.get(lease_gvk, NAMESPACE, "kustomization.flux-system.apps")
    now = other.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {**held["spec"], "holderIdentity": "running", "renewTime": now, "leaseDurationSeconds": 150}
    plane.cluster.replace({**held, "spec": spec})
    adopt(other)
    assert owners(plane) == {"flux-system": OTHER, "apps": UID}
    other.clock.advance(200)
    other.settle(seconds=120)
    assert owners(plane)["apps"] == OTHER


def test_an_adoption_that_nobody_used_is_forgotten():
    plane = first()
    other = beside(plane)
    other.settle(seconds=20)
    adoption = Adoption(who="ann", when=other.clock.now().isoformat())
    other.state.put(adoption_key(CLUSTER), adoption.to_value(), expected=None)
    other.clock.advance(3601)
    other.reconcile("flux-system")
    assert plane.writes() == []


def test_an_object_of_another_planes_kustomization_is_adopted():
    plane = first()
    plane.push({"clusters/prod/web.yaml": kustomization("web", "web"), "web/w.yaml": config_map("w")})
    plane.settle()
    labels = {f"kustomize.toolkit.fluxcd.io/{k}": v for k, v in (("name", "theirs"), ("namespace", "hub"))}
    x = yaml.safe_load(config_map("x", key="theirs"))
    plane.cluster.create({**x, "metadata": {**x["metadata"], "labels": labels}})
    owner = Owner(plane=OTHER, cluster="prod", namespace="hub", name="theirs")
    entries = {ObjectRef(kind="ConfigMap", namespace="apps", name="x"): "v1"}
    plane.cluster.create(to_config_map(Inventory(owner=str(owner), entries=entries), owner, Shown()))
    plane.push({"web/x.yaml": config_map("x", key="ours")})
    plane.settle(seconds=20)
    assert "penstock reconcile kustomization/web -n flux-system --adopt" in plane.ready("web")
    adopt(plane, "web")
    assert plane.config_map("x") == {"key": "ours"}
    theirs = plane.live("v1", "ConfigMap", NAMESPACE, "kustomization.hub.theirs")
    assert from_config_map(theirs).owner == str(owner), "their inventory is theirs; the object's labels are ours"


def test_a_plane_that_lost_its_uid_adopts_its_cluster():
    plane = first()
    lose_records(plane)
    plane.apply_plane(uid=OTHER)
    plane.push({"apps/b.yaml": None})
    plane.settle(seconds=20)
    assert plane.config_map("b") == {"key": "1"}
    adopt(plane)
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    plane.settle(seconds=300)
    assert plane.config_map("b") is None, "what left Git meanwhile is pruned, after the run that adopted"


@pytest.mark.parametrize(("body", "status"), [({}, "cluster"), ({"cluster": CLUSTER}, "who")])
def test_who_must_be_said(body, status):
    from penstock.core.errors import InvalidDocument

    request = HttpRequest(method="POST", path="/adopt", query="", headers={}, body=b"")
    with pytest.raises(InvalidDocument, match=status):
        actions.adopt(Fields(body, where=Where(document="request")), request, first().deps)
