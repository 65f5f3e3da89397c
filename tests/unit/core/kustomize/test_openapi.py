"""Merge keys and scopes: the built-in table, and documents that users bring."""

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.openapi import BUILTIN_VERSION, Schema, is_cluster_scoped
from penstock.core.resources import Gvk

POD = "spec.template.spec"
DOCUMENT = {
    "definitions": {
        "example.Foo": {
            "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Foo"}],
            "properties": {
                "spec": {"$ref": "#/definitions/example.FooSpec", "x-kubernetes-patch-strategy": "merge"},
                "pod": {"$ref": "#/definitions/io.k8s.api.core.v1.PodSpec"},
                "self": {"$ref": "#/definitions/example.Foo"},
                "lost": {"$ref": "#/definitions/example.Missing"},
                "any": {"type": "object", "additionalProperties": {"$ref": "#/definitions/example.FooSpec"}},
                "loop": {"$ref": "#/definitions/example.Loop"},
            },
        },
        "example.FooSpec": {
            "properties": {
                "rules": {
                    "type": "array",
                    "items": {"properties": {"name": {"type": "string"}}},
                    "x-kubernetes-patch-strategy": "merge,retainKeys",
                    "x-kubernetes-patch-merge-key": "name",
                },
                "plain": {"type": "array", "items": {"type": "string"}},
            }
        },
        "example.Loop": {"$ref": "#/definitions/example.Loop"},
    },
    "paths": {
        "/apis/example.com/v1/foos": {
            "get": {"x-kubernetes-group-version-kind": {"group": "example.com", "version": "v1", "kind": "Foo"}}
        },
        "/apis/example.com/v1/namespaces/{namespace}/bars": {
            "get": {"x-kubernetes-group-version-kind": {"group": "example.com", "version": "v1", "kind": "Bar"}}
        },
        "/apis/example.com/v1/bars": {
            "get": {"x-kubernetes-group-version-kind": {"group": "example.com", "version": "v1", "kind": "Bar"}}
        },
        "/apis/apps/v1/deployments": {
            "get": {"x-kubernetes-group-version-kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}
        },
    },
}


def node_at(schema, api_version, kind, path):
    node = schema.for_type(api_version, kind)
    for name in path.split(".") if path else ():
        if node is None:
            return None
        node = node.items() if name == "[]" else node.field(name)
    return node


@pytest.mark.parametrize(
    ("api_version", "kind", "path", "keys"),
    [
        ("apps/v1", "Deployment", f"{POD}.containers", ("name",)),
        ("apps/v1", "Deployment", f"{POD}.containers.[].ports", ("containerPort", "protocol")),
        ("apps/v1", "StatefulSet", f"{POD}.volumes", ("name",)),
        ("batch/v1", "CronJob", f"spec.jobTemplate.{POD}.initContainers.[].env", ("name",)),
        ("v1", "Pod", "spec.topologySpreadConstraints", ("topologyKey", "whenUnsatisfiable")),
        ("v1", "Service", "spec.ports", ("port", "protocol")),
        ("v1", "ConfigMap", "metadata.finalizers", ()),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization", "configMapGenerator", ("name",)),
    ],
)
def test_builtin_lists_are_merged_by_their_keys(api_version, kind, path, keys):
    node = node_at(Schema.builtin(), api_version, kind, path)
    assert node is not None
    assert node.merges
    assert node.merge_keys == keys


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("autoscaling/v2", "HorizontalPodAutoscaler"), ("example.com/v1", "Foo"), ("apps/v2", "Deployment")],
)
def test_a_kind_that_kustomize_does_not_know_has_no_schema(api_version, kind):
    assert Schema.builtin().for_type(api_version, kind) is None


def test_a_kind_is_found_by_its_gvk_as_well():
    node = Schema.builtin().for_kind(Gvk(group="apps", version="v1", kind="DaemonSet"))
    assert node is not None
    assert node.field("spec") is not None
    assert node.field("spec") is node.field("spec")


