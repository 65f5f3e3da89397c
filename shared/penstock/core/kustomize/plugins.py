"""``generators``, ``transformers`` and ``validators``: kustomize's built-in ones, configured by documents."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.errors import BuildFailed, Refused
from penstock.core.kustomize.fields import Shape, Where, boolean, exact, integer, list_of, map_of, string, struct
from penstock.core.kustomize.fieldspec import FieldSpecs
from penstock.core.kustomize.filters import namespace
from penstock.core.kustomize.filters.images import set_images
from penstock.core.kustomize.filters.labels import add_entries
from penstock.core.kustomize.filters.names import add_hashes, affix_names
from penstock.core.kustomize.filters.patches import (
    Patch,
    apply_patch,
    load_json_patch,
    load_merge_patch,
    load_patch,
)
from penstock.core.kustomize.filters.replicas import set_replicas
from penstock.core.kustomize.generators import generate
from penstock.core.kustomize.kustomization import GENERATOR, IMAGE, PATCH, REPLACEMENT, REPLICA, SELECTOR
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.replacements import load_replacements, replace_values
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource, Scopes
from penstock.core.kustomize.step import Run, naming, placed
from penstock.core.kustomize.transformer_config import spec_of
from penstock.core.kustomize.value_add import ValueTarget, add_value
from penstock.core.kustomize.yaml_in import load_config

Make = Callable[["Plugin"], Run]

_LIST_OF_SPECS = list_of(spec_of)


def _specs(value: Any, where: Where) -> FieldSpecs:
    return tuple(_LIST_OF_SPECS(value, where))


_SPECS: dict[str, Shape] = {"fieldSpecs": _specs}
_METADATA = struct({"name": string, "namespace": string})


class Plugin:
    """One document that configures a built-in plugin, and what that may use."""

    __slots__ = ("document", "loader", "schema", "scopes", "where")

    def __init__(self, resource: Resource, loader: Loader, schema: Schema, file: str) -> None:
        self.document, self.loader, self.schema = resource.manifest, loader, schema
        self.scopes: Scopes = resource.scopes
        self.where = place_of(resource, file)

    def fields(self, shapes: Mapping[str, Shape]) -> dict[str, Any]:
        """The fields of these shapes; others are left out, as kustomize does."""
        found: dict[str, Any] = struct(shapes)(self.document, self.where)
        return found

    def run_patches(self, patches: list[Patch]) -> Run:
        """A transformer that applies patches."""

        def run(resources: ResMap) -> None:
            for patch in patches:
                apply_patch(resources, patch, self.schema, self.scopes)

        return run


def place_of(resource: Resource, file: str) -> Where:
    """Where a plugin's document stands: in a file of its own, or in ``file``, which names it."""
    document = " ".join(filter(None, (resource.original_id.kind, resource.original_id.name)))
    return Where(resource.file or file, lenient=True, loose=True, document=document)


def is_builtin(resource: Resource) -> bool:
    """Whether a plugin's document names one of kustomize's own."""
    return resource.id.group == "" and resource.id.version == "builtin"


def _refuse(resource: Resource, what: str, file: str) -> Exception:
    where = place_of(resource, file)
    if is_builtin(resource):
        return BuildFailed(f"{where}: unable to load builtin {what} {resource.id.kind}: there is none of this name")
    return Refused(
        f"{where}: external plugins are disabled; only kustomize's built-in {what}s run", reason="BuildFailed"
    )


def transformer(resource: Resource, loader: Loader, schema: Schema, file: str) -> Run:
    """The transformer that a document configures. Raises Refused for external ones, InvalidDocument, BuildFailed."""
    make = _TRANSFORMERS.get(resource.id.kind) if is_builtin(resource) else None
    if make is None:
        raise _refuse(resource, "transformer", file)
    plugin = Plugin(resource, loader, schema, file)
    run = make(plugin)
    return run if make is _replacements else placed(run, str(plugin.where))  # replacements may stand in other files


def generator(resource: Resource, loader: Loader, file: str) -> list[Resource]:
    """What the generator that a document configures makes. Raises as ``transformer`` does."""
    kind = resource.id.kind
    plugin = Plugin(resource, loader, Schema.builtin(), file)
    if is_builtin(resource) and kind in ("ConfigMapGenerator", "SecretGenerator"):
        entry = plugin.fields({**GENERATOR, "type": string, "metadata": _METADATA})
        metadata = entry.pop("metadata", {})
        entry = {**metadata, **{key: value for key, value in entry.items() if value}}
        made = "ConfigMap" if kind == "ConfigMapGenerator" else "Secret"
        with naming(str(plugin.where)):
            return [generate(made, entry, loader, resource.scopes)]  # type: ignore[arg-type] # one of the two
    if is_builtin(resource) and kind == "IAMPolicyGenerator":
        return [_iam_policy(plugin)]
    raise _refuse(resource, "generator", file)


def _iam_policy(plugin: Plugin) -> Resource:
    account = struct({"name": string, "projectId": string, "namespace": string})
    found = plugin.fields({"cloud": string, "kubernetesService": account, "serviceAccount": account})
    if found.get("cloud") != "gke":
        raise plugin.where.error(f"cloud provider {found.get('cloud', '')} not supported yet; use gke", "cloud")
    service, google = found.get("kubernetesService", {}), found.get("serviceAccount", {})
    address = f"{google.get('name', '')}@{google.get('projectId', '')}.iam.gserviceaccount.com"
    metadata = {
        "annotations": {"iam.gke.io/gcp-service-account": address},
        "name": service.get("name", ""),
    }
    if service.get("namespace"):
        metadata["namespace"] = service["namespace"]
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return Resource(manifest=manifest, scopes=plugin.scopes)


