"""``patches``, ``patchesStrategicMerge`` and ``patchesJson6902``: read, aimed and applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.links import follow, unlinked
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.merge import DIRECTIVE, strategic_merge
from penstock.core.kustomize.objects import is_inline, parse_objects
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource, Scopes, metadata_of, set_metadata, text
from penstock.core.kustomize.selectors import Selector, matches, parse_selector
from penstock.core.kustomize.written import PartlyEmpty, PlainText
from penstock.core.resources import Manifest

if TYPE_CHECKING:  # many builds have no JSON patch
    from penstock.core.kustomize.jsonpatch import Operation


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """One patch. ``where``: file and field, for messages. ``content``: its text.

    Exactly one of ``strategic`` and ``operations`` is used.

    ``target`` None: each strategic patch is for the object whose id it carries. ``allow_name_change``,
    ``allow_kind_change``: it may rename. ``as_target``: it takes the group and version of what it patches.
    """

    where: str
    content: bytes
    strategic: tuple[Manifest, ...] = ()
    operations: "tuple[Operation, ...]" = ()
    target: Selector | None = None
    allow_name_change: bool = False
    allow_kind_change: bool = False
    as_target: bool = False
    remembers: bool = True


def load_patch(entry: Mapping[str, Any], loader: Loader, where: Where) -> Patch:
    """An entry of ``patches``. Raises BuildFailed, or InvalidDocument that names the field."""
    content, source = _content(entry, loader, where)
    target = parse_selector(entry["target"], str(where.below("target"))) if "target" in entry else None
    options = entry.get("options") or {}
    strategic, operations = _parsed(content, source, loader)
    if operations and target is None:
        raise where.error("must specify a target for JSON patch", "target")
    if target is not None and len(strategic) > 1:
        raise where.error(
            "multiple Strategic-Merge Patches in one entry are not allowed with a target; make an entry of each"
        )
    return Patch(
        where=str(where),
        content=content,
        strategic=strategic,
        operations=operations,
        target=target,
        allow_name_change=bool(options.get("allowNameChange")),
        allow_kind_change=bool(options.get("allowKindChange")),
        as_target=target is not None,
    )


def _content(entry: Mapping[str, Any], loader: Loader, where: Where) -> tuple[bytes, str]:
    inline, named = entry.get("patch", "").strip(), entry.get("path", "")
    if inline and named:
        raise where.error("patch and path can't be set at the same time")
    if not inline and not named:
        raise where.error("must specify one of patch and path")
    if inline:
        return inline.encode(), str(where.below("patch"))
    found, blob = loader.load(named)
    return blob.data, found


def _parsed(content: bytes, source: str, loader: Loader) -> "tuple[tuple[Manifest, ...], tuple[Operation, ...]]":
    """The patch as objects or as JSON operations. Raises BuildFailed where it is neither."""
    try:
        return parse_objects(content, source, loader.source.options.bounds, patch=True), ()
    except BuildFailed as error:
        from penstock.core.kustomize.jsonpatch import parse_json6902  # noqa: PLC0415 - as above

        try:
            return (), parse_json6902(content.decode(errors="replace"), source)
        except BuildFailed as other:
            raise BuildFailed(
                f"{source}: unable to parse SM or JSON patch; as an object: {error}; as operations: {other}"
            ) from other


def load_merge_patch(value: str, loader: Loader, where: Where) -> Patch:
    """An entry of ``patchesStrategicMerge``: a patch itself, or the path of one."""
    bounds = loader.source.options.bounds
    try:
        found = parse_objects(value.encode(), str(where), bounds, patch=True)
    except BuildFailed:
        if is_inline(value):
            raise
        named, blob = loader.load(value)
        found = parse_objects(blob.data, named, bounds, patch=True)
    return Patch(where=str(where), content=b"", strategic=found, as_target=True)


def load_json_patch(entry: Mapping[str, Any], loader: Loader, where: Where) -> Patch:
    """An entry of ``patchesJson6902``. Raises InvalidDocument that names the field."""
    target = entry.get("target") or {}
    if not target.get("name"):
        raise where.error("must specify the target name", "target.name")
    content, source = _content(entry, loader, where)
    from penstock.core.kustomize.jsonpatch import parse_json6902  # noqa: PLC0415 - as above

    operations = parse_json6902(content.decode(errors="replace"), source)
    if not operations:
        raise BuildFailed(f"{source}: patch appears to be empty")
    selector = parse_selector(target, str(where.below("target")))
    return Patch(where=str(where), content=content, operations=operations, target=selector, remembers=False)


def apply_patch(resources: ResMap, patch: Patch, schema: Schema, scopes: Scopes) -> None:
    """Apply one patch to what it is aimed at. Raises BuildFailed where an untargeted one finds no object."""
    if patch.target is None:
        _apply_by_id(resources, patch, schema, scopes)
    else:
        _apply_to_selected(resources, patch, patch.target, schema)
    if patch.allow_name_change or patch.allow_kind_change:
        resources.check_unique()


def _apply_to_selected(resources: ResMap, patch: Patch, target: Selector, schema: Schema) -> None:
    documents: Sequence[Manifest | None] = patch.strategic or ((None,) if patch.operations else ())
    options = (patch.allow_name_change, patch.allow_kind_change, patch.as_target, patch.remembers)
    step = ("patch", patch.content, target, options) if schema is Schema.builtin() else None
    for document in documents:

        def change(resource: Resource, document: Manifest | None = document) -> Resource | None:
            return _patched(resource, document, patch, schema) if is_selected(resource, target) else resource

        resources.transform(step, change)


def _apply_by_id(resources: ResMap, patch: Patch, schema: Schema, scopes: Scopes) -> None:
    removed: set[int] = set()
    for document in patch.strategic:
        wanted = Resource(manifest=document, scopes=scopes).id
        index = resources.one_matching(wanted, f"patch {wanted} in {patch.where}")
        if index in removed:
            raise BuildFailed(f"no matches for Id {wanted} in {patch.where}: an earlier patch deletes it")
        patched = _patched(resources[index], document, patch, schema)
        if patched is None:
            removed.add(index)
        else:
            resources.set(index, patched)
    if removed:
        resources.replace_all([one for index, one in enumerate(resources) if index not in removed])


def _patched(resource: Resource, document: Manifest | None, patch: Patch, schema: Schema) -> Resource | None:
    """What a strategic patch (``document`` None: the operations) makes of a resource; None where it deletes it."""
    if document is None:
        base = resource.remembering() if patch.remembers else resource
        operated = base.with_manifest(_operated(base, resource.manifest, patch))
        known = operated.origin is not None or bool(operated.transformations)
        lost = known and any(operation.overwrites(_MEMORY) for operation in patch.operations)
        return operated.evolve(origin=None, transformations=()) if lost else operated
    renames = patch.allow_name_change or patch.allow_kind_change
    base = resource.remembering() if renames else resource
    document = _prepared(document, base, patch)
    manifest = _merged(base, document, patch, schema)
    if not manifest:
        return None
    merged = base.with_manifest(manifest)
    return merged.forgetting() if _overwrites_memory(document) else merged


_MEMORY = ("metadata", "annotations")
"""Where kustomize keeps what we keep in a resource's attributes. A JSON patch that overwrites it loses the origin."""


