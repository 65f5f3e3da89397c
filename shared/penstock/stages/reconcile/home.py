"""Our own namespace in a target cluster, made when first needed."""

import contextlib

from penstock.core.errors import Conflict, NotFound
from penstock.core.reconcile.inventory import NAMESPACE
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster


def create_at_home(cluster: Cluster, manifest: Manifest) -> Manifest:
    """POST an object into penstock-system, which is created where it is missing. Raises Conflict where it exists."""
    try:
        return cluster.create(manifest)
    except NotFound:
        namespace: Manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "penstock"}},
        }
        with contextlib.suppress(Conflict):  # another run was quicker
            cluster.create(namespace)
        return cluster.create(manifest)
