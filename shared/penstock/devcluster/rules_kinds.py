"""What single built-in kinds require, and what may not change, in the API server's words."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock.devcluster.selectors import selector_test
from penstock.devcluster.statuses import Cause
from penstock.devcluster.store import dump
from penstock.devcluster.typed import same

Object = Mapping[str, Any]
IMMUTABLE = "field is immutable"
MOST_BYTES = 1 << 20


def created_causes(resource: tuple[str, str], new: Object) -> list[Cause]:
    """What a kind misses."""
    rule = REQUIRED.get(resource)
    return list(rule(new)) if rule else []


def updated_causes(resource: tuple[str, str], new: Object, live: Object) -> list[Cause]:
    """What changed although it may not."""
    rule = FIXED.get(resource)
    return list(rule(new, live)) if rule else []


def _required(field: str, detail: str = "") -> Cause:
    message = f"Required value: {detail}" if detail else "Required value"
    return Cause(reason="FieldValueRequired", message=message, field=field)


def _invalid(field: str, value: Any, problem: str) -> Cause:
    shown = dump(value).decode()
    return Cause(reason="FieldValueInvalid", message=f"Invalid value: {shown}: {problem}", field=field)


def _forbidden(field: str, problem: str) -> Cause:
    return Cause(reason="FieldValueForbidden", message=f"Forbidden: {problem}", field=field)


def _workload(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if spec.get(field, 0) < 0:
            yield _invalid(f"spec.{field}", spec[field], "must be greater than or equal to 0")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    if selector is None:
        yield _required("spec.selector")
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield _invalid("spec.selector", selector, "empty selector is invalid for deployment")
    if not selector_test(selector)(labels or {}):
        yield _invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    claims = {(claim.get("metadata") or {}).get("name") for claim in spec.get("volumeClaimTemplates") or ()}
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec", claims)


def _pod_spec(spec: Object, path: str, claims: set[Any] | None = None) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield _required(f"{path}.containers")
    for index, container in enumerate(spec.get("containers") or ()):
        here = f"{path}.containers[{index}]"
        if not container.get("name"):
            yield _required(f"{here}.name")
        if not container.get("image"):
            yield _required(f"{here}.image")
        for key, name in (("ports", "containerPort"), ("env", "name")):
            for at, item in enumerate(container.get(key) or ()):
                if not item.get(name):
                    yield _required(f"{here}.{key}[{at}].{name}")
        yield from _mounts(container, spec, here, claims or set())
        yield from _resources(container.get("resources") or {}, f"{here}.resources")


def _mounts(container: Object, spec: Object, path: str, claims: set[Any]) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()} | claims
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            field = f"{path}.volumeMounts[{index}].name"
            message = f'Not found: "{mount.get("name", "")}"'
            yield Cause(reason="FieldValueNotFound", message=message, field=field)


def _resources(resources: Object, path: str) -> Iterator[Cause]:
    for kind in ("limits", "requests"):
        for name, value in (resources.get(kind) or {}).items():
            if str(value).startswith("-"):
                yield _invalid(f"{path}.{kind}.{name}", value, "must be greater than or equal to 0")


def _pod(new: Object) -> Iterator[Cause]:
    yield from _pod_spec(new.get("spec") or {}, "spec")


def _job(new: Object) -> Iterator[Cause]:
    yield from _job_template((new.get("spec") or {}).get("template") or {}, "spec.template.spec")


def _job_template(template: Object, path: str) -> Iterator[Cause]:
    spec = template.get("spec") or {}
    yield from _pod_spec(spec, path)
    if spec.get("restartPolicy") == "Always":
        yield Cause(
            reason="FieldValueRequired",
            message='Required value: valid values: "OnFailure", "Never"',
            field=f"{path}.restartPolicy",
        )


def _cron_job(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("schedule"):
        yield _required("spec.schedule")
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    yield from _job_template(template, "spec.jobTemplate.spec.template.spec")


def _service(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("ports") and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield _required("spec.ports")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield _required("spec.externalName")
    for index, address in enumerate(spec.get("clusterIPs") or [spec.get("clusterIP") or "None"]):
        if address != "None" and not _is_address(address):
            problem = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield _invalid(f"spec.clusterIPs[{index}]", address, problem)
    for index, port in enumerate(spec.get("ports") or ()):
        number = port.get("port", 0)
        if not 1 <= number <= 65535:
            yield _invalid(f"spec.ports[{index}].port", number, "must be between 1 and 65535, inclusive")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _autoscaler(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    most, least = spec.get("maxReplicas", 0), spec.get("minReplicas", 1)
    if most < 1:
        yield _invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield _invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")


def _small(new: Object) -> Iterator[Cause]:
    """What ConfigMaps and Secrets hold in all: 1 MiB of values, decoded."""
    plain = sum(len(str(value).encode()) for value in (new.get("data") or {}).values())
    encoded = new.get("binaryData") or {}
    if new.get("kind") == "Secret":
        plain, encoded = 0, new.get("data") or {}
    total = plain + sum(_decoded_length(str(value)) for value in encoded.values())
    if total > MOST_BYTES:
        field = "data" if new.get("kind") == "Secret" else "[]"
        message = f"Too long: may not be more than {MOST_BYTES} bytes"
        yield Cause(reason="FieldValueTooLong", message=message, field=field)


def _decoded_length(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


def _claim(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        yield _required("spec.accessModes", "at least 1 access mode is required")
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        yield _required("spec.resources[storage]")


def _definition(new: Object) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    expected = f"{spec.get('names', {}).get('plural', '')}.{spec.get('group', '')}"
    name = new["metadata"].get("name", "")
    if name != expected:
        yield _invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
        yield _invalid("spec.versions", spec.get("versions"), "must have exactly one version marked as storage version")
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield _required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")


def _fixed(*paths: str) -> Callable[[Object, Object], Iterator[Cause]]:
    def rule(new: Object, live: Object) -> Iterator[Cause]:
        for path in paths:
            value = _at(new, path)
            if not same(value, _at(live, path)):
                yield _invalid(path, value, IMMUTABLE)

    return rule


def _at(obj: Any, path: str) -> Any:
    for key in path.split("."):
        obj = obj.get(key) if isinstance(obj, Mapping) else None
    return obj


STATEFUL_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _stateful_set_fixed(new: Object, live: Object) -> Iterator[Cause]:
    def rest(obj: Object) -> dict[str, Any]:
        return {key: value for key, value in obj["spec"].items() if key not in STATEFUL_SET_MUTABLE}

    if not same(rest(new), rest(live)):
        names = ", ".join(f"'{name}'" for name in STATEFUL_SET_MUTABLE[:-1])
        problem = f"updates to statefulset spec for fields other than {names} and 'minReadySeconds' are forbidden"
        yield _forbidden("spec", problem)


def _service_fixed(new: Object, live: Object) -> Iterator[Cause]:
    before, after = live["spec"], new["spec"]
    if before.get("type") == "ExternalName" or after.get("type") == "ExternalName" or not before.get("clusterIP"):
        return
    if after.get("clusterIP") != before["clusterIP"]:
        yield _invalid("spec.clusterIPs[0]", [after.get("clusterIP")], "may not change once set")


def _data_fixed(new: Object, live: Object) -> Iterator[Cause]:
    if not live.get("immutable"):
        return
    if not new.get("immutable"):
        yield _forbidden("immutable", "field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if not same(new.get(field), live.get(field)):
            yield _forbidden(field, "field is immutable when `immutable` is set")


def _secret_fixed(new: Object, live: Object) -> Iterator[Cause]:
    if new.get("type") != live.get("type"):
        yield _invalid("type", new.get("type"), IMMUTABLE)
    yield from _data_fixed(new, live)


def _claim_fixed(new: Object, live: Object) -> Iterator[Cause]:
    def rest(obj: Object) -> dict[str, Any]:
        return {k: v for k, v in obj["spec"].items() if k not in {"resources", "volumeAttributesClassName"}}

    before, after = rest(live), rest(new)
    if "volumeName" not in before:
        after.pop("volumeName", None)
    if not same(before, after):
        problem = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield _forbidden("spec", problem)


def _role_fixed(new: Object, live: Object) -> Iterator[Cause]:
    role = new.get("roleRef") or {}
    if not same(role, live.get("roleRef")):
        shown = {"APIGroup": role.get("apiGroup"), "Kind": role.get("kind"), "Name": role.get("name")}
        yield _invalid("roleRef", shown, "cannot change roleRef")


REQUIRED: dict[tuple[str, str], Callable[[Object], Iterator[Cause]]] = {
    ("", "configmaps"): _small,
    ("", "persistentvolumeclaims"): _claim,
    ("", "pods"): _pod,
    ("", "secrets"): _small,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apps", "daemonsets"): _workload,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
}
FIXED: dict[tuple[str, str], Callable[[Object, Object], Iterator[Cause]]] = {
    ("", "configmaps"): _data_fixed,
    ("", "persistentvolumeclaims"): _claim_fixed,
    ("", "secrets"): _secret_fixed,
    ("", "services"): _service_fixed,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _fixed("spec.group", "spec.names.plural", "spec.scope"),
    ("apps", "daemonsets"): _fixed("spec.selector"),
    ("apps", "deployments"): _fixed("spec.selector"),
    ("apps", "replicasets"): _fixed("spec.selector"),
    ("apps", "statefulsets"): _stateful_set_fixed,
    ("batch", "jobs"): _fixed("spec.selector", "spec.template", "spec.completionMode"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _role_fixed,
    ("rbac.authorization.k8s.io", "rolebindings"): _role_fixed,
    ("storage.k8s.io", "storageclasses"): _fixed("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
}
