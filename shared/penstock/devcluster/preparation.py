"""What the API server itself decides about an object after decoding and defaulting it, which nobody owns.

Initial statuses, generated selectors, protecting finalizers; on updates, what a write that does not repeat it keeps.
"""

from collections.abc import Callable
from typing import Any

from penstock.devcluster.defaults_pods import containers, fill
from penstock.devcluster.registry import Resource

Object = dict[str, Any]
EXPOSED = frozenset({"NodePort", "LoadBalancer"})
TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PROTECTED = {
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
}


def prepare_new(resource: Resource, new: Object) -> None:
    """Complete an object that is about to be created, in place."""
    if resource.key in PROTECTED and resource.builtin:
        finalizers = new["metadata"].setdefault("finalizers", [])
        if PROTECTED[resource.key] not in finalizers:
            new["metadata"]["finalizers"] = [*finalizers, PROTECTED[resource.key]]
    step = CREATED.get(resource.key)
    if step is not None:
        step(new)


def prepare_changed(resource: Resource, new: Object, live: Object) -> None:
    """Complete an object that is about to be replaced, in place; ``live`` is what it replaces."""
    step = CHANGED.get(resource.key)
    if step is not None:
        step(new, live)


def _pod(new: Object) -> None:
    fill(new["spec"], {"preemptionPolicy": "PreemptLowerPriority", "priority": 0})
    tolerated = {item.get("key") for item in new["spec"].get("tolerations") or ()}
    missing = [_tolerate(key) for key in TOLERATED if key not in tolerated]
    new["spec"]["tolerations"] = [*(new["spec"].get("tolerations") or ()), *missing]
    new["status"] = {"phase": "Pending", "qosClass": _quality(new["spec"])}


def _tolerate(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def _quality(spec: Object) -> str:
    resources = [container.get("resources") or {} for container in containers(spec)]
    if not any(r.get("limits") or r.get("requests") for r in resources):
        return "BestEffort"
    limited = ({"cpu", "memory"} <= (r.get("limits") or {}).keys() for r in resources)
    equal = (r.get("limits") == r.get("requests") for r in resources)
    return "Guaranteed" if all(limited) and all(equal) else "Burstable"


def _job(new: Object) -> None:
    spec = new["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = new["metadata"]["uid"], new["metadata"].get("name", "")
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    shared = (new["metadata"].get("labels") or {}) == (metadata.get("labels") or {})
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    if shared:
        new["metadata"]["labels"] = dict(metadata["labels"])
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _job_changed(new: Object, live: Object) -> None:
    """What was generated stays where a later write does not repeat it."""
    spec, before = new["spec"], live["spec"]
    if "selector" in before:
        spec.setdefault("selector", before["selector"])
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    labels = dict(metadata.get("labels") or {})
    for key, value in (before["template"].get("metadata", {}).get("labels") or {}).items():
        if key.endswith(("controller-uid", "job-name")):
            labels.setdefault(key, value)
    if labels:
        metadata["labels"] = labels


def _service(new: Object) -> None:
    spec = new["spec"]
    if spec["type"] == "ExternalName":
        return
    if spec.get("clusterIP") == "None" and not spec.get("selector"):
        fill(spec, {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"})
    fill(spec, {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})


def _service_changed(new: Object, live: Object) -> None:
    """A write that does not name the addresses and ports that were chosen keeps them."""
    spec, before = new["spec"], live["spec"]
    _drop_of_other_type(spec, before)
    if before.get("type") != "ExternalName" and spec["type"] != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(field) and field in before:
                spec[field] = before[field]
    if spec["type"] in EXPOSED:
        chosen = {_port(port): port["nodePort"] for port in before.get("ports") or () if "nodePort" in port}
        for port in spec.get("ports") or ():
            if _port(port) in chosen:
                port.setdefault("nodePort", chosen[_port(port)])
        if "healthCheckNodePort" in before and spec.get("externalTrafficPolicy") == "Local":
            spec.setdefault("healthCheckNodePort", before["healthCheckNodePort"])
    _service(new)


def _drop_of_other_type(spec: Object, before: Object) -> None:
    """A Service that changes its type loses what only the old type has, unless the write changes that too."""
    if spec["type"] == "ExternalName" and before.get("type") != "ExternalName":
        _drop_same(spec, before, ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"))
    if spec["type"] not in EXPOSED and before.get("type") in EXPOSED:
        _drop_same(spec, before, ("externalTrafficPolicy", "healthCheckNodePort"))
        chosen = [port.get("nodePort") for port in before.get("ports") or ()]
        for port in spec.get("ports") or ():
            if port.get("nodePort") in chosen:
                port.pop("nodePort", None)
    if spec["type"] != "LoadBalancer" and before.get("type") == "LoadBalancer":
        _drop_same(spec, before, ("allocateLoadBalancerNodePorts", "loadBalancerClass"))


def _drop_same(spec: Object, before: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in spec and spec[field] == before.get(field):
            del spec[field]


def _port(port: Object) -> tuple[Any, Any]:
    return (port.get("port"), port.get("protocol"))


def _namespace(new: Object) -> None:
    new["spec"] = {"finalizers": ["kubernetes"]}


def _namespace_changed(new: Object, live: Object) -> None:
    new["spec"] = live["spec"]


def _claim(new: Object) -> None:
    spec = new["spec"]
    if spec.get("dataSource") and not spec.get("dataSourceRef"):
        spec["dataSourceRef"] = dict(spec["dataSource"])


def _volume(new: Object) -> None:
    new["status"] = {**new.get("status", {}), "lastPhaseTransitionTime": new["metadata"]["creationTimestamp"]}


def _definition(new: Object) -> None:
    stored = [version["name"] for version in new["spec"].get("versions") or () if version.get("storage")]
    new["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


CREATED: dict[tuple[str, str], Callable[[Object], None]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("batch", "jobs"): _job,
}
CHANGED: dict[tuple[str, str], Callable[[Object, Object], None]] = {
    ("", "namespaces"): _namespace_changed,
    ("", "services"): _service_changed,
    ("batch", "jobs"): _job_changed,
}
