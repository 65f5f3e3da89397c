"""What is known of a kind's fields: which lists are merged, by which keys, and which kinds live in no namespace.

kustomize reads this from OpenAPI v2 schemas (kyaml/openapi): the ones of Kubernetes' own kinds, which it was compiled
with, and those that a kustomization names in ``openapi:``. A schema says it with ``x-kubernetes-patch-strategy``,
``x-kubernetes-patch-merge-key`` and ``x-kubernetes-list-map-keys``. A kind without a schema has its lists replaced.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize import schema_data
from penstock.core.resources import Gvk

BUILTIN_VERSION = "v1.21.2"
"""The Kubernetes version whose kinds kustomize 5.8 knows: the only one that ``openapi.version`` may name."""

Raw = Mapping[str, Any]
_REF = "#/definitions/"
_GVK = "x-kubernetes-group-version-kind"
_MAX_REFERENCES = 64  # a reference to a reference to …: real schemas have one step


class Node:
    """The schema of one object, field or list. Made by ``Schema``; equal questions give the same node."""

    __slots__ = ("_children", "_raw", "_schema", "merge_keys", "merges", "strategy")

    def __init__(self, raw: Raw, schema: "Schema") -> None:
        self._raw, self._schema = raw, schema
        self._children: dict[str, Node | None] = {}
        strategy = raw.get("x-kubernetes-patch-strategy")
        self.strategy: str = strategy if isinstance(strategy, str) else ""
        """``merge``, ``replace``, ``retainKeys``, several with commas, or ""."""
        self.merge_keys: tuple[str, ...] = _merge_keys(raw) if self.strategy else ()
        """The fields that tell the items of a list apart; empty for a list of plain values."""
        self.merges = "merge" in self.strategy.split(",")
        """Whether a patch's list is merged into this one, instead of replacing it."""

    def field(self, name: str) -> "Node | None":
        """The schema of one field (or map value), None where nothing is known of it."""
        if name not in self._children:
            self._children[name] = self._schema.resolve(self._property(name))
        return self._children[name]

    def items(self) -> "Node | None":
        """The schema of a list's items, None where nothing is known of them."""
        kind = self._raw.get("type")
        if kind not in ("array", ["array"]):
            return None
        if "[]" not in self._children:  # no field of a list has this name
            self._children["[]"] = self._schema.resolve(self._raw.get("items"))
        return self._children["[]"]

    def _property(self, name: str) -> Any:
        properties = self._raw.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            return properties[name]
        return self._raw.get("additionalProperties")


