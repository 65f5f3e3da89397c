"""What the API server fills in: per kind, in place, on the object that is about to be stored."""

import base64
import copy
from collections.abc import Callable
from typing import Any

from penstock.devcluster.defaults_pods import fill, set_pod_spec
from penstock.devcluster.registry import Resource
from penstock.devcluster.schema import Schema

Object = dict[str, Any]
DEPLOYMENT = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
JOB = {"backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
CRON_JOB = {
    "concurrencyPolicy": "Allow",
    "suspend": False,
    "successfulJobsHistoryLimit": 3,
    "failedJobsHistoryLimit": 1,
}
SCALE_UP = [
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
]
SCALE_DOWN = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
RBAC_GROUP = "rbac.authorization.k8s.io"


def set_defaults(resource: Resource, new: Object, live: Object | None) -> None:
    """Fill in defaults; ``new`` is changed in place, and shares no part with ``live`` (None for a new object)."""
    new.update(copy.deepcopy({key: value for key, value in new.items() if key not in {"metadata", "status"}}))
    if not resource.builtin:
        set_schema_defaults(new, resource.schema)
        return
    setter = SETTERS.get(resource.key)
    if setter is not None:
        setter(new, live)


def set_schema_defaults(value: Any, schema: Schema) -> None:
    """Defaults of a structural schema, in place: of every object that is there."""
    if isinstance(value, dict):
        for key, default in schema.defaults.items():
            if value.get(key) is None and not (key in value and schema.fields[key].nullable):
                value[key] = copy.deepcopy(default)
        for key, child in value.items():
            inner = schema.child(key)
            if inner is not None and key != "metadata":
                set_schema_defaults(child, inner)
    elif isinstance(value, list) and schema.element is not None:
        for item in value:
            set_schema_defaults(item, schema.element)


def _template(new: Object) -> None:
    set_pod_spec(new["spec"].setdefault("template", {}).setdefault("spec", {}))


def _deployment(new: Object, _: Object | None) -> None:
    fill(new["spec"], DEPLOYMENT)
    _strategy(new["spec"].setdefault("strategy", {}), {"maxUnavailable": "25%", "maxSurge": "25%"})
    _template(new)


def _strategy(strategy: Object, rolling: Object) -> None:
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), rolling)


