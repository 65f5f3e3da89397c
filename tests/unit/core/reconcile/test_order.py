"""Objects are applied in Flux's order, and deleted in the reverse of it."""

from penstock.core.reconcile.order import deletion_order, staged
from penstock.core.resources import ObjectRef, ref_of


def obj(api_version, kind, name="x"):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


def test_definitions_then_classes_then_the_rest():
    given = [
        obj("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        obj("apps/v1", "Deployment"),
        obj("v1", "Secret"),
        obj("example.com/v1", "Widget"),
        obj("storage.k8s.io/v1", "StorageClass"),
        obj("rbac.authorization.k8s.io/v1", "ClusterRole"),
        obj("v1", "Namespace", "b"),
        obj("v1", "Namespace", "a"),
        obj("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        obj("v1", "ServiceAccount"),
    ]
    stages = [[f"{m['kind']}/{m['metadata']['name']}" for m in stage] for stage in staged(given)]
    assert stages == [
        ["CustomResourceDefinition/x", "Namespace/a", "Namespace/b", "ClusterRole/x"],
        ["StorageClass/x"],
        [],
        ["ServiceAccount/x", "Secret/x", "Deployment/x", "Widget/x", "ValidatingWebhookConfiguration/x"],
    ]


def test_a_cluster_role_of_another_group_is_no_definition():
    assert [len(stage) for stage in staged([obj("example.com/v1", "ClusterRole")])] == [0, 0, 0, 1]


def test_kinds_that_the_operator_names_have_a_stage_of_their_own():
    given = [obj("example.com/v1", "Widget"), obj("other.com/v1", "Widget"), obj("v1", "Secret")]
    stages = staged(given, {("example.com", "Widget"), ("", "Namespace")})
    assert [[m["apiVersion"] for m in stage] for stage in stages] == [
        [],
        [],
        ["example.com/v1"],
        ["v1", "other.com/v1"],
    ]


def test_deletion_is_the_reverse():
    refs = [ref_of(obj("v1", "Namespace")), ref_of(obj("v1", "Secret")), ObjectRef(group="e.com", kind="W", name="x")]
    assert [ref.kind for ref in deletion_order(refs)] == ["W", "Secret", "Namespace"]
