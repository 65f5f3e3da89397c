"""A Kustomization moves to another parent with all that came of it: nothing is deleted, whoever runs first."""

import itertools

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.messages import ReconcileDue

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/a.yaml": kustomization("a", "a"),
    "clusters/prod/d.yaml": kustomization("d", "d"),
    "a/b.yaml": kustomization("b", "b"),
    "b/c.yaml": kustomization("c", "c"),
    **{f"{name}/of-{name}.yaml": config_map(f"of-{name}") for name in "abcd"},
}
MOVE = {"clusters/prod/a.yaml": None, "d/a.yaml": FILES["clusters/prod/a.yaml"]}


def run(plane, name):
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="again"))
    plane.run_only(name)


@pytest.mark.parametrize("order", list(itertools.permutations("abcd")), ids="".join)
@pytest.mark.parametrize("rounds", [1, 2])
def test_what_came_of_it_goes_along(order, rounds):
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    plane.cluster.calls.clear()
    plane.push(MOVE)
    while plane.step_stage("fetch"):
        pass
    run(plane, "flux-system")
    for _ in range(rounds):
        for name in order:
            run(plane, name)
    plane.settle()
    assert [what for verb, what in plane.cluster.calls if verb == "delete"] == []
    for name in "abcd":
        assert plane.ready(name).startswith("True"), plane.ready(name)
        assert not plane.status(name).waiting_for
    assert not [each for each in plane.events if each.severity == "error"]
