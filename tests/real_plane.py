"""A whole plane on in-memory ports, but for the cluster: that one is a real API server.

Its clock is simulated: what the plane waits for passes at once, and real controllers get a moment now and then.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from tests.controlplane.fixtures import ControlPlane
from tests.memory_plane import MemoryPlane

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.cluster.transport import Patience
from penstock.ports.cluster import Clusters

REAL = [pytest.mark.real, pytest.mark.xdist_group("penstock-system")]  # of the one control plane of all workers
SECONDS = 30.0


class Hurried(SimulatedClock):
    """A sleep is as long as it says for the plane; here, a moment in which real controllers work."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.1))
        super().sleep(seconds)


class RealPlane(MemoryPlane):
    """``control_plane``: whose ``kubeconfig`` the plane gets; ``clusters``: instead of those made from it."""

    def __init__(
        self, control_plane: ControlPlane, *, policy: Mapping[str, Any] | None = None, clusters: Clusters | None = None
    ) -> None:
        super().__init__(policy=policy, clock=Hurried())
        self.api = control_plane
        self.deps = replace(self.deps, clusters=clusters or connections(control_plane))

    def forget_connections(self) -> None:
        """As a new process would begin."""
        self.deps = replace(self.deps, clusters=connections(self.api))

    def until(self, name: str, *starts: str, namespace: str = "flux-system", seconds: float = SECONDS) -> str:
        """Run until Ready begins in one of these ways (real time bounds it); Ready."""
        end = time.monotonic() + seconds
        while True:
            self.settle(seconds=10)
            ready = self.ready(name, namespace=namespace)
            if ready.startswith(starts):
                return ready
            assert time.monotonic() < end, ready
            time.sleep(0.1)

    def found(self, path: str) -> dict[str, Any] | None:
        """An object as an administrator sees it, by its path in the API."""
        status, answer = self.api.call("GET", path)
        return answer if status == 200 else None

    def errors(self, name: str) -> list[str]:
        """Events of severity error about a Kustomization: ``reason: message``."""
        about = [e for e in self.events if e.name == name and e.severity == "error"]
        return [f"{e.reason}: {e.message}" for e in about]


def connections(control_plane: ControlPlane, *, seconds: float = 10.0) -> KubeClusters:
    """Connections as penstock's own identity, which wait so long for an answer."""
    patience = Patience(total=seconds, attempts=3)
    return KubeClusters(lambda _: Kubeconfig(data=control_plane.read_kubeconfig()), patience=patience)


def tidy(control_plane: ControlPlane) -> None:
    """Forget what planes of tests have left in penstock-system."""
    selected = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dpenstock"
    for path in ("/api/v1/namespaces/{}/configmaps", "/apis/coordination.k8s.io/v1/namespaces/{}/leases"):
        control_plane.call("DELETE", f"{path.format('penstock-system')}?{selected}")


def text(*documents: Mapping[str, Any]) -> str:
    """Manifests as YAML."""
    return yaml.safe_dump_all([dict(each) for each in documents])


def eventually(check: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "this did not become true in time"
        time.sleep(0.1)
