"""The demo tells its story on every cluster that there is, and says so in its exit status."""

import json

import pytest
from tests.flux_world import FluxWorld
from tests.memory_plane import UID, config_map, kustomization
from tests.real_plane import RealPlane, connections, tidy

from penstock.cli import main


def test_on_the_simulated_cluster(capsys):
    assert main(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["total"]) == (7, 7)
    assert sum(step["seconds"] for step in told["steps"]) < 60


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")  # of the one control plane that all workers share
def test_on_a_real_cluster_in_namespaces_of_its_own(capsys, control_plane):
    assert main(["demo", "--kubeconfig", str(control_plane.kubeconfig)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("demo: 7 of 7 steps passed")


@pytest.fixture
def named(control_plane, tmp_path):
    """A kubeconfig of an administrator whose requests the audit log tells from all others."""
    file = tmp_path / "kubeconfig"
    file.touch(mode=0o600)
    file.write_bytes(control_plane.kubeconfig_for("demonstrator"))
    return str(file)


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")
@pytest.mark.parametrize("owner", ["plane", "flux"])
def test_beside_a_live_owner_it_writes_nothing_and_names_him(capsys, control_plane, real_namespace, named, owner):
    if owner == "plane":
        plane = RealPlane(control_plane)
        files = {"clusters/prod/apps.yaml": kustomization("apps", "apps")}
        plane.push({**files, "apps/a.yaml": config_map("a", real_namespace, key="1")})
        plane.until("apps", "True")
        said = f"a plane works in this cluster (namespace penstock-system, {UID}/prod)"
    else:
        tidy(control_plane)
        world = FluxWorld(connections(control_plane).connect("prod"))
        world.install("https://git.example.com/fleet")
        world.reconcile("flux-system", [kustomization("flux-system", "clusters/prod")])
        said = "Flux reconciles Kustomization flux-system/flux-system in this cluster"
    try:
        with control_plane.recorded("demonstrator") as records:
            assert main(["demo", "--kubeconfig", named]) == 1
        assert [f"{r['verb']} {r['requestURI']}" for r in records if r["verb"] not in ("get", "list")] == []
        assert records, "it looked"
        assert said in capsys.readouterr().err
    finally:
        tidy(control_plane)
        if owner == "flux":
            remove_flux(control_plane)


def remove_flux(control_plane):
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for each in control_plane.call("GET", definitions)[1]["items"]:
        name = each["metadata"]["name"]
        if name.endswith(".toolkit.fluxcd.io"):
            path = f"/apis/{each['spec']['group']}/v1/namespaces/flux-system/{each['spec']['names']['plural']}"
            for item in control_plane.call("GET", path)[1].get("items") or ():
                body = {"metadata": {"finalizers": None}}
                merge = {"Content_Type": "application/merge-patch+json"}
                control_plane.call("PATCH", f"{path}/{item['metadata']['name']}", body, **merge)
            control_plane.call("DELETE", f"{definitions}/{name}")


def test_a_failing_step_is_the_exit_status(capsys, monkeypatch):
    from penstock.cli.demo import steps

    monkeypatch.setattr("penstock.cli.demo.STEPS", (_fails,))
    assert main(["demo"]) == 1
    said = capsys.readouterr().out
    assert "FAILED: it is not so" in said
    assert said.rstrip().endswith("demo: 0 of 1 steps passed")
    assert steps.STEPS


def _fails(_world):
    """A step that finds something else."""
    from penstock.cli.demo.steps import check

    check(False, "it is not so")
    return {}
