from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.core.health.status import assess

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def thing(
    api_version: str,
    kind: str,
    *,
    spec: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    conditions: list[tuple[str, str, str, str]] | None = None,
    **status: Any,
) -> dict[str, Any]:
    listed = [dict(zip(("type", "status", "reason", "message"), each, strict=True)) for each in conditions or []]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", **(metadata or {})},
        "spec": spec or {},
        "status": {**status, **({"conditions": listed} if listed else {})},
    }


ROLLED_OUT = [("Progressing", "True", "NewReplicaSetAvailable", ""), ("Available", "True", "", "")]
UP = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}


def deployment(*, conditions: Any = ROLLED_OUT, deadline: int | None = 600, **status: Any) -> dict[str, Any]:
    spec = {"replicas": 2} | ({} if deadline is None else {"progressDeadlineSeconds": deadline})
    return thing("apps/v1", "Deployment", spec=spec, conditions=conditions, **{**UP, **status})


def stateful_set(strategy: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    counts = {"replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3}
    revisions = {"currentRevision": "a", "updateRevision": "a"}
    spec = {"replicas": 3, "updateStrategy": strategy or {}}
    return thing("apps/v1", "StatefulSet", spec=spec, **{**counts, **revisions, **status})


def replica_set(conditions: Any = None, **status: Any) -> dict[str, Any]:
    counts = {"replicas": 1, "fullyLabeledReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}
    return thing("apps/v1", "ReplicaSet", conditions=conditions, **{**counts, **status})


def daemon_set(generation: int | None = 1, **status: Any) -> dict[str, Any]:
    counts = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
        "numberReady": 2,
    }
    given = {name: value for name, value in {**counts, **status}.items() if value is not None}
    metadata = {} if generation is None else {"generation": generation}
    return thing("apps/v1", "DaemonSet", metadata=metadata, **given)


def job(*, suspend: bool = False, conditions: Any = None, **status: Any) -> dict[str, Any]:
    return thing("batch/v1", "Job", spec={"suspend": suspend}, conditions=conditions, **status)


def pod(
    phase: str = "", *, conditions: Any = None, created: str = "2026-01-01T11:00:00Z", **status: Any
) -> dict[str, Any]:
    metadata = {"creationTimestamp": created}
    return thing("v1", "Pod", metadata=metadata, conditions=conditions, phase=phase, **status)


LOOPING = [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, {"name": "b", "state": {"running": {}}}]
UNSCHEDULABLE = [("PodScheduled", "False", "Unschedulable", "")]


@pytest.mark.parametrize(
    ("manifest", "status", "message"),
    [
        (None, "NotFound", "Resource not found"),
        # any kind
        (thing("v1", "ConfigMap", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), "Terminating", "deletion"),
        (
            thing("apps/v1", "Deployment", metadata={"generation": 3}, observedGeneration=2),
            "InProgress",
            "Deployment generation is 3, but latest observed generation is 2",
        ),
        (thing("a/v1", "B", conditions=[("Reconciling", "True", "", "at it")]), "InProgress", "at it"),
        (thing("a/v1", "B", conditions=[("Stalled", "True", "", "no way")]), "Failed", "no way"),
        (thing("a/v1", "B", conditions=[("Reconciling", "False", "", "")]), "Current", "Resource is current"),
        (thing("a/v1", "B", conditions=[("Ready", "True", "", "")]), "Current", "Resource is Ready"),
        (thing("a/v1", "B", conditions=[("Ready", "False", "", "not yet")]), "InProgress", "not yet"),
        (thing("a/v1", "B", conditions=[("Ready", "Unknown", "", "hm")]), "InProgress", "hm"),
        (thing("a/v1", "B", conditions=[("Ready", "Maybe", "", "hm")]), "Current", "Resource is current"),
        (thing("example.com/v1", "Deployment"), "Current", "Resource is current"),
        (thing("v1", "Namespace"), "Current", "Resource is current"),
        ({**thing("a/v1", "B"), "status": {"conditions": "none"}}, "Current", "Resource is current"),
        ({**thing("a/v1", "B"), "status": {"conditions": ["odd"]}}, "Current", "Resource is current"),
        # Deployment
        (deployment(), "Current", "Deployment is available. Replicas: 2"),
        (deployment(conditions=[("Progressing", "False", "ProgressDeadlineExceeded", "")]), "Failed", "deadline"),
        (deployment(replicas=1), "InProgress", "Replicas: 1/2"),
        (deployment(updatedReplicas=1), "InProgress", "Updated: 1/2"),
        (deployment(replicas=3), "InProgress", "Pending termination: 1"),
        (deployment(availableReplicas=1), "InProgress", "Available: 1/2"),
        (deployment(readyReplicas=1), "InProgress", "Ready: 1/2"),
        (deployment(conditions=[("Available", "True", "", "")]), "InProgress", "ReplicaSet not Available"),
        (
            deployment(conditions=[("Progressing", "True", "ReplicaSetUpdated", ""), ("Available", "True", "", "")]),
            "InProgress",
            "ReplicaSet not Available",
        ),
        (deployment(conditions=[("Available", "True", "", "")], deadline=None), "Current", "is available"),
        (deployment(conditions=ROLLED_OUT[:1]), "InProgress", "Deployment not Available"),
        (deployment(conditions=[ROLLED_OUT[0], ("Available", "False", "", "")]), "InProgress", "not Available"),
        # ReplicaSet
        (replica_set(), "Current", "ReplicaSet is available. Replicas: 1"),
        (replica_set([("ReplicaFailure", "True", "", "")]), "InProgress", "Check Pods"),
        (replica_set(fullyLabeledReplicas=0), "InProgress", "Labelled: 0/1"),
        (replica_set(availableReplicas=0), "InProgress", "Available: 0/1"),
        (replica_set(readyReplicas=0), "InProgress", "Ready: 0/1"),
        (replica_set(replicas=2), "InProgress", "Pending termination: 1"),
        # StatefulSet
        (stateful_set(), "Current", "All replicas scheduled as expected. Replicas: 3"),
        (stateful_set({"type": "OnDelete"}, readyReplicas=0), "Current", "ondelete"),
        (stateful_set(replicas=2), "InProgress", "Replicas: 2/3"),
        (stateful_set(readyReplicas=2), "InProgress", "Ready: 2/3"),
        (stateful_set(replicas=4), "InProgress", "Pending termination: 1"),
        (stateful_set({"rollingUpdate": {"partition": 1}}, updatedReplicas=1), "InProgress", "updated: 1/2"),
        (stateful_set({"rollingUpdate": {"partition": 2}}, updatedReplicas=1), "Current", "Partition rollout complete"),
        (stateful_set(currentReplicas=1), "InProgress", "current: 1/3"),
        (stateful_set(updateRevision="b"), "InProgress", "Waiting for updated revision"),
        # DaemonSet
        (daemon_set(), "Current", "All replicas scheduled as expected. Replicas: 2"),
        (daemon_set(generation=None), "InProgress", "metadata.generation not found"),
        (daemon_set(observedGeneration=None), "InProgress", "status.observedGeneration not found"),
        (daemon_set(desiredNumberScheduled=None), "InProgress", "Missing .status.desiredNumberScheduled"),
        (daemon_set(currentNumberScheduled=1), "InProgress", "Current: 1/2"),
        (daemon_set(updatedNumberScheduled=1), "InProgress", "Updated: 1/2"),
        (daemon_set(numberAvailable=1), "InProgress", "Available: 1/2"),
        (daemon_set(numberReady=1), "InProgress", "Ready: 1/2"),
        # Job
        (job(suspend=True), "Current", "Job is suspended"),
        (job(conditions=[("Complete", "True", "", "")], succeeded=1), "Current", "Job Completed. succeeded: 1/1"),
        (job(conditions=[("Failed", "True", "", "")], failed=6), "Failed", "Job Failed. failed: 6/1"),
        (job(conditions=[("Failed", "False", "", "")]), "InProgress", "Job not started. active: 0/1"),
        (job(startTime="2026-01-01T00:00:00Z", active=1), "InProgress", "Job in progress. success:0, active: 1"),
        # Pod
        (pod("Succeeded"), "Current", "completed successfully"),
        (pod("Failed"), "Current", "but not successfully"),
        (pod("Running", conditions=[("Ready", "True", "", "")]), "Current", "Pod is Ready"),
        (pod("Running", conditions=[("Ready", "False", "", "")]), "InProgress", "not Ready"),
        (pod("Running", containerStatuses=LOOPING), "Failed", "Containers in CrashLoop state: a"),
        (pod("Pending"), "InProgress", "Pending phase"),
        (pod("Pending", conditions=UNSCHEDULABLE), "Failed", "could not be scheduled"),
        (pod("Pending", conditions=UNSCHEDULABLE, created="2026-01-01T11:59:50Z"), "InProgress", "not been scheduled"),
        (pod("Pending", conditions=UNSCHEDULABLE, created=""), "InProgress", "not been scheduled"),
        (pod("Weird"), "Unknown", "unknown phase Weird"),
        (pod(), "InProgress", "phase not available"),
        # the rest
        (thing("v1", "Secret"), "Current", "always ready"),
        (thing("batch/v1", "CronJob"), "Current", "always ready"),
        (thing("policy/v1", "PodDisruptionBudget"), "Current", "computed"),
        (thing("v1", "Service", spec={"type": "LoadBalancer"}), "InProgress", "ClusterIP not set"),
        (thing("v1", "Service", spec={"type": "LoadBalancer", "clusterIP": "10.0.0.1"}), "Current", "ready"),
        (thing("v1", "Service"), "Current", "ready"),
        (thing("v1", "PersistentVolumeClaim", phase="Bound"), "Current", "Bound"),
        (thing("v1", "PersistentVolumeClaim"), "InProgress", "phase: unknown"),
        (thing("v1", "PersistentVolumeClaim", phase="Lost"), "Failed", "phase: Lost"),
        ({**replica_set(), "apiVersion": "v1", "kind": "ReplicationController"}, "Current", "ReplicationController is"),
        (thing("apiregistration.k8s.io/v1", "APIService"), "InProgress", "not checked yet"),
        (
            thing("apiregistration.k8s.io/v1", "APIService", conditions=[("Available", "False", "x", "no endpoints")]),
            "InProgress",
            "no endpoints",
        ),
        (
            thing("apiregistration.k8s.io/v1", "APIService", conditions=[("Available", "True", "Local", "")]),
            "Current",
            "APIService is available",
        ),
    ],
)
def test_the_rules(manifest: dict[str, Any] | None, status: str, message: str) -> None:
    found = assess(manifest, now=NOW)
    assert found.status == status
    assert message in found.message


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([("NamesAccepted", "False", "x", "taken")], "Failed"),
        ([("NamesAccepted", "True", "x", ""), ("Established", "True", "x", "")], "Current"),
        ([("Established", "False", "Installing", "")], "InProgress"),
        ([("Established", "False", "NotAccepted", "no")], "Failed"),
        ([], "InProgress"),
    ],
)
def test_custom_resource_definitions(conditions: Any, status: str) -> None:
    crd = thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", conditions=conditions)
    assert assess(crd).status == status


def test_without_the_time_a_pod_may_wait_for_a_node() -> None:
    assert assess(pod("Pending", conditions=UNSCHEDULABLE)).status == "InProgress"
