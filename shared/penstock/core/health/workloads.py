"""kstatus's rules for the kinds that run pods (kubernetes-sigs/cli-utils pkg/kstatus/status/core.go)."""

from collections.abc import Mapping
from typing import Any

from penstock.core.health.facts import Health, condition, current, failed, in_progress, integer, string

_NO_DEADLINE = 2**31 - 1
"""The Deployment controller's own value for "none"."""


def deployment(manifest: Mapping[str, Any]) -> Health:
    """apps/Deployment: every replica updated, ready and available, and the rollout finished."""
    rollout, available = condition(manifest, "Progressing"), condition(manifest, "Available")
    if rollout is not None and rollout.reason == "ProgressDeadlineExceeded":
        return failed("Progress deadline exceeded")
    wanted = integer(manifest, "spec", "replicas", default=1)
    total, updated, ready, up = (
        integer(manifest, "status", name)
        for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    )
    steps = (
        (wanted > total, f"Replicas: {total}/{wanted}"),
        (wanted > updated, f"Updated: {updated}/{wanted}"),
        (total > wanted, f"Pending termination: {total - wanted}"),
        (updated > up, f"Available: {up}/{updated}"),
        (wanted > ready, f"Ready: {ready}/{wanted}"),
        (not _rolled_out(manifest), "ReplicaSet not Available"),
        (available is None or available.status != "True", "Deployment not Available"),
    )
    return _first_unmet(steps) or current(f"Deployment is available. Replicas: {total}")


def replica_set(manifest: Mapping[str, Any]) -> Health:
    """apps/ReplicaSet and v1/ReplicationController: every replica labelled, available and ready."""
    failure = condition(manifest, "ReplicaFailure")
    wanted = integer(manifest, "spec", "replicas", default=1)
    total, labelled, up, ready = (
        integer(manifest, "status", name)
        for name in ("replicas", "fullyLabeledReplicas", "availableReplicas", "readyReplicas")
    )
    steps = (
        (failure is not None and failure.status == "True", "Replica Failure condition. Check Pods"),
        (wanted > labelled, f"Labelled: {labelled}/{wanted}"),
        (wanted > up, f"Available: {up}/{wanted}"),
        (wanted > ready, f"Ready: {ready}/{wanted}"),
        (total > wanted, f"Pending termination: {total - wanted}"),
    )
    return _first_unmet(steps) or current(f"{manifest['kind']} is available. Replicas: {total}")


def stateful_set(manifest: Mapping[str, Any]) -> Health:
    """apps/StatefulSet: every replica ready at the newest revision, or those above ``partition`` updated."""
    if string(manifest, "spec", "updateStrategy", "type") == "OnDelete":
        return current("StatefulSet is using the ondelete update strategy")
    wanted = integer(manifest, "spec", "replicas", default=1)
    total, ready, at_current, updated = (
        integer(manifest, "status", name)
        for name in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")
    )
    steps = (
        (wanted > total, f"Replicas: {total}/{wanted}"),
        (wanted > ready, f"Ready: {ready}/{wanted}"),
        (total > wanted, f"Pending termination: {total - wanted}"),
    )
    unmet = _first_unmet(steps)
    if unmet is not None:
        return unmet
    partition = integer(manifest, "spec", "updateStrategy", "rollingUpdate", "partition", default=-1)
    if partition != -1:
        above = wanted - partition
        done = current(f"Partition rollout complete. updated: {updated}")
        return in_progress(f"updated: {updated}/{above}") if updated < above else done
    same = string(manifest, "status", "currentRevision") == string(manifest, "status", "updateRevision")
    rest = (
        (wanted > at_current, f"current: {at_current}/{wanted}"),
        (not same, "Waiting for updated revision to match current"),
    )
    return _first_unmet(rest) or current(f"All replicas scheduled as expected. Replicas: {total}")


def daemon_set(manifest: Mapping[str, Any]) -> Health:
    """apps/DaemonSet: a pod on each node that wants one, updated, available and ready."""
    wanted = integer(manifest, "status", "desiredNumberScheduled", default=-1)
    scheduled, updated, up, ready = (
        integer(manifest, "status", name)
        for name in ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    )
    unset = -1
    steps = (
        (
            integer(manifest, "metadata", "generation", default=unset) == unset,
            "DaemonSet metadata.generation not found",
        ),
        (
            integer(manifest, "status", "observedGeneration", default=unset) == unset,
            "DaemonSet status.observedGeneration not found",
        ),
        (wanted == unset, "Missing .status.desiredNumberScheduled"),
        (wanted > scheduled, f"Current: {scheduled}/{wanted}"),
        (wanted > updated, f"Updated: {updated}/{wanted}"),
        (wanted > up, f"Available: {up}/{wanted}"),
        (wanted > ready, f"Ready: {ready}/{wanted}"),
    )
    return _first_unmet(steps) or current(f"All replicas scheduled as expected. Replicas: {wanted}")


def job(manifest: Mapping[str, Any]) -> Health:
    """batch/Job as Flux sees it: Current only when it is complete (kstatus: as soon as it runs), or suspended."""
    if (manifest.get("spec") or {}).get("suspend") is True:
        return current("Job is suspended")
    parallelism = integer(manifest, "spec", "parallelism", default=1)
    completions = integer(manifest, "spec", "completions", default=parallelism)
    succeeded, active, lost = (integer(manifest, "status", name) for name in ("succeeded", "active", "failed"))
    complete, broken = condition(manifest, "Complete"), condition(manifest, "Failed")
    if complete is not None and complete.status == "True":
        return current(f"Job Completed. succeeded: {succeeded}/{completions}")
    if broken is not None and broken.status == "True":
        return failed(f"Job Failed. failed: {lost}/{completions}")
    if not string(manifest, "status", "startTime"):
        return in_progress(f"Job not started. active: 0/{parallelism}")
    return in_progress(f"Job in progress. success:{succeeded}, active: {active}, failed: {lost}")


def _first_unmet(steps: tuple[tuple[bool, str], ...]) -> Health | None:
    return next((in_progress(message) for unmet, message in steps if unmet), None)


def _rolled_out(manifest: Mapping[str, Any]) -> bool:
    if integer(manifest, "spec", "progressDeadlineSeconds", default=_NO_DEADLINE) == _NO_DEADLINE:
        return True  # without a deadline the controller reports no progress
    rollout = condition(manifest, "Progressing")
    return rollout is not None and (rollout.status, rollout.reason) == ("True", "NewReplicaSetAvailable")
