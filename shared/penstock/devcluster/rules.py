"""What the API server refuses about an object as a whole: its namespace, its name, what changed."""

from collections.abc import Mapping
from typing import Any

from penstock.devcluster.names import label_problems, name_problems
from penstock.devcluster.registry import Resource
from penstock.devcluster.rules_kinds import created_causes, updated_causes
from penstock.devcluster.rules_schema import schema_causes
from penstock.devcluster.statuses import Cause, Subject, forbidden, invalid, not_found

Object = Mapping[str, Any]


def admit(resource: Resource, namespace: str, new: Object, owner: Object | None) -> None:
    """Refuse a new object in a namespace that is missing (404) or going away (403)."""
    if not resource.namespaced:
        return
    if owner is None:
        raise not_found(Subject(group="", resource="namespaces", kind="Namespace", name=namespace))
    if "deletionTimestamp" in owner["metadata"]:
        message = f"namespace {namespace} is being terminated"
        cause = Cause(reason="NamespaceTerminating", message=message, field="metadata.namespace")
        problem = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise forbidden(resource.subject(new["metadata"].get("name", "")), problem, [cause])


def check_create(resource: Resource, new: Object) -> None:
    """Raise ApiError (422) for a new object that is not valid."""
    causes = [*_metadata_causes(resource, new), *_label_causes(new), *_content_causes(resource, new)]
    _refuse(resource, new, [*causes, *created_causes(resource.key, new)])


def check_update(resource: Resource, new: Object, live: Object) -> None:
    """Raise ApiError (422) for a changed object that is not valid, or changed where it may not."""
    causes = [
        *_finalizer_causes(new, live),
        *_label_causes(new),
        *_content_causes(resource, new),
        *created_causes(resource.key, new),
    ]
    _refuse(resource, new, [*causes, *updated_causes(resource.key, new, live)])


def _refuse(resource: Resource, new: Object, causes: list[Cause]) -> None:
    if causes:
        raise invalid(resource.subject(new["metadata"].get("name", "")), causes)


def _content_causes(resource: Resource, new: Object) -> list[Cause]:
    return [] if resource.builtin else schema_causes(new, resource.schema)


def _metadata_causes(resource: Resource, new: Object) -> list[Cause]:
    name = new["metadata"].get("name", "")
    if not name:
        message = "Required value: name or generateName is required"
        return [Cause(reason="FieldValueRequired", message=message, field="metadata.name")]
    return [
        Cause(reason="FieldValueInvalid", message=f'Invalid value: "{name}": {problem}', field="metadata.name")
        for problem in name_problems(resource.key, name)
    ]


def _finalizer_causes(new: Object, live: Object) -> list[Cause]:
    """An object that is being deleted gets no new finalizers. Twice, as the API server says it."""
    before = live["metadata"].get("finalizers") or ()
    added = sorted(set(new["metadata"].get("finalizers") or ()) - set(before))
    if "deletionTimestamp" not in live["metadata"] or not added:
        return []
    listed = ", ".join(f'"{name}"' for name in added)
    problem = "no new finalizers can be added if the object is being deleted, found new finalizers []string"
    message = f"Forbidden: {problem}{{{listed}}}"
    return [Cause(reason="FieldValueForbidden", message=message, field="metadata.finalizers")] * 2


def _label_causes(new: Object) -> list[Cause]:
    labels = new["metadata"].get("labels") or {}
    return [
        Cause(reason="FieldValueInvalid", message=f'Invalid value: "{shown}": {problem}', field="metadata.labels")
        for key, value in labels.items()
        for shown, problem in label_problems(key, value)
    ]
