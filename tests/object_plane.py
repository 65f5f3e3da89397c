"""A plane in memory whose cluster is the real API server: one namespace, one object, one Kustomization."""

import time
from dataclasses import replace

import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, kustomization

from penstock.core.records import object_key
from penstock.core.resources import Gvk


class RealPlane(MemoryPlane):
    def __init__(self, clusters, space):
        super().__init__()
        self.deps = replace(self.deps, clusters=clusters)
        self.real, self.space = clusters.connect(CLUSTER), space

    def apply(self, manifest, **spec):
        """Push the object and the Kustomization's fields; its Ready."""
        manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.space}}
        made = kustomization(self.space, "apps", **spec)
        revision = self.push({"clusters/prod/apps.yaml": made, "apps/object.yaml": yaml.safe_dump(manifest)})
        for _ in range(10):  # simulated seconds pass at once, a busy API server's don't
            self.settle(seconds=20)
            status = self.status(self.space)
            generation = self.state.get(object_key(CLUSTER, "Kustomization", "flux-system", self.space))
            seen = generation is not None and status.observed_generation == generation.value["generation"]
            if seen and status.last_attempted_revision == revision and not self.ready(self.space).startswith("Unknown"):
                break
            time.sleep(0.5)
        return f"{self.ready(self.space)} ({revision}, attempted {status.last_attempted_revision})"

    def found(self, manifest):
        group, _, version = manifest["apiVersion"].rpartition("/")
        gvk = Gvk(group=group, version=version, kind=manifest["kind"])
        return self.real.get(gvk, self.space, manifest["metadata"]["name"])
