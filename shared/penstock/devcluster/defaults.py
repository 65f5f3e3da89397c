"""What the API server fills in: per kind, in place, on the object that is about to be stored."""

import base64
import copy
from collections.abc import Callable
from typing import Any

from penstock.devcluster.defaults_pods import fill, set_pod_spec
from penstock.devcluster.registry import Resource
from penstock.devcluster.schema import Schema
from penstock.devcluster.typed import same

Object = dict[str, Any]
DEPLOYMENT = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
JOB = {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "manualSelector": False, "suspend": False}
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
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


def _daemon_set(new: Object, live: Object | None) -> None:
    fill(new["spec"], {"revisionHistoryLimit": 10})
    _strategy(new["spec"].setdefault("updateStrategy", {}), {"maxUnavailable": 1, "maxSurge": 0})
    _template(new)
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), **_template_generation(new, live)}


def _template_generation(new: Object, live: Object | None) -> dict[str, str]:
    """A count of template changes that the API server still keeps in an annotation."""
    before = int((live["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, 0)) if live else 0
    changed = live is None or not same(new["spec"].get("template"), live["spec"].get("template"))
    return {TEMPLATE_GENERATION: str(before + changed)}


def _replica_set(new: Object, _: Object | None) -> None:
    fill(new["spec"], {"replicas": 1})
    _template(new)


def _pod(new: Object, _: Object | None) -> None:
    spec = new.setdefault("spec", {})
    set_pod_spec(spec)
    fill(spec, {"enableServiceLinks": True})
    for container in spec.get("containers") or ():
        limits = (container.get("resources") or {}).get("limits")
        if limits:
            fill(container["resources"].setdefault("requests", {}), limits)
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort"))


def _job(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, JOB)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels and not new["metadata"].get("labels"):
        new["metadata"]["labels"] = dict(labels)
    _template(new)


def _cron_job(new: Object, _: Object | None) -> None:
    fill(new["spec"], CRON_JOB)
    job = new["spec"].setdefault("jobTemplate", {}).setdefault("spec", {})
    set_pod_spec(job.setdefault("template", {}).setdefault("spec", {}))


def _service(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}), {"timeoutSeconds": 10800})
    for port in spec.get("ports") or ():
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] == "ExternalName":
        return
    fill(spec, {"internalTrafficPolicy": "Cluster"})
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


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


def _claim(new: Object, _: Object | None) -> None:
    new.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    new.setdefault("status", {}).setdefault("phase", "Pending")


def _volume(new: Object, _: Object | None) -> None:
    fill(new["spec"], {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    new.setdefault("status", {}).setdefault("phase", "Pending")


def _namespace(new: Object, _: Object | None) -> None:
    labels = {**(new["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": new["metadata"].get("name", "")}
    new["metadata"]["labels"] = labels
    new.setdefault("status", {}).setdefault("phase", "Active")


def _secret(new: Object, _: Object | None) -> None:
    fill(new, {"type": "Opaque"})
    plain = new.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        new["data"] = {**(new.get("data") or {}), **encoded}


def _network_policy(new: Object, _: Object | None) -> None:
    spec = new["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            port.setdefault("protocol", "TCP")


def _limit_range(new: Object, _: Object | None) -> None:
    for item in new["spec"].get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        item.update({key: value for key, value in (("default", limits), ("defaultRequest", requests)) if value})


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


def _policy(new: Object, _: Object | None) -> None:
    constraints = new.get("spec", {}).get("matchConstraints")
    fill(new["spec"], {"failurePolicy": "Fail"})
    if constraints:
        fill(constraints, {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"})
        for rule in (*(constraints.get("resourceRules") or ()), *(constraints.get("excludeResourceRules") or ())):
            rule.setdefault("scope", "*")


def _definition(new: Object, _: Object | None) -> None:
    names = new["spec"].setdefault("names", {})
    kind = names.get("kind", "")
    fill(names, {"singular": kind.lower(), "listKind": f"{kind}List"})
    new["spec"].setdefault("conversion", {"strategy": "None"})


SETTERS: dict[tuple[str, str], Callable[[Object, Object | None], None]] = {
    ("", "limitranges"): _limit_range,
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
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): _policy,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): _policy,
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
