"""``namespace``: every object that lives in a namespace gets this one, and what refers to it follows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpec, FieldSpecs, Setter, update
from penstock.core.kustomize.filters.values import require_scalar, set_scalar
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource
from penstock.core.resources import Manifest

Subjects = Literal["defaultOnly", "allServiceAccounts", "none"]
_METADATA = FieldSpec(path="metadata/namespace", create=True)
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamespaceSetting:
    """``namespace`` for the fields in ``specs``.

    ``subjects``: which subjects of role bindings follow (``defaultOnly``: those named "default").
    ``unset_only``: leave a namespace that is there.
    """

    namespace: str
    specs: FieldSpecs
    subjects: Subjects = "defaultOnly"
    unset_only: bool = False


def set_namespace(resources: ResMap, setting: NamespaceSetting) -> None:
    """Move every object into the namespace. Raises BuildFailed where two objects become one."""
    if not setting.namespace:
        return
    setter = _unset(setting.namespace) if setting.unset_only else set_scalar(setting.namespace)

    def change(resource: Resource) -> Resource:
        return resource if resource.helm else _moved(resource.remembering(), setting, setter)

    resources.transform(("namespace", setting), change)
    try:
        resources.check_unique()
    except BuildFailed as error:
        raise BuildFailed(f"namespace transformation produces ID conflict: {error}") from error


def _moved(resource: Resource, setting: NamespaceSetting, setter: Setter) -> Resource:
    kind = resource.id.kind
    specs = [spec for spec in setting.specs if _applies(spec, resource)]
    if not resource.id.cluster_scoped:
        specs.insert(0, _METADATA)
    manifest = update(resource, specs, setter, "")
    if kind in _BINDINGS and setting.subjects != "none":
        if not isinstance(manifest.get("subjects"), list | None):
            raise BuildFailed(f"{resource.id}: subjects should be a list; wrong node kind")
        manifest = _with_subjects(manifest, setter, _follows(setting.subjects))
    return resource.with_manifest(manifest)


def _applies(spec: FieldSpec, resource: Resource) -> bool:
    """metadata.namespace is set apart; a Namespace is renamed only where it is the core one."""
    group, version, kind = resource.id[:3]
    if not spec.selects(group, version, kind) or spec.path == "metadata/namespace":
        return False
    if spec.path == "metadata/name" and (group, version) != ("", "v1"):
        return False
    return not (spec.kind in _BINDINGS and spec.path == "subjects/namespace")


def _follows(mode: str) -> Callable[[dict[str, Any]], bool]:
    if mode == "allServiceAccounts":
        return lambda subject: subject.get("kind") == "ServiceAccount"
    return lambda subject: subject.get("name") == "default"


def _with_subjects(manifest: Manifest, setter: Setter, follows: Callable[[dict[str, Any]], bool]) -> Manifest:
    subjects = manifest.get("subjects")
    if subjects is None:
        return manifest
    moved = [
        {**subject, "namespace": setter(subject.get("namespace"))}
        if isinstance(subject, dict) and follows(subject)
        else subject
        for subject in subjects
    ]
    return {**manifest, "subjects": moved}


def _unset(namespace: str) -> Setter:
    def setter(old: Any) -> Any:
        require_scalar(old)
        return namespace if old in (None, "") else old

    return setter
