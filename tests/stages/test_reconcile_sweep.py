"""Sweeps: Kustomizations whose interval is over, looked at together; who has something to write runs alone."""

import importlib

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.messages import ReconcileDue
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApplyOptions

NAMES = ("a", "b", "c", "d")
FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    **{f"clusters/prod/{name}.yaml": kustomization(name, name) for name in NAMES},
    **{f"{name}/{name}{n}.yaml": config_map(f"{name}{n}", key="1") for name in NAMES for n in range(3)},
}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(FILES)
    made.settle()
    assert all(made.ready(name).startswith("True") for name in NAMES)
    made.cluster.calls.clear()
    return made


def sent(plane):
    return [f"{verb} {what}" for verb, what in plane.cluster.calls]


def sweep(plane):
    first, *others = NAMES
    plane.publish(
        ReconcileDue(
            cluster=CLUSTER,
            namespace="flux-system",
            name=first,
            why="interval",
            others=tuple(f"flux-system/{name}" for name in others),
        )
    )
    plane.settle()


def last_due(plane, name):
    return plane.state.get(f"status/{CLUSTER}/Kustomization/flux-system/{name}").due


def test_one_list_a_kind_and_one_of_the_inventories(plane):
    before = {name: last_due(plane, name) for name in NAMES}
    plane.clock.advance(60)
    sweep(plane)
    assert sorted(sent(plane)) == ["list ConfigMap/", "list ConfigMap/penstock-system/"]
    assert all(last_due(plane, name) > before[name] for name in NAMES)


def test_who_has_drifted_is_repaired_by_a_run_of_its_own(plane):
    edited = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b1", "namespace": "apps"}}
    plane.cluster.apply({**edited, "data": {"key": "edited"}}, ApplyOptions(field_manager="kubectl"))
    plane.cluster.delete(plane.live("v1", "ConfigMap", "apps", "c0"))
    plane.cluster.calls.clear()
    sweep(plane)
    assert plane.config_map("b1") == {"key": "1"}
    assert plane.config_map("c0") == {"key": "1"}
    written = {what for verb, what in plane.writes() if "/apps/" in what}
    assert written == {"ConfigMap/apps/b1", "ConfigMap/apps/c0"}
    leases = {what for _, what in plane.writes() if what.startswith("Lease/")}
    assert len(leases) == 2, "nobody else has taken one"


def test_one_that_fails_stops_nobody(plane):
    """Its files changed, and nobody was told: it fails as it would alone."""
    plane.files["b/b1.yaml"] = "kind: ["
    plane.push({})
    plane.settle()
    assert plane.ready("b").startswith("False")
    before = {name: last_due(plane, name) for name in NAMES}
    plane.clock.advance(60)
    sweep(plane)
    assert plane.ready("b").startswith("False BuildFailed")
    assert all(last_due(plane, name) > before[name] for name in ("a", "c", "d"))


def test_a_defect_in_one_stops_nobody(plane, monkeypatch):
    run = importlib.import_module("penstock.stages.reconcile.run")
    real = run.open_source

    def broken(attempt):
        if attempt.message.name == "b" and attempt.shared is not None:
            raise ZeroDivisionError
        return real(attempt)

    monkeypatch.setattr(run, "open_source", broken)
    before = {name: last_due(plane, name) for name in NAMES}
    plane.clock.advance(60)
    sweep(plane)
    assert all(last_due(plane, name) > before[name] for name in NAMES), "b by a message of its own"
    assert plane.telemetry.named("sweep left one out")


def test_one_that_was_removed_or_suspended_meanwhile(plane):
    plane.push({"clusters/prod/b.yaml": None, "clusters/prod/c.yaml": kustomization("c", "c", suspend=True)})
    plane.settle()
    assert plane.config_map("b1") is None
    sweep(plane)  # the others show the new revision
    plane.cluster.calls.clear()
    sweep(plane)
    assert not plane.writes()
    assert not plane.known("Kustomization", "b")


def test_an_identity_that_may_not_list_everywhere_reads_by_namespace(plane, monkeypatch):
    from penstock.core.errors import Refused

    real = type(plane.cluster).list

    def narrow(self, gvk, *, namespace="", label_selector=""):
        if not namespace:
            raise Refused("may not list everywhere")
        return real(self, gvk, namespace=namespace, label_selector=label_selector)

    monkeypatch.setattr(type(plane.cluster), "list", narrow)
    sweep(plane)
    assert not plane.writes()
    assert sent(plane).count("list ConfigMap/apps/") == len(NAMES)


def test_the_schedule_lets_them_be_looked_at_together(plane):
    """Intervals of ten minutes, spread by a tenth: one sweep finds them all."""
    first = min(last_due(plane, name) for name in NAMES)
    while plane.clock.now().timestamp() < first:
        plane.clock.advance(1)
        plane.tick()
        plane.cluster.calls.clear()
        plane.settle(seconds=0)
    asked = sent(plane)
    assert asked.count("list ConfigMap/penstock-system/") == asked.count("list ConfigMap/") == 1, asked
    assert len(asked) <= 4, asked
    assert all(last_due(plane, name) > first + 500 for name in NAMES)


def test_the_root_of_the_tree_is_no_exception(plane):
    found = plane.cluster.get(Gvk(version="v1", kind="Namespace"), "", "apps")
    plane.cluster.delete(found)
    plane.reconcile("flux-system", why="interval")
    assert plane.live("v1", "Namespace", "", "apps") is not None
