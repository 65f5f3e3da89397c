"""JSON schemas of kinds, compiled once: what decoding, merging and defaulting ask of a field.

One form serves the built-in kinds (``types_data``) and the structural schemas of CustomResourceDefinitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

GO_SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
}
OPAQUE_DEFINITIONS = (
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
)
RULE_KEYS = (
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "minItems",
    "minLength",
    "minimum",
    "minProperties",
    "maxProperties",
    "pattern",
)


@dataclass(slots=True, eq=False, kw_only=True)
class Schema:
    """One node. Filled once while compiling (definitions may be recursive) and never changed afterwards.

    ``name``: the definition's short name (``DeploymentSpec``), "" for nodes without one. ``kind``: struct (declared
    ``fields``), map (any key, ``element``), list (``element``), scalar (``type``: string, integer, number, boolean,
    intOrString, quantity, time, microtime) or any (no declared form). ``atomic``: one owner for the whole value.
    ``keys``: the merge keys of a list of maps; ``unique``: a list that is a set. ``defaults``, ``omit_zero`` and
    ``show_null`` speak of the fields of a struct. ``preserve``: undeclared fields are kept. ``rules``: further
    constraints, by their JSON schema names. ``merge_key``/``merge_strategy``: what a strategic merge patch does with
    a list.
    """

    name: str = ""
    kind: str = "any"
    type: str = ""
    fields: dict[str, "Schema"] = field(default_factory=dict)
    element: "Schema | None" = None
    atomic: bool = False
    keys: tuple[str, ...] = ()
    unique: bool = False
    required: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    omit_zero: frozenset[str] = frozenset()
    show_null: frozenset[str] = frozenset()
    nullable: bool = False
    preserve: bool = False
    embedded: bool = False
    rules: dict[str, Any] = field(default_factory=dict)
    merge_key: str = ""
    merge_strategy: str = ""

    def child(self, key: str) -> "Schema | None":
        """The schema under a key of a struct or map; None where the key is not declared."""
        return self.fields.get(key) or self.element


ANY = Schema(preserve=True)
"""No declared form: maps are merged key by key, lists are replaced."""
OPAQUE = Schema(preserve=True, atomic=True)
"""No declared form, replaced as a whole."""


def compile_definitions(definitions: Mapping[str, Any]) -> dict[str, Schema]:
    """Schemas by definition name, from the definitions of ``types_data``."""
    compiled = {name: Schema() for name in definitions}
    compiled.update(dict.fromkeys(OPAQUE_DEFINITIONS, OPAQUE))
    for name, node in definitions.items():
        if name in GO_SCALARS:
            compiled[name].kind, compiled[name].type = "scalar", GO_SCALARS[name]
        elif name not in OPAQUE_DEFINITIONS:
            _fill(compiled[name], node, compiled)
            compiled[name].name = name.rpartition(".")[2]
    for name, node in definitions.items():
        for key, child in (node.get("properties") or {}).items():
            if child.get("x-kubernetes-map-type") == "granular" and "$ref" in child:
                compiled[name].fields[key] = replace(compiled[name].fields[key], atomic=False)
    return compiled


def compile_structural(node: Mapping[str, Any], metadata: Schema) -> Schema:
    """The schema of a custom resource from its ``openAPIV3Schema``; ``metadata``: the schema of ObjectMeta."""
    root = Schema()
    _fill(root, {"type": "object", **node}, {})
    root.fields |= {
        "apiVersion": Schema(kind="scalar", type="string"),
        "kind": Schema(kind="scalar", type="string"),
        "metadata": metadata,
    }
    root.kind = "struct"
    return root


def _fill(out: Schema, node: Mapping[str, Any], known: Mapping[str, Schema]) -> None:
    out.nullable = bool(node.get("nullable"))
    out.preserve = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    out.embedded = bool(node.get("x-kubernetes-embedded-resource"))
    out.rules = {key: node[key] for key in RULE_KEYS if key in node}
    out.merge_key = node.get("x-kubernetes-patch-merge-key", "")
    out.merge_strategy = node.get("x-kubernetes-patch-strategy", "")
    kind = node.get("type")
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        out.kind, out.type = "scalar", "intOrString"
    elif kind == "object" or "properties" in node:
        _fill_object(out, node, known)
    elif kind == "array":
        _fill_list(out, node, known)
    elif kind:
        out.kind, out.type = "scalar", kind
    else:
        out.kind, out.preserve = "any", True


def _fill_object(out: Schema, node: Mapping[str, Any], known: Mapping[str, Schema]) -> None:
    out.atomic = node.get("x-kubernetes-map-type") == "atomic"
    properties = node.get("properties") or {}
    if isinstance(node.get("additionalProperties"), Mapping):
        out.kind, out.element = "map", _compile(node["additionalProperties"], known)
    elif node.get("additionalProperties") is True or (out.preserve and not properties):
        out.kind, out.element, out.preserve = "map", ANY, True
    else:
        out.kind = "struct"
        out.element = ANY if out.preserve else None
    out.required = tuple(node.get("required") or ())
    out.fields = {name: _compile(child, known) for name, child in properties.items()}
    out.defaults = {name: child["default"] for name, child in properties.items() if "default" in child}
    out.omit_zero = frozenset(name for name, child in properties.items() if child.get("omitZero"))
    out.show_null = frozenset(name for name, child in properties.items() if child.get("showNull"))


def _fill_list(out: Schema, node: Mapping[str, Any], known: Mapping[str, Schema]) -> None:
    out.kind = "list"
    out.element = _compile(node.get("items") or {}, known)
    form = node.get("x-kubernetes-list-type", "atomic")
    out.atomic = form == "atomic"
    out.unique = form == "set"
    out.keys = tuple(node.get("x-kubernetes-list-map-keys") or ()) if form == "map" else ()


def _compile(node: Mapping[str, Any], known: Mapping[str, Schema]) -> Schema:
    if "$ref" in node and node["$ref"] in known:
        return known[node["$ref"]]
    out = Schema()
    _fill(out, node, known)
    return out
