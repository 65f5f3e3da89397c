"""`penstock uninstall`, on ports in memory: what is ours goes, workloads stay, or go as exactly the approved set."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from tests.memory_plane import CLUSTER, UID, MemoryPlane, OneCluster, config_map, kustomization, namespace
from tests.stages.test_reconcile_remote import EKS

from penstock.cli.main import main
from penstock.cli.migrate.side import Side
from penstock.cli.uninstall import plan_lines, survey, uninstall
from penstock.core.errors import Terminal
from penstock.core.reconcile.uninstall import approval_digest
from penstock.core.resources import Gvk

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
FILES = {
    "clusters/prod/infra.yaml": kustomization("infra", "infra"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps", dependsOn=[{"name": "infra"}]),
    "clusters/prod/kept.yaml": kustomization("kept", "kept", deletionPolicy="Orphan", dependsOn=[{"name": "infra"}]),
    "clusters/prod/odd.yaml": kustomization("odd", "odd", prune=False, dependsOn=[{"name": "infra"}]),
    "infra/namespace.yaml": namespace("apps"),
    "infra/other.yaml": namespace("other"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1").replace(
        "name: b", "annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n  name: b"
    ),
    "kept/k.yaml": config_map("k", "other", key="1"),
    "odd/o.yaml": config_map("o", "other", key="1"),
}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(FILES)
    made.settle()
    for name in ("infra", "apps", "kept", "odd"):
        assert made.ready(name).startswith("True"), made.ready(name)
    made.cluster.calls.clear()
    return made


def side(plane, **more):
    known = {"uid": UID, "name": CLUSTER, "path": "clusters/prod", "say": lambda _: None, **more}
    return Side(clusters=OneCluster(plane.cluster), clock=plane.clock, **known)


def deletes(plane):
    return [call[1] for call in plane.cluster.calls if call[0] == "delete"]


def test_the_plan_writes_nothing_and_says_what_stays(plane):
    lines = plan_lines(side(plane), survey(side(plane), plane.state, workloads=False), workloads=False)
    assert plane.writes() == []
    assert "Every workload stays, with its owner labels (docs/migrate.md)." in lines
    assert any(line.split() == ["flux-system/apps", "0", "2", "-"] for line in lines), lines


def test_what_is_ours_goes_and_every_workload_stays(plane):
    places = survey(side(plane), plane.state, workloads=False)
    plane.cluster.calls.clear()
    assert uninstall(side(plane), places) == []
    assert all("penstock-system" in name for name in deletes(plane))
    assert plane.live("v1", "Namespace", "", "penstock-system") is None
    assert plane.config_map("a") == {"key": "1"}
    labels = plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["labels"]
    assert labels["kustomize.toolkit.fluxcd.io/name"] == "apps"


def test_workloads_go_as_their_kustomization_says_dependents_first(plane):
    places = survey(side(plane), plane.state, workloads=True)
    shown = "\n".join(plan_lines(side(plane), places, workloads=True))
    assert "Namespace/apps deleted with all contents" in shown
    assert "deletionPolicy Orphan" in shown
    assert "deletionPolicy MirrorPrune, prune: false" in shown
    order = [each.name for each in places.installed]
    assert order.index("flux-system/apps") < order.index("flux-system/infra")
    plane.cluster.calls.clear()
    assert uninstall(side(plane), places) == []
    workloads = [name for name in deletes(plane) if "penstock-system" not in name]
    assert workloads == ["ConfigMap/apps/a", *workloads[1:]]
    assert set(workloads) == {"ConfigMap/apps/a", "Namespace/apps", "Namespace/other"}


def test_the_digest_names_exactly_these_deletions(plane):
    def digest():
        return approval_digest(survey(side(plane), plane.state, workloads=True).installed)

    first = digest()
    assert first == digest()
    plane.cluster.delete(plane.live("v1", "ConfigMap", "apps", "a"))
    plane.reconcile("apps")
    assert plane.config_map("a") == {"key": "1"}
    assert digest() != first, "the object is another one of the same name"


def test_what_changed_since_the_plan_is_not_touched(plane):
    places = survey(side(plane), plane.state, workloads=True)
    plane.push({"apps/c.yaml": config_map("c", key="1")})
    plane.settle()
    plane.cluster.calls.clear()
    problems = uninstall(side(plane), places)
    assert problems == ["flux-system/apps: its inventory has changed meanwhile: look again, with --kubeconfig"]
    assert plane.config_map("c") == {"key": "1"}
    assert "Namespace/apps" not in deletes(plane), "nor what it lives in"


def test_another_planes_and_strangers_things_stay(plane):
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes", "namespace": "penstock-system"}}
    plane.cluster.create(mine)
    other = side(plane, uid="e" * 32)
    assert plan_lines(other, survey(other, plane.state, workloads=False), workloads=False) == [
        f"cluster prod: no inventory of this plane ({'e' * 32}) is there"
    ]
    assert uninstall(side(plane), survey(side(plane), plane.state, workloads=False)) == []
    left = plane.cluster.list(CONFIG_MAP, namespace="penstock-system").items
    assert [item["metadata"]["name"] for item in left] == ["notes"], "the namespace stays for its sake"


def test_an_inventory_that_cannot_be_read_stops_it(plane):
    held = plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps")
    plane.cluster.replace({**held, "data": {**held["data"], "inventory": "[]"}})
    with pytest.raises(Terminal, match="digest does not match"):
        survey(side(plane), plane.state, workloads=True)


class Here:
    """A runtime whose ports are the memory plane's."""

    def __init__(self, plane):
        self.plane, self.settings = plane, SimpleNamespace(kubeconfig=(), proxies={}, aws=None, google=None)
        self.bus = plane.bus

    def port(self, name):
        return OneCluster(self.plane.cluster) if name == "clusters" else getattr(self.plane, name)

    def deps(self, _stage):
        return self.plane.deps

    def publish(self, messages):
        for message in messages:
            self.plane.publish(message)

    def close(self):
        pass


