"""A cluster as Flux leaves it: its Kustomizations, their inventories, its field manager, on any Cluster port.

The formats are Flux's own (kustomize.toolkit.fluxcd.io/v1: ``status.inventory.entries[] = {id, v}``, conditions,
``finalizers.fluxcd.io``, owner labels, field managers ``kustomize-controller`` for what it applies and
``gotk-kustomize-controller`` for status); the definitions are reduced to their shape.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from penstock.core.reconcile.inventory import object_id
from penstock.core.resources import Gvk, gvk_of, ref_of
from penstock.ports.cluster import ApplyOptions, Cluster

GROUP = "kustomize.toolkit.fluxcd.io"
KUSTOMIZATION = Gvk(group=GROUP, version="v1", kind="Kustomization")
ROOT = "flux-system"
MANAGER = "kustomize-controller"


def definition(group: str, kind: str, plural: str) -> dict[str, Any]:
    """A CustomResourceDefinition of Flux in its shape: namespaced, v1, a status subresource, open below."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": schema, "status": schema},
                "x-kubernetes-preserve-unknown-fields": True,
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": {"app.kubernetes.io/part-of": "flux"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


DEFINITIONS = (
    definition(GROUP, "Kustomization", "kustomizations"),
    definition("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
    definition("helm.toolkit.fluxcd.io", "HelmRelease", "helmreleases"),
)


class FluxWorld:
    """``reconcile`` plays kustomize-controller's run of one Kustomization; suspended ones it leaves alone."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def install(self, url: str) -> None:
        """Definitions, namespace, and the source at ``url``."""
        namespace = {"name": ROOT, "labels": {"app.kubernetes.io/part-of": "flux"}}
        for each in (*DEFINITIONS, {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace}):
            self.cluster.apply(each, ApplyOptions(field_manager=MANAGER))
        self.wait_served()

    def wait_served(self) -> None:
        import time

        end = time.monotonic() + 20
        while any(
            self.cluster.resource_type(d["spec"]["group"], d["spec"]["names"]["kind"]) is None for d in DEFINITIONS
        ):
            assert time.monotonic() < end
            time.sleep(0.1)
            self.cluster.refresh_discovery()

    def live(self, name: str, namespace: str = ROOT) -> dict[str, Any]:
        found = self.cluster.get(KUSTOMIZATION, namespace, name)
        assert found is not None, name
        return found

    def inventory(self, name: str, namespace: str = ROOT) -> list[str]:
        status = self.live(name, namespace).get("status") or {}
        return [each["id"] for each in (status.get("inventory") or {}).get("entries") or ()]

    def set_status(self, gvk: Gvk, name: str, status: Mapping[str, Any], namespace: str = ROOT) -> None:
        live = self.cluster.get(gvk, namespace, name)
        assert live is not None
        self.cluster.replace_status({**live, "status": dict(status)})

    def at(self, revision: str, name: str = ROOT) -> None:
        """source-controller has fetched: a GitRepository's artifact is of this revision."""
        gvk = Gvk(group="source.toolkit.fluxcd.io", version="v1", kind="GitRepository")
        self.set_status(gvk, name, {"artifact": {"revision": revision}})

    def reconcile(
        self, name: str, documents: Iterable[str | dict[str, Any]], *, revision: str = "", namespace: str = ROOT
    ) -> list[str]:
        """One run: apply with owner labels, prune what left, write the inventory; what it pruned."""
        made = [yaml.safe_load(d) if isinstance(d, str) else d for d in documents]
        before = self.cluster.get(KUSTOMIZATION, namespace, name)
        if before is not None and (before.get("spec") or {}).get("suspend"):
            return []
        old = {e["id"]: e["v"] for e in ((before or {}).get("status") or {}).get("inventory", {}).get("entries", ())}
        entries: dict[str, str] = {}
        for document in made:
            labels = {f"{GROUP}/name": name, f"{GROUP}/namespace": namespace}
            metadata = document["metadata"]
            metadata = {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}
            self.cluster.apply({**document, "metadata": metadata}, ApplyOptions(field_manager=MANAGER))
            entries[object_id(ref_of(document))] = gvk_of(document).version
        pruned = [identity for identity in old if identity not in entries]
        status = {
            "inventory": {"entries": [{"id": identity, "v": version} for identity, version in sorted(entries.items())]},
            "lastAppliedRevision": revision,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "ReconciliationSucceeded",
                    "message": f"Applied revision: {revision}",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        }
        self.set_status(KUSTOMIZATION, name, status, namespace)
        return pruned
