from pathlib import Path

import pytest

from penstock.devcluster.generate_types import compact, go_facts, referenced
from penstock.devcluster.registry import Registry, _version_order
from penstock.devcluster.types_data import load

GO = """package v1

type Thing struct {
	Name string `json:"name" protobuf:"x"`
	Value string `json:"value,omitempty"`
	Flag *bool `json:"flag,omitempty"`
	Items []string `json:"items"`
	Ref *string `json:"ref"`
}
"""


def test_every_served_kind_has_its_schema():
    data = load()
    assert len(data["kinds"]) > 50
    assert all(record["schema"] in data["definitions"] for record in data["kinds"])


@pytest.mark.parametrize(
    ("group", "plural", "path", "keys"),
    [
        ("apps", "deployments", ("spec", "template", "spec", "containers"), ("name",)),
        ("", "services", ("spec", "ports"), ("port", "protocol")),
        ("", "configmaps", ("metadata", "ownerReferences"), ("uid",)),
    ],
)
def test_merge_keys_are_kubernetes(group, plural, path, keys):
    schema = Registry().find(group, "v1", plural).schema
    for key in path:
        schema = schema.fields[key]
    assert schema.keys == keys


def test_facts_that_openapi_lacks():
    schemas = Registry()
    environment = (
        schemas.find("", "v1", "pods").schema.fields["spec"].fields["containers"].element.fields["env"].element
    )
    assert "value" in environment.omit_zero
    assert schemas.find("rbac.authorization.k8s.io", "v1", "clusterroles").schema.show_null == {"rules"}


def test_go_sources_tell_what_is_dropped_and_what_is_null(tmp_path: Path):
    folder = tmp_path / "core" / "v1"
    folder.mkdir(parents=True)
    (folder / "types.go").write_text(GO)
    assert set(go_facts([tmp_path])) == {
        ("core.v1", "Thing", "value", "omitZero"),
        ("core.v1", "Thing", "items", "showNull"),
        ("core.v1", "Thing", "ref", "showNull"),
    }


def test_schemas_lose_their_prose_and_keep_their_references():
    node = {
        "description": "x",
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/components/schemas/b.C"}], "default": {}, "description": "y"}},
        "additionalProperties": {"type": "array", "items": {"$ref": "#/x/d"}},
    }
    assert compact(node) == {
        "type": "object",
        "properties": {"a": {"$ref": "b.C", "default": {}}},
        "additionalProperties": {"type": "array", "items": {"$ref": "d"}},
    }
    definitions = {"a": {"items": {"$ref": "b"}}, "b": {"x": {"$ref": "a"}}, "c": {}}
    assert list(referenced(definitions, {"a"})) == ["a", "b"]


def test_versions_have_kubernetes_priority():
    versions = ["v1alpha1", "foo", "v1beta2", "v2", "v1", "v10", "v1beta1"]
    assert sorted(versions, key=_version_order) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]
