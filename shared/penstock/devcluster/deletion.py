"""Deleting objects: preconditions, propagation, finalizers, namespaces."""

from collections.abc import Mapping
from typing import Any

from penstock.devcluster.metadata import now
from penstock.devcluster.registry import Resource
from penstock.devcluster.statuses import (
    ApiError,
    Subject,
    bad_options,
    forbidden,
    not_found,
    precondition_failed,
    success,
)
from penstock.devcluster.store import ObjectKey, Store, Stored

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PERMANENT_NAMESPACES = SYSTEM_NAMESPACES[:3]
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
CUSTOM_RESOURCES = "customresourcecleanup.apiextensions.k8s.io"
POLICIES = {"Background": "", "Foreground": FOREGROUND, "Orphan": ORPHAN, "": ""}


def delete(
    store: Store, resource: Resource, key: ObjectKey, options: Mapping[str, Any], *, dry_run: bool
) -> dict[str, Any]:
    """DELETE of one object: the object where it still waits for finalizers, else a Status of success."""
    with store.lock:
        stored = store.get(resource.key, key)
        subject = resource.subject(key[1])
        if stored is None:
            raise not_found(subject)
        _check(subject, stored, options.get("preconditions") or {})
        if resource.key == ("", "namespaces") and key[1] in PERMANENT_NAMESPACES:
            raise forbidden(subject, "this namespace may not be deleted")
        policy = str(options.get("propagationPolicy") or "")
        if policy not in POLICIES:
            raise _unknown_policy(policy)
        marked = _marked(stored.object, resource, POLICIES[policy])
        if marked is None:
            if not dry_run:
                store.remove(resource.key, key)
            return success(subject, stored.object["metadata"]["uid"])
        if dry_run or "deletionTimestamp" in stored.object["metadata"]:
            return marked
        return store.put(resource.key, marked).object


def _unknown_policy(policy: str) -> ApiError:
    problem = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
    return bad_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", problem)


def _check(subject: Subject, stored: Stored, wanted: Mapping[str, Any]) -> None:
    metadata = stored.object["metadata"]
    if (uid := wanted.get("uid")) is not None and uid != metadata["uid"]:
        problem = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise precondition_failed(subject, problem)
    if (version := wanted.get("resourceVersion")) is not None and version != metadata["resourceVersion"]:
        problem = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise precondition_failed(subject, problem)


def _marked(obj: dict[str, Any], resource: Resource, finalizer: str) -> dict[str, Any] | None:
    """The object marked for deletion, or None where nothing holds it."""
    metadata = dict(obj["metadata"])
    finalizers = list(metadata.get("finalizers") or ())
    definition = resource.key == DEFINITIONS
    for needed in (finalizer, CUSTOM_RESOURCES if definition else ""):
        if needed and needed not in finalizers:
            finalizers.append(needed)
    namespace = resource.key == ("", "namespaces")
    if not finalizers and not (namespace and obj.get("spec", {}).get("finalizers")):
        return None
    if finalizers:
        metadata["finalizers"] = finalizers
    metadata.setdefault("deletionTimestamp", now())
    if not namespace and not definition:
        metadata.setdefault("deletionGracePeriodSeconds", 0)
    if "generation" in metadata and "deletionTimestamp" not in obj["metadata"] and not definition:
        metadata["generation"] += 1
    out = {**obj, "metadata": metadata}
    if definition:
        status = obj.get("status") or {}
        conditions = [*(status.get("conditions") or ()), _terminating()]
        return {**out, "status": {**status, "conditions": conditions}}
    return {**out, "status": {**obj.get("status", {}), "phase": "Terminating"}} if namespace else out


def _terminating() -> dict[str, str]:
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    return {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": now(),
        "reason": "InstanceDeletionPending",
        "message": message,
    }
