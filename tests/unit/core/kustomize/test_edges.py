"""What whole builds seldom meet: odd values in the renderer's own documents, fields, lists and paths."""

import pytest

from penstock.core.errors import BuildFailed, InvalidDocument, PenstockError
from penstock.core.kustomize import fields, paths, written
from penstock.core.kustomize.associative import merge_lists, place
from penstock.core.kustomize.crds import config_of_crd
from penstock.core.kustomize.fieldspec import Misfit
from penstock.core.kustomize.hashing import content_hash
from penstock.core.kustomize.links import Entries, Linked, follow
from penstock.core.kustomize.origins import built_by_plugin
from penstock.core.kustomize.results import Results
from penstock.core.kustomize.transformer_config import config_of
from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, build

WHERE = fields.Where("file.yaml", "field")


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (fields.string, None, ""),
        (fields.integer, None, 0),
        (fields.integer, 2.0, 2),
        (fields.boolean, None, False),
        (fields.mapping, None, {}),
        (fields.mapping, {"a": 1}, {"a": 1}),
        (fields.list_of(fields.string), None, []),
        (fields.map_of(fields.string), None, {}),
        (fields.struct({"a": fields.string}), None, {}),
        (fields.struct({"aB": fields.string}), {"AB": "x"}, {"aB": "x"}),
    ],
)
def test_shapes_of_fields(shape, value, expected):
    assert shape(value, WHERE) == expected


@pytest.mark.parametrize(
    ("shape", "value", "words"),
    [
        (fields.integer, True, "a whole number"),
        (fields.integer, 1.5, "a whole number"),
        (fields.mapping, [], "a mapping, not a list"),
        (fields.list_of(fields.string), {}, "a list, not a mapping"),
        (fields.struct({}), "x", "a mapping, not 'x'"),
    ],
)
def test_wrong_fields_are_named(shape, value, words):
    with pytest.raises(InvalidDocument, match=r"file\.yaml, field") as caught:
        shape(value, WHERE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "text", "expected"),
    [
        ("text", "12", "12"),
        ([], "12", "12"),
        (1, "12", 12),
        (1.5, "2", 2.0),
        (False, "true", True),
        (None, "null", None),
    ],
)
def test_a_text_in_place_of_a_value(old, text, expected):
    found = written.retyped(old, text)
    assert (found, type(found) is type(expected) or isinstance(found, str)) == (expected, True)


@pytest.mark.parametrize(("old", "text"), [(1, "x"), (1, "1.5"), (True, "1"), (None, "x"), (1, "true"), (1.5, "x")])
def test_a_text_that_is_no_such_value(old, text):
    with pytest.raises(BuildFailed, match="put that value in quotes"):
        written.retyped(old, text)


def test_a_day_stays_a_day():
    day = written.read("2024-01-02")
    assert written.text_of(written.retyped(day, "2024-03-04")) == "2024-03-04"
    with pytest.raises(BuildFailed, match="!!timestamp"):
        written.retyped(day, "soon")
    with pytest.raises(BuildFailed, match="2024-01-02"):
        written.retyped(7, "2024-01-02")


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"a": {"b": 1}}, ("a", "b"), {"a": {"b": 9}}),
        ({"a": [1, 2]}, ("a", "-"), {"a": [1, 9]}),
        ({"a": [1, 2]}, ("a", "0"), {"a": [9, 2]}),
        ({"a": [{"n": "x"}, {"n": "y", "v": 1}]}, ("a", "[n=y]", "v"), {"a": [{"n": "x"}, {"n": "y", "v": 9}]}),
        ({"a": 1}, ("", " "), 9),
    ],
)
def test_put_at_a_path(value, path, expected):
    assert paths.put(value, path, 9) == expected


def test_lists_of_plain_values_are_their_own_keys():
    assert merge_lists(["a", "b"], ["b", "c"], (), lambda old, new, _name: new if isinstance(new, str) else old) == [
        "b",
        "c",
        "a",
    ]


def test_an_item_among_texts_keeps_them():
    items = ["text", None, {}, {"name": "a"}]
    place(items, {"name": "a", "new": True}, ("name",), ("a",))
    assert items == ["text", {"name": "a", "new": True}]


def test_items_that_are_no_mappings_are_refused():
    with pytest.raises(BuildFailed, match="not a mapping with name"):
        merge_lists(["text"], [{"name": "a"}], ("name",), lambda old, _new, _name: old)


def test_definitions_that_refer_to_themselves():
    looped = {
        "v1.A": {
            "Schema": {"properties": {"kind": {}, "apiVersion": {}, "metadata": {}, "a": {"$ref": "v1.A"}, "b": 1}}
        }
    }
    with pytest.raises(InvalidDocument, match="refer to each other"):
        config_of_crd(looped, "crd.json")


def test_a_specification_may_leave_fields_empty():
    assert config_of({"images": [{"path": "a", "kind": None}]}, "c.yaml").images[0].kind == ""


@pytest.mark.parametrize(
    "manifest",
    [
        {"kind": "ConfigMap", "data": {"a": 1.0}, "binaryData": {"b": [1, {"c": 2.0}]}},
        {"kind": "ConfigMap", "data": {"a": 1}, "binaryData": {"b": [1, {"c": 2}]}},
    ],
)
def test_whole_floats_hash_as_integers(manifest):
    assert content_hash(manifest) == content_hash({**manifest, "data": {"a": 1}, "binaryData": {"b": [1, {"c": 2}]}})


