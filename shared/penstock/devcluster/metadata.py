"""The metadata that the API server keeps: names, uids, times, generations."""

import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.devcluster.registry import Resource
from penstock.devcluster.statuses import ApiError, Cause, invalid, modified
from penstock.devcluster.typed import same

Object = dict[str, Any]
GENERATIONS = frozenset(
    {
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
        ("discovery.k8s.io", "endpointslices"),
        ("networking.k8s.io", "ingressclasses"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
    },
)
"""The built-in resources whose changes are counted."""
COMPARE_AND_SWAP_ONLY = frozenset(
    {
        *(
            ("admissionregistration.k8s.io", plural)
            for plural in (
                "mutatingadmissionpolicies",
                "mutatingadmissionpolicybindings",
                "mutatingwebhookconfigurations",
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
                "validatingwebhookconfigurations",
            )
        ),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("coordination.k8s.io", "leases"),
        ("node.k8s.io", "runtimeclasses"),
        ("policy", "poddisruptionbudgets"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "csistoragecapacities"),
        ("storage.k8s.io", "volumeattachments"),
    },
)
"""The built-in resources that are replaced only with a resourceVersion, as custom resources are."""
KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion")
SERVERS_OWN = frozenset({*KEPT, "selfLink", "managedFields"})
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
LONGEST_PREFIX = 58


def now() -> str:
    """The time as metadata has it: RFC 3339, seconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def generated_name(metadata: Mapping[str, Any]) -> str:
    """The name, or one made from ``generateName``; "" where there is neither."""
    if metadata.get("name") or not metadata.get("generateName"):
        return str(metadata.get("name") or "")
    suffix = "".join(random.choices(NAME_LETTERS, k=5))  # noqa: S311 — a name, not a secret
    return str(metadata["generateName"])[:LONGEST_PREFIX] + suffix


def new_metadata(resource: Resource, given: Object, namespace: str) -> Object:
    """The metadata of an object that is about to be created."""
    metadata = {key: value for key, value in given.items() if key not in SERVERS_OWN}
    if namespace:
        metadata["namespace"] = namespace
    metadata["uid"] = str(uuid.uuid4())
    if not resource.builtin or resource.key in GENERATIONS:
        metadata["generation"] = 1
    metadata["creationTimestamp"] = now()
    return metadata


def changed_metadata(given: Object, live: Object) -> Object:
    """The metadata of an object that is about to be replaced: what clients cannot change comes from ``live``."""
    metadata = {key: value for key, value in given.items() if key not in SERVERS_OWN}
    kept = (*KEPT, "name", "namespace")
    return {**metadata, **{key: live[key] for key in kept if key in live}}


def check_replaced(resource: Resource, given: Object, live: Object) -> None:
    """Raise ApiError (409, 422) where a plain write names another revision or object, or must name one and does not."""
    check_preconditions(resource, given, live)
    if not given.get("resourceVersion") and (not resource.builtin or resource.key in COMPARE_AND_SWAP_ONLY):
        message = "Invalid value: 0: must be specified for an update"
        cause = Cause(reason="FieldValueInvalid", message=message, field="metadata.resourceVersion")
        raise invalid(replace(resource.subject(live["name"]), kind=resource.plural), [cause])


def check_uid(resource: Resource, given: Object, live: Object) -> None:
    """Raise ApiError (409) where a PUT names another object's uid."""
    if not given.get("uid") or given["uid"] == live["uid"]:
        return
    place = "/".join(
        part for part in ("", "registry", resource.plural, live.get("namespace", ""), live["name"]) if part
    )
    problem = (
        f"StorageError: invalid object, Code: 4, Key: /{place}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {live['uid']}"
    )
    subject = resource.subject(live["name"])
    message = f'Operation cannot be fulfilled on {subject.qualified_resource} "{subject.name}": {problem}'
    raise ApiError(409, "Conflict", message, subject.details(subject.resource))


def check_preconditions(resource: Resource, given: Object, live: Object) -> None:
    """Raise ApiError (409, 422) where the given resourceVersion or uid is not the live one."""
    subject = resource.subject(live["name"])
    if given.get("resourceVersion") and given["resourceVersion"] != live["resourceVersion"]:
        raise modified(subject)
    if given.get("uid") and given["uid"] != live["uid"]:
        raise wrong_uid(resource, given)


def no_such_uid(resource: Resource, name: str, uid: str) -> ApiError:
    """409 of an apply that names a uid where there is no object."""
    problem = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
    subject = resource.subject(name)
    message = f'Operation cannot be fulfilled on {subject.qualified_resource} "{name}": {problem}'
    return ApiError(409, "Conflict", message, subject.details(subject.resource))


def wrong_uid(resource: Resource, given: Object) -> ApiError:
    """422 of a uid that is not the object's."""
    message = f'Invalid value: "{given["uid"]}": field is immutable'
    cause = Cause(reason="FieldValueInvalid", message=message, field="metadata.uid")
    return invalid(resource.subject(given.get("name", "")), [cause, cause])


def counted(new: Object, live: Object) -> None:
    """Raise the generation, in place, where more than metadata and status changed."""
    generation = live["metadata"].get("generation")
    if generation is not None and not same(_spec(live), _spec(new)):
        new["metadata"]["generation"] = generation + 1


def _spec(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status", "apiVersion", "kind"}}


def held(resource: Resource, obj: Mapping[str, Any]) -> bool:
    """Whether finalizers keep an object that is marked for deletion."""
    spec = obj.get("spec") if resource.key == ("", "namespaces") else None
    return bool(obj["metadata"].get("finalizers") or (spec or {}).get("finalizers"))
