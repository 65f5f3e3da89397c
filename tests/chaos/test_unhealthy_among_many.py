"""Eleven Kustomizations that never become ready, among 128: the others are as quick as without them.

Real threads of an embedded plane, two places for reconciles. A check lasts ten minutes here, so whoever held a place
while waiting would keep everybody waiting.
"""

import time

import pytest
import yaml
from tests.memory_plane import CLUSTER, OneCluster, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.cli.plane import change_plane
from penstock.core.records import KustomizationStatus, status_key
from penstock.core.resources import ObjectRef
from penstock.core.tree import blob
from penstock.wiring import Runtime, settings_from
from penstock.wiring.embedded import EmbeddedPlane, Options

URL = "https://git.example.com/fleet"
UNHEALTHY = tuple(f"a{number:02}" for number in range(11))
HEALTHY = tuple(f"h{number:03}" for number in range(117))
AVAILABLE = {
    "observedGeneration": 1,
    "replicas": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
    "conditions": [{"type": "Available", "status": "True"}],
}


def deployment(name):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "registry/app:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": "apps"}
    return yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    **{f"clusters/prod/{name}.yaml": kustomization(name, name, wait=True) for name in (*UNHEALTHY, *HEALTHY)},
    **{f"{name}/d.yaml": deployment(name) for name in UNHEALTHY},
    **{f"{name}/c.yaml": config_map(name, key="1") for name in HEALTHY},
}


@pytest.fixture
def plane(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock.stages.reconcile.health.SLICE", 600.0)
    git, cluster, telemetry = MemoryGit(), MemoryCluster(), MemoryTelemetry()
    git.commit(URL, {path: blob(text.encode()) for path, text in FILES.items()}, subject="all")
    instead = {"clusters": lambda: OneCluster(cluster), "git": lambda: git, "telemetry": lambda: telemetry}
    settings = settings_from({}, data_dir=tmp_path / "data")
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": URL, "ref": {"branch": "main"}, "interval": "1h"},
            "clusters": [{"name": CLUSTER, "path": "clusters/prod"}],
        },
    }
    runtime = Runtime(settings, instead=instead)
    change_plane(runtime, document)
    runtime.close()
    with EmbeddedPlane(Options(settings=settings, instead=instead, threads={"reconcile": 2})) as made:
        made.cluster, made.telemetry = cluster, telemetry
        yield made
        for name in UNHEALTHY:
            cluster.set_status(ObjectRef(group="apps", kind="Deployment", namespace="apps", name=name), AVAILABLE)


def ready(plane, name):
    found = plane.runtime.port("state").get(status_key(CLUSTER, "Kustomization", "flux-system", name))
    return found is not None and KustomizationStatus.from_value(found.value).ready()


def until(condition, what, seconds=240.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def runs(plane, names):
    """Reconciles of these that have ended."""
    finished = plane.telemetry.named("stage finished")
    return [each["name"] for each in finished if each["stage"] == "reconcile" and each["name"] in names]


def quiet(plane):
    """Whether nothing is asked of the cluster for half a second."""
    asked = len(plane.cluster.calls)
    time.sleep(0.5)
    return len(plane.cluster.calls) == asked


def test_those_that_wait_keep_nobody_from_work(plane):
    until(lambda: all(ready(plane, name) for name in HEALTHY), "the healthy ones")
    until(lambda: sum(verb == "watch" for verb, _ in plane.cluster.calls) >= len(UNHEALTHY), "all checks to wait")
    assert runs(plane, UNHEALTHY) == [], "each of them waits in its first run"
    assert len(runs(plane, HEALTHY)) <= 1.2 * len(HEALTHY), "one run each, as alone"
    until(lambda: quiet(plane), "a watch asks nothing")
    assert not any(ready(plane, name) for name in UNHEALTHY)
    for name in UNHEALTHY:
        plane.cluster.set_status(ObjectRef(group="apps", kind="Deployment", namespace="apps", name=name), AVAILABLE)
    until(lambda: all(ready(plane, name) for name in UNHEALTHY), "what has become ready is seen at once")
    until(lambda: set(runs(plane, UNHEALTHY)) == set(UNHEALTHY), "their first runs to end")
    assert len(runs(plane, UNHEALTHY)) <= 1.2 * len(UNHEALTHY)
