"""Write shared/penstock/core/kustomize/schema_data.py: what a strategic merge needs to know of Kubernetes' types.

    python tools/openapi_table.py OPENAPI.json > shared/penstock/core/kustomize/schema_data.py
    ruff format shared/penstock/core/kustomize/schema_data.py

``OPENAPI.json`` is an OpenAPI v2 document as an API server serves it (``kubectl get --raw /openapi/v2``), as
kubernetes/kubernetes publishes it (``api/openapi-spec/swagger.json``), or as kustomize compiles it
(``kyaml/openapi/kubernetesapi/data/*.bundle-v1.json.gz``, unpacked).

Which Kubernetes version? kustomize merges by the schema that it was compiled with, and kustomize 5.8 was compiled
with that of Kubernetes **v1.21.2**: it replaces the lists of every kind that is newer, autoscaling/v2 for one. The
checked-in table is made from that version's document, so that a build gives what kustomize gives. Feeding it a newer
document changes what patches do; users who want that name the document in ``openapi:`` of their kustomization.

Kept are the fields that have a patch strategy and the fields on the way to them; the rest merges the same way
without a schema.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

REF = "#/definitions/"
GVK = "x-kubernetes-group-version-kind"
STRATEGY = "x-kubernetes-patch-strategy"
MERGE_KEY = "x-kubernetes-patch-merge-key"
MAP_KEYS = "x-kubernetes-list-map-keys"
# kustomize knows these to be cluster-scoped although its schema is older than they are.
NEWER_CLUSTER_SCOPED = (
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
)
# The schema of kustomization files themselves, which kustomize always adds (kyaml/openapi/kustomizationapi).
KUSTOMIZATION = "io.k8s.api.apps.v1.Kustomization"
KUSTOMIZATION_ROW = "configMapGenerator[merge|name] secretGenerator[merge|name]"
KUSTOMIZATION_KIND = ("kustomize.config.k8s.io/v1beta1", "Kustomization")

Definitions = Mapping[str, Mapping[str, Any]]


def target_of(schema: Mapping[str, Any]) -> str:
    """The definition that a schema refers to, "" where it refers to none."""
    ref = schema.get("$ref", "")
    return ref.removeprefix(REF) if isinstance(ref, str) else ""


def flattened(definitions: Definitions) -> dict[str, dict[str, Any]]:
    """Definitions whose fields refer to other definitions only: nested schemas get names of their own."""
    flat: dict[str, dict[str, Any]] = {}

    def add(name: str, schema: Mapping[str, Any]) -> None:
        fields = dict(schema.get("properties") or {})
        if isinstance(schema.get("additionalProperties"), dict):
            fields["*"] = schema["additionalProperties"]
        flat[name] = {field: named(f"{name}.{field}", value) for field, value in fields.items()}

    def named(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if target_of(schema):
            return {"$ref": schema["$ref"]}  # a reference drops what stands beside it
        if schema.get("type") == "array":
            return {**schema, "items": named(f"{name}[]", schema.get("items") or {})}
        if schema.get("properties") or isinstance(schema.get("additionalProperties"), dict):
            add(name, schema)
            return {"$ref": REF + name}
        return {}

    for name, schema in definitions.items():
        add(name, schema)
    return flat


def merges(field: Mapping[str, Any]) -> bool:
    """Whether a field is a list that is merged."""
    return field.get("type") == "array" and "merge" in str(field.get(STRATEGY, "")).split(",")


def child(field: Mapping[str, Any]) -> str:
    """The definition that a merge goes on with below a field, "" where it ends there."""
    return target_of(field["items"]) if merges(field) else target_of(field)


def interesting(flat: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The definitions from which a merged list can be reached."""
    found = {name for name, fields in flat.items() if any(map(merges, fields.values()))}
    while more := {
        name
        for name, fields in flat.items()
        if name not in found and any(child(field) in found for field in fields.values())
    }:
        found |= more
    return found


def row(fields: Mapping[str, Any], kept: set[str]) -> str:
    """One definition: ``field[strategy|key,key]>definition``, separated by spaces."""
    cells = []
    for name, field in sorted(fields.items()):
        below = child(field)
        cell = f">{below}" if below in kept else ""
        if merges(field):
            keys = field.get(MAP_KEYS) or [key for key in [field.get(MERGE_KEY)] if key]
            cell = f"[{field[STRATEGY]}|{','.join(keys)}]{cell}"
        if cell:
            cells.append(name + cell)
    return " ".join(cells)


