"""Writes ``types_data.json``: what a Kubernetes API server says of the kinds that it serves.

    python -m penstock.devcluster.generate_types KUBECONFIG_URL TOKEN GO_API_DIRECTORY…

Read from a running API server: aggregated discovery (names, verbs, short names, subresources) and ``/openapi/v3``
(fields, types, defaults, merge keys). Read from the Go sources of the same release (k8s.io/api and
k8s.io/apimachinery), because OpenAPI does not say it: which fields are plain values with ``omitempty`` or
``omitzero`` (the API server drops their zero values ``false``, ``0``, ``""``), and which pointers, lists and maps have
neither (the API server writes null for them).
Descriptions are left out. Nothing here runs in the product: a maintainer runs it for a new Kubernetes release.
"""

import json
import re
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.devcluster.types_data import DATA_FILE

GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
SKIPPED_VERSIONS = frozenset({("autoscaling", "v1")})
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
KEPT = (
    "type",
    "required",
    "enum",
    "format",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
)
REF = re.compile(r'"\$ref": "#/components/schemas/([^"]+)"')
FIELD = re.compile(r'^\t\w+\s+(\S+)\s+`[^`]*json:"(\w+),(?:omitempty|omitzero)[^`]*`', re.MULTILINE)
NULL_FIELD = re.compile(r'^\t\w+\s+((?:\*|\[\]|map\[)\S+)\s+`[^`]*json:"(\w+)"[^`]*`', re.MULTILINE)
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
PACKAGE = re.compile(r"^// \+k8s:openapi-model-package=(\S+)$", re.MULTILINE)


class Server:
    """GET of one API server on loopback whose certificate nobody signed."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.tls = ssl._create_unverified_context()  # noqa: S323, SLF001 — a disposable server on loopback

    def get(self, path: str, accept: str = "application/json") -> Any:
        """The JSON document under a path."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 — the maintainer names it
        with urllib.request.urlopen(request, context=self.tls) as answer:  # noqa: S310 — as above
            return json.load(answer)


def compact(node: Any) -> Any:
    """A JSON schema node without its prose, references shortened to the definition's name."""
    if "allOf" in node:
        inner = compact(node["allOf"][0])
        return {**inner, **({"default": node["default"]} if "default" in node else {}), **_kept(node)}
    out = _kept(node)
    if "$ref" in node:
        out["$ref"] = node["$ref"].rpartition("/")[2]
    if "default" in node:
        out["default"] = node["default"]
    if "properties" in node:
        out["properties"] = {name: compact(child) for name, child in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = compact(node["additionalProperties"])
    if "items" in node:
        out["items"] = compact(node["items"])
    return out


def _kept(node: dict[str, Any]) -> dict[str, Any]:
    return {key: node[key] for key in KEPT if key in node}


def go_facts(roots: list[Path]) -> Iterator[tuple[str, str, str, str]]:
    """(package path, struct, JSON field, fact), the fact being ``omitZero`` or ``showNull``."""
    for root in roots:
        for source in sorted(root.rglob("types*.go")):
            package = ".".join(source.parent.parts[-2:])
            for name, body in STRUCT.findall(source.read_text()):
                for go_type, field in FIELD.findall(body):
                    if not go_type.startswith(("*", "[]", "map[")):
                        yield package, name, field, "omitZero"
                for _, field in NULL_FIELD.findall(body):
                    yield package, name, field, "showNull"


def referenced(defs: dict[str, Any], roots: set[str]) -> dict[str, Any]:
    """The definitions that the roots need, transitively."""
    todo, kept = sorted(roots), {}
    while todo:
        name = todo.pop()
        if name in kept:
            continue
        kept[name] = defs[name]
        todo.extend(_names(defs[name]))
    return dict(sorted(kept.items()))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node and isinstance(node["$ref"], str):
            yield node["$ref"]
        for child in node.values():
            yield from _names(child)


def kinds(server: Server) -> Iterator[dict[str, Any]]:
    """Each served resource as one flat record."""
    for root in ("/api", "/apis"):
        for group in server.get(root, DISCOVERY)["items"]:
            name = group.get("metadata", {}).get("name", "")
            for version in group["versions"]:
                if name in GROUPS and (name, version["version"]) not in SKIPPED_VERSIONS:
                    yield from ({"group": name, "version": version["version"], **r} for r in version["resources"])


def main(url: str, token: str, *go_directories: str) -> None:
    """Write the data file."""
    server = Server(url, token)
    defs: dict[str, Any] = {}
    by_gvk: dict[tuple[str, str, str], str] = {}
    for path, entry in server.get("/openapi/v3")["paths"].items():
        if path.startswith(("api/", "apis/")):
            schemas = server.get(entry["serverRelativeURL"]).get("components", {}).get("schemas", {})
            for name, node in schemas.items():
                defs[name] = compact(node)
                gvks = node.get("x-kubernetes-group-version-kind", [])
                if len(gvks) == 1:
                    by_gvk[gvks[0]["group"], gvks[0]["version"], gvks[0]["kind"]] = name
    for package, struct, field, fact in go_facts([Path(directory) for directory in go_directories]):
        for name, node in defs.items():
            if name.endswith(f".{package}.{struct}") and field in node.get("properties", {}):
                prop = node["properties"][field]
                if fact == "showNull" or prop.get("type") in {"string", "boolean", "integer", "number"}:
                    prop[fact] = True
    served = list(kinds(server))
    for record in served:
        kind = record["responseKind"]["kind"]
        record["schema"] = by_gvk.get((record["group"], record["version"], kind), "")
    kept = referenced(defs, {record["schema"] for record in served if record["schema"]})
    data = {"version": server.get("/version"), "kinds": served, "definitions": kept}
    DATA_FILE.write_text(json.dumps(data, separators=(",", ":")))


if __name__ == "__main__":
    main(*sys.argv[1:])
