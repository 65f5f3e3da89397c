"""The same requests to the devcluster and to a real API server: their answers are equal.

Compared are status and whole body after uids, versions, times, addresses and tokens are made equal. What may
differ stands in ``ALLOWED``, each with its reason.
"""

import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.controlplane.fixtures import ControlPlane, call

from penstock.devcluster import DevCluster

pytestmark = pytest.mark.real

MERGE = {"Content_Type": "application/merge-patch+json"}
JSON_PATCH = {"Content_Type": "application/json-patch+json"}
APPLY = {"Content_Type": "application/apply-patch+yaml"}
AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
WRONG_UID = "00000000-0000-4000-8000-000000000000"

ALLOWED: dict[str, str] = {
    "who we are": "the devcluster's answer to an access review says that it evaluates no RBAC",
}
"""Name of a case -> why its answers may differ (the case still runs: the two must answer with the same status)."""


@dataclass(frozen=True)
class Step:
    """One request. Texts may hold ``{ns}`` (a namespace of the case's own) and ``{rv:name}`` (see ``keep``)."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    keep: str = ""  # remembers the answer's resourceVersion and uid under this name


def get(path: str, **headers: str) -> Step:
    return Step("GET", path, headers=headers)


def post(path: str, body: Any, keep: str = "") -> Step:
    return Step("POST", path, body, keep=keep)


def put(path: str, body: Any) -> Step:
    return Step("PUT", path, body)


def apply(path: str, body: Any, query: str = "&force=true", keep: str = "", manager: str = "penstock") -> Step:
    target = f"{path}?fieldManager={manager}&fieldValidation=Strict{query}"
    return Step("PATCH", target, body, APPLY, keep)


def delete(path: str, body: Any = None) -> Step:
    return Step("DELETE", path, body)


CORE, APPS = "/api/v1/namespaces/{ns}", "/apis/apps/v1/namespaces/{ns}"
MAPS, MAP = f"{CORE}/configmaps", f"{CORE}/configmaps/a"


def config_map(data: Any = None, **metadata: Any) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "{ns}", **metadata},
        "data": {"k": "1"} if data is None else data,
    }


def namespaced(api_version: str, kind: str, **body: Any) -> dict:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "{ns}"}, **body}


POD = {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]}
RICH_POD = {
    "containers": [
        {
            "name": "web",
            "image": "registry.example/web",
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}, "limits": {"cpu": "1000m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
            "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5},
            "volumeMounts": [{"name": "cfg", "mountPath": "/cfg"}],
        }
    ],
    "initContainers": [{"name": "init", "image": "init@sha256:" + "0" * 64}],
    "volumes": [
        {"name": "cfg", "configMap": {"name": "a"}},
        {"name": "sec", "secret": {"secretName": "a"}},
        {"name": "tmp", "emptyDir": {}},
    ],
    "securityContext": {"runAsNonRoot": True},
}
SELECTOR = {"matchLabels": {"app": "a"}}


def template(pod: dict = POD) -> dict:
    return {"metadata": {"labels": {"app": "a"}}, "spec": pod}


def deployment(pod: dict = POD, **spec: Any) -> dict:
    return namespaced("apps/v1", "Deployment", spec={"selector": SELECTOR, "template": template(pod), **spec})


CRON = "/apis/batch/v1/namespaces/{ns}/cronjobs/a"


def cron_job(containers: list[dict]) -> dict:
    """A pod template that no controller touches."""
    pod = {"containers": containers, "restartPolicy": "Never"}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return namespaced("batch/v1", "CronJob", spec=spec)


RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
NET = "/apis/networking.k8s.io/v1/namespaces/{ns}"
SERVICE = {"selector": {"app": "a"}, "ports": [{"port": 80}]}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
BACKEND = {"service": {"name": "a", "port": {"number": 80}}}

CREATED = {
    "Deployment": (f"{APPS}/deployments", deployment()),
    "Deployment with much": (f"{APPS}/deployments", deployment(RICH_POD, replicas=2)),
    "Deployment by Recreate": (f"{APPS}/deployments", deployment(strategy={"type": "Recreate"})),
    "StatefulSet": (
        f"{APPS}/statefulsets",
        namespaced("apps/v1", "StatefulSet", spec={"serviceName": "a", "selector": SELECTOR, "template": template()}),
    ),
    "DaemonSet": (
        f"{APPS}/daemonsets",
        namespaced("apps/v1", "DaemonSet", spec={"selector": SELECTOR, "template": template()}),
    ),
    "Job": (
        "/apis/batch/v1/namespaces/{ns}/jobs",
        namespaced("batch/v1", "Job", spec={"template": {"spec": {**POD, "restartPolicy": "Never"}}}),
    ),
    "CronJob": (
        "/apis/batch/v1/namespaces/{ns}/cronjobs",
        namespaced(
            "batch/v1",
            "CronJob",
            spec={
                "schedule": "0 0 * * *",
                "jobTemplate": {"spec": {"template": {"spec": {**POD, "restartPolicy": "OnFailure"}}}},
            },
        ),
    ),
    "Service": (f"{CORE}/services", namespaced("v1", "Service", spec=SERVICE)),
    "headless Service": (f"{CORE}/services", namespaced("v1", "Service", spec={**SERVICE, "clusterIP": "None"})),
    "Service of type ExternalName": (
        f"{CORE}/services",
        namespaced("v1", "Service", spec={"type": "ExternalName", "externalName": "x.example"}),
    ),
    "HorizontalPodAutoscaler": (
        "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers",
        namespaced("autoscaling/v2", "HorizontalPodAutoscaler", spec={"scaleTargetRef": TARGET, "maxReplicas": 3}),
    ),
    "PodDisruptionBudget": (
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        namespaced("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": SELECTOR}),
    ),
    "Ingress": (
        f"{NET}/ingresses",
        namespaced(
            "networking.k8s.io/v1",
            "Ingress",
            spec={"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]},
        ),
    ),
    "NetworkPolicy": (
        f"{NET}/networkpolicies",
        namespaced(
            "networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}
        ),
    ),
    "Role": (
        f"{RBAC}/roles",
        namespaced(
            "rbac.authorization.k8s.io/v1",
            "Role",
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        ),
    ),
    "RoleBinding": (
        f"{RBAC}/rolebindings",
        namespaced(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "{ns}"}, {"kind": "User", "name": "u"}],
        ),
    ),
    "ServiceAccount": (f"{CORE}/serviceaccounts", namespaced("v1", "ServiceAccount")),
    "PersistentVolumeClaim": (
        f"{CORE}/persistentvolumeclaims",
        namespaced(
            "v1",
            "PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        ),
    ),
    "LimitRange": (
        f"{CORE}/limitranges",
        namespaced("v1", "LimitRange", spec={"limits": [{"type": "Container", "default": {"cpu": "1"}}]}),
    ),
    "ResourceQuota": (f"{CORE}/resourcequotas", namespaced("v1", "ResourceQuota", spec={"hard": {"pods": "10"}})),
    "Lease": (
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
        namespaced("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "x", "leaseDurationSeconds": 15}),
    ),
    "Secret": (f"{CORE}/secrets", namespaced("v1", "Secret", stringData={"a": "b"}, data={"c": "ZA=="})),
    "ConfigMap": (MAPS, namespaced("v1", "ConfigMap", data={"a": "b"}, binaryData={"c": "ZA=="})),
}
"""Kinds as users write them: how each is defaulted, by POST and by apply."""

CASES: dict[str, list[Step]] = {
    **{f"POST {name}": [post(path, body)] for name, (path, body) in CREATED.items()},
    **{f"apply {name}": [apply(f"{path}/a", body)] for name, (path, body) in CREATED.items()},
    **{f"dry-run {name}": [apply(f"{path}/a", body, "&dryRun=All")] for name, (path, body) in CREATED.items()},
    "create, read, write, delete": [
        post(MAPS, config_map(), keep="first"),
        post(MAPS, config_map()),
        get(MAP),
        put(MAP, config_map({"k": "2"})),
        put(MAP, config_map({"k": "3"}, resourceVersion="{rv:first}")),
        put(MAP, config_map({"k": "3"}, uid=WRONG_UID)),
        Step("PATCH", MAP, {"data": {"k": None, "n": "1"}}, MERGE),
        Step("PATCH", MAP, [{"op": "add", "path": "/data/j", "value": "1"}], JSON_PATCH),
        Step("PATCH", MAP, [{"op": "test", "path": "/data/j", "value": "2"}], JSON_PATCH),
        Step("PATCH", MAP, [{"op": "remove", "path": "/data/nothing"}], JSON_PATCH),
        delete(MAP),
        delete(MAP),
        get(MAP),
        put(MAP, config_map()),
        Step("PATCH", MAP, {"data": {}}, MERGE),
    ],
    "delete with preconditions": [
        post(MAPS, config_map(), keep="first"),
        Step("PATCH", MAP, {"data": {"n": "1"}}, MERGE),
        delete(MAP, {"preconditions": {"uid": WRONG_UID}}),
        delete(MAP, {"preconditions": {"resourceVersion": "{rv:first}"}}),
        delete(MAP, {"preconditions": {"uid": "{uid:first}"}, "propagationPolicy": "Background"}),
    ],
    "finalizers": [
        post(MAPS, config_map(finalizers=["penstock.dev/test"])),
        delete(MAP),
        delete(MAP),
        Step("PATCH", MAP, {"metadata": {"finalizers": None}}, MERGE),
        get(MAP),
    ],
    "apply: ownership": [
        apply(MAP, config_map({"ours": "1", "shared": "1", "kept": "1"}, labels={"x": "y"})),
        apply(MAP, config_map({"shared": "1", "theirs": "1"}), "", manager="other"),
        apply(MAP, config_map({"kept": "1"})),
        apply(MAP, config_map({"theirs": "2"}), ""),
        apply(MAP, config_map({"theirs": "2", "shared": "2"}, labels={"x": "z"}), "", manager="third"),
        apply(MAP, config_map({"theirs": "2"})),
        Step("PATCH", f"{MAP}?fieldManager=editor", {"data": {"theirs": "3"}}, MERGE),
        apply(MAP, config_map({"theirs": "2"}), ""),
        apply(MAP, config_map({})),
    ],
    "apply: the second one changes nothing": [
        apply(MAP, config_map(), keep="first"),
        apply(MAP, config_map(resourceVersion="{rv:first}")),
        apply(MAP, config_map(resourceVersion="{rv:first}")),
    ],
    "apply: preconditions": [
        apply(MAP, config_map(uid=WRONG_UID)),
        apply(MAP, config_map(), keep="first"),
        apply(MAP, config_map({"k": "2"})),
        apply(MAP, config_map(uid=WRONG_UID)),
        apply(MAP, config_map(resourceVersion="{rv:first}")),
        apply(MAP, config_map({"k": "3"}, uid="{uid:first}")),
    ],
    "apply: what is refused": [
        apply(MAP, {**config_map(), "spec": {"unknown": "x"}}),
        apply(MAP, config_map({"k": 1})),
        apply(MAP, config_map({"k": 1}, labels={"x": 1})),
        apply(MAP, {**config_map(), "apiVersion": "v2"}),
        apply(MAP, config_map(name="b")),
        apply(MAP, {**config_map(), "metadata": {"name": "a", "namespace": "default"}}),
        apply(MAP, config_map(managedFields=[{"manager": "x", "operation": "Apply", "apiVersion": "v1"}])),
        Step("PATCH", MAP, config_map(), APPLY),
        Step("PATCH", f"{MAP}?fieldManager=x&force=maybe", config_map(), APPLY),
        apply("/api/v1/namespaces/nowhere/configmaps/a", config_map(namespace="nowhere")),
        apply(f"{CORE}/secrets/a", namespaced("v1", "Secret", data={"a": "not base64"})),
        apply(f"{CORE}/configmaps/Big_Name", config_map(name="Big_Name")),
        apply(MAP, config_map(labels={"x": "not a label!"})),
    ],
    "objects of more than 1 MiB": [
        apply(MAP, config_map({"k": "x" * (1 << 20)})),
        apply(MAP, config_map({"k": "x" * (1 << 20), "l": "y"})),
        post(f"{CORE}/secrets", namespaced("v1", "Secret", data={"a": "eHh4" * ((1 << 20) // 3 + 1)})),
        apply(MAP, config_map({"k": "x" * (3 << 20)})),
    ],
    "apply: one undeclared field": [
        apply(MAP, {**config_map(), "dta": {"k": "1"}}),
        apply(f"{APPS}/deployments/a", {**deployment(replicas=0), "metadata": {"name": "a", "foo": "1"}}),
    ],
    "apply: lists by their keys": [
        apply(CRON, cron_job([{"name": "web", "image": "web:1"}])),
        apply(
            CRON,
            cron_job([{"name": "side", "image": "side:1", "env": [{"name": "X", "value": "1"}]}]),
            manager="other",
        ),
        apply(CRON, cron_job([{"name": "web", "image": "web:2"}])),
        apply(CRON, cron_job([{"name": "new", "image": "new:1"}])),
    ],
    "immutable fields": [
        apply(f"{APPS}/deployments/a", deployment(replicas=0)),
        apply(
            f"{APPS}/deployments/a",
            namespaced(
                "apps/v1",
                "Deployment",
                spec={
                    "replicas": 0,
                    "selector": {"matchLabels": {"app": "b"}},
                    "template": {"metadata": {"labels": {"app": "b"}}, "spec": POD},
                },
            ),
        ),
        post(MAPS, {**config_map(), "immutable": True}),
        apply(MAP, {**config_map({"k": "2"}), "immutable": True}),
        post(f"{CORE}/secrets", namespaced("v1", "Secret", data={"a": "YQ=="}, immutable=True)),
        apply(f"{CORE}/secrets/a", namespaced("v1", "Secret", data={"a": "Yg=="}, immutable=True)),
        post(f"{RBAC}/rolebindings", CREATED["RoleBinding"][1]),
        apply(
            f"{RBAC}/rolebindings/a",
            {
                **CREATED["RoleBinding"][1],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            },
        ),
    ],
    "invalid workloads": [
        apply(f"{APPS}/deployments/a", namespaced("apps/v1", "Deployment", spec={"selector": {}})),
        apply(f"{APPS}/deployments/a", deployment({"containers": [{"name": "web"}]})),
        apply(f"{APPS}/deployments/a", deployment({"containers": [{"name": "web", "image": "x", "imagee": "y"}]})),
        apply(f"{APPS}/deployments/a", deployment(replicas="two")),
        apply(f"{APPS}/deployments/a", deployment(replicas=-1)),
        apply(f"{CORE}/services/a", namespaced("v1", "Service", spec={"ports": []})),
    ],
    "creates that are refused": [
        post(MAPS, config_map(resourceVersion="1")),
        post(MAPS, config_map(namespace="default")),
        post(MAPS, {**config_map(), "kind": "Secret"}),
        post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
        post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "UPPER"}}),
        post(f"{MAPS}?fieldValidation=Strict", {**config_map(), "dota": {}}),
        post(f"{MAPS}?fieldValidation=Strict", config_map({"k": 1})),
        post("/api/v1/namespaces/nowhere/configmaps", config_map(namespace="nowhere")),
        post(f"{MAPS}?dryRun=All", config_map()),
        post(f"{MAPS}?dryRun=Some", config_map()),
        get(MAP),
    ],
    "lists": [
        post(MAPS, config_map(name="x", labels={"app": "web", "ours": "1"})),
        post(MAPS, config_map(name="y", labels={"app": "web", "tier": "back", "ours": "1"})),
        post(MAPS, config_map(name="z", labels={"ours": "1"})),
        get(f"{MAPS}?labelSelector=ours"),
        get(f"{MAPS}?labelSelector=ours,app%3Dweb"),
        get(f"{MAPS}?labelSelector=ours,app%21%3Dweb"),
        get(f"{MAPS}?labelSelector=ours,tier%20in%20(back,front)"),
        get(f"{MAPS}?labelSelector=ours,tier%20notin%20(back)"),
        get(f"{MAPS}?labelSelector=ours,%21tier"),
        get(f"{MAPS}?labelSelector=ours&limit=2"),
        get(f"{MAPS}?labelSelector=ours&fieldSelector=metadata.name%3Dy"),
        get(f"{MAPS}?fieldSelector=metadata.nothing%3Dy"),
        get(f"{MAPS}?labelSelector=app%20in%20web"),
        get("/api/v1/configmaps?labelSelector=ours,tier%3Dback&fieldSelector=metadata.namespace%3D{ns}"),
        get("/api/v1/namespaces/nowhere/configmaps"),
        delete(f"{MAPS}/x"),
    ],
    "what is not there": [
        get("/apis/nobody.example/v1/nothings"),
        get("/api/v1/nothings"),
        get("/api/v2/configmaps"),
        get("/nowhere"),
        get("/api/v1/namespaces/nowhere"),
        post("/api/v1/nothings", {"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "a"}}),
        Step("PUT", MAPS, config_map()),
        get(f"{MAPS}/a/b"),
    ],
    "who we are": [
        get("/api/v1/namespaces", Authorization="Bearer nobody"),
        post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "{ns}"}},
            },
        ),
    ],
    "namespaces": [
        get("/api/v1/namespaces/{ns}"),
        post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}"}}),
        post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "Not_valid"}}),
        apply(
            "/api/v1/namespaces/{ns}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}", "labels": {"x": "y"}}},
        ),
        delete("/api/v1/namespaces/kube-system-not"),
    ],
}


class Side:
    """One of the two servers, with what a case keeps."""

    def __init__(self, kubeconfig: bytes, namespace: str) -> None:
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self.kept: dict[str, str] = {}

    def run(self, step: Step) -> tuple[int, Any]:
        body = json.loads(self._filled(json.dumps(step.body)))
        status, answer = call(self.kubeconfig, step.method, self._filled(step.path), body, **step.headers)
        if step.keep:
            self.kept[f"rv:{step.keep}"] = answer["metadata"]["resourceVersion"]
            self.kept[f"uid:{step.keep}"] = answer["metadata"]["uid"]
        return status, answer

    def _filled(self, text: str) -> str:
        text = text.replace("{ns}", self.namespace)
        return re.sub(r"\{((?:rv|uid):\w+)\}", lambda m: self.kept[m[1]], text)


@pytest.fixture(scope="module")
def servers(control_plane: ControlPlane) -> Iterator[tuple[bytes, bytes]]:
    with DevCluster(simulate=False) as devcluster:
        yield devcluster.kubeconfig(), control_plane.read_kubeconfig()


@pytest.fixture
def sides(servers: tuple[bytes, bytes]) -> Iterator[tuple[Side, Side]]:
    namespace = f"diff-{secrets.token_hex(4)}"
    both = tuple(Side(kubeconfig, namespace) for kubeconfig in servers)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for side in both:
        assert side.run(post("/api/v1/namespaces", made))[0] == 201
    yield both
    for side in both:
        side.run(delete(f"/api/v1/namespaces/{namespace}"))


VOLATILE = {"uid": "UID", "resourceVersion": "VERSION", "clusterIP": "ADDRESS", "continue": "TOKEN"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _manager(entry: dict) -> tuple[str, str, str]:
    return entry["manager"], entry["operation"], entry.get("subresource", "")


def normal(value: Any) -> Any:
    """Equal for equal answers: uids, versions, times, addresses and tokens are replaced by words.

    managedFields are in the order of their times first, which depends on when a second ends: sorted. Causes are
    repeated as often as the real server happens to validate: once.
    """
    if isinstance(value, dict):
        return {k: VOLATILE[k] if k in VOLATILE and v not in ("None", "") else normal(v) for k, v in value.items()}
    if isinstance(value, list):
        first = value[0] if value and isinstance(value[0], dict) else {}
        ordered = sorted(value, key=_manager) if "manager" in first else value
        if {"reason", "message", "field"} <= first.keys():
            ordered = [each for number, each in enumerate(value) if each not in value[:number]]
        return [normal(each) for each in ordered]
    if isinstance(value, str):
        value = TIME.sub("TIME", UUID.sub("UID", value))
        head, *errors = value.split("\n  ")  # the real one finds type errors in no fixed order
        value = "\n  ".join([head, *sorted(errors)])
        value = re.sub(r"(precondition|record) \(\d+\)", r"\1 (VERSION)", value)
        return re.sub(r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS", value)
    return value


def differences(dev: Any, real: Any, path: str = "") -> Iterator[str]:
    """Each difference with the path to it."""
    if isinstance(dev, dict) and isinstance(real, dict):
        for key in sorted({*dev, *real}):
            yield from differences(dev.get(key, "(absent)"), real.get(key, "(absent)"), f"{path}.{key}")
    elif isinstance(dev, list) and isinstance(real, list) and len(dev) == len(real):
        for number, pair in enumerate(zip(dev, real, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif dev != real:
        yield f"{path}: devcluster {json.dumps(dev)}, real {json.dumps(real)}"


def same(dev: Any, real: Any, where: str) -> None:
    found = list(differences(dev, real))
    assert not found, "\n".join([where, *found])


@pytest.mark.parametrize("name", CASES)
def test_both_answer_alike(sides: tuple[Side, Side], name: str) -> None:
    for number, step in enumerate(CASES[name]):
        (dev_status, dev), (real_status, real) = (side.run(step) for side in sides)
        where = f"step {number}: {step.method} {step.path}"
        assert dev_status == real_status, f"{where}\ndevcluster: {dev}\nreal: {real}"
        if name not in ALLOWED:
            same(normal(dev), normal(real), where)


def test_what_may_differ_is_still_a_case() -> None:
    assert ALLOWED.keys() <= CASES.keys()


def test_both_serve_a_kind_alike(servers: tuple[bytes, bytes]) -> None:
    """Every kind that the devcluster serves, the real one serves with the same names, scope and verbs."""
    dev, real = ({**_served(each, "/api"), **_served(each, "/apis")} for each in servers)
    assert len(dev) > 30
    differing = {key: (kind, real.get(key)) for key, kind in dev.items() if kind != real.get(key)}
    assert differing == {}


def _served(kubeconfig: bytes, root: str) -> dict[tuple[str, str, str], dict]:
    status, document = call(kubeconfig, "GET", root, **AGGREGATED)
    assert (status, document["kind"]) == (200, "APIGroupDiscoveryList")
    return {
        (group["metadata"].get("name", ""), version["version"], resource["resource"]): _kind(resource)
        for group in document["items"]
        for version in group["versions"]
        for resource in version["resources"]
    }


def _kind(resource: dict) -> dict:
    named = {k: resource.get(k) for k in ("scope", "singularResource", "shortNames")}
    return {**named, "kind": resource["responseKind"]["kind"], "verbs": sorted(resource["verbs"])}


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer"},
                "mode": {"type": "string", "default": "fast", "enum": ["fast", "slow"]},
                "items": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "string"}}},
                },
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    },
}


def definition(plural: str) -> dict:
    kind = plural.capitalize()
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.diff.example"},
        "spec": {
            "group": "diff.example",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


def test_custom_resources_alike(sides: tuple[Side, Side]) -> None:
    plural = "things" + secrets.token_hex(3)
    crd, things = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.diff.example", definition(plural)
    kind = things["spec"]["names"]["kind"]
    where = f"/apis/diff.example/v1/namespaces/{{ns}}/{plural}"

    def thing(**spec: Any) -> dict:
        return namespaced("diff.example/v1", kind, spec=spec)

    for side in sides:
        status, answer = side.run(apply(crd, things))
        assert status == 201, answer
        deadline = time.monotonic() + 20
        while side.run(get(where))[0] != 200 or not _established(side.run(get(crd))[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    steps = [
        apply(f"{where}/a", thing(size=1, any={"x": [1]}, items=[{"name": "n"}])),
        apply(f"{where}/a", thing(size=2)),
        apply(f"{where}/a", {**thing(size=2), "status": {"ready": True}}),
        apply(f"{where}/a/status", {**thing(size=2), "status": {"ready": True}}, manager="controller"),
        get(f"{where}/a"),
        apply(f"{where}/a", thing(size="big")),
        apply(f"{where}/a", thing()),
        apply(f"{where}/a", thing(size=1, unknown=1)),
        apply(f"{where}/a", thing(size=1, mode="odd")),
        post(f"{where}?fieldValidation=Strict", thing(size=1, unknown=1)),
        put(f"{where}/a", thing(size=3)),
        get(where),
        delete(f"{where}/a"),
        delete(crd),
    ]
    differing: list[str] = []
    for number, step in enumerate(steps):
        (dev_status, dev), (real_status, real) = (side.run(step) for side in sides)
        if step.path == crd and step.method == "DELETE":
            assert dev_status == real_status == 200
        else:
            both = {"code": dev_status, "body": normal(dev)}, {"code": real_status, "body": normal(real)}
            differing += [f"step {number}: {step.method} {step.path}: {each}" for each in differences(*both)]
    assert not differing, "\n".join(differing)


def _established(crd: dict) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def test_watches_alike(sides: tuple[Side, Side]) -> None:
    """From a version on: what was added, changed and deleted, then the end of the time."""
    seen = []
    for side in sides:
        start = side.run(post(MAPS, config_map(name="first", labels={"w": "1"})))[1]["metadata"]["resourceVersion"]
        side.run(post(MAPS, config_map(labels={"w": "1"})))
        side.run(Step("PATCH", MAP, {"data": {"k": "2"}}, MERGE))
        side.run(Step("PATCH", MAP, {"metadata": {"labels": {"w": None}}}, MERGE))
        side.run(Step("PATCH", MAP, {"metadata": {"labels": {"w": "1"}}}, MERGE))
        side.run(delete(MAP))
        status, answer = side.run(get(f"{MAPS}?watch=true&resourceVersion={start}&timeoutSeconds=1&labelSelector=w"))
        assert status == 200
        seen.append([normal(json.loads(line)) for line in answer["text"].splitlines()])
    assert [event["type"] for event in seen[1]] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    same(*seen, "watch")
