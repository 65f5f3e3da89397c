"""In which order objects are applied and deleted (flux-core §3.2).

Stages: definitions (what others need to exist), classes, the kinds that the operator names, the rest. Inside a stage
the kinds that Flux lists come first, in its order and whatever their group; the others by group, kind, namespace and
name.
"""

from collections.abc import Collection, Iterable, Sequence

from penstock.core.resources import Manifest, ObjectRef, ref_of

_DEFINITIONS = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "Namespace"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
}
_FIRST = (
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANK = {kind: rank for rank, kind in enumerate(_FIRST)} | {
    kind: len(_FIRST) + 1 + rank for rank, kind in enumerate(_LAST)
}
_OTHERS = len(_FIRST)


def rank(ref: ObjectRef) -> tuple[int, str, str, str, str]:
    """The sort key: applied in this order, deleted in the reverse of it."""
    return (_RANK.get(ref.kind, _OTHERS), ref.group, ref.kind, ref.namespace, ref.name)


STAGES = 4
GroupKind = tuple[str, str]


def stage_of(ref: ObjectRef, named: Collection[GroupKind] = ()) -> int:
    """0: definitions, 1: classes, 2: the kinds in ``named``, 3: the rest."""
    kind = (ref.group, ref.kind)
    if kind in _DEFINITIONS:
        return 0
    if ref.kind.endswith("Class"):
        return 1
    return 2 if kind in named else 3


def staged(manifests: Iterable[Manifest], named: Collection[GroupKind] = ()) -> tuple[tuple[Manifest, ...], ...]:
    """The manifests by stage (always STAGES), each stage sorted."""
    stages: tuple[list[Manifest], ...] = tuple([] for _ in range(STAGES))
    for manifest in manifests:
        stages[stage_of(ref_of(manifest), named)].append(manifest)
    return tuple(tuple(sorted(stage, key=lambda m: rank(ref_of(m)))) for stage in stages)


def deletion_order(refs: Iterable[ObjectRef]) -> Sequence[ObjectRef]:
    """The reverse of the order of applying."""
    return sorted(refs, key=rank, reverse=True)