def test_hashes_of_secrets_and_other_kinds():
    secret = {"kind": "Secret", "data": {"a": "YQ=="}}
    assert content_hash(secret) != content_hash({**secret, "stringData": {"a": "b"}})
    assert content_hash({"kind": "Widget", "spec": 1}) != content_hash({"kind": "Widget", "spec": 2})


def test_linked_values_change_together_in_lists_too():
    shared = Linked("a")
    before = {"x": {"k": shared}, "y": [{"k": shared}], "gone": {"k": shared}, "z": "other"}
    after = {"x": {"k": "new"}, "y": [{"k": shared}], "gone": {}, "z": "other"}
    assert follow(before, after) == {"x": {"k": "new"}, "y": [{"k": "new"}], "gone": {}, "z": "other"}
    assert follow(before, {"x": "no mapping", "y": []}) == {"x": "no mapping", "y": []}
    alone = {"x": {"k": Linked("a")}}
    assert follow(alone, {"x": {"k": "b"}}) == {"x": {"k": "b"}}


def test_entries_that_are_there_already_change_nothing():
    entries = Entries({"a": "1"})
    old = {"a": "1"}
    assert entries.setter(old) is old
    linked = {"a": Linked("1")}
    assert entries.setter(linked) is linked
    assert entries.setter({"a": 1}) == {"a": "1"}
    with pytest.raises(Misfit, match="SequenceNode"):
        entries.setter([])


CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n"
FLUX_ERRORS = [
    ({}, BuildOptions(overlay={"namespace": "a"}), "unable to find one of"),
    ({"kustomization.yaml": "[a]"}, BuildOptions.flux({}), "should be a mapping"),
    ({"cm.yaml": "a: ["}, BuildOptions.flux({}), "cm.yaml"),
    ({"cm.yaml": CM}, BuildOptions.flux({"components": ["https://example.com/a"]}), "must be local and relative"),
    ({"cm.yaml": CM}, BuildOptions.flux({"components": ["../none"]}), "none"),
]


@pytest.mark.parametrize(("files", "options", "words"), FLUX_ERRORS)
def test_what_flux_refuses(files, options, words):
    with pytest.raises(PenstockError) as caught:
        build(memory_tree({f"app/{path}": text for path, text in files.items()} or {"app/x.txt": ""}), "app", options)
    assert words in str(caught.value)


def test_an_empty_kustomization_takes_the_fields_of_the_overlay():
    tree = memory_tree(
        {"app/kustomization.yaml": "", "cm/cm.yaml": CM, "cm/kustomization.yaml": "resources: [cm.yaml]\n"}
    )
    found = build(tree, "app", BuildOptions.flux({"buildMetadata": ["managedByLabel"], "namespace": "team"}))
    assert found.resources == ()
    generated = build(tree, "cm", BuildOptions.flux({"buildMetadata": ["managedByLabel"], "namespace": "team"}))
    assert generated.manifests[0]["metadata"] == {
        "labels": {"app.kubernetes.io/managed-by": "kustomize-v5.8.1"}, "name": "cm", "namespace": "team",
    }  # fmt: skip


POLICY = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: p}\n"


@pytest.mark.parametrize(("old", "expected"), [(False, {"name": "p"}), (True, {"name": "p", "namespace": "team"})])
def test_policies_have_no_namespace_unless_wanted(old, expected):
    tree = memory_tree({"kustomization.yaml": "namespace: team\nresources: [p.yaml]\n", "p.yaml": POLICY})
    assert build(tree, options=BuildOptions(policies_in_namespaces=old)).manifests[0]["metadata"] == expected


HISTORY = """apiVersion: v1
kind: ConfigMap
metadata:
  name: now
  annotations:
    internal.config.kubernetes.io/previousNames: {names}
    internal.config.kubernetes.io/previousKinds: ConfigMap,ConfigMap
    internal.config.kubernetes.io/previousNamespaces: default,default
"""
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {volumes: [{name: v, configMap: {name: first}}]}\n"


@pytest.mark.parametrize(("names", "expected"), [("first,second", "now"), ("first", "first")])
def test_a_history_counts_where_it_is_complete(names, expected):
    files = {
        "kustomization.yaml": "resources: [cm.yaml, p.yaml]\n",
        "cm.yaml": HISTORY.format(names=names),
        "p.yaml": POD,
    }
    pod = build(memory_tree(files)).manifests[1]
    assert pod["spec"]["volumes"][0]["configMap"]["name"] == expected


def test_results_of_one_transformer_beyond_the_size_are_dropped():
    results, resource = Results(1), build(memory_tree({"kustomization.yaml": "resources: [a]\n", "a": CM})).resources[0]
    others = [resource, resource.with_manifest({**resource.manifest, "data": {}})]
    assert results.apply("step", others, lambda one: one) == others
    assert results.apply("step", others, lambda _: None) == [None, None]


def test_a_plugin_without_origin_has_none():
    resource = build(memory_tree({"kustomization.yaml": "resources: [a]\n", "a": CM})).resources[0]
    assert built_by_plugin(resource) is None
