"""Vars: what is a reference, what it becomes, and where."""

from dataclasses import replace

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpec
from penstock.core.kustomize.filters.refvar import expand, expand_vars
from penstock.core.kustomize.resource import Resource
from penstock.core.kustomize.yaml_in import load_documents

VALUES = {"A": "a", "N": 3, "F": 1.5, "T": True, "D": "$(A)"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "a"),
        ("x$(A)y$(N)", "xay3"),
        ("$(N)", 3),
        ("$(F)", 1.5),
        ("$(T)", True),
        ("-$(T)-$(F)", "-true-1.5"),
        ("$(B)", "$(B)"),
        ("$(B)$(A)", "$(B)a"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$a"),
        ("$$", "$"),
        ("$", "$"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$x $(A)", "$x a"),
        ("$(D)", "$(A)"),
        ("${A}", "${A}"),
        ("none", "none"),
    ],
)
def test_expand(text, expected):
    found = expand(text, VALUES)
    assert found == expected
    assert type(found) is type(expected)


def pod(spec, **metadata):
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {spec}}}"
    return Resource(manifest=load_documents(text.encode(), "test")[0], **metadata)


def service(*names):
    text = "{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {ports: [{port: 80}], x: {y: 1}, mode: 0644, hex: 0x10, none: ~}}"
    return replace(Resource(manifest=load_documents(text.encode(), "test")[0]), var_names=names)


def variable(name, path=None):
    return {"name": name, "fieldref": {"fieldPath": path}} if path else {"name": name}


@pytest.mark.parametrize(
    ("spec", "path", "expected"),
    [
        ("{a: $(SVC)}", "spec/a", {"a": "svc"}),
        ("{a: '$(PORT)'}", "spec/a", {"a": 80}),
        ("{a: 'p$(PORT)'}", "spec/a", {"a": "p80"}),
        ("{a: [x, $(SVC)]}", "spec/a", {"a": ["x", "svc"]}),
        ("{a: {b: $(SVC), c: {d: $(SVC)}, e: 1}}", "spec/a", {"a": {"b": "svc", "c": {"d": "$(SVC)"}, "e": 1}}),
        ("{c: [{a: $(SVC)}, {a: y}]}", "spec/c/a", {"c": [{"a": "svc"}, {"a": "y"}]}),
        ("{a: $(OTHER), b: $(SVC)}", "spec/a", {"a": "$(OTHER)", "b": "$(SVC)"}),
        ("{a: $(WHOLE)}", "spec/a", {"a": "$(WHOLE)"}),
        ("{a: 1, b: null}", "spec/a", {"a": 1, "b": None}),
        ("{a: $(MODE)}", "spec/a", {"a": 644}),
        ("{a: $(NONE)}", "spec/a", {"a": "null"}),
    ],
)
def test_fields(spec, path, expected):
    variables = [
        variable("SVC"),
        variable("PORT", "spec.ports[0].port"),
        variable("WHOLE", "spec.x"),
        variable("MODE", "spec.mode"),
        variable("NONE", "spec.none"),
    ]
    resources = [pod(spec), service("SVC", "PORT", "WHOLE", "MODE", "NONE")]
    found = expand_vars(resources, variables, [FieldSpec(path=path)])
    assert found[0].manifest["spec"] == expected
    assert found[1] is resources[1]


def test_a_field_counts_for_the_kinds_of_its_specification():
    found = expand_vars([pod("{a: $(SVC)}"), service("SVC")], [variable("SVC")], [FieldSpec(kind="Job", path="spec/a")])
    assert found[0].manifest["spec"] == {"a": "$(SVC)"}


def test_without_vars_nothing_is_touched():
    resources = [pod("{a: $$x}")]
    assert expand_vars(resources, [], [FieldSpec(path="spec/a")]) == resources


@pytest.mark.parametrize(
    ("variables", "spec", "message"),
    [
        ([variable("X")], "{}", "var 'X' cannot be mapped to a field in the set of known resources"),
        (
            [variable("SVC", "spec.absent")],
            "{}",
            r"var 'SVC' not found in corresponding resource: .*svc.* has no spec\.absent",
        ),
        ([variable("SVC", "spec.ports.x")], "{}", "var 'SVC' not found"),
        ([variable("SVC", "spec.hex")], "{}", "var 'SVC' not found .* in decimal notation"),
        ([variable("SVC")], "{a: [1]}", r"considering field 'spec/a' .*invalid value type expect a string"),
    ],
)
def test_errors(variables, spec, message):
    with pytest.raises(BuildFailed, match=message):
        expand_vars([pod(spec), service("SVC")], variables, [FieldSpec(path="spec/a")])
