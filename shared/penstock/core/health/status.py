"""How one live object is doing, from its own fields: kstatus's rules as Flux uses them.

The order: being deleted, generation not observed, the conditions ``Reconciling`` and ``Stalled``, then the kind's own
rule, else its ``Ready`` condition. A generic ``Ready=False`` is InProgress and never Failed: it may still become true.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from penstock.core.health.facts import (
    Health,
    Status,
    condition,
    conditions,
    current,
    failed,
    field,
    in_progress,
    string,
)
from penstock.core.health.pods import pod
from penstock.core.health.workloads import daemon_set, deployment, job, replica_set, stateful_set
from penstock.core.resources import Manifest, gvk_of

__all__ = ["Health", "Status", "assess"]


def assess(manifest: Manifest | None, *, now: datetime | None = None) -> Health:
    """The health of a live object as the API server returned it; None means that it is not there.

    ``now``: aware time, for Pods that nothing has scheduled (None: these never fail). What a workload's pods say of it:
    core.health.stuck.
    """
    if manifest is None:
        return Health(status=Status.NOT_FOUND, message="Resource not found")
    generic = _generic(manifest)
    if generic is not None:
        return generic
    gvk = gvk_of(manifest)
    if (gvk.group, gvk.kind) == ("", "Pod"):
        return pod(manifest, now)
    return _RULES.get((gvk.group, gvk.kind), _by_ready_condition)(manifest)


def has_rule(group: str, kind: str) -> bool:
    """Whether a kind is judged by a rule of its own, and not by its ``Ready`` condition."""
    return (group, kind) == ("", "Pod") or (group, kind) in _RULES


def _generic(manifest: Mapping[str, Any]) -> Health | None:
    if string(manifest, "metadata", "deletionTimestamp"):
        return Health(status=Status.TERMINATING, message="Resource scheduled for deletion")
    generation, observed = field(manifest, "metadata", "generation"), field(manifest, "status", "observedGeneration")
    if isinstance(generation, int) and isinstance(observed, int) and generation != observed:
        kind = manifest["kind"]
        return in_progress(f"{kind} generation is {generation}, but latest observed generation is {observed}")
    for each in conditions(manifest):
        if (each.type, each.status) == ("Reconciling", "True"):
            return in_progress(each.message)
        if (each.type, each.status) == ("Stalled", "True"):
            return failed(each.message)
    return None


def _by_ready_condition(manifest: Mapping[str, Any]) -> Health:
    for each in conditions(manifest):
        if each.type == "Ready" and each.status == "True":
            return current("Resource is Ready")
        if each.type == "Ready" and each.status in ("False", "Unknown"):
            return in_progress(each.message)
    return current("Resource is current")


def _always(message: str) -> Callable[[Mapping[str, Any]], Health]:
    return lambda _manifest: current(message)


def _service(manifest: Mapping[str, Any]) -> Health:
    if string(manifest, "spec", "type") == "LoadBalancer" and not string(manifest, "spec", "clusterIP"):
        return in_progress("ClusterIP not set. Service type: LoadBalancer")
    return current("Service is ready")


def _persistent_volume_claim(manifest: Mapping[str, Any]) -> Health:
    """One that has lost its volume stays so (kstatus waits for it)."""
    phase = string(manifest, "status", "phase", default="unknown")
    if phase == "Bound":
        return current("PVC is Bound")
    told = f"PVC is not Bound. phase: {phase}"
    return failed(told) if phase == "Lost" else in_progress(told)


def _api_service(manifest: Mapping[str, Any]) -> Health:
    """Kstatus has no rule: a group whose server does not answer would be Current."""
    available = condition(manifest, "Available")
    if available is None:
        return in_progress("APIService is not checked yet")
    return current("APIService is available") if available.status == "True" else in_progress(available.message)


def _custom_resource_definition(manifest: Mapping[str, Any]) -> Health:
    for each in conditions(manifest):
        if (each.type, each.status) == ("NamesAccepted", "False"):
            return failed(each.message)
        if (each.type, each.status) == ("Established", "True"):
            return current("CRD is established")
        if (each.type, each.status) == ("Established", "False") and each.reason != "Installing":
            return failed(each.message)
    return in_progress("Install in progress")


def _sealed_secret(manifest: Mapping[str, Any]) -> Health:
    """Kstatus knows no rule for it: whatever its controller says, it would be Current."""
    for each in conditions(manifest):
        if (each.type, each.status) == ("Synced", "True"):
            return current("SealedSecret is synced")
        if (each.type, each.status) == ("Synced", "False"):
            return failed(each.message)
    return in_progress("SealedSecret is not synced yet")


def _external_secret(manifest: Mapping[str, Any]) -> Health:
    """Unlike kstatus, one without conditions waits for its controller."""
    ready = any(each.type == "Ready" for each in conditions(manifest))
    return _by_ready_condition(manifest) if ready else in_progress("ExternalSecret is not synced yet")


_RULES: dict[tuple[str, str], Callable[[Mapping[str, Any]], Health]] = {
    ("", "ConfigMap"): _always("Resource is always ready"),
    ("", "PersistentVolumeClaim"): _persistent_volume_claim,
    ("", "ReplicationController"): replica_set,
    ("", "Secret"): _always("Resource is always ready"),
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _custom_resource_definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("batch", "CronJob"): _always("Resource is always ready"),
    ("batch", "Job"): job,
    ("bitnami.com", "SealedSecret"): _sealed_secret,
    ("external-secrets.io", "ExternalSecret"): _external_secret,
    ("policy", "PodDisruptionBudget"): _always("AllowedDisruptions has been computed."),
}