def _overwrites_memory(document: Manifest) -> bool:
    """Whether a strategic patch removes or replaces all annotations of its target, kustomize's own among them."""
    if text(document.get(DIRECTIVE)) == "replace":
        return False  # which does nothing at all
    value: Any = document
    for name in _MEMORY:
        if name not in value:
            return False
        value = value[name]
        if value is None or not isinstance(value, dict):
            return value is None
        if text(value.get(DIRECTIVE)) in ("delete", "replace"):
            return True
    return False


def select(resources: ResMap, selector: Selector) -> list[int]:
    """The places of the objects that a selector selects."""
    return [index for index, resource in enumerate(resources) if is_selected(resource, selector)]


def is_selected(resource: Resource, selector: Selector) -> bool:
    """Whether a selector selects a resource: by the name and namespace that it had first, or has."""
    original, present = resource.original_id, resource.id
    return matches(
        selector,
        gvk=present.gvk,
        names=(original.name, present.name),
        namespaces=(original.effective_namespace, present.effective_namespace),
        labels=resource.labels if selector.label_selector else {},
        annotations=resource.annotations if selector.annotation_selector else {},
    )


def _operated(resource: Resource, before: Manifest, patch: Patch) -> Manifest:
    """The operations applied to what stood ``before`` in a resource.

    An object with a history has annotations: kustomize keeps it there.
    """
    manifest = before
    if resource.previous or resource.needs_hash or resource.behavior or resource.origin:
        annotations = metadata_of(manifest).get("annotations") or {}
        texts = {key: _unquoted(value) for key, value in annotations.items()}
        manifest = set_metadata(manifest, "annotations", texts)
    from penstock.core.kustomize.jsonpatch import apply_json6902  # noqa: PLC0415 - as above

    try:
        operated = apply_json6902(unlinked(manifest) if resource.linked else manifest, patch.operations)
    except BuildFailed as error:
        raise BuildFailed(f"{patch.where}: patching {resource.id}: {error}") from error
    return _with_text_annotations(operated)


