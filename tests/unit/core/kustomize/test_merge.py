"""Strategic merge: each rule in YAML, as kustomize 5.8.1 was seen to do it."""

import copy

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.merge import strategic_merge
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.yaml_in import load_documents


def load(text):
    return load_documents(text.encode(), "test")[0]


def merged(target, patch, schema=None):
    return strategic_merge(target, patch, schema or Schema.builtin())


def config(data):
    return load(f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {data}}}")


def pod(spec):
    return load(f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {spec}}}")


def service(ports):
    return load(f"{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{ports: {ports}}}}}")


def custom(spec):
    return load(f"{{apiVersion: example.com/v1, kind: Foo, metadata: {{name: a}}, spec: {spec}}}")


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ("{a: 1}", "{b: 2}", "{a: 1, b: 2}"),
        ("{a: 1, b: 2}", "{a: null}", "{b: 2}"),
        ("{a: {b: 1}}", "{a: {c: 2}}", "{a: {b: 1, c: 2}}"),
        ("{a: {b: 1}}", "{a: null}", "{}"),
        ("{a: {b: 1, c: 1}}", "{a: {$patch: replace, c: 2}}", "{a: {c: 2}}"),
        ("{a: {b: 1}, c: 1}", "{a: {$patch: delete}}", "{c: 1}"),
        ("{a: {b: 1}}", "{a: {$patch: merge, c: 2}}", "{a: {b: 1, c: 2}}"),
        ("{}", "{a: {$patch: delete, b: 1}}", "{}"),
        ("{}", "{a: {b: null, c: 1}}", "{a: {c: 1}}"),
        ("{}", "{a: null}", "{}"),
        ("{a: null}", "{b: 1}", "{a: null, b: 1}"),
        ("{a: ~}", "{a: 1}", "{a: 1}"),
        ("{a: {}}", "{b: 1}", "{a: {}, b: 1}"),
        ("{$patch: kept}", "{b: 1}", "{$patch: kept, b: 1}"),
    ],
)
def test_mappings(target, patch, expected):
    assert merged(config(target), config(patch)) == config(expected)


def test_a_null_that_is_not_written_out_vanishes_where_a_patch_passes():
    target = load(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: }}\ndata:\n  a:\n  b: null\n  c: ~\n"
    )
    expected = load("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {}}, data: {b: null, c: null}}")
    assert merged(target, load("{metadata: {name: a}}")) == expected


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ('"info"', "5", "5"),
        ("info", "5", 5),
        ('"8080"', "9090", "9090"),
        ("8080", '"9090"', "9090"),
        ("'x'", "true", "true"),
        ('"x"', "1.10", "1.10"),
        ("x", "0644", 0o644),
        ("1", "x", "x"),
    ],
)
def test_a_scalar_keeps_the_quotes_of_the_one_before_it(target, patch, expected):
    result = merged(config(f"{{a: {target}}}"), config(f"{{a: {patch}}}"))
    assert result["data"]["a"] == expected
    assert isinstance(result["data"]["a"], str) is isinstance(expected, str)


def test_a_string_in_the_place_of_a_number_has_no_quotes_to_pass_on():
    once = merged(config("{a: 1}"), config('{a: "4"}'))
    assert once["data"]["a"] == "4"
    assert merged(once, config("{a: 5}"))["data"]["a"] == 5


@pytest.mark.parametrize("patch", ["{$patch: delete}", "{$patch: delete, metadata: {name: a}}"])
def test_a_whole_object_can_be_deleted(patch):
    assert merged(config("{a: 1}"), load(patch)) is None


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        # items that only the patch has come first, in its order
        ("[{name: a}, {name: b}]", "[{name: c}, {name: b, image: x}]", "[{name: c}, {name: b, image: x}, {name: a}]"),
        ("[{name: a, image: y}]", "[{name: a, $patch: delete}]", "[]"),
        ("[{name: a}]", "[{name: b, $patch: delete}]", "[{name: a}]"),
        ("[{name: a}, {name: b}]", "[{$patch: replace}, {name: c}]", "[{name: c}]"),
        ("[{name: a}]", "[{$patch: merge}, {name: c}]", "[{name: c}, {name: a}]"),
        # kustomize puts the target's item back over one that is to be replaced
        # one item without its key, or two of the same, and kustomize goes by what its code happens to do
        ("[{name: a}]", "[x]", "[]"),
        ("[{name: a, image: y}]", "[{name: a, $patch: replace, image: x}]", "[{name: a, image: y}]"),
        ("[{name: a, args: [x, y]}]", "[{name: a, args: [z]}]", "[{name: a, args: [z]}]"),
        (
            "[{name: a, env: [{name: X, value: x}]}]",
            "[{name: a, env: [{name: X, value: null}]}]",
            "[{name: a, env: [{name: X}]}]",
        ),
        ("[{name: 1}]", '[{name: "1", image: x}]', '[{name: "1", image: x}]'),
        ("[{name: a}, {name: a, image: x}]", "[{name: a, args: [z]}]", "[{name: a, image: x}]"),
    ],
)
def test_lists_with_one_merge_key(target, patch, expected):
    result = merged(pod(f"{{containers: {target}}}"), pod(f"{{containers: {patch}}}"))
    assert result == pod(f"{{containers: {expected}}}")