def test_volumes_keep_both_strategies():
    node = node_at(Schema.builtin(), "v1", "Pod", "spec.volumes")
    assert node is not None
    assert node.strategy == "merge,retainKeys"


@pytest.mark.parametrize(
    ("path", "found", "keys"),
    [
        ("spec", True, ()),
        ("spec.rules", True, ("name",)),
        ("spec.rules.[].name", True, ()),
        ("spec.plain.[]", True, ()),
        ("spec.other", False, ()),
        ("any.whatever.rules", True, ("name",)),
        ("pod.containers", True, ("name",)),
        ("self.self.spec.rules", True, ("name",)),
        ("lost", False, ()),
        ("loop", False, ()),
    ],
)
def test_documents_add_kinds_and_may_refer_to_builtin_ones(path, found, keys):
    schema = Schema.builtin().with_documents([DOCUMENT])
    node = node_at(schema, "example.com/v1", "Foo", path)
    assert (node is not None) is found
    assert node is None or node.merge_keys == keys


def test_a_reference_drops_the_strategy_beside_it():
    node = node_at(Schema.builtin().with_documents([DOCUMENT]), "example.com/v1", "Foo", "spec")
    assert node is not None
    assert node.strategy == ""


def test_without_builtin_kinds_only_documents_count():
    schema = Schema.none().with_documents([DOCUMENT])
    assert schema.for_type("apps/v1", "Deployment") is None
    assert node_at(schema, "example.com/v1", "Foo", "pod") is None
    assert node_at(schema, "kustomize.config.k8s.io/v1beta1", "Kustomization", "secretGenerator") is not None


def test_under_the_builtin_kinds_a_document_only_adds():
    theirs = {"definitions": {"io.k8s.api.core.v1.PodSpec": {"properties": {}}}}
    over = Schema.builtin().with_documents([DOCUMENT, theirs])
    under = Schema.none().with_documents([DOCUMENT, theirs]).below_builtin()
    assert node_at(over, "v1", "Pod", "spec.containers") is None
    assert node_at(under, "v1", "Pod", "spec.containers") is not None
    assert node_at(under, "example.com/v1", "Foo", "pod.containers") is not None


@pytest.mark.parametrize(
    ("group", "version", "kind", "expected"),
    [
        ("", "v1", "Namespace", True),
        ("", "v1", "Pod", False),
        ("rbac.authorization.k8s.io", "v1", "ClusterRole", True),
        ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", True),
        ("storage.k8s.io", "v1", "StorageClass", True),
        ("example.com", "v1", "Foo", False),
    ],
)
def test_cluster_scoped_kinds(group, version, kind, expected):
    assert is_cluster_scoped(Gvk(group=group, version=version, kind=kind), Schema.builtin()) is expected


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("example.com/v1", "Foo", True),
        ("example.com/v1", "Bar", False),
        ("apps/v1", "Deployment", False),
        ("v1", "Namespace", True),
    ],
)
def test_paths_of_documents_tell_scopes_that_are_not_built_in(api_version, kind, expected):
    assert Schema.none().with_documents([DOCUMENT]).cluster_scoped(api_version, kind) is expected


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [("apps/v1", "Deployment", True), ("v1", "Node", True), ("example.com/v1", "Foo", False)],
)
def test_the_scope_of_some_kinds_is_known_without_a_schema(api_version, kind, expected):
    assert Schema.scope_is_built_in(api_version, kind) is expected


@pytest.mark.parametrize("document", [None, "text", [], {"definitions": ["x"]}])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(BuildFailed, match="openapi"):
        Schema.none().with_documents([document])


@pytest.mark.parametrize("version", ["", BUILTIN_VERSION])
def test_the_builtin_version_may_be_named(version):
    assert Schema.of_version(version) is Schema.builtin()


def test_any_other_version_is_refused():
    with pytest.raises(BuildFailed, match=r"a/kustomization\.yaml: .*v1\.30\.0.*not built in.*v1\.21\.2"):
        Schema.of_version("v1.30.0", "a/kustomization.yaml")
