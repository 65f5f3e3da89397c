"""The kustomization file: every field of v1beta1 Kustomization and v1alpha1 Component, checked and normalised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.core.errors import BuildFailed, InvalidDocument
from penstock.core.kustomize.fields import (
    Shape,
    Where,
    boolean,
    exact,
    integer,
    list_of,
    map_of,
    mapping,
    string,
    struct,
)
from penstock.core.kustomize.transformer_config import spec_of
from penstock.core.kustomize.yaml_in import load_config

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
COMPONENT = "Component"
_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    COMPONENT: "kustomize.config.k8s.io/v1alpha1",
}
_DEPRECATED = {
    "bases": "resources",
    "commonLabels": "labels",
    "imageTags": "images",
    "patchesJson6902": "patches",
    "patchesStrategicMerge": "patches",
    "vars": "replacements",
}

_STRINGS = list_of(string)
_STRING_MAP = map_of(string)
_EXACT = exact(string)
_EXACT_LIST = list_of(_EXACT)
_GVK: dict[str, Shape] = {"group": _EXACT, "version": _EXACT, "kind": _EXACT}
_ID: dict[str, Shape] = {**_GVK, "name": _EXACT, "namespace": _EXACT}
SELECTOR = struct({**_ID, "annotationSelector": string, "labelSelector": string})
PATCH: dict[str, Shape] = {
    "path": string,
    "patch": string,
    "target": SELECTOR,
    "options": struct({"allowNameChange": boolean, "allowKindChange": boolean}),
}
_OPTIONS = struct(
    {
        "labels": _STRING_MAP,
        "annotations": _STRING_MAP,
        "disableNameSuffixHash": boolean,
        "immutable": boolean,
    }
)
GENERATOR: dict[str, Shape] = {
    "name": _EXACT,
    "namespace": _EXACT,
    "behavior": _EXACT,
    "literals": _EXACT_LIST,
    "files": _EXACT_LIST,
    "envs": _EXACT_LIST,
    "env": _EXACT,
    "options": exact(_OPTIONS),
}
_FIELD_OPTIONS = struct({"delimiter": string, "index": integer, "encoding": string, "create": boolean})
REPLACEMENT: dict[str, Shape] = {
    "source": struct({**_ID, "fieldPath": string, "options": _FIELD_OPTIONS}),
    "sourceValue": string,
    "targets": list_of(
        struct(
            {
                "select": SELECTOR,
                "reject": list_of(SELECTOR),
                "fieldPaths": _STRINGS,
                "options": _FIELD_OPTIONS,
            }
        )
    ),
}
_VAR = struct(
    {
        "name": string,
        "objref": struct({**_GVK, "apiVersion": string, "name": string, "namespace": string}),
        "fieldref": struct({"fieldPath": string}),
    }
)
IMAGE = struct({"name": string, "newName": string, "tagSuffix": string, "newTag": string, "digest": string})
REPLICA = struct({"name": string, "count": integer})
_LABEL = struct(
    {
        "pairs": _STRING_MAP,
        "includeSelectors": boolean,
        "includeTemplates": boolean,
        "includeVolumeClaimTemplates": boolean,
        "fields": list_of(spec_of),
    }
)
HELM_GLOBALS: dict[str, Shape] = {"chartHome": string, "configHome": string}
HELM_CHART: dict[str, Shape] = {
    "name": string, "version": string, "repo": string, "releaseName": string, "namespace": string,
    "additionalValuesFiles": _STRINGS, "valuesFile": string, "valuesInline": mapping,
    "valuesMerge": string, "includeCRDs": boolean, "skipHooks": boolean, "apiVersions": _STRINGS,
    "kubeVersion": string, "nameTemplate": string, "skipTests": boolean, "debug": boolean,
    "devel": boolean,
}  # fmt: skip
_HELM_ARGS = struct(
    {
        "chartName": string, "chartVersion": string, "chartRepoUrl": string, "chartHome": string,
        "chartRepoName": string, "helmBin": string, "helmHome": string, "values": string,
        "valuesLocal": mapping, "valuesMerge": string, "releaseName": string, "releaseNamespace": string,
        "extraArgs": _STRINGS,
    }
)  # fmt: skip
_SHAPES: dict[str, Shape] = {
    "apiVersion": string,
    "kind": string,
    "metadata": struct({"name": string, "namespace": string, "labels": _STRING_MAP, "annotations": _STRING_MAP}),
    "openapi": _STRING_MAP,
    "namePrefix": string,
    "nameSuffix": string,
    "namespace": string,
    "commonLabels": _STRING_MAP,
    "labels": list_of(_LABEL),
    "commonAnnotations": _STRING_MAP,
    "patchesStrategicMerge": _STRINGS,
    "patchesJson6902": list_of(struct(PATCH)),
    "patches": list_of(struct(PATCH)),
    "images": list_of(IMAGE),
    "imageTags": list_of(IMAGE),
    "replacements": list_of(exact(struct({**REPLACEMENT, "path": string}))),
    "replicas": list_of(REPLICA),
    "vars": list_of(_VAR),
    "sortOptions": struct(
        {"order": string, "legacySortOptions": struct({"orderFirst": _STRINGS, "orderLast": _STRINGS})}
    ),
    "resources": _STRINGS,
    "components": _STRINGS,
    "crds": _STRINGS,
    "bases": _STRINGS,
    "configMapGenerator": list_of(struct(GENERATOR)),
    "secretGenerator": list_of(struct({**GENERATOR, "type": string})),
    "helmGlobals": struct(HELM_GLOBALS),
    "helmCharts": list_of(struct(HELM_CHART)),
    "helmChartInflationGenerator": list_of(_HELM_ARGS),
    "generatorOptions": _OPTIONS,
    "configurations": _STRINGS,
    "generators": _STRINGS,
    "transformers": _STRINGS,
    "validators": _STRINGS,
    "buildMetadata": _STRINGS,
}
_CHECK = struct(_SHAPES)

Entries = tuple[Mapping[str, Any], ...]
Strings = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kustomization:
    """What one kustomization file says. ``file``: where it stands. Entries keep the keys of the file format.

    Deprecated fields are already part of those that replaced them: ``bases`` of ``resources``, ``imageTags`` of
    ``images``, ``env`` of ``envs``.
    """

    file: str
    kind: str = "Kustomization"
    namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    resources: Strings = ()
    components: Strings = ()
    crds: Strings = ()
    configurations: Strings = ()
    generators: Strings = ()
    transformers: Strings = ()
    validators: Strings = ()
    build_metadata: Strings = ()
    patches_strategic_merge: Strings = ()
    patches_json6902: Entries = ()
    patches: Entries = ()
    labels: Entries = ()
    common_labels: Mapping[str, str] = field(default_factory=dict)
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    images: Entries = ()
    replicas: Entries = ()
    replacements: Entries = ()
    vars: Entries = ()
    config_map_generator: Entries = ()
    secret_generator: Entries = ()
    generator_options: Mapping[str, Any] | None = None
    helm_charts: Entries = ()
    helm_chart_inflation_generator: Entries = ()
    helm_globals: Mapping[str, Any] | None = None
    openapi: Mapping[str, str] = field(default_factory=dict)
    sort_options: Mapping[str, Any] | None = None
    warnings: Strings = ()


_ATTRIBUTES = {item.name.replace("_", "").lower(): item.name for item in fields(Kustomization)}


def parse_kustomization(data: bytes, file: str) -> Kustomization:
    """A kustomization file. Raises InvalidDocument (naming the field) or BuildFailed."""
    document = load_config(data, file)
    if document is None:
        raise BuildFailed(f"{file}: kustomization.yaml is empty")
    if not isinstance(document, dict):
        raise InvalidDocument("invalid Kustomization: should be a mapping", file=file)
    return kustomization_of(document, file)


def kustomization_of(document: Mapping[str, Any], file: str, *, lenient: bool = False) -> Kustomization:
    """A kustomization from its document. ``lenient``: read as Flux reads it (see Where).

    Raises InvalidDocument (naming the field) or BuildFailed.
    """
    found = _CHECK(dict(document), Where(file, lenient=lenient, loose=lenient))
    if not any(key not in ("apiVersion", "kind") for key in found):
        raise BuildFailed(f"{file}: kustomization.yaml is empty")
    kind = found.pop("kind", "") or "Kustomization"
    version = found.pop("apiVersion", "") or _VERSIONS.get(kind, "")
    if kind not in _VERSIONS:
        raise InvalidDocument("kind should be Kustomization or Component", path="kind", file=file)
    if version != _VERSIONS[kind]:
        problem = f"apiVersion for {kind} should be {_VERSIONS[kind]}"
        raise InvalidDocument(problem, path="apiVersion", file=file)
    warnings = tuple(
        f"{file}: '{old}' is deprecated; use '{new}' instead" for old, new in _DEPRECATED.items() if old in found
    )
    found.pop("metadata", None)
    found["resources"] = (*found.get("resources", ()), *found.pop("bases", ()))
    found["images"] = (*found.get("images", ()), *found.pop("imageTags", ()))
    for name in ("configMapGenerator", "secretGenerator"):
        found[name] = tuple(map(_with_env, found.get(name, ())))
    values: dict[str, Any] = {
        _ATTRIBUTES[key.lower()]: tuple(value) if isinstance(value, list) else value for key, value in found.items()
    }
    return Kustomization(file=file, kind=kind, warnings=warnings, **values)


def _with_env(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if not entry.get("env"):
        return entry
    return {**entry, "envs": (*entry.get("envs", ()), entry["env"])}
