"""The scale subresource of workloads: their replicas as an autoscaling/v1 Scale."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.devcluster.registry import Resource
from penstock.devcluster.statuses import Cause, Subject, bad_request, invalid

Object = dict[str, Any]
KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Mapping[str, Any]) -> Object:
    """The Scale of a workload."""
    metadata = {key: obj["metadata"][key] for key in KEPT if key in obj["metadata"]}
    replicas = obj["spec"].get("replicas", 0)
    status = {"replicas": obj.get("status", {}).get("replicas", 0), "selector": _selector(obj["spec"].get("selector"))}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector in the form of query parameters."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for term in (selector or {}).get("matchExpressions") or ():
        values = f"({','.join(sorted(term.get('values') or ()))})"
        forms = {"In": f"{term['key']} in {values}", "NotIn": f"{term['key']} notin {values}"}
        parts.append(forms.get(term["operator"], term["key"] if term["operator"] == "Exists" else f"!{term['key']}"))
    return ",".join(parts)


def _part(scale: Any, key: str) -> Object:
    part = (scale.get(key) or {}) if isinstance(scale, dict) else None
    if not isinstance(part, dict):
        raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {key} is no object')
    return part


def rescaled(resource: Resource, change: Callable[[Object], Any]) -> Callable[[Object], Object]:
    """What a change of the Scale does to the workload. Raises ApiError (400, 422) when it is called."""

    def apply(live: Object) -> Object:
        wanted = change(scale_of(live))
        spec, given = (_part(wanted, key) for key in ("spec", "metadata"))
        replicas = spec.get("replicas") or 0
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            raise bad_request('Scale in version "v1" cannot be handled as a Scale: spec.replicas is no number')
        if replicas < 0:
            message = f"Invalid value: {replicas}: must be greater than or equal to 0"
            cause = Cause(reason="FieldValueInvalid", message=message, field="spec.replicas")
            name = live["metadata"]["name"]
            raise invalid(Subject(group="autoscaling", resource=resource.plural, kind="Scale", name=name), [cause])
        version = given.get("resourceVersion") or live["metadata"]["resourceVersion"]
        metadata = {**live["metadata"], "resourceVersion": version}
        return {**live, "metadata": metadata, "spec": {**live["spec"], "replicas": replicas}}

    return apply
