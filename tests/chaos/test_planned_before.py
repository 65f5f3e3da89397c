"""A plan is made before the Lease is held: the run that held it then goes on, ends, and has made what the plan did not see.

Nobody forgets that: neither a newer run of the Kustomization, nor its removal.
"""

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import yaml
from tests.chaos.interrupted import Clusters, at_each_call, fetched, reconciles, standing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.core.errors import Transient

NAME = "kustomization.flux-system.apps"
FIRST = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/kept.yaml": config_map("kept", key="1"),
}
SECOND = {**FIRST, "apps/new.yaml": config_map("new", key="1"), "apps/zone.yaml": config_map("zone", key="1")}
THIRD = {
    "forgets, and has nothing to write": FIRST,
    "writes, too": {**FIRST, "apps/kept.yaml": config_map("kept", key="3")},
    "removed": {name: text for name, text in FIRST.items() if not name.endswith("/apps.yaml")},
}


class Paused:
    """The cluster of a run that stops before it applies ``name``; ``fails``: what comes after that is refused."""

    def __init__(self, cluster, reached, go, *, name, fails):
        self._cluster, self._reached, self._go, self._name, self._fails = cluster, reached, go, name, fails

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def apply(self, manifest, options):
        if not options.dry_run and manifest["metadata"]["name"] == self._name:
            self._reached.set()
            self._go.wait()
        if self._fails and not options.dry_run and manifest["metadata"]["name"] == "zone":
            raise Transient("503")
        return self._cluster.apply(manifest, options)


@contextmanager
def going(plane, *, name, fails):
    """An older run that holds the Lease; the block gets what lets it go on to its end."""
    reached, go, deps = threading.Event(), threading.Event(), plane.deps
    clusters = Clusters(deps.clusters, lambda cluster: Paused(cluster, reached, go, name=name, fails=fails))
    plane.deps = replace(deps, clusters=clusters)
    older = threading.Thread(target=reconciles("apps"), args=(plane,))
    older.start()
    assert reached.wait(10)
    plane.deps = deps

    def ends():
        go.set()
        older.join(10)
        assert not older.is_alive()

    try:
        yield ends
    finally:
        ends()


def gone_by(plane, seconds):
    plane.settle(seconds=30)
    for _ in range(int(seconds // 300)):
        plane.clock.advance(300)
        plane.tick()
        plane.settle(seconds=30)


@pytest.mark.parametrize("older", ["ends well", "fails", "takes over what was nobody's"])
@pytest.mark.parametrize("what", THIRD)
def test_what_was_made_before_the_lease_was_free_is_not_left_behind(what, older):
    with ExitStack() as stack:

        def make():
            plane = standing(MemoryPlane(), FIRST, SECOND)
            taken = older == "takes over what was nobody's"
            if taken:
                plane.cluster.create(yaml.safe_load(SECOND["apps/zone.yaml"]))
            plane.ends = stack.enter_context(going(plane, name="zone" if taken else "new", fails=older == "fails"))
            fetched(plane, THIRD[what])
            if what == "removed":
                reconciles("flux-system")(plane)
            return plane

        for at, plane in at_each_call(make, reconciles("apps", "removed"), lambda plane: plane.ends(), least=12):
            gone_by(plane, 1500)
            assert plane.config_map("new") is None, at
            assert plane.config_map("zone") is None, at
            assert plane.known("Kustomization", "apps") is (what != "removed"), at
            held = plane.live("v1", "ConfigMap", "penstock-system", NAME)
            names = held["data"]["inventory"] if held is not None else "none"
            assert names == ("none" if what == "removed" else '["apps_kept__ConfigMap@v1"]'), at