def test_the_command_from_the_plan_to_the_end(plane, monkeypatch, capsys):
    monkeypatch.setattr("penstock.cli.uninstall.open_runtime", lambda _: Here(plane))
    command = ["uninstall", "--cluster", CLUSTER, "--delete-workloads"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    digest = shown.rpartition("--prune ")[2].split()[0]
    assert plane.writes() == []
    assert main([*command, "--yes", "--prune", "sha256:" + "0" * 64]) == 1
    assert digest in capsys.readouterr().err
    assert plane.writes() == []
    assert main([*command, "--yes", "--prune", digest]) == 0
    assert "cluster prod is orphaned" in capsys.readouterr().out
    assert plane.config_map("a") is None
    assert plane.state.list(f"object/{CLUSTER}/") == ()
    plane.settle(seconds=400)
    assert plane.live("v1", "Namespace", "", "penstock-system") is None, "nobody makes it anew"
    assert main(command) == 1
    assert "--kubeconfig" in capsys.readouterr().err


def test_a_workload_is_not_deleted_without_an_approval(plane, monkeypatch):
    monkeypatch.setattr("penstock.cli.uninstall.open_runtime", lambda _: Here(plane))
    assert main(["uninstall", "--cluster", CLUSTER, "--delete-workloads", "--yes"]) == 1
    assert deletes(plane) == []


def elsewhere():
    """A plane with a Kustomization that applies to another cluster by a ConfigMap."""
    plane = MemoryPlane()
    access = {"provider": "aws", "cluster": EKS, "serviceAccountName": "deployer"}
    plane.clusters.remote.create(yaml.safe_load(namespace("shop")))
    spec = {"kubeConfig": {"configMapRef": {"name": "remote"}}, "dependsOn": [{"name": "infra"}]}
    plane.push(
        {
            "clusters/prod/infra.yaml": kustomization("infra", "infra"),
            "clusters/prod/far.yaml": kustomization("far", "far", **spec),
            "infra/flux.yaml": namespace("flux-system"),
            "infra/remote.yaml": config_map("remote", "flux-system", **access),
            "far/a.yaml": config_map("a", "shop", key="1"),
        }
    )
    plane.settle()
    assert plane.ready("far").startswith("True"), plane.ready("far")
    return plane, plane.clusters.remote


@pytest.mark.parametrize("lost", [False, True], ids=["known", "records-lost"])
def test_what_a_config_map_leads_to_is_uninstalled_too(lost):
    plane, far = elsewhere()
    here = side(plane)
    here = replace(here, clusters=plane.clusters)
    if lost:
        for record in plane.state.list("object/"):
            plane.state.delete(record.key, expected=None)
    places = survey(here, plane.state, workloads=True)
    lines = plan_lines(here, places, workloads=True)
    assert sum(line.startswith("flux-system/far") for line in lines) == 1, lines
    assert "ConfigMap/shop/a deleted" in lines
    assert uninstall(here, places) == []
    assert far.get(CONFIG_MAP, "shop", "a") is None
    assert far.list(CONFIG_MAP, namespace="penstock-system").items == ()
    assert plane.cluster.list(CONFIG_MAP, namespace="penstock-system").items == ()


def test_a_cluster_that_is_not_reached_stops_nobody_else():
    plane, far = elsewhere()
    here = replace(side(plane), clusters=plane.clusters)
    plane.cluster.delete(plane.live("v1", "ConfigMap", "flux-system", "remote"))
    found = survey(here, plane.state, workloads=False)
    (told,) = [line for line in plan_lines(here, found, workloads=False) if line.startswith("not reached")]
    assert told.startswith("not reached, so what it applied there stays: flux-system/far: ")
    assert "flux-system/remote" in told
    (problem,) = uninstall(here, found)
    assert problem.startswith("flux-system/far: ")
    assert "--skip-unreachable" in problem
    left = plane.cluster.list(CONFIG_MAP, namespace="penstock-system").items
    assert [item["metadata"]["name"] for item in left] == ["kustomization.flux-system.far"], "another run finds it"
    again = survey(here, plane.state, workloads=False)
    assert uninstall(here, again, forget=True) == []
    assert plane.live("v1", "Namespace", "", "penstock-system") is None
    assert far.get(CONFIG_MAP, "shop", "a") is not None


def test_workloads_are_not_deleted_while_one_is_not_reached(monkeypatch, capsys):
    """Among them may be the Secret by which it would be."""
    plane, far = elsewhere()
    monkeypatch.setattr("penstock.cli.uninstall.open_runtime", lambda _: Here(plane))
    plane.cluster.delete(plane.live("v1", "ConfigMap", "flux-system", "remote"))
    plane.cluster.calls.clear()
    command = ["uninstall", "--cluster", CLUSTER, "--delete-workloads"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "not reached, so what it applied there stays: flux-system/far" in shown
    digest = shown.rpartition("--prune ")[2].split()[0]
    assert main([*command, "--yes", "--prune", digest]) == 1
    assert "flux-system/far: not reached" in capsys.readouterr().err
    assert plane.writes() == []
    assert main([*command, "--yes", "--prune", digest, "--skip-unreachable"]) == 0
    assert plane.live("v1", "Namespace", "", "flux-system") is None
    assert far.get(CONFIG_MAP, "shop", "a") is not None
