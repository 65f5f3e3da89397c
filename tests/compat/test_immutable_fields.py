"""What `force` goes by: a refusal for an immutable field is told from any other, in every kind that has such fields."""

import copy
from typing import Any

import pytest
import yaml
from tests.real_plane import REAL, connections, tidy

from penstock.core.resources import ref_of
from penstock.ports.cluster import ApiRefused, ApplyOptions

pytestmark = REAL
POD = "{metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: 'registry.example/c:1'}]}}"
JOB = "{spec: {restartPolicy: Never, containers: [{name: c, image: 'registry.example/c:1'}]}}"
STORAGE = "provisioner: example.com/a\nparameters: {a: '1'}\nreclaimPolicy: Delete\nvolumeBindingMode: Immediate"
CLAIM = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: one"
VOLUME = "capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /a}"
CASES = {
    "Deployment selector": (
        f"apps/v1 Deployment\nspec: {{selector: {{matchLabels: {{app: x}}}}, template: {POD}}}",
        "x",
        "y",
    ),
    "StatefulSet serviceName": (
        f"apps/v1 StatefulSet\nspec: {{serviceName: a-name, selector: {{matchLabels: {{app: x}}}}, template: {POD}}}",
        "a-name",
        "b-name",
    ),
    "DaemonSet selector": (
        f"apps/v1 DaemonSet\nspec: {{selector: {{matchLabels: {{app: x}}}}, template: {POD}}}",
        "x",
        "y",
    ),
    "ReplicaSet selector": (
        f"apps/v1 ReplicaSet\nspec: {{selector: {{matchLabels: {{app: x}}}}, template: {POD}}}",
        "x",
        "y",
    ),
    "Job template": (f"batch/v1 Job\nspec: {{suspend: true, template: {JOB}}}", "c:1", "c:2"),
    "Pod command": ("v1 Pod\nspec: {containers: [{name: c, image: 'c:1', command: [one]}]}", "one", "two"),
    "Service clusterIP": ("v1 Service\nspec: {ports: [{port: 80}], clusterIP: 10.0.77.7}", "77.7", "77.8"),
    "PersistentVolumeClaim class": (f"v1 PersistentVolumeClaim\nspec: {{{CLAIM}}}", "one", "two"),
    "PersistentVolume source": (f"v1 PersistentVolume\nspec: {{{VOLUME}}}", "/a", "/b"),
    "StorageClass provisioner": (f"storage.k8s.io/v1 StorageClass\n{STORAGE}", "example.com/a", "example.com/b"),
    "StorageClass parameters": (f"storage.k8s.io/v1 StorageClass\n{STORAGE}", "a: '1'", "a: '2'"),
    "StorageClass reclaimPolicy": (f"storage.k8s.io/v1 StorageClass\n{STORAGE}", "Delete", "Retain"),
    "StorageClass binding mode": (f"storage.k8s.io/v1 StorageClass\n{STORAGE}", "Immediate", "WaitForFirstConsumer"),
    "IngressClass controller": ("networking.k8s.io/v1 IngressClass\nspec: {controller: example.com/a}", "m/a", "m/b"),
    "PriorityClass value": ("scheduling.k8s.io/v1 PriorityClass\nvalue: 7", "7", "8"),
    "RuntimeClass handler": ("node.k8s.io/v1 RuntimeClass\nhandler: one", "one", "two"),
    "CSIDriver attachRequired": ("storage.k8s.io/v1 CSIDriver\nspec: {attachRequired: true}", "true", "false"),
    "RoleBinding role": (
        (
            "rbac.authorization.k8s.io/v1 RoleBinding\n"
            "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}"
        ),
        "view",
        "edit",
    ),
    "ClusterRoleBinding role": (
        (
            "rbac.authorization.k8s.io/v1 ClusterRoleBinding\n"
            "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}"
        ),
        "view",
        "edit",
    ),
    "Secret type": ("v1 Secret\ntype: example.com/a\ndata: {}", "com/a", "com/b"),
    "immutable Secret": ("v1 Secret\nimmutable: true\ndata: {k: YQ==}", "YQ==", "Yg=="),
    "immutable ConfigMap": ("v1 ConfigMap\nimmutable: true\ndata: {k: one}", "one", "two"),
    "ResourceClaim": (
        (
            "resource.k8s.io/v1 ResourceClaim\n"
            "spec: {devices: {requests: [{name: one, exactly: {deviceClassName: a.example}}]}}"
        ),
        "a.example",
        "b.example",
    ),
    "EndpointSlice family": ("discovery.k8s.io/v1 EndpointSlice\naddressType: IPv4\nendpoints: []", "IPv4", "IPv6"),
}
CLUSTER_WIDE = ("PersistentVolume", "StorageClass", "IngressClass", "PriorityClass", "RuntimeClass", "CSIDriver")


def manifest(text: str, space: str) -> dict[str, Any]:
    head, _, body = text.partition("\n")
    api_version, _, kind = head.rpartition(" ")
    metadata = {"name": space}
    if kind not in (*CLUSTER_WIDE, "ClusterRoleBinding"):
        metadata["namespace"] = space
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **yaml.safe_load(body)}


@pytest.mark.parametrize("name", CASES)
def test_an_immutable_field_is_told_from_a_mistake(control_plane, real_namespace, name):
    text, old, new = CASES[name]
    before, after = manifest(text, real_namespace), manifest(text.replace(old, new), real_namespace)
    assert before != after
    cluster = connections(control_plane).connect("prod")
    cluster.apply(copy.deepcopy(before), ApplyOptions())
    try:
        with pytest.raises(ApiRefused) as refused:
            cluster.apply(after, ApplyOptions(dry_run=True))
        assert refused.value.immutable, f"{ref_of(after)}: {refused.value} {refused.value.causes}"
        broken = {**after, "metadata": {**after["metadata"], "labels": {"a": "not a label!"}}}
        with pytest.raises(ApiRefused) as refused:
            cluster.apply(broken, ApplyOptions(dry_run=True))
        causes = [ApiRefused(message, code=refused.value.code) for _, message in refused.value.causes]
        assert not all(cause.immutable for cause in causes), "it would not help to make it anew"
    finally:
        cluster.delete(before)
        tidy(control_plane)
