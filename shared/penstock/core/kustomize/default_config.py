"""The fields that kustomize's built-in transformers work on, unless ``configurations`` adds to them.

These are kustomize's defaults (api/internal/konfig/builtinpluginconsts), written as tables: ``kind``,
``kind.group`` or ``kind.group/version`` selects, and a ``+`` before a path means that the field is created.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from penstock.core.kustomize.fieldspec import FieldSpec
from penstock.core.kustomize.transformer_config import EMPTY, NameReference, TransformerConfig

_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_POD_SPECS = {
    "Pod": "spec",
    "PodTemplate": "template/spec",
    "Deployment": "spec/template/spec",
    "ReplicaSet": "spec/template/spec",
    "ReplicationController": "spec/template/spec",
    "DaemonSet": "spec/template/spec",
    "StatefulSet": "spec/template/spec",
    "Job": "spec/template/spec",
    "CronJob": "spec/jobTemplate/spec/template/spec",
}
_WORKLOADS = ("PodTemplate", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob")
_ACCOUNT_USERS = ("StatefulSet", "Deployment", "ReplicationController", "CronJob", "Job", "DaemonSet")


def _specs(table: str) -> tuple[FieldSpec, ...]:
    return tuple(_spec(line) for line in table.split("\n") if line.strip())


def _spec(line: str) -> FieldSpec:
    """``[+]path [kind[.group][/version]]``; the path has no spaces."""
    path, _, selector = line.strip().partition(" ")
    selector, _, version = selector.partition("@")
    kind, _, group = selector.partition(".")
    return FieldSpec(group=group, version=version, kind=kind, path=path.removeprefix("+"), create=path.startswith("+"))


_METADATA_LABELS = """
+metadata/labels
+spec/template/metadata/labels ReplicationController@v1
+spec/template/metadata/labels Deployment
+spec/template/metadata/labels ReplicaSet
+spec/template/metadata/labels DaemonSet
+spec/template/metadata/labels StatefulSet.apps
+spec/template/metadata/labels Job.batch
+spec/jobTemplate/metadata/labels CronJob.batch
+spec/jobTemplate/spec/template/metadata/labels CronJob.batch
"""
_CLAIM_LABELS = "+spec/volumeClaimTemplates[]/metadata/labels StatefulSet.apps\n"
_TERMS = (
    "".join(
        f"spec/template/spec/affinity/{affinity}/{term}/matchLabels {{kind}}.apps\n"
        for affinity in ("podAffinity", "podAntiAffinity")
        for term in (
            "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector",
            "requiredDuringSchedulingIgnoredDuringExecution/labelSelector",
        )
    )
    + "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels {kind}.apps\n"
)
_SELECTORS = (
    """
+spec/selector Service@v1
+spec/selector ReplicationController@v1
+spec/selector/matchLabels Deployment
"""
    + _TERMS.format(kind="Deployment")
    + """
+spec/selector/matchLabels ReplicaSet
+spec/selector/matchLabels DaemonSet
+spec/selector/matchLabels StatefulSet.apps
"""
    + _TERMS.format(kind="StatefulSet")
    + """
