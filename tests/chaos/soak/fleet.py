"""The fleet as whoever writes it knows it: which Kustomizations there are, and what each of them stands for.

Nothing of penstock's is asked what a commit means: files and expectations are both made of this model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

ROOT = ""
"""As parent or owner: the cluster's root, Kustomization flux-system."""
NAMESPACE = "apps"
FLUX = "flux-system"
CLUSTER_PATH = "clusters/soak"
GROUP = "soak.example.com"
CONFIG_MAP, SECRET, ACCOUNT, DEPLOYMENT, WIDGET, SPACE, DEFINITION = (
    *("ConfigMap", "Secret", "ServiceAccount", "Deployment", "Widget", "Namespace", "CustomResourceDefinition"),
)
GROUPS = {DEPLOYMENT: "apps", WIDGET: GROUP, DEFINITION: "apiextensions.k8s.io"}
VERSIONS = {"apps": "v1", GROUP: "v1", "apiextensions.k8s.io": "v1", "": "v1"}
KUSTOMIZATIONS = "kustomize.toolkit.fluxcd.io"

Key = tuple[str, str, str]
"""Kind, namespace ("" for the cluster's own), name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A Kustomization. ``folder``: its path, which it keeps when it is renamed; ``broken``: how, or "" ."""

    name: str
    folder: str
    parent: str = ROOT
    depends_on: tuple[str, ...] = ()
    suspended: bool = False
    wait: bool = False
    broken: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owned:
    """An object: its Kustomization (ROOT for the root), and what its value is."""

    owner: str
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """What one commit says. Every member has an object of its own beside these (``stays``), so none is ever empty."""

    members: Mapping[str, Member] = field(default_factory=dict)
    objects: Mapping[Key, Owned] = field(default_factory=dict)
    mark: str = "0"

    def with_(self, **changes: Any) -> "Fleet":
        return replace(self, **changes)

    def children(self, name: str) -> list[str]:
        return sorted(each.name for each in self.members.values() if each.parent == name)

    def below(self, name: str) -> set[str]:
        """It, and whoever came of it."""
        found = {name}
        for child in self.children(name):
            found |= self.below(child)
        return found

    def declared(self) -> dict[Key, Owned]:
        """Everything that this commit has in a cluster, Flux's own kinds aside."""
        folders = {ROOT: ROOT, **{name: member.folder for name, member in self.members.items()}}
        found = {
            (CONFIG_MAP, NAMESPACE, stays(folder)): Owned(owner=owner, value=self.mark)
            for owner, folder in folders.items()
        }
        found[(SPACE, "", NAMESPACE)] = Owned(owner=ROOT, value="")
        return {**found, **self.objects}

    def inventory(self, owner: str) -> set[str]:
        """Flux's ids of what is one's."""
        return {identity(key) for key, owned in self.declared().items() if owned.owner == owner}

    def files(self, provider: str) -> dict[str, str]:
        """The repository. ``provider``: address of the chat room."""
        found = {f"{CLUSTER_PATH}/notify.yaml": yaml.safe_dump_all(_notifying(provider))}
        for member in self.members.values():
            found[f"{self.folder(member.parent)}/member-{member.name}.yaml"] = yaml.safe_dump(_document(member))
            found |= {f"{member.folder}/{name}": text for name, text in _BREAKS.get(member.broken, {}).items()}
        for (kind, namespace, name), owned in self.declared().items():
            path = f"{self.folder(owned.owner)}/{kind.lower()}-{namespace}-{name}.yaml"
            found[path] = yaml.safe_dump(manifest((kind, namespace, name), owned.value))
        return found

    def folder(self, owner: str) -> str:
        return CLUSTER_PATH if owner == ROOT else self.members[owner].folder

    def mended(self) -> "Fleet":
        """The same, with nothing broken and nobody suspended."""
        return self.with_(
            members={name: replace(each, broken="", suspended=False) for name, each in self.members.items()}
        )


NOTIFYING = (("Receiver", "v1", "github"), ("Provider", "v1beta3", "chat"), ("Alert", "v1beta3", "chat"))
_BREAKS: dict[str, dict[str, str]] = {
    "invalid YAML": {"broken.yaml": "kind: ConfigMap\n  apiVersion: [v1\n"},
    "refused": {
        "broken.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: refused, namespace: {NAMESPACE}}}\n"
        "data: {a: [1, 2]}\n"
    },
    "no namespace": {
        "broken.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nowhere, namespace: never-there}\n"
    },
    "missing file": {"kustomization.yaml": "resources: [not-there.yaml]\n"},
    "unknown field": {},
    "no such path": {},
}
BREAKS = tuple(_BREAKS)


