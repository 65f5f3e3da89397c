"""What one build shares from its root to its deepest base, and what it gathers on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.core.errors import BuildFailed, Refused
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import ResId, Resource
from penstock.core.kustomize.schema_data import CLUSTER_SCOPED, NAMESPACED
from penstock.core.kustomize.transformer_config import EMPTY, TransformerConfig


def is_precomputed(api_version: str, kind: str) -> bool:
    """Whether kustomize knows the scope of a kind without reading a schema."""
    return kind in CLUSTER_SCOPED.get(api_version, ()) or kind in NAMESPACED.get(api_version, ())


_POLICY_VERSION = "admissionregistration.k8s.io/v1"
_POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


@dataclass(kw_only=True, slots=True)
class Session:
    """What one build shares from its root to its deepest base.

    ``tracking``: origins and transformations are recorded (the root has ``buildMetadata``). ``schema`` changes once,
    by the first kustomization that has ``openapi``; once the built-in kinds were in use, a schema adds to them.
    ``charts``: those that were pulled, by ChartReference.
    """

    cache: ParseCache
    schema: Schema
    tracking: bool = False
    warnings: list[str] = field(default_factory=list)
    documents: int = 0
    policies_in_namespaces: bool = False
    schema_is_set: bool = False
    builtin_in_use: bool = False
    charts: dict[Any, Any] = field(default_factory=dict)

    def scopes(self, api_version: str, kind: str) -> bool:
        """Whether a kind is certainly cluster-scoped."""
        if self.policies_in_namespaces and kind in _POLICIES and api_version == _POLICY_VERSION:
            return False
        self.note_kind(api_version, kind)
        return self.schema.cluster_scoped(api_version, kind)

    def note_kind(self, api_version: str, kind: str) -> None:
        """A kind was met: whether the built-in schema is in use from now on."""
        if not self.builtin_in_use and not is_precomputed(api_version, kind):
            self.builtin_in_use = True

    def count(self, documents: int, path: str, bound: int) -> None:
        """Objects were loaded from ``path``. Raises Refused where there are more than ``bound`` in all."""
        self.documents += documents
        if self.documents > bound:
            raise Refused(f"{path}: the build has more than {bound} objects")

    def accumulated(self, *, plugins: bool = False) -> "Accumulated":
        """Nothing yet. ``plugins``: it will be documents of plugins."""
        return Accumulated(resources=ResMap(results=self.cache.results), plugins=plugins)


@dataclass(kw_only=True, slots=True)
class Accumulated:
    """Resources, and the rules and variables for the steps that come last.

    ``plugins``: the resources configure generators or transformers, and know the files that they stand in.
    """

    plugins: bool = False
    resources: ResMap = field(default_factory=ResMap)
    config: TransformerConfig = EMPTY
    variables: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def absorb(self, other: "Accumulated", where: str) -> None:
        """Add what a base gave. Raises BuildFailed where both have an object or a variable."""
        try:
            self.resources.append_all(other.resources)
        except BuildFailed as error:
            raise BuildFailed(f"merging resources from '{where}': {error}") from error
        self.config = self.config.merge(other.config)
        for name, variable in other.variables.items():
            self.add_variable(name, variable)

    def add_variable(self, name: str, variable: Mapping[str, Any]) -> None:
        """Add one of ``vars``. Raises BuildFailed where the name is taken."""
        if name in self.variables:
            raise BuildFailed(f"vars: var '{name}' already encountered")
        self.variables[name] = variable


_INTERNAL = "internal.config.kubernetes.io/"


def loaded(resource: Resource) -> Resource:
    """A resource as it comes from a file; what it says in kustomize's own annotations becomes attributes."""
    annotations = resource.annotations
    if not any(key.startswith(_INTERNAL) for key in annotations):
        return resource
    found = {key.removeprefix(_INTERNAL): value for key, value in annotations.items()}
    return replace(
        resource,
        needs_hash=found.get("needsHashSuffix") == "enabled",
        behavior=found.get("generatorBehavior", ""),
        helm=found.get("helm-generated") == "true",
        prefixes=tuple(found["prefixes"].split(",")) if "prefixes" in found else (),
        suffixes=tuple(found["suffixes"].split(",")) if "suffixes" in found else (),
        previous=_previous(resource.id, found),
    )


def _previous(present: ResId, found: Mapping[str, str]) -> tuple[ResId, ...]:
    columns = [
        found[key].split(",") for key in ("previousKinds", "previousNames", "previousNamespaces") if key in found
    ]
    if len(columns) != 3 or len({len(column) for column in columns}) != 1:
        return ()
    return tuple(
        present._replace(kind=kind, name=name, namespace=namespace)
        for kind, name, namespace in zip(*columns, strict=True)
    )
