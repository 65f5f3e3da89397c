"""A plane whose ports are all in memory: real stages, real cores, no process and no network; and one on a real cluster."""

import pytest
from tests.object_plane import RealPlane

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig


@pytest.fixture
def real(control_plane, real_namespace):
    """real(spec, manifest): a plane on the real API server that has reconciled one object; and real.push(...)."""
    clusters = KubeClusters(lambda _: Kubeconfig(data=control_plane.read_kubeconfig()))
    yield RealPlane(clusters, real_namespace)
    for kind in ("configmaps", "leases"):
        group = "/apis/coordination.k8s.io/v1" if kind == "leases" else "/api/v1"
        control_plane.call("DELETE", f"{group}/namespaces/penstock-system/{kind}")
    clusters.close()
