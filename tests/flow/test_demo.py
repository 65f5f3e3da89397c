"""The demo tells its story on every cluster that there is, and says so in its exit status."""

import json

import pytest

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
