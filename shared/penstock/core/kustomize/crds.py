"""``crds``: OpenAPI definitions of custom kinds that say which of their fields are labels, annotations or names."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize.fieldspec import FieldSpec, merge_specs
from penstock.core.kustomize.transformer_config import EMPTY, NameReference, TransformerConfig
from penstock.core.resources import Gvk

_DEPTH = 50


def config_of_crd(document: Any, file: str) -> TransformerConfig:
    """The fields that a file of definitions (by type name) names. Raises InvalidDocument where it is none."""
    if document is None:
        return EMPTY
    if not isinstance(document, Mapping):
        raise InvalidDocument("unable to parse open API definition: should be a mapping by type name", file=file)
    config = EMPTY
    for name, definition in document.items():
        properties = _properties(definition)
        if {"kind", "apiVersion", "metadata"} <= properties.keys():
            kind = name.rpartition(".")[2]
            config = config.merge(_Definitions(document, kind, file).config(properties, ()))
    return config


def _properties(definition: Any) -> Mapping[str, Any]:
    schema = definition.get("Schema", definition.get("schema")) if isinstance(definition, Mapping) else None
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


class _Definitions:
    """The definitions of one file, seen from one kind."""

    __slots__ = ("_document", "_file", "_kind")

    def __init__(self, document: Mapping[str, Any], kind: str, file: str) -> None:
        self._document, self._kind, self._file = document, kind, file

    def config(self, properties: Mapping[str, Any], path: tuple[str, ...]) -> TransformerConfig:
        """The marked fields among ``properties``, which stand below ``path``."""
        if len(path) > _DEPTH:
            raise InvalidDocument(f"definitions refer to each other over {_DEPTH} levels", file=self._file)
        config = EMPTY
        for name, item in properties.items():
            if isinstance(item, Mapping):
                config = config.merge(self._marks(item, (*path, name)))
                reference = item.get("$ref")
                if isinstance(reference, str):
                    below = _properties(self._document.get(reference))
                    config = config.merge(self.config(below, (*path, name)))
        return config

    def _marks(self, item: Mapping[str, Any], path: tuple[str, ...]) -> TransformerConfig:
        spec = self._spec(path)
        kind, version = item.get("x-kubernetes-object-ref-kind"), item.get("x-kubernetes-object-ref-api-version")
        references: tuple[NameReference, ...] = ()
        if isinstance(kind, str) and isinstance(version, str):
            key = item.get("x-kubernetes-object-ref-name-key", "name")
            named = merge_specs((), (self._spec((*path, key)),))
            references = (NameReference(gvk=Gvk(version=version, kind=kind), referrers=named),)
        return TransformerConfig(
            common_annotations=(spec,) if "x-kubernetes-annotation" in item else (),
            common_labels=(spec,) if "x-kubernetes-label-selector" in item else (),
            name_prefix=(spec,) if "x-kubernetes-identity" in item else (),
            name_reference=references,
        )

    def _spec(self, path: tuple[str, ...]) -> FieldSpec:
        return FieldSpec(kind=self._kind, path="/".join(path))
