"""Why a workload does not become ready, in the words of its pods: which one, what is wrong with it, what it said.

A Deployment only tells that replicas are missing. Its pods tell that an image cannot be pulled, that a container
crashes, that no node has room.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.core.health.facts import condition, field, string
from penstock.core.health.stuck import WAITING
from penstock.core.resources import Manifest, gvk_of

_SELECTING = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet")})
_LONGEST = 300


def pod_selector(workload: Manifest) -> str:
    """The label selector of a workload's pods, as the API server's ``labelSelector``; "" for kinds that have none."""
    gvk = gvk_of(workload)
    if (gvk.group, gvk.kind) == ("batch", "Job"):
        return f"batch.kubernetes.io/job-name={workload['metadata']['name']}"
    selector = field(workload, "spec", "selector")
    if (gvk.group, gvk.kind) == ("", "ReplicationController"):
        selector = {"matchLabels": selector}
    elif (gvk.group, gvk.kind) not in _SELECTING:
        return ""
    labels, expressions = field(selector or {}, "matchLabels"), field(selector or {}, "matchExpressions")
    equal = [f"{key}={value}" for key, value in sorted(labels.items())] if isinstance(labels, Mapping) else []
    return ",".join((*equal, *map(_requirement, expressions or ())))


def _requirement(expression: Mapping[str, Any]) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or ())
    forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return str(forms[expression["operator"]])


def pod_trouble(pods: Iterable[Manifest]) -> str:
    """``Pod/namespace/name: ImagePullBackOff: what it said`` of the first pod in trouble, or ""."""
    for pod in pods:
        found = _of_containers(pod) or _unschedulable(pod)
        if found:
            metadata = pod["metadata"]
            return f"Pod/{metadata.get('namespace', '')}/{metadata['name']}: {found[:_LONGEST]}"
    return ""


def _of_containers(pod: Manifest) -> str:
    for part in ("initContainerStatuses", "containerStatuses"):
        statuses = field(pod, "status", part)
        for status in statuses if isinstance(statuses, list) else ():
            reason = string(status, "state", "waiting", "reason") if isinstance(status, Mapping) else ""
            if reason in WAITING:
                return ": ".join(each for each in (reason, _said(status)) if each)
    return ""


def _said(status: Mapping[str, Any]) -> str:
    """What the kubelet says; of a crash also how it ended."""
    message = string(status, "state", "waiting", "message")
    code = field(status, "lastState", "terminated", "exitCode")
    return f"{message} (exit code {code})" if isinstance(code, int) else message


def _unschedulable(pod: Manifest) -> str:
    found = condition(pod, "PodScheduled")
    if found is None or found.status != "False" or found.reason != "Unschedulable":
        return ""
    return f"Unschedulable: {found.message}"