spec/selector/matchLabels Job.batch
spec/jobTemplate/spec/selector/matchLabels CronJob.batch
spec/selector/matchLabels PodDisruptionBudget.policy
spec/podSelector/matchLabels NetworkPolicy.networking.k8s.io
spec/ingress/from/podSelector/matchLabels NetworkPolicy.networking.k8s.io
spec/egress/to/podSelector/matchLabels NetworkPolicy.networking.k8s.io
"""
)
_ANNOTATIONS = """
+metadata/annotations
+spec/template/metadata/annotations ReplicationController@v1
+spec/template/metadata/annotations Deployment
+spec/template/metadata/annotations ReplicaSet
+spec/template/metadata/annotations DaemonSet
+spec/template/metadata/annotations StatefulSet
+spec/template/metadata/annotations Job.batch
+spec/jobTemplate/metadata/annotations CronJob.batch
+spec/jobTemplate/spec/template/metadata/annotations CronJob.batch
"""
_IMAGES = "".join(
    f"+{prefix}{path}\n"
    for prefix in ("spec/", "spec/template/spec/")
    for path in ("containers[]/image", "initContainers[]/image", "volumes[]/image/reference")
)
_NAMESPACE = """
+metadata/name Namespace
+spec/service/namespace APIService.apiregistration.k8s.io
spec/conversion/webhook/clientConfig/service/namespace CustomResourceDefinition.apiextensions.k8s.io
"""
_REPLICAS = "".join(
    f"+spec/replicas {kind}\n" for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
)


def _pod_paths(kinds: Iterable[str], paths: Iterable[str], pod: str = "Pod@v1") -> Iterator[str]:
    """``paths`` below the pod spec of a Pod and of each kind that makes pods."""
    paths = tuple(paths)
    for path in paths:
        yield f"spec/{path} {pod}"
    for kind in kinds:
        for path in paths:
            yield f"{_POD_SPECS[kind]}/{path} {kind}"


def _name_references() -> Iterator[tuple[str, Iterable[str]]]:
    """For each kind that can be named: the fields that name it."""
    for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"):
        yield kind, ("spec/scaleTargetRef/name HorizontalPodAutoscaler",)
    yield (
        "ConfigMap@v1",
        (
            *_pod_paths(
                _WORKLOADS,
                (
                    "volumes/configMap/name",
                    "containers/env/valueFrom/configMapKeyRef/name",
                    "initContainers/env/valueFrom/configMapKeyRef/name",
                    "containers/envFrom/configMapRef/name",
                    "initContainers/envFrom/configMapRef/name",
                    "volumes/projected/sources/configMap/name",
                ),
            ),
            "spec/configSource/configMap Node",
            "rules/resourceNames Role",
            "rules/resourceNames ClusterRole",
            "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap Ingress",
        ),
    )
    yield (
        "Secret@v1",
        (
            *_pod_paths(
                _WORKLOADS,
                (
                    "volumes/secret/secretName",
                    "containers/env/valueFrom/secretKeyRef/name",
                    "initContainers/env/valueFrom/secretKeyRef/name",
                    "containers/envFrom/secretRef/name",
                    "initContainers/envFrom/secretRef/name",
                    "imagePullSecrets/name",
                    "volumes/projected/sources/secret/name",
                ),
            ),
            "spec/tls/secretName Ingress",
            "metadata/annotations/ingress.kubernetes.io\\/auth-secret Ingress",
            "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret Ingress",
            "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret Ingress",
            "imagePullSecrets/name ServiceAccount",
            "parameters/secretName StorageClass",
            "parameters/adminSecretName StorageClass",
            "parameters/userSecretName StorageClass",
            "parameters/secretRef StorageClass",
            "rules/resourceNames Role",
            "rules/resourceNames ClusterRole",
            "spec/template/spec/containers/env/valueFrom/secretKeyRef/name Service.serving.knative.dev@v1",
            "spec/azureFile/secretName PersistentVolume",
        ),
    )
    yield (
        "Service@v1",
        (
            "spec/serviceName StatefulSet.apps",
            "spec/rules/http/paths/backend/serviceName Ingress",
            "spec/backend/serviceName Ingress",
            "spec/rules/http/paths/backend/service/name Ingress",
            "spec/defaultBackend/service/name Ingress",
            "spec/service/name APIService.apiregistration.k8s.io",
            f"webhooks/clientConfig/service ValidatingWebhookConfiguration.{_ADMISSION}",
            f"webhooks/clientConfig/service MutatingWebhookConfiguration.{_ADMISSION}",
        ),
    )
    yield f"Role.{_RBAC}", (f"roleRef/name RoleBinding.{_RBAC}",)
    yield (
        f"ClusterRole.{_RBAC}",
        (
            f"roleRef/name RoleBinding.{_RBAC}",
            f"roleRef/name ClusterRoleBinding.{_RBAC}",
        ),
    )
    yield (
        "ServiceAccount@v1",
        (
            f"subjects RoleBinding.{_RBAC}",
            f"subjects ClusterRoleBinding.{_RBAC}",
            *_pod_paths(_ACCOUNT_USERS, ("serviceAccountName",), "Pod"),
        ),
    )
    yield (
        "PersistentVolumeClaim@v1",
        tuple(_pod_paths(_ACCOUNT_USERS, ("volumes/persistentVolumeClaim/claimName",), "Pod")),
    )
    yield (
        "PersistentVolume@v1",
        (
            "spec/volumeName PersistentVolumeClaim",
            "rules/resourceNames ClusterRole",
        ),
    )
    yield (
        "StorageClass.storage.k8s.io@v1",
        (
            "spec/storageClassName PersistentVolume",
            "spec/storageClassName PersistentVolumeClaim",
            "spec/volumeClaimTemplates/spec/storageClassName StatefulSet",
        ),
    )
    yield "PriorityClass.scheduling.k8s.io@v1", tuple(_pod_paths(_ACCOUNT_USERS, ("priorityClassName",), "Pod"))
    # The group is kustomize's own, version included: so it never matches an IngressClass.
    yield "IngressClass.networking.k8s.io/v1@v1", ("spec/ingressClassName Ingress",)
    yield f"ValidatingAdmissionPolicy.{_ADMISSION}", (f"spec/policyName ValidatingAdmissionPolicyBinding.{_ADMISSION}",)


def _variables() -> Iterator[str]:
    """The fields in which ``$(VAR)`` is replaced."""
    for kind in ("CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet"):
        pod = _POD_SPECS[kind]
        for containers in ("containers", "initContainers"):
            for path in ("args", "command", "env/value", "volumeMounts/mountPath"):
                yield f"{pod}/{containers}/{path} {kind}"
        if kind == "CronJob":
            yield "spec/jobTemplate/spec/template/volumes/nfs/server CronJob"
        elif kind == "StatefulSet":
            yield "spec/volumeClaimTemplates/spec/nfs/server StatefulSet"
        else:
            yield f"{pod}/volumes/nfs/server {kind}"
    yield from (
        "spec/template/metadata/annotations Deployment",
        "spec/rules/host Ingress",
        "spec/tls/hosts Ingress",
        "spec/tls/secretName Ingress",
        "spec/ports/port Service",
        "spec/ports/targetPort Service",
        "spec/nfs/server PersistentVolume",
        "metadata/labels",
        "metadata/annotations",
    )


def _references() -> tuple[NameReference, ...]:
    result = []
    for target, fields in _name_references():
        spec = _spec(f"- {target}")
        result.append(NameReference(gvk=spec.gvk, referrers=_specs("\n".join(fields))))
    return tuple(result)


@lru_cache(maxsize=1)
def default_config() -> TransformerConfig:
    """The built-in configuration; always the same object."""
    config = TransformerConfig(
        name_prefix=_specs("metadata/name"),
        name_suffix=_specs("metadata/name"),
        namespace=_specs(_NAMESPACE),
        common_labels=_specs(_SELECTORS + _METADATA_LABELS + _CLAIM_LABELS),
        template_labels=_specs(_METADATA_LABELS),
        volume_claim_template_labels=_specs(_CLAIM_LABELS),
        common_annotations=_specs(_ANNOTATIONS),
        name_reference=_references(),
        var_reference=_specs("\n".join(_variables())),
        images=_specs(_IMAGES),
        replicas=_specs(_REPLICAS),
    )
    return EMPTY.merge(config.in_order())
