"""A lost store, and a child that left Git meanwhile: found again by its inventory, deleted by nobody's word but ours."""

import json

import pytest
import yaml
from tests.memory_plane import CLUSTER, config_map, kustomization, namespace
from tests.stages.test_reconcile_remote import EKS
from tests.stages.test_reconcile_safety import APPS, lose_records, started

from penstock.core.records import Approval, approval_key
from penstock.core.resources import Gvk

CHILD = {"clusters/prod/c.yaml": kustomization("c", "c"), "c/c.yaml": config_map("c", key="1")}
INVENTORY = "kustomization.flux-system.c"


def lost(files, push):
    plane = started({**APPS, **files})
    lose_records(plane)
    plane.cluster.calls.clear()
    for path in push:
        del plane.files[path]
    plane.apply_plane()
    plane.push({})
    plane.settle()
    for _ in range(2):
        plane.clock.advance(400)
        plane.tick()
        plane.settle()
    return plane


def test_it_is_found_and_waits_for_an_approval():
    plane = lost(CHILD, ["clusters/prod/c.yaml", "c/c.yaml"])
    assert plane.config_map("c") == {"key": "1"}
    assert plane.ready("c").startswith("False PruneStopped: prune stopped: Kustomization flux-system/c is in no render")
    digest = plane.ready("c").rpartition("--prune ")[2]
    approval = Approval(digest=digest, who="ann", when=plane.clock.now().isoformat())
    plane.state.put(approval_key(CLUSTER, "flux-system", "c"), approval.to_value(), expected=None)
    plane.reconcile("c")
    assert plane.config_map("c") is None
    assert not plane.known("Kustomization", "c")
    assert plane.live("v1", "ConfigMap", "penstock-system", INVENTORY) is None
    assert plane.config_map("a") == {"key": "1"}


def test_a_grandchild_is_not_taken_for_lost_while_its_parent_has_not_rendered():
    files = {
        "clusters/prod/mid.yaml": kustomization("mid", "mid", dependsOn=[{"name": "apps"}]),
        "mid/c.yaml": kustomization("c", "c"),
        "c/c.yaml": config_map("c", key="1"),
    }
    plane = started({**APPS, **files})
    lose_records(plane)
    plane.apply_plane()
    plane.push({"apps/a.yaml": "not: [yaml"})
    plane.settle()
    plane.clock.advance(400)
    plane.tick()
    plane.settle()
    assert not plane.known("Kustomization", "c") or not plane.ready("c").startswith("False PruneStopped")
    plane.push({"apps/a.yaml": config_map("a", key="1")})
    plane.settle()
    assert plane.ready("c").startswith("True"), plane.ready("c")
    assert plane.config_map("c") == {"key": "1"}


def test_what_moved_to_another_kustomization_meanwhile_is_its():
    plane = started({**APPS, **CHILD})
    lose_records(plane)
    del plane.files["clusters/prod/c.yaml"], plane.files["c/c.yaml"]
    plane.files["apps/c.yaml"] = config_map("c", key="1")
    plane.apply_plane()
    plane.cluster.calls.clear()
    plane.push({})
    plane.settle()
    plane.clock.advance(400)
    plane.tick()
    plane.settle()
    assert plane.config_map("c") == {"key": "1"}
    assert ("delete", "ConfigMap/apps/c") not in plane.cluster.calls
    assert not plane.known("Kustomization", "c"), "nothing is left to delete: it is forgotten"


def test_nothing_secret_is_kept_for_a_removal():
    post = {"substitute": {"password": "canary"}}
    plane = started(
        {**APPS, "clusters/prod/c.yaml": kustomization("c", "c", postBuild=post), "c/c.yaml": config_map("c")}
    )
    held = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    assert "canary" not in json.dumps(held)
    assert json.loads(held["data"]["removal"])["document"]["spec"]["prune"] is True


@pytest.mark.parametrize("change", [{"owner": "e" * 32 + "/prod/flux-system/c"}, {"removal": "{}"}, {"digest": "x"}])
def test_an_inventory_that_is_anothers_or_tells_too_little_is_left_alone(change):
    plane = started({**APPS, **CHILD})
    held = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    plane.cluster.replace({**held, "data": {**held["data"], **change}})
    lose_records(plane)
    del plane.files["clusters/prod/c.yaml"], plane.files["c/c.yaml"]
    plane.apply_plane()
    plane.push({})
    plane.settle()
    plane.clock.advance(400)
    plane.tick()
    plane.settle()
    assert not plane.known("Kustomization", "c")
    assert plane.config_map("c") == {"key": "1"}