def _stateful_set(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    fill(spec, {"podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10})
    _strategy(spec.setdefault("updateStrategy", {}), {"partition": 0})
    fill(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), {"whenDeleted": "Retain", "whenScaled": "Retain"})
    for claim in spec.get("volumeClaimTemplates") or ():
        fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim["status"] = {"phase": "Pending", **claim.get("status", {})}
    _template(new)


def _daemon_set(new: Object, _: Object | None) -> None:
    fill(new["spec"], {"revisionHistoryLimit": 10})
    _strategy(new["spec"].setdefault("updateStrategy", {}), {"maxUnavailable": 1, "maxSurge": 0})
    _template(new)


def _replica_set(new: Object, _: Object | None) -> None:
    fill(new["spec"], {"replicas": 1})
    _template(new)


def _pod(new: Object, live: Object | None) -> None:
    spec = new.setdefault("spec", {})
    set_pod_spec(spec)
    fill(spec, {"enableServiceLinks": True})
    for container in spec.get("containers") or ():
        limits = (container.get("resources") or {}).get("limits")
        if limits:
            fill(container["resources"].setdefault("requests", {}), limits)
    if live is None:
        fill(spec, {"preemptionPolicy": "PreemptLowerPriority", "priority": 0})
        new["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _quality(spec: Object) -> str:
    resources = [container.get("resources") or {} for container in spec.get("containers") or ()]
    if not any(r.get("limits") or r.get("requests") for r in resources):
        return "BestEffort"
    whole = all(
        {"cpu", "memory"} <= (r.get("limits") or {}).keys() and r["limits"] == r.get("requests") for r in resources
    )
    return "Guaranteed" if whole else "Burstable"


def _job(new: Object, live: Object | None) -> None:
    spec = new["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, {"parallelism": 1, **JOB})
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    if live is None and not spec.get("manualSelector"):
        uid, name = new["metadata"]["uid"], new["metadata"].get("name", "")
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        labels |= {
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": uid,
            "job-name": name,
        }
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    elif live is not None:
        _keep_generated(spec, live["spec"])
    _template(new)


def _keep_generated(spec: Object, before: Object) -> None:
    """What the API server generated for a Job stays where a later write does not repeat it."""
    spec.setdefault("selector", before.get("selector"))
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    for key, value in (before["template"].get("metadata", {}).get("labels") or {}).items():
        if key.endswith(("controller-uid", "job-name")):
            labels.setdefault(key, value)


def _cron_job(new: Object, _: Object | None) -> None:
    fill(new["spec"], CRON_JOB)
    job = new["spec"].setdefault("jobTemplate", {}).setdefault("spec", {})
    set_pod_spec(job.setdefault("template", {}).setdefault("spec", {}))


def _service(new: Object, live: Object | None) -> None:
    spec = new["spec"]
    fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}), {"timeoutSeconds": 10800})
    for port in spec.get("ports") or ():
        port.setdefault("targetPort", port.get("port"))
    if live is not None and live["spec"].get("type") != "ExternalName" and spec["type"] != "ExternalName":
        _keep_addresses(spec, live["spec"])
    if spec["type"] == "ExternalName":
        return
    fill(spec, {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _keep_addresses(spec: Object, before: Object) -> None:
    """A write that does not name the addresses and ports that were chosen keeps them."""
    if not spec.get("clusterIP") and "clusterIP" in before:
        spec["clusterIP"] = before["clusterIP"]
    if "clusterIPs" not in spec and "clusterIPs" in before:
        spec["clusterIPs"] = before["clusterIPs"]
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        chosen = {
            (p.get("port"), p.get("protocol")): p["nodePort"] for p in before.get("ports") or () if "nodePort" in p
        }
        for port in spec.get("ports") or ():
            if (node_port := chosen.get((port.get("port"), port.get("protocol")))) is not None:
                port.setdefault("nodePort", node_port)


def _autoscaler(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        up, down = spec["behavior"].setdefault("scaleUp", {}), spec["behavior"].setdefault("scaleDown", {})
        fill(up, {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": SCALE_UP})
        fill(down, {"selectPolicy": "Max", "policies": SCALE_DOWN})


def _claim(new: Object, live: Object | None) -> None:
    new.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if live is None:
        new["status"] = {"phase": "Pending"}


def _volume(new: Object, live: Object | None) -> None:
    fill(new["spec"], {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    if live is None:
        new["status"] = {"phase": "Pending"}


def _secret(new: Object, _: Object | None) -> None:
    fill(new, {"type": "Opaque"})
    plain = new.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        new["data"] = {**(new.get("data") or {}), **encoded}


def _namespace(new: Object, live: Object | None) -> None:
    labels = {**(new["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": new["metadata"].get("name", "")}
    new["metadata"]["labels"] = labels
    if live is None:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}
    else:
        new["spec"] = live["spec"]


def _network_policy(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _binding(new: Object, _: Object | None) -> None:
    if not new.setdefault("roleRef", {}).get("apiGroup"):
        new["roleRef"]["apiGroup"] = RBAC_GROUP
    for subject in new.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in {"User", "Group"}:
            subject["apiGroup"] = RBAC_GROUP


def _priority_class(new: Object, _: Object | None) -> None:
    fill(new, {"preemptionPolicy": "PreemptLowerPriority"})


def _storage_class(new: Object, _: Object | None) -> None:
    fill(new, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def _webhooks(new: Object, _: Object | None, more: Object) -> None:
    for hook in new.get("webhooks") or ():
        fill(hook, {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10, **more})
        fill(hook, {"namespaceSelector": {}, "objectSelector": {}})
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")
        if "service" in hook.get("clientConfig", {}):
            hook["clientConfig"]["service"].setdefault("port", 443)


def _definition(new: Object, live: Object | None) -> None:
    spec = new["spec"]
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    fill(names, {"singular": kind.lower(), "listKind": f"{kind}List"})
    spec.setdefault("conversion", {"strategy": "None"})
    if live is None:
        new["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": [v["name"] for v in spec.get("versions") or () if v.get("storage")],
        }


SETTERS: dict[tuple[str, str], Callable[[Object, Object | None], None]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "replicationcontrollers"): _replica_set,
    ("", "secrets"): _secret,
    ("", "services"): _service,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): lambda new, live: _webhooks(
        new, live, {"reinvocationPolicy": "Never"}
    ),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): lambda new, live: _webhooks(new, live, {}),
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    (RBAC_GROUP, "clusterrolebindings"): _binding,
    (RBAC_GROUP, "rolebindings"): _binding,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}