def stays(folder: str) -> str:
    return f"stays-{folder or 'root'}"


def identity(key: Key) -> str:
    kind, namespace, name = key
    group = GROUPS.get(kind, "")
    return f"{namespace}_{name}_{group}_{kind}@{VERSIONS[group]}"


def path_of(key: Key) -> str:
    """In the API."""
    kind, namespace, name = key
    plural, group = f"{kind.lower()}s", GROUPS.get(kind, "")
    base = f"/apis/{group}/{VERSIONS[group]}" if group else "/api/v1"
    return f"{base}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{base}/{plural}/{name}"


def resource(key: Key) -> Key:
    """The same as an audit log has it: plural, namespace, name."""
    kind, namespace, name = key
    return (f"{kind.lower()}s", namespace, name)


def manifest(key: Key, value: str) -> dict[str, Any]:
    kind, namespace, name = key
    group = GROUPS.get(kind, "")
    metadata: dict[str, Any] = {"name": name, **({"namespace": namespace} if namespace else {})}
    if kind in (SECRET, ACCOUNT):
        metadata["annotations"] = {"soak": value}
    base = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata}
    return {**base, **_content(kind, name, value)}


def value_of(kind: str, live: Mapping[str, Any]) -> str:
    """What ``manifest`` was told."""
    if kind == CONFIG_MAP:
        return str(live["data"]["value"])
    if kind in (SECRET, ACCOUNT):
        return str(live["metadata"]["annotations"]["soak"])
    if kind == DEPLOYMENT:
        return str(live["spec"]["template"]["metadata"]["annotations"]["soak"])
    if kind == WIDGET:
        return str(live["spec"]["value"])
    return ""


def _content(kind: str, name: str, value: str) -> dict[str, Any]:
    if kind == CONFIG_MAP:
        return {"data": {"value": value}}
    if kind == SECRET:
        return {"stringData": {"value": f"canary-{value}"}}
    if kind == WIDGET:
        return {"spec": {"value": value}}
    if kind == DEFINITION:
        return {"spec": _definition(name)}
    if kind == DEPLOYMENT:
        containers = [{"name": "main", "image": "registry.example.com/main:1"}]
        template = {"metadata": {"labels": {"app": name}, "annotations": {"soak": value}}}
        selector = {"matchLabels": {"app": name}}
        return {
            "spec": {"replicas": 1, "selector": selector, "template": {**template, "spec": {"containers": containers}}}
        }
    return {}


def _definition(name: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    names = {"kind": "Widget", "plural": plural, "singular": "widget", "listKind": "WidgetList"}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"value": {"type": "string"}}}},
    }
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    return {"group": group, "names": names, "scope": "Namespaced", "versions": versions}


def _document(member: Member) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "interval": "30s",
        "retryInterval": "10s",
        "timeout": "40s",
        "path": "./not-there" if member.broken == "no such path" else f"./{member.folder}",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": FLUX},
    }
    if member.depends_on:
        spec["dependsOn"] = [{"name": name} for name in member.depends_on]
    if member.suspended:
        spec["suspend"] = True
    if member.wait:
        spec["wait"] = True
    if member.broken == "unknown field":
        spec["pruen"] = True
    metadata = {"name": member.name, "namespace": FLUX}
    return {"apiVersion": f"{KUSTOMIZATIONS}/v1", "kind": "Kustomization", "metadata": metadata, "spec": spec}


def _notifying(provider: str) -> list[dict[str, Any]]:
    source = {"kind": "GitRepository", "name": FLUX}
    receiver = {"type": "github", "events": ["push"], "secretRef": {"name": "webhook-token"}, "resources": [source]}
    sources = [{"kind": "Kustomization", "name": "*"}, {"kind": "GitRepository", "name": "*"}]
    specs = {
        "Receiver": receiver,
        "Provider": {"type": "generic", "address": provider},
        "Alert": {"providerRef": {"name": "chat"}, "eventSources": sources},
    }
    return [
        {
            "apiVersion": f"notification.toolkit.fluxcd.io/{version}",
            "kind": kind,
            "metadata": {"name": name, "namespace": FLUX},
            "spec": specs[kind],
        }
        for kind, version, name in NOTIFYING
    ]