def _merge_keys(raw: Raw) -> tuple[str, ...]:
    keys = raw.get("x-kubernetes-list-map-keys")
    if isinstance(keys, list):
        return tuple(str(key) for key in keys)
    key = raw.get("x-kubernetes-patch-merge-key")
    return (str(key),) if key else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """The definitions in use: those of documents, and the built-in ones where ``builtin_kinds`` says so.

    ``definitions``: by definition name. ``kinds``: definition name by (apiVersion, kind). ``namespaced``: whether
    objects of (apiVersion, kind) live in namespaces, as far as the documents' paths say. ``builtin_first``: a
    built-in definition outweighs a document's of the same name.
    """

    builtin_kinds: bool = True
    builtin_first: bool = False
    definitions: Mapping[str, Raw] = field(default_factory=dict, repr=False)
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    namespaced: Mapping[tuple[str, str], bool] = field(default_factory=dict, repr=False)
    _nodes: dict[str, Node | None] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def builtin() -> "Schema":
        """Kubernetes' own kinds, as kustomize 5.8 knows them."""
        return _builtin()

    @staticmethod
    def none() -> "Schema":
        """No kind at all: what ``with_documents`` starts from where ``openapi.path`` replaces the built-in kinds."""
        return Schema(builtin_kinds=False)

    @staticmethod
    def of_version(version: str, where: str = "") -> "Schema":
        """The built-in kinds, for ``openapi.version``. Raises BuildFailed for a version that is not built in."""
        if version in ("", BUILTIN_VERSION):
            return _builtin()
        raise BuildFailed(
            f"{where or 'openapi.version'}: the specified OpenAPI version {version!r} is not built in; "
            f"use {BUILTIN_VERSION}, or name a file in openapi.path"
        )

    def with_documents(self, documents: Iterable[Any]) -> "Schema":
        """These kinds and those of OpenAPI v2 documents, later ones first. Raises BuildFailed for a non-document."""
        definitions, kinds = dict(self.definitions), dict(self.kinds)
        namespaced = dict(self.namespaced)
        for document in documents:
            if not isinstance(document, Mapping):
                raise BuildFailed("openapi: the schema is not an OpenAPI document, that is, not a mapping")
            found = document.get("definitions") or {}
            if not isinstance(found, Mapping):
                raise BuildFailed("openapi: `definitions` of the schema is not a mapping")
            for name, raw in found.items():
                if isinstance(raw, Mapping):
                    definitions[name] = raw
                    for kind in _kinds_of(raw.get(_GVK)):
                        kinds[kind] = str(name)
            _add_scopes(document.get("paths"), namespaced)
        return replace(self, definitions=definitions, kinds=kinds, namespaced=namespaced, _nodes={})

    def below_builtin(self) -> "Schema":
        """The same with the built-in kinds put over them.

        This is what kustomize has where ``openapi.path`` stands in a base or component, and not in the kustomization
        that is built, and objects of kinds that it does not know were read before.
        """
        return replace(self, builtin_kinds=True, builtin_first=True, _nodes={})

    @staticmethod
    def scope_is_built_in(api_version: str, kind: str) -> bool:
        """Whether kustomize knows the scope of a kind without looking into a schema."""
        known = (*schema_data.NAMESPACED.get(api_version, ()), *schema_data.CLUSTER_SCOPED.get(api_version, ()))
        return kind in known

    def for_kind(self, gvk: Gvk) -> Node | None:
        """The schema of a kind's objects, None where it is unknown."""
        return self.for_type(gvk.api_version, gvk.kind)

    def for_type(self, api_version: str, kind: str) -> Node | None:
        """The same by ``apiVersion`` and ``kind`` as they stand in a manifest."""
        names = (self.kinds.get((api_version, kind)), self._builtin_name(api_version, kind))
        name = (names[1] or names[0]) if self.builtin_first else (names[0] or names[1])
        return self.resolve({"$ref": _REF + name}) if name else None

    def cluster_scoped(self, api_version: str, kind: str) -> bool:
        """Whether objects of this kind certainly live in no namespace; False for unknown kinds.

        What kustomize was compiled with outweighs documents here.
        """
        if kind in schema_data.CLUSTER_SCOPED.get(api_version, ()):
            return True
        if not self.namespaced or kind in schema_data.NAMESPACED.get(api_version, ()):
            return False
        return not self.namespaced.get((api_version, kind), True)

    def resolve(self, raw: Any) -> Node | None:
        """The node of a schema; references are followed, and drop what stands beside them."""
        name = ""
        for _ in range(_MAX_REFERENCES):
            if not isinstance(raw, Mapping):
                return None
            ref = raw.get("$ref")
            if not isinstance(ref, str) or not ref:
                break
            name = ref.removeprefix(_REF).replace("~1", "/").replace("~0", "~")
            if name in self._nodes:
                return self._nodes[name]
            raw = self._definition(name)
        else:
            return None
        node = Node(raw, self)
        if name:
            self._nodes[name] = node
        return node

    def _builtin_name(self, api_version: str, kind: str) -> str:
        known = api_version in _ALWAYS or self.builtin_kinds
        return schema_data.KINDS.get(api_version, {}).get(kind, "") if known else ""

    def _definition(self, name: str) -> Raw | None:
        known = self.builtin_kinds or name in _ALWAYS.values()
        builtin = _decoded(name) if known and (self.builtin_first or name not in self.definitions) else None
        return builtin or self.definitions.get(name)


# The schema of kustomization files: kustomize adds it even where `openapi.path` replaces the built-in kinds.
_ALWAYS = {"kustomize.config.k8s.io/v1beta1": "io.k8s.api.apps.v1.Kustomization"}


@cache
def _builtin() -> Schema:
    return Schema()


def is_cluster_scoped(gvk: Gvk, schema: Schema) -> bool:
    """Whether objects of this kind certainly live in no namespace; False for unknown kinds."""
    return schema.cluster_scoped(gvk.api_version, gvk.kind)


def _decoded(name: str) -> Raw | None:
    """A row of the built-in table as the schema that it was made from."""
    row = schema_data.DEFINITIONS.get(name)
    if row is None:
        return None
    properties: dict[str, Raw] = {}
    for cell in row.split():
        head, _, below = cell.partition(">")
        reference = {"$ref": _REF + below} if below else {}
        title, merged, rest = head.partition("[")
        if merged:
            strategy, _, keys = rest.rstrip("]").partition("|")
            properties[title] = {
                "type": "array",
                "x-kubernetes-patch-strategy": strategy,
                "x-kubernetes-list-map-keys": keys.split(",") if keys else [],
                "items": reference,
            }
        else:
            properties[title] = reference
    if "*" in properties:
        return {"properties": properties, "additionalProperties": properties.pop("*")}
    return {"properties": properties}


def _kinds_of(extension: Any) -> list[tuple[str, str]]:
    """(apiVersion, kind) of each entry of an ``x-kubernetes-group-version-kind``."""
    entries = extension if isinstance(extension, list) else [extension]
    found = []
    for entry in entries:
        if isinstance(entry, Mapping) and entry.get("version") and entry.get("kind"):
            gvk = Gvk(group=entry.get("group") or "", version=entry["version"], kind=entry["kind"])
            found.append((gvk.api_version, gvk.kind))
    return found


def _add_scopes(paths: Any, namespaced: dict[tuple[str, str], bool]) -> None:
    """A kind is namespaced where one of the paths that get it has a namespace in it."""
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        get = item.get("get") if isinstance(item, Mapping) else None
        for kind in _kinds_of(get.get(_GVK)) if isinstance(get, Mapping) else ():
            namespaced[kind] = namespaced.get(kind, False) or "namespaces/{namespace}" in path
