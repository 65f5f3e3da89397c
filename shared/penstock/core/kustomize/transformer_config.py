"""Which fields each built-in transformer works on: the defaults, ``configurations`` and ``crds`` together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize.fields import Where, string
from penstock.core.kustomize.fieldspec import FieldSpec, FieldSpecs, merge_specs, rank
from penstock.core.resources import Gvk


@dataclass(frozen=True, kw_only=True, slots=True)
class NameReference:
    """The fields (``referrers``) that hold the name of an object of the kind ``gvk`` ("" matches all)."""

    gvk: Gvk
    referrers: FieldSpecs


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerConfig:
    """One list of fields for each transformer.

    ``settled``: it is the outcome of a merge into nothing. kustomize merges each list item by item and leaves out
    what a former item covers, so that a list, merged into nothing, may lose its most general item.
    """

    name_prefix: FieldSpecs = ()
    name_suffix: FieldSpecs = ()
    namespace: FieldSpecs = ()
    common_labels: FieldSpecs = ()
    labels: FieldSpecs = ()
    template_labels: FieldSpecs = ()
    volume_claim_template_labels: FieldSpecs = ()
    common_annotations: FieldSpecs = ()
    name_reference: tuple[NameReference, ...] = ()
    var_reference: FieldSpecs = ()
    images: FieldSpecs = ()
    replicas: FieldSpecs = ()
    settled: bool = field(default=False, compare=False)

    def merge(self, more: "TransformerConfig") -> "TransformerConfig":
        """Both together. Raises BuildFailed where they contradict each other."""
        if more is self or more is EMPTY:
            return self
        if self is EMPTY and more.settled:
            return more
        merged: dict[str, Any] = {name: merge_specs(getattr(self, name), getattr(more, name)) for name in _SPEC_FIELDS}
        references = _merge_references(self.name_reference, more.name_reference)
        return TransformerConfig(name_reference=references, settled=self is EMPTY, **merged).in_order()

    def in_order(self) -> "TransformerConfig":
        """The same with each list in kustomize's order of kinds."""
        ordered: dict[str, Any] = {name: tuple(sorted(getattr(self, name), key=rank)) for name in _SPEC_FIELDS}
        references = sorted(self.name_reference, key=lambda reference: rank(reference.gvk))
        return replace(self, name_reference=tuple(references), **ordered)


def _merge_references(base: Iterable[NameReference], more: Iterable[NameReference]) -> tuple[NameReference, ...]:
    result = list(base)
    for reference in more:
        found = next((index for index, old in enumerate(result) if old.gvk == reference.gvk), None)
        if found is None:
            result.append(reference)
        else:
            referrers = merge_specs(result[found].referrers, reference.referrers)
            result[found] = replace(result[found], referrers=referrers)
    return tuple(result)


_SPEC_FIELDS = tuple(item.name for item in fields(TransformerConfig) if item.name not in ("name_reference", "settled"))
EMPTY = TransformerConfig()

_KEYS = {
    "namePrefix": "name_prefix",
    "nameSuffix": "name_suffix",
    "namespace": "namespace",
    "commonLabels": "common_labels",
    "labels": "labels",
    "templateLabels": "template_labels",
    "volumeClaimTemplateLabels": "volume_claim_template_labels",
    "commonAnnotations": "common_annotations",
    "nameReference": "name_reference",
    "varReference": "var_reference",
    "images": "images",
    "replicas": "replicas",
}
_SPEC_KEYS = {"group": str, "version": str, "kind": str, "path": str, "create": bool}


def spec_of(value: Any, where: Where) -> FieldSpec:
    """A field specification from a document. ``where``: file and path. Raises InvalidDocument."""
    if not isinstance(value, Mapping):
        raise where.error("should be a mapping with path, kind, group, version, create")
    known: dict[str, Any] = {}
    for key, item in value.items():
        name = next((name for name in _SPEC_KEYS if name.lower() == key.lower()), None)
        if name is None and where.lenient:
            continue
        if name is None:
            raise where.error(f"unknown field {key!r}; known are {', '.join(_SPEC_KEYS)}")
        if where.loose and name == "path" and isinstance(item, bool | int | float):
            item = string(item, where)  # noqa: PLW2901 - the value that counts
        if item is not None and not isinstance(item, _SPEC_KEYS[name]):
            expected = "true or false" if name == "create" else "a string"
            raise where.error(f"should be {expected}, not {item!r:.60}", name)
        if item is not None:
            known[name] = item
    return FieldSpec(**{"path": "", **known})


def config_of(document: Any, file: str) -> TransformerConfig:
    """A file of ``configurations``. Raises InvalidDocument that names the field."""
    if document is None:
        return EMPTY
    if not isinstance(document, Mapping):
        raise InvalidDocument("a transformer configuration should be a mapping", file=file)
    found: dict[str, Any] = {}
    for key, value in document.items():
        name = next((_KEYS[known] for known in _KEYS if known.lower() == key.lower()), None)
        if name is None:
            raise InvalidDocument(f"unknown field; known are {', '.join(_KEYS)}", path=key, file=file)
        if value is not None and not isinstance(value, list):
            raise InvalidDocument("should be a list of field specifications", path=key, file=file)
        make = _reference_of if name == "name_reference" else spec_of
        found[name] = tuple(
            make(item, Where(file, f"{key}[{index}]", loose=True)) for index, item in enumerate(value or ())
        )
    return TransformerConfig(**found).in_order()


def _reference_of(value: Any, where: Where) -> NameReference:
    if not isinstance(value, Mapping):
        raise where.error("should be a mapping with kind and fieldSpecs")
    referrers = next((item for key, item in value.items() if key.lower() == "fieldspecs"), None) or ()
    target = spec_of({key: item for key, item in value.items() if key.lower() != "fieldspecs"}, where)
    if not isinstance(referrers, list | tuple):
        raise where.error("should be a list", "fieldSpecs")
    specs = (spec_of(item, where.below(f"fieldSpecs[{index}]")) for index, item in enumerate(referrers))
    return NameReference(gvk=target.gvk, referrers=tuple(specs))