def _unquoted(value: Any) -> Any:
    return str(value) if isinstance(value, str) and type(value) is not PlainText else value


def _with_text_annotations(manifest: Manifest) -> Manifest:
    """JSON writes every null out, and annotations become text as it was written: ``null``."""
    annotations = metadata_of(manifest).get("annotations")
    if not isinstance(annotations, dict) or all(isinstance(value, str) for value in annotations.values()):
        return manifest
    texts = {key: "null" if value is None else text(value) for key, value in annotations.items()}
    return set_metadata(manifest, "annotations", texts)


def _prepared(document: Manifest, resource: Resource, patch: Patch) -> Manifest:
    """A strategic patch as kustomize has it when it comes to merge it."""
    if patch.allow_name_change or patch.allow_kind_change:
        document = _rewritten(document, "annotations")
    return _addressed(document, resource) if patch.as_target else document


def _merged(resource: Resource, document: Manifest, patch: Patch, schema: Schema) -> Manifest | None:
    if text(document.get(DIRECTIVE)) == "replace":  # of a whole object: kustomize makes the new one and drops it
        return resource.manifest
    try:
        merged = strategic_merge(resource.manifest, document, schema)
        if merged and resource.linked:
            merged = follow(resource.manifest, merged)
    except BuildFailed as error:
        raise BuildFailed(f"{patch.where}: patching {resource.id}: {error}") from error
    if not merged:
        return None
    if not patch.allow_kind_change:
        merged = _kept(merged, resource.manifest, "kind")
    if not patch.allow_name_change:
        merged = set_metadata(merged, "name", metadata_of(resource.manifest).get("name"))
    return set_metadata(merged, "namespace", metadata_of(resource.manifest).get("namespace") or None)


def _kept(merged: Manifest, old: Manifest, field: str) -> Manifest:
    return merged if merged.get(field) == old.get(field) else {**merged, field: old.get(field)}


def _addressed(document: Manifest, resource: Resource) -> Manifest:
    """A patch with the version of its target; kustomize rewrites its labels and annotations as text on the way."""
    document = _rewritten(document, "labels", "annotations")
    return {**document, "apiVersion": resource.manifest.get("apiVersion"), "metadata": metadata_of(document)}


def _rewritten(document: Manifest, *fields: str) -> Manifest:
    """A patch some of whose maps in ``metadata`` have become texts: a null there removes nothing any more."""
    metadata = dict(metadata_of(document))
    for field in fields:
        values = metadata.pop(field, None)
        if not isinstance(values, dict) or not values:
            continue
        empty = values.empty if type(values) is PartlyEmpty else ()
        metadata[field] = {
            key: "null" if value is None and key not in empty else text(value) for key, value in values.items()
        }
    return {**document, "metadata": metadata}