def test_it_costs_one_list_once():
    plane = started(APPS)
    inventories = Gvk(version="v1", kind="ConfigMap")
    assert plane.cluster.list(inventories, namespace="penstock-system").items
    plane.cluster.calls.clear()
    plane.reconcile("flux-system")
    plane.clock.advance(400)
    plane.reconcile("flux-system")
    lists = [call for call in plane.cluster.calls if call == ("list", "ConfigMap/penstock-system/")]
    assert len(lists) <= 1


def elsewhere():
    """A plane with a child that applies to another cluster; its records are lost and it has left Git."""
    plane = started(APPS)
    far = plane.clusters.remote
    plane.cluster.create(yaml.safe_load(namespace("team")))
    far.create(yaml.safe_load(namespace("shop")))
    access = {"provider": "aws", "cluster": EKS, "serviceAccountName": "deployer"}
    plane.cluster.create(yaml.safe_load(config_map("remote", "team", **access)))
    spec = {"kubeConfig": {"configMapRef": {"name": "remote"}}, "namespace": "team"}
    files = {"clusters/prod/c.yaml": kustomization("c", "c", **spec), "c/c.yaml": config_map("c", "shop", key="1")}
    plane.push(files)
    plane.settle()
    assert plane.ready("c", namespace="team").startswith("True"), plane.ready("c", namespace="team")
    return plane, far, files


def test_one_that_applied_to_another_cluster_is_found_there_too():
    plane, far, files = elsewhere()
    lose_records(plane)
    for path in files:
        del plane.files[path]
    plane.apply_plane()
    plane.push({})
    for _ in range(3):
        plane.settle()
        plane.clock.advance(400)
        plane.tick()
    plane.settle()
    ready = plane.ready("c", namespace="team")
    assert ready.startswith("False PruneStopped: prune stopped: Kustomization team/c is in no render"), ready
    assert far.get(Gvk(version="v1", kind="ConfigMap"), "shop", "c") is not None
    approval = Approval(digest=ready.rpartition("--prune ")[2], who="ann", when=plane.clock.now().isoformat())
    plane.state.put(approval_key(CLUSTER, "team", "c"), approval.to_value(), expected=None)
    plane.reconcile("c", namespace="team")
    assert far.get(Gvk(version="v1", kind="ConfigMap"), "shop", "c") is None
    assert not plane.known("Kustomization", "c", namespace="team")
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.team.c") is None


def test_what_names_it_at_home_is_written_once_and_looked_at_again_at_its_interval():
    plane, _, _ = elsewhere()
    name = "kustomization.team.c"
    shown = plane.live("v1", "ConfigMap", "penstock-system", name)
    assert shown["metadata"]["labels"]["penstock.dev/ready"] == "Elsewhere"
    assert shown["metadata"]["annotations"]["penstock.dev/message"].startswith("its inventory is in the cluster of")
    assert json.loads(shown["data"]["inventory"]) == []
    plane.cluster.calls.clear()
    plane.push({"c/c.yaml": config_map("c", "shop", key="2")})
    plane.settle()
    assert not [call for call in plane.cluster.calls if name in call[1]], "not again at each push"
    plane.cluster.delete(shown)
    plane.reconcile("c", namespace="team", why="interval")
    assert plane.live("v1", "ConfigMap", "penstock-system", name) is not None
    plane.push({"clusters/prod/c.yaml": None, "c/c.yaml": None})
    plane.settle()
    assert plane.live("v1", "ConfigMap", "penstock-system", name) is None
    assert plane.writes()[-1][0] == "delete"


def test_a_name_that_is_another_planes_at_home_stops_it():
    plane, _, _ = elsewhere()
    name = "kustomization.team.c"
    shown = plane.live("v1", "ConfigMap", "penstock-system", name)
    plane.cluster.replace({**shown, "data": {**shown["data"], "owner": "e" * 32 + "/prod/team/c"}})
    plane.reconcile("c", namespace="team", why="interval")
    assert plane.ready("c", namespace="team").startswith("False OwnedByOther")
