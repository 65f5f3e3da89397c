"""``replicas``: the number of replicas of the workloads with a name."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpecs, update
from penstock.core.kustomize.filters.values import set_scalar
from penstock.core.kustomize.resmap import ResMap


def set_replicas(resources: ResMap, replicas: tuple[Mapping[str, Any], ...], specs: FieldSpecs) -> None:
    """Set each count. An object is found by any name that it has or had. Raises BuildFailed where none is."""
    by_name: dict[str, list[int]] = {}
    for index, resource in enumerate(resources):
        for name in {known.name for known in resource.ids}:
            by_name.setdefault(name, []).append(index)
    for replica in replicas:
        name, setter = replica.get("name", ""), set_scalar(int(replica.get("count", 0)))
        found = False
        for spec in specs:
            for index in by_name.get(name, ()):
                resource = resources[index]
                if not any(old.name == name and spec.selects(*old[:3]) for old in resource.ids):
                    continue
                found = True
                if spec.selects(*resource.id[:3]):
                    resources.set(index, resource.with_manifest(update(resource, (spec,), setter, "")))
        if not found:
            kinds = ", ".join(spec.kind or "any kind" for spec in specs)
            raise BuildFailed(f"replicas: resource with name {name} does not match a config with {kinds}")