def _annotations(plugin: Plugin) -> Run:
    found = plugin.fields({"annotations": map_of(string), **_SPECS})
    return lambda resources: add_entries(resources, found.get("annotations", {}), found.get("fieldSpecs", ()))


def _labels(plugin: Plugin) -> Run:
    found = plugin.fields({"labels": map_of(string), **_SPECS})
    return lambda resources: add_entries(resources, found.get("labels", {}), found.get("fieldSpecs", ()))


def _namespace(plugin: Plugin) -> Run:
    found = plugin.fields({"metadata": _METADATA, "unsetOnly": boolean, "setRoleBindingSubjects": string, **_SPECS})
    subjects: Any = found.get("setRoleBindingSubjects") or "defaultOnly"
    if subjects not in ("defaultOnly", "allServiceAccounts", "none"):
        raise plugin.where.error(
            f"invalid value {subjects!r}: must be one of defaultOnly, none or allServiceAccounts",
            "setRoleBindingSubjects",
        )
    setting = namespace.NamespaceSetting(
        namespace=found.get("metadata", {}).get("namespace", ""),
        specs=found.get("fieldSpecs", ()),
        subjects=subjects,
        unset_only=found.get("unsetOnly", False),
    )
    return lambda resources: namespace.set_namespace(resources, setting)


def _affix(plugin: Plugin, *, prefix: bool, suffix: bool) -> Run:
    found = plugin.fields({"prefix": string, "suffix": string, **_SPECS})
    if "fieldSpecs" not in found:
        raise plugin.where.error("fieldSpecs is not expected to be nil", "fieldSpecs")

    def run(resources: ResMap) -> None:
        if prefix:
            affix_names(resources, found.get("prefix", ""), found["fieldSpecs"], "prefix")
        if suffix:
            affix_names(resources, found.get("suffix", ""), found["fieldSpecs"], "suffix")

    return run


def _images(plugin: Plugin) -> Run:
    found = plugin.fields({"imageTag": IMAGE, **_SPECS})
    return lambda resources: set_images(resources, (found.get("imageTag", {}),), found.get("fieldSpecs", ()))


def _replicas(plugin: Plugin) -> Run:
    found = plugin.fields({"replica": REPLICA, **_SPECS})
    return lambda resources: set_replicas(resources, (found.get("replica", {}),), found.get("fieldSpecs", ()))


def _patch(plugin: Plugin) -> Run:
    entry = plugin.fields(PATCH)
    return plugin.run_patches([load_patch(entry, plugin.loader, plugin.where)])


def _merge_patch(plugin: Plugin) -> Run:
    found = plugin.fields({"paths": list_of(string), "patches": string})
    entries = [*found.get("paths", ()), *([found["patches"]] if found.get("patches") else ())]
    if not entries:
        raise plugin.where.error("empty file path and empty patch content", "paths")
    paths = len(found.get("paths", ()))
    patches = [
        load_merge_patch(entry, plugin.loader, plugin.where.below(f"paths[{at}]" if at < paths else "patches"))
        for at, entry in enumerate(entries)
    ]
    if not any(patch.strategic for patch in patches):
        raise plugin.where.error("patch appears to be empty", "patches")
    return plugin.run_patches(patches)


def _json_patch(plugin: Plugin) -> Run:
    found = plugin.fields({"target": SELECTOR, "path": string, "jsonOp": string})
    entry = {**found, "patch": found.get("jsonOp", "")}
    return plugin.run_patches([load_json_patch(entry, plugin.loader, plugin.where)])


def _replacements(plugin: Plugin) -> Run:
    found = plugin.fields({"replacements": list_of(exact(struct({**REPLACEMENT, "path": string})))})
    replacements = load_replacements(found.get("replacements", ()), plugin.loader, plugin.where)
    return lambda resources: replace_values(resources, replacements)


def _value_add(plugin: Plugin) -> Run:
    target = struct({"selector": SELECTOR, "fieldPath": string, "filePathPosition": integer})
    shapes = {"value": string, "targets": list_of(target), "targetFilePath": string}
    found = plugin.fields(shapes)
    targets = _aims(found, plugin.where)
    if found.get("targetFilePath"):
        file, blob = plugin.loader.load(found["targetFilePath"])
        where = Where(file, lenient=True, loose=True)
        targets += _aims(struct(shapes)(load_config(blob.data, file), where), where)
    if not targets:
        raise plugin.where.error("must specify at least one target", "targets")
    value = found.get("value", "").strip() or plugin.loader.root.rpartition("/")[2]

    def run(resources: ResMap) -> None:
        for target in targets:
            add_value(resources, value, target)

    return run


def _aims(fields: Mapping[str, Any], where: Where) -> list[ValueTarget]:
    return [ValueTarget.of(entry, where.below(f"targets[{at}]")) for at, entry in enumerate(fields.get("targets", ()))]


def _hash(_plugin: Plugin) -> Run:
    return add_hashes


_TRANSFORMERS: dict[str, Make] = {
    "AnnotationsTransformer": _annotations,
    "HashTransformer": _hash,
    "ImageTagTransformer": _images,
    "LabelTransformer": _labels,
    "NamespaceTransformer": _namespace,
    "PatchJson6902Transformer": _json_patch,
    "PatchStrategicMergeTransformer": _merge_patch,
    "PatchTransformer": _patch,
    "PrefixSuffixTransformer": lambda plugin: _affix(plugin, prefix=True, suffix=True),
    "PrefixTransformer": lambda plugin: _affix(plugin, prefix=True, suffix=False),
    "ReplacementTransformer": _replacements,
    "ReplicaCountTransformer": _replicas,
    "SuffixTransformer": lambda plugin: _affix(plugin, prefix=False, suffix=True),
    "ValueAddTransformer": _value_add,
}
