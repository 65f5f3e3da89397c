import pytest

from penstock.devcluster.configs import typed_problems
from penstock.devcluster.decoding import decode, illegal_base64
from penstock.devcluster.quantities import canonical
from penstock.devcluster.registry import Registry
from penstock.devcluster.schema import Schema, compile_structural
from penstock.devcluster.times import canonical_time, micro_time

REGISTRY = Registry()
DEPLOYMENT = REGISTRY.find("apps", "v1", "deployments").schema
POD_SPEC = REGISTRY.find("", "v1", "pods").schema.fields["spec"]
SECRET = REGISTRY.find("", "v1", "secrets").schema
ROLE = REGISTRY.find("rbac.authorization.k8s.io", "v1", "clusterroles").schema


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (2, "2"),
        (0.1, "100m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("100Ki", "100Ki"),
        ("0.5Ki", "512"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1e3", "1e3"),
        ("100E", "100E"),
        ("12e6", "12e6"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-5m", "-5m"),
        ("1u", "1m"),
        ("1.23456", "1235m"),
        ("9Ei", "9223372036854775807"),
        ("1e30", "1e30"),
        ("0.5e1", "5"),
        (" 5 ", "5"),
    ],
)
def test_quantities_are_canonical(value, expected):
    assert canonical(value) == expected


@pytest.mark.parametrize("value", ["", "x", "1Zi", "1 2", "${SIZE}", "--1", "1e65", "1" * 65])
def test_quantities_that_are_none(value):
    with pytest.raises(ValueError, match="quantities must match"):
        canonical(value)


@pytest.mark.parametrize(
    ("convert", "text", "expected"),
    [
        (canonical_time, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        (canonical_time, "2026-01-02T03:04:05.9Z", "2026-01-02T03:04:05Z"),
        (canonical_time, "2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
        (micro_time, "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
    ],
)
def test_times(convert, text, expected):
    assert convert(text) == expected


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (canonical_time, "yesterday"),
        (canonical_time, "2026-13-02T03:04:05Z"),
        (micro_time, "2026-01-02T03:04:05Z"),
        (micro_time, "x"),
    ],
)
def test_times_that_are_none(convert, text):
    with pytest.raises(ValueError, match="parsing time"):
        convert(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [("", None), ("YWJj", None), ("YWI=", None), ("YW\nJj", None), ("ENC[x]", 3), ("abc", 0), ("YWJjabc", 4)],
)
def test_base64(text, at):
    assert illegal_base64(text) == at


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (POD_SPEC, {"hostNetwork": False, "nodeName": "", "volumes": [], "nodeSelector": {}}, {"containers": None}),
        (
            POD_SPEC,
            {"automountServiceAccountToken": False, "containers": []},
            {"automountServiceAccountToken": False, "containers": None},
        ),
        (POD_SPEC, {"securityContext": {}, "containers": None}, {"securityContext": {}, "containers": None}),
        (ROLE, {"metadata": {}}, {"metadata": {}, "rules": None}),
        (
            POD_SPEC,
            {
                "containers": [
                    {"name": "a", "env": [{"name": "E", "value": ""}], "resources": {"limits": {"cpu": "1000m"}}}
                ]
            },
            {"containers": [{"name": "a", "env": [{"name": "E"}], "resources": {"limits": {"cpu": "1"}}}]},
        ),
        (
            POD_SPEC,
            {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]},
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}]},
        ),
    ],
)
def test_built_in_kinds_are_stored_as_go_writes_them(schema, value, expected):
    assert decode(value, schema, builtin=True).value == expected


def test_unknown_fields_are_dropped_and_named():
    decoded = decode({"spec": {"foo": 1, "template": {"spec": {"containers": [{"bar": 2}]}}}}, DEPLOYMENT, builtin=True)
    assert decoded.unknown == ["spec.foo", "spec.template.spec.containers[0].bar"]
    assert "foo" not in decoded.value["spec"]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (
            DEPLOYMENT,
            {"spec": {"replicas": "x"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"paused": 1}},
            "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (SECRET, {"data": {"a": "ENC[x]"}}, "illegal base64 data at input byte 3"),
        (
            SECRET,
            {"stringData": {"a": 5}},
            "json: cannot unmarshal number into Go struct field Secret.stringData of type string",
        ),
    ],
)
def test_wrong_types_are_told_as_go_tells_them(schema, value, message):
    assert [problem.go_message for problem in decode(value, schema, builtin=True).wrong] == [message]


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"spec": {"replicas": 1}}, []),
        ({"spec": {"replicas": None}}, []),
        ({"spec": {"foo": 1}}, [".spec.foo: field not declared in schema"]),
        ({"spec": {"replicas": "x"}}, [".spec.replicas: expected numeric (int or float), got string"]),
        (
            {"spec": {"template": []}},
            [".spec.template: expected map, got &value.valueUnstructured{Value:[]interface {}{}}"],
        ),
        (
            {"metadata": {"labels": {"a": 1, "b": {"c": [None]}}}},
            [
                ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
                '.metadata.labels.b: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"c":[]interface {}{interface {}(nil)}}}',
            ],
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
            ['.spec.template.spec.containers: duplicate entries for key [name="a"]'],
        ),
        (
            {"spec": {"template": {"spec": {"containers": ["x"]}}}},
            [".spec.template.spec.containers[0]: associative list with keys may not contain non-map elements"],
        ),
        (
            {"spec": {"template": {"spec": {"containers": "x"}}}},
            [".spec.template.spec.containers: expected list, got string"],
        ),
    ],
)
def test_configurations_are_checked_as_structured_merge_diff_does(value, problems):
    assert typed_problems(value, DEPLOYMENT) == problems


def test_items_without_any_key_are_refused():
    schema = Schema(kind="struct", fields={"l": Schema(kind="list", keys=("id",), element=Schema(kind="struct"))})
    message = 'associative list with keys has an element that omits key field "id" (and doesn\'t have default value)'
    assert typed_problems({"l": [{}]}, schema) == [f".l: element 0: {message}"]


def test_custom_resources_keep_nulls_and_undeclared_fields_where_told():
    schema = compile_structural(
        {
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "part": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {}},
                        "n": {"type": "integer"},
                    },
                }
            }
        },
        REGISTRY.object_meta,
    )
    value = {"spec": {"free": {"a": None}, "part": {"kind": "X", "z": 1}, "n": 2.0, "other": 1}}
    decoded = decode(value, schema, builtin=False)
    assert decoded.value == {"spec": {"free": {"a": None}, "part": {"kind": "X"}, "n": 2.0}}
    assert decoded.unknown == ["spec.part.z", "spec.other"]
