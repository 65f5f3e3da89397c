"""The served kinds: the built-in ones and those of established CustomResourceDefinitions, and their discovery."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from penstock.devcluster import types_data
from penstock.devcluster.schema import Schema, compile_definitions, compile_structural
from penstock.devcluster.statuses import Subject

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
CRD_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One served version of one resource. ``builtin``: decoded as Go types are; ``record``: its discovery entry."""

    group: str
    version: str
    plural: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: frozenset[str]
    subresources: frozenset[str]
    schema: Schema
    builtin: bool
    record: Mapping[str, Any]

    @property
    def api_version(self) -> str:
        """``group/version`` or ``version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> tuple[str, str]:
        """What stored objects stand under: all versions share it."""
        return (self.group, self.plural)

    def subject(self, name: str = "") -> Subject:
        """What errors speak of."""
        return Subject(group=self.group, resource=self.plural, kind=self.kind, name=name)


class Registry:
    """Looks kinds up and describes them. ``publish``/``withdraw`` follow CustomResourceDefinitions.

    What is served is a dict that is replaced, never changed: readers in other threads see one state or the next.
    """

    def __init__(self) -> None:
        self.version_info: Mapping[str, Any] = types_data.load()["version"]
        built_in, self.object_meta = _built_in()
        self._serve({(r.group, r.version, r.plural): r for r in built_in})

    def _serve(self, resources: dict[tuple[str, str, str], Resource]) -> None:
        self._resources = resources
        self._documents: dict[bool, dict[str, Any]] = {}  # aggregated discovery, made when it is asked for

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource under a URL."""
        return self._resources.get((group, version, plural))

    def of_kind(self, group: str, kind: str) -> Resource | None:
        """Any version of a kind."""
        return next((r for r in self._resources.values() if r.group == group and r.kind == kind), None)

    def all(self) -> tuple[Resource, ...]:
        """Every served version of every resource."""
        return tuple(self._resources.values())

    def publish(self, crd: Mapping[str, Any]) -> None:
        """Serve the versions of a CustomResourceDefinition, instead of those that it had before."""
        spec, served = crd["spec"], self._without(crd)
        for version in spec["versions"]:
            if version.get("served"):
                node = (version.get("schema") or {}).get("openAPIV3Schema") or {}
                schema = compile_structural(node, self.object_meta)
                key = (spec["group"], version["name"], spec["names"]["plural"])
                served[key] = _resource(_crd_record(spec, version), schema, builtin=False)
        self._serve(served)

    def withdraw(self, crd: Mapping[str, Any]) -> None:
        """Serve a CustomResourceDefinition's kinds no longer."""
        self._serve(self._without(crd))

    def _without(self, crd: Mapping[str, Any]) -> dict[tuple[str, str, str], Resource]:
        gone = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        return {key: resource for key, resource in self._resources.items() if resource.key != gone}

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the preferred one first; the core group is ""."""
        out: dict[str, list[str]] = {}
        for resource in self._resources.values():
            versions = out.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {group: sorted(versions, key=_version_order) for group, versions in out.items()}

    def aggregated(self, *, core: bool) -> dict[str, Any]:
        """The APIGroupDiscoveryList of ``/api`` or ``/apis``."""
        documents = self._documents  # before what it is made from: a newer state has a dict of its own
        if core not in documents:
            items = [self._group(g, versions) for g, versions in self.groups().items() if (g == "") is core]
            head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
            documents[core] = {**head, "items": items}
        return documents[core]

    def _group(self, group: str, versions: list[str]) -> dict[str, Any]:
        meta = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
        listed = [
            {"version": version, "resources": self._records(group, version), "freshness": "Current"}
            for version in versions
        ]
        return {"metadata": meta, "versions": listed}

    def _records(self, group: str, version: str) -> list[Mapping[str, Any]]:
        found = [r for r in self._resources.values() if (r.group, r.version) == (group, version)]
        return [
            {key: value for key, value in r.record.items() if key not in {"group", "version", "schema"}}
            for r in sorted(found, key=lambda r: r.plural)
        ]

    def group_list(self) -> dict[str, Any]:
        """The APIGroupList of ``/apis``."""
        groups = [self.group(group) for group in self.groups() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, group: str) -> dict[str, Any]:
        """The APIGroup without its kind and apiVersion."""
        versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in self.groups()[group]]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def resource_list(self, group: str, version: str) -> dict[str, Any]:
        """The APIResourceList of one group and version."""
        api_version = f"{group}/{version}" if group else version
        resources: list[dict[str, Any]] = []
        for record in self._records(group, version):
            resources += _flat(record)
        out = {"kind": "APIResourceList", "groupVersion": api_version, "resources": resources}
        return {**out, "apiVersion": "v1"} if group else out


@cache
def _built_in() -> tuple[tuple[Resource, ...], Schema]:
    """The built-in kinds and the schema of ObjectMeta, compiled once per process."""
    data = types_data.load()
    schemas = compile_definitions(data["definitions"])
    found = tuple(_resource(record, schemas[record["schema"]], builtin=True) for record in data["kinds"])
    return found, schemas[OBJECT_META]


def _resource(record: Mapping[str, Any], schema: Schema, *, builtin: bool) -> Resource:
    kind = record["responseKind"]["kind"]
    return Resource(
        group=record["group"],
        version=record["version"],
        plural=record["resource"],
        kind=kind,
        list_kind=record.get("listKind") or f"{kind}List",
        namespaced=record["scope"] == "Namespaced",
        verbs=frozenset(record["verbs"]),
        subresources=frozenset(sub["subresource"] for sub in record.get("subresources", ())),
        schema=schema,
        builtin=builtin,
        record={key: value for key, value in record.items() if key != "listKind"},
    )


def _crd_record(spec: Mapping[str, Any], version: Mapping[str, Any]) -> dict[str, Any]:
    names = spec["names"]
    kind = {"group": spec["group"], "version": version["name"], "kind": names["kind"]}
    out = {
        "group": spec["group"],
        "version": version["name"],
        "resource": names["plural"],
        "responseKind": kind,
        "scope": spec["scope"],
        "singularResource": names.get("singular") or names["kind"].lower(),
        "verbs": list(CRD_VERBS),
        "listKind": names.get("listKind"),
    }
    for field in ("shortNames", "categories"):
        if names.get(field):
            out[field] = names[field]
    subresources = version.get("subresources") or {}
    listed: list[dict[str, Any]] = []
    if "status" in subresources:
        listed.append({"subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"]})
    if "scale" in subresources:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        listed.append({"subresource": "scale", "responseKind": scale, "verbs": ["get", "patch", "update"]})
    return {**out, "subresources": listed} if listed else out


def _flat(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    main = {
        "name": record["resource"],
        "singularName": record["singularResource"],
        "namespaced": record["scope"] == "Namespaced",
        "kind": record["responseKind"]["kind"],
        "verbs": record["verbs"],
        **{key: record[key] for key in ("shortNames", "categories") if key in record},
    }
    out = [main]
    for sub in record.get("subresources", ()):
        kind = sub["responseKind"]
        foreign = {key: kind[key] for key in ("group", "version") if kind.get(key)}
        own = kind["kind"] == main["kind"]
        out.append(
            {
                "name": f"{record['resource']}/{sub['subresource']}",
                "singularName": "",
                "namespaced": main["namespaced"],
                **({} if own else foreign),
                "kind": kind["kind"],
                "verbs": sub["verbs"],
            },
        )
    return out


def _version_order(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' priority: v2, v1, v1beta1, v1alpha1, then other names."""
    head, mark, tail = version.removeprefix("v"), "", ""
    for stage in ("beta", "alpha"):
        if stage in head:
            head, mark, tail = head.partition(stage)
    if not version.startswith("v") or not head.isdigit():
        return (3, 0, 0, version)
    rank = {"": 0, "beta": 1, "alpha": 2}[mark]
    return (rank, -int(head), -int(tail or 0), version)