def api_version(gvk: Mapping[str, str]) -> str:
    """``group/version``, or ``version`` for the core group."""
    return f"{gvk['group']}/{gvk['version']}" if gvk.get("group") else gvk["version"]


def kinds(definitions: Definitions, kept: set[str]) -> dict[str, dict[str, str]]:
    """Definition by apiVersion and kind."""
    table: dict[str, dict[str, str]] = {}
    for name in sorted(kept & set(definitions)):
        for gvk in definitions[name].get(GVK, ()):
            table.setdefault(api_version(gvk), {})[gvk["kind"]] = name
    return table


def scopes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """(apiVersion, kind, namespaced) for each kind that an API path serves."""
    for resource in document.get("resources", ()):  # kustomize's compiled form
        if "scope" in resource:
            yield resource["apiVersion"], resource["kind"], resource["scope"] == "Namespaced"
    for path, item in document.get("paths", {}).items():
        gvk = item.get("get", {}).get(GVK)
        if gvk:
            yield api_version(gvk), gvk["kind"], "namespaces/{namespace}" in path


def scope_table(document: Mapping[str, Any]) -> dict[bool, dict[str, tuple[str, ...]]]:
    """Kinds by apiVersion: those that live in namespaces (True), and those that do not (False)."""
    found: dict[tuple[str, str], bool] = dict.fromkeys(NEWER_CLUSTER_SCOPED, False)
    for version, kind, namespaced in scopes(document):
        found[version, kind] = found.get((version, kind), False) or namespaced
    table: dict[bool, dict[str, tuple[str, ...]]] = {True: {}, False: {}}
    for (version, kind), namespaced in sorted(found.items()):
        table[namespaced][version] = (*table[namespaced].get(version, ()), kind)
    return table


def render(document: Mapping[str, Any]) -> str:
    """The text of schema_data.py."""
    definitions: Definitions = document["definitions"]
    flat = flattened(definitions)
    kept = interesting(flat)
    rows = {name: row(flat[name], kept) for name in sorted(kept)}
    by_kind = kinds(definitions, kept)
    reachable = reachable_from({name for names in by_kind.values() for name in names.values()}, rows)
    rows = {name: text for name, text in rows.items() if name in reachable}
    rows[KUSTOMIZATION] = KUSTOMIZATION_ROW
    by_kind.setdefault(KUSTOMIZATION_KIND[0], {})[KUSTOMIZATION_KIND[1]] = KUSTOMIZATION
    scoped = scope_table(document)
    tables = {
        "DEFINITIONS": ("Mapping[str, str]", rows),
        "KINDS": ("Mapping[str, Mapping[str, str]]", dict(sorted(by_kind.items()))),
        "NAMESPACED": ("Mapping[str, tuple[str, ...]]", scoped[True]),
        "CLUSTER_SCOPED": ("Mapping[str, tuple[str, ...]]", scoped[False]),
    }
    lines = [HEADER]
    for name, (annotation, table) in tables.items():
        lines.append(f"\n{name}: Final[{annotation}] = {{")
        lines += [f"    {key!r}: {value!r}," for key, value in table.items()]
        lines.append("}")
    return "\n".join(lines) + "\n"


def reachable_from(roots: set[str], rows: Mapping[str, str]) -> set[str]:
    """The definitions that a merge of these kinds can meet."""
    found, todo = set(roots), list(roots)
    while todo:
        for cell in rows[todo.pop()].split():
            name = cell.partition(">")[2]
            if name and name not in found:
                found.add(name)
                todo.append(name)
    return found


HEADER = '''"""Merge keys and scopes of Kubernetes' types. Written by tools/openapi_table.py; do not edit.

``DEFINITIONS``: ``field[strategy|merge key,merge key]>definition`` for each field that is merged or leads to one
that is. ``KINDS``: definition by apiVersion and kind. ``NAMESPACED``, ``CLUSTER_SCOPED``: kinds by apiVersion.
"""

from collections.abc import Mapping
from typing import Final

# ruff: noqa: E501 - one row of data a line'''


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - a tool beside the package
        sys.stdout.write(render(json.load(file)))
