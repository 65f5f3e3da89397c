from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import BuildFailed
from penstock.core.flux.substitute import substitute, variables

FAILED = "envsubst error: variable substitution failed: "
SWITCH = "kustomize.toolkit.fluxcd.io/substitute"


def config(data: dict[str, Any] | None = None, *, kind: str = "ConfigMap", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", **metadata}, "data": data or {}}


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        ("${a}", "text", "text"),
        ("${a}", "123", 123),
        ("${a}", "true", True),
        ("${a}", "on", True),
        ("${a}", "0755", 493),
        ("${a}", "1.0", 1),
        ("${a}", "1e3", 1000),
        ("${a}", "1.5", 1.5),
        ("${a}", "1e30", 1e30),
        ("${a}", "2026-01-01", "2026-01-01"),
        ("${a}", "", None),
        ("${a}", '"123"', "123"),
        ("${a}", "text # comment", "text"),
        ("v${a}", "1", "v1"),
        ("yes ${a}", "1", "yes 1"),
        ("line ${a}\nnext\n", "1", "line 1\nnext\n"),
        ("$${a}", "1", "${a}"),
    ],
)
def test_values_are_read_again_as_yaml(value: str, given: str, expected: object) -> None:
    found = substitute(config({"k": value}), {"a": given})
    assert found["data"]["k"] == expected
    assert type(found["data"]["k"]) is type(expected)


def test_an_object_that_turns_into_a_text_is_refused() -> None:
    with pytest.raises(BuildFailed, match="no mapping any more"):
        substitute({"${a}": "x", **config()}, {"a": "'all of it'\n---"})


def test_keys_and_names_are_substituted_too() -> None:
    found = substitute(config({"${k}": "v"}, namespace="${ns}", annotations={"a": "${k}"}), {"k": "key", "ns": "prod"})
    assert found == config({"key": "v"}, namespace="prod", annotations={"a": "key"})


@pytest.mark.parametrize(
    ("manifest", "values", "strategy"),
    [
        (config({"k": "${a}"}), {}, "WithVariables"),
        (config({"k": "plain"}), {"a": "1"}, "WithVariables"),
        (config({"k": "${a}"}, annotations={SWITCH: "disabled"}), {"a": "1"}, "WithVariables"),
        (config({"k": "${a}"}, labels={SWITCH: "disabled"}), {"a": "1"}, "Always"),
    ],
)
def test_what_stays_as_it_is(manifest: dict[str, Any], values: dict[str, str], strategy: str) -> None:
    assert substitute(manifest, values, strategy=strategy) is manifest


def test_the_switch_is_case_sensitive() -> None:
    found = substitute(config({"k": "${a}"}, annotations={SWITCH: "Disabled"}), {"a": "1"})
    assert found["data"] == {"k": 1}


def test_always_expands_defaults_without_variables() -> None:
    assert substitute(config({"k": "${a:=d}"}), {}, strategy="Always")["data"] == {"k": "d"}


def test_lax_mode() -> None:
    assert substitute(config({"k": "<${b}>"}), {"a": "1"}, strict=False)["data"] == {"k": "<>"}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            config({"k": "${b}"}),
            f"post build failed for 'ConfigMap.v1.[noGrp]/x': {FAILED}" + 'variable not set (strict mode): "b"',
        ),
        (
            {**config(), "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"x": "${a.b}"}},
            f"post build failed for 'Deployment.v1.apps/x': {FAILED}missing closing brace",
        ),
        (config({"k": "${a}", "l": "${q}"}), "YAMLToJSON: line 4 of the object: no YAML any more"),
        (config({"k": ["${i}"]}), "an infinite number: a value may need quotes"),
        ({**config(), "kind": "${a}"}, "kind is no string any more"),
        (config(name="${a}"), "metadata.name is no string any more"),
        ({**config(), "apiVersion": "${q}"}, "YAMLToJSON: line 1 of the object"),
    ],
)
def test_errors_name_the_object_and_never_a_value(manifest: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        substitute(manifest, {"a": "123", "q": "*hunter2: [", "i": ".inf"})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_secret_s_own_text_is_never_told() -> None:
    with pytest.raises(BuildFailed) as caught:
        substitute(config({"k": "pa${hunter2}"}, kind="Secret"), {"a": "1"})
    assert "hunter2" not in str(caught.value)
    assert "variable not set (strict mode)" in str(caught.value)


def test_variables_merge_in_order_without_line_feeds() -> None:
    assert variables([{"a": "1\n", "b": "x\ny"}, {"a": "2"}], {"b": "3", "c": "4"}) == {"a": "2", "b": "3", "c": "4"}


@pytest.mark.parametrize("name", ["1a", "a-b", "a.b", "", "é", "a\n"])
def test_names_that_are_no_variables(name: str) -> None:
    with pytest.raises(BuildFailed, match="var name is invalid"):
        variables([], {name: "secret-value"})


@given(st.text(max_size=20))
def test_no_value_is_ever_told(canary: str) -> None:
    broken = config({"k": "${a}", "l": "[${a}", "m": "${b"})
    with pytest.raises(BuildFailed) as caught:
        substitute(broken, {"a": f"canary{canary}canary"})
    assert "canary" not in str(caught.value)


@given(st.text(alphabet="*&!%@`'\"[]{}:,#|> \t\\ab"))
def test_no_broken_yaml_tells_a_value(text: str) -> None:
    canary = f"{text}canary"
    told = ""
    try:
        found = str(substitute(config({"k": "${a}"}), {"a": canary})["data"])
        told = found.replace("canary", "")
    except BuildFailed as error:
        told = str(error)
    assert "canary" not in told
