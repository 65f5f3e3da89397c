"""kstatus's rules for Pods."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from penstock.core.health.facts import (
    Health,
    Status,
    condition,
    current,
    failed,
    field,
    in_progress,
    string,
)

_SCHEDULE_WINDOW = timedelta(seconds=15)


def pod(manifest: Mapping[str, Any], now: datetime | None) -> Health:
    """v1/Pod. ``now`` (aware) decides how long it may stay unschedulable; None waits for ever."""
    phase = string(manifest, "status", "phase")
    if phase == "Succeeded":
        return current("Pod has completed successfully")
    if phase == "Failed":
        return current("Pod has completed, but not successfully")
    if phase == "Running":
        return _running(manifest)
    if phase == "Pending":
        return _pending(manifest, now)
    if phase:
        return Health(status=Status.UNKNOWN, message=f"unknown phase {phase}")
    return in_progress("Pod phase not available")


def _running(manifest: Mapping[str, Any]) -> Health:
    ready = condition(manifest, "Ready")
    if ready is not None and ready.status == "True":
        return current("Pod is Ready")
    looping = [
        string(container, "name")
        for container in field(manifest, "status", "containerStatuses") or ()
        if string(container, "state", "waiting", "reason") == "CrashLoopBackOff"
    ]
    if looping:
        return failed(f"Containers in CrashLoop state: {','.join(looping)}")
    return in_progress("Pod is running but is not Ready")


def _pending(manifest: Mapping[str, Any], now: datetime | None) -> Health:
    if not _unschedulable(manifest):
        return in_progress("Pod is in the Pending phase")
    created = string(manifest, "metadata", "creationTimestamp")
    if now is None or not created or now - datetime.fromisoformat(created) < _SCHEDULE_WINDOW:
        return in_progress("Pod has not been scheduled")
    return failed("Pod could not be scheduled")


def _unschedulable(manifest: Mapping[str, Any]) -> bool:
    scheduled = condition(manifest, "PodScheduled")
    return scheduled is not None and (scheduled.status, scheduled.reason) == ("False", "Unschedulable")
