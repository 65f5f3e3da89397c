"""A source that goes and comes while somebody looks at it: what is declared has an artifact, what is not has no record.

A run is interrupted before each of its calls by all of what others do; nobody waits for an interval afterwards.
"""

import pytest
import yaml
from tests.chaos.interrupted import at_each_call, fetched, reconciles, standing
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.messages import SourceChanged
from penstock.core.records import SourceStatus, object_key, status_key
from penstock.core.tree import blob

EXTRA = (CLUSTER, "GitRepository", "flux-system", "extra")
URL = "https://git.example.com/extra"


def repository():
    metadata = {"name": "extra", "namespace": "flux-system"}
    spec = {"url": URL, "interval": "5m", "ref": {"branch": "main"}}
    api = "source.toolkit.fluxcd.io/v1"
    return yaml.safe_dump({"apiVersion": api, "kind": "GitRepository", "metadata": metadata, "spec": spec})


WITHOUT = {
    "clusters/prod/keep.yaml": config_map("keep", "default"),
    "clusters/prod/one.yaml": kustomization("one", "one"),
    "clusters/prod/two.yaml": kustomization("two", "two"),
    "one/a.yaml": config_map("a", "default", x="1"),
    "two/b.yaml": config_map("b", "default", x="1"),
}
IN_ONE = {**WITHOUT, "one/extra.yaml": repository()}
IN_TWO = {**WITHOUT, "two/extra.yaml": repository()}


def stands(*commits):
    """A new plane at these commits: see ``standing``."""
    plane = MemoryPlane()
    plane.git.commit(URL, {"README.md": blob(b"extra")})
    return standing(plane, *commits)


def looks(plane):
    """One look of fetch at the source."""
    plane.publish(SourceChanged(cluster=CLUSTER, namespace="flux-system", name="extra"))
    plane.step_stage("fetch")


def check(plane, at, *, declared):
    plane.settle(seconds=30)
    assert (plane.state.get(object_key(*EXTRA)) is not None) is declared, at
    found = plane.state.get(status_key(*EXTRA))
    assert (found is not None) is declared, f"{at}: {found}"
    if found is not None:
        assert plane.storage.has(SourceStatus.from_value(found.value).artifact), at
        assert found.due is not None, at


def comes_again(plane):
    """Another Kustomization declares it: the commit after, all of it."""
    fetched(plane, IN_TWO)
    reconciles("two")(plane)
    plane.settle(seconds=0)


def test_a_look_at_what_is_gone_leaves_alone_what_came_again():
    for at, plane in at_each_call(lambda: stands(IN_ONE, WITHOUT), reconciles("one"), comes_again):
        check(plane, at, declared=True)


def gone(plane):
    reconciles("one")(plane)


def test_a_look_does_not_bring_back_the_status_of_a_source_that_has_gone():
    def made():
        plane = stands(IN_ONE, WITHOUT)
        plane.state.delete(status_key(*EXTRA), expected=None)
        return plane

    for at, plane in at_each_call(made, looks, gone, least=3):
        check(plane, at, declared=False)


def comes_back(plane):
    fetched(plane, IN_ONE)
    reconciles("one")(plane)
    while plane.step_stage("fetch"):
        pass


def test_the_last_look_at_a_source_that_has_gone_leaves_the_status_of_one_that_comes_again():
    def made():
        plane = stands(IN_ONE, WITHOUT)
        reconciles("one")(plane)
        plane.settle(seconds=0)
        return plane

    for at, plane in at_each_call(made, looks, comes_back, least=1):
        check(plane, at, declared=True)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")], ids=lambda o: f"{o[1]} in the middle of {o[0]}")
def test_a_source_that_moves_is_handed_over(order):
    for at, plane in at_each_call(lambda: stands(IN_ONE, IN_TWO), *map(reconciles, order), least=5):
        check(plane, at, declared=True)


def test_a_kustomization_that_comes_again_keeps_its_status():
    """Its removal ends while it is declared again, and runs."""
    without = {path: text for path, text in WITHOUT.items() if "one" not in path}

    def made():
        plane = stands(WITHOUT, without)
        reconciles("flux-system")(plane)
        return plane

    def again(plane):
        fetched(plane, WITHOUT)
        reconciles("flux-system")(plane)
        reconciles("one")(plane)

    for at, plane in at_each_call(made, reconciles("one"), again):
        plane.settle(seconds=30)
        found = plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", "one"))
        assert plane.ready("one").startswith("True"), f"{at}: {plane.ready('one')}"
        assert found.due is not None, at
        assert plane.config_map("a", "default") == {"x": "1"}, at
