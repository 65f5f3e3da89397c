"""The kinds that the memory adapter serves: a table of built-in ones, and those that definitions add."""

from collections.abc import Iterator

from penstock.core.resources import Gvk, Manifest
from penstock.ports.cluster import ResourceType

VERBS = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})
_TYPES = """
v1: -Namespace -Node -PersistentVolume ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod ResourceQuota
v1: ReplicationController Secret Service ServiceAccount
apps/v1: DaemonSet Deployment ReplicaSet StatefulSet
batch/v1: CronJob Job
autoscaling/v2: HorizontalPodAutoscaler
policy/v1: PodDisruptionBudget
networking.k8s.io/v1: -IngressClass Ingress NetworkPolicy
rbac.authorization.k8s.io/v1: -ClusterRole -ClusterRoleBinding Role RoleBinding
storage.k8s.io/v1: -StorageClass
scheduling.k8s.io/v1: -PriorityClass
coordination.k8s.io/v1: Lease
discovery.k8s.io/v1: EndpointSlice
apiextensions.k8s.io/v1: -CustomResourceDefinition
admissionregistration.k8s.io/v1: -MutatingWebhookConfiguration -ValidatingWebhookConfiguration
"""
_PLURALS = {"Endpoints": "endpoints", "Ingress": "ingresses", "IngressClass": "ingressclasses"}


def builtin_types() -> Iterator[ResourceType]:
    """The kinds that are served from the start."""
    for line in _TYPES.split("\n"):
        api_version, _, kinds = line.partition(": ")
        group, _, version = api_version.rpartition("/")
        for word in kinds.split():
            kind = word.removeprefix("-")
            plural = _PLURALS.get(kind) or _regular(kind.lower())
            yield ResourceType(
                gvk=Gvk(group=group, version=version, kind=kind),
                plural=plural,
                namespaced=not word.startswith("-"),
                verbs=VERBS,
                preferred=True,
            )


def _regular(lower: str) -> str:
    if lower.endswith("s"):
        return lower + "es"
    return lower[:-1] + "ies" if lower.endswith("y") else lower + "s"


def custom_types(definition: Manifest) -> Iterator[ResourceType]:
    """The kinds that a CustomResourceDefinition lets the server serve."""
    spec = definition["spec"]
    for version in spec.get("versions") or []:
        if version.get("served"):
            yield ResourceType(
                gvk=Gvk(group=spec["group"], version=version["name"], kind=spec["names"]["kind"]),
                plural=spec["names"]["plural"],
                namespaced=spec.get("scope") == "Namespaced",
                verbs=VERBS,
                preferred=True,
            )