def test_deleting_a_list_that_has_a_merge_key_removes_the_field():
    assert merged(pod("{containers: [{name: a}]}"), pod("{containers: [{$patch: delete}]}")) == pod("{}")


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        (
            "[{port: 80, protocol: TCP}, {port: 80, protocol: UDP}]",
            "[{port: 80, protocol: UDP, name: dns}]",
            "[{port: 80, protocol: TCP}, {port: 80, protocol: UDP, name: dns}]",
        ),
        ("[{port: 80, name: a}]", "[{port: 80, name: b}]", "[{port: 80, name: b}]"),
        ("[{port: 80}]", "[{port: 81}]", "[{port: 81}, {port: 80}]"),
        ("[{port: 80, protocol: TCP}]", "[{port: 80, protocol: TCP, $patch: delete}]", "[]"),
        ("[{port: 80}]", "[{port: 80, $patch: delete}]", "[]"),
    ],
)
def test_lists_with_several_merge_keys(target, patch, expected):
    assert merged(service(target), service(patch)) == service(expected)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [("[a, b]", "[c, b]", ["c", "b", "a"]), ("[a]", "[]", ["a"]), ("[a, a]", "[b]", ["b", "a"])],
)
def test_lists_of_plain_values_with_a_strategy_are_united(target, patch, expected):
    target, patch = (
        load(f"{{apiVersion: v1, kind: Pod, metadata: {{name: a, finalizers: {x}}}}}") for x in (target, patch)
    )
    assert merged(target, patch)["metadata"]["finalizers"] == expected


def test_lists_of_unknown_kinds_are_replaced_as_they_stand():
    patch = "{l: [{name: b, x: null, $patch: delete}]}"
    assert merged(custom("{l: [{name: a}]}"), custom(patch)) == custom(patch)


def test_a_schema_makes_lists_of_custom_kinds_merge():
    schema = Schema.builtin().with_documents(
        [
            {
                "definitions": {
                    "Foo": {
                        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Foo"}],
                        "properties": {
                            "spec": {
                                "properties": {
                                    "l": {
                                        "type": "array",
                                        "x-kubernetes-patch-strategy": "merge",
                                        "x-kubernetes-patch-merge-key": "id",
                                    }
                                }
                            }
                        },
                    }
                }
            }
        ]
    )
    result = merged(custom("{l: [{id: a}]}"), custom("{l: [{id: b}]}"), schema)
    assert result == custom("{l: [{id: b}, {id: a}]}")


def test_an_object_within_a_custom_one_is_merged_by_its_own_kind():
    inner = "{{template: {{apiVersion: v1, kind: Pod, spec: {{containers: [{{name: {}}}]}}}}}}"
    result = merged(custom(inner.format("a")), custom(inner.format("b")))
    assert result["spec"]["template"]["spec"]["containers"] == [{"name": "b"}, {"name": "a"}]


@pytest.mark.parametrize("key", ["$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers"])
def test_directives_that_kustomize_does_not_know_stay_in_the_result(key):
    result = merged(pod("{containers: [{name: a}]}"), pod(f"{{{key}: [x]}}"))
    assert result["spec"] == {"containers": [{"name": "a"}], key: ["x"]}


@pytest.mark.parametrize(
    ("target", "patch", "message"),
    [
        (config("{a: 1}"), config("{a: {b: 1}}"), r"data\.a: .*a mapping where the target has a plain value"),
        (config("{a: [1]}"), config("{a: 1}"), r"data\.a: .*a plain value where the target has a list"),
        (config("{a: {b: 1}}"), config("{a: {$patch: sometimes}}"), r"data\.a: unknown patch strategy 'sometimes'"),
        (pod("{containers: [{name: a}]}"), pod("{containers: [{$patch: x}]}"), r"spec\.containers: unknown patch"),
        (pod("{containers: [{name: a}, x]}"), pod("{containers: [{name: b}]}"), "an item is not a mapping"),
        (
            pod("{containers: [{name: a, image: x}]}"),
            pod("{containers: [{name: a, image: [x]}]}"),
            r"spec\.containers\[name=a\]\.image",
        ),
    ],
)
def test_errors_name_the_field(target, patch, message):
    with pytest.raises(BuildFailed, match=message):
        merged(target, patch)


def test_neither_argument_is_changed_and_what_is_not_reached_is_shared():
    target = pod("{containers: [{name: a, env: [{name: X}], resources: {limits: {cpu: 1}}}], tolerations: [{key: x}]}")
    patch = pod("{containers: [{name: a, env: [{name: X, $patch: delete}]}, {name: b, $patch: delete}]}")
    before = copy.deepcopy((target, patch))
    result = merged(target, patch)
    assert (target, patch) == before
    assert result["spec"]["tolerations"] is target["spec"]["tolerations"]


def test_a_long_list_takes_linear_time():
    env = ", ".join(f"{{name: V{number}, value: x}}" for number in range(3000))
    result = merged(
        pod(f"{{containers: [{{name: a, env: [{env}]}}]}}"), pod(f"{{containers: [{{name: a, env: [{env}]}}]}}")
    )
    assert len(result["spec"]["containers"][0]["env"]) == 3000
