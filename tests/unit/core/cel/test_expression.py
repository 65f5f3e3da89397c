"""Expressions as Flux's documents have them: what they say, how they fail, and that they end."""

import subprocess
import sys

import pytest

from penstock.core.cel.expression import LONGEST, EvaluationFailed, InvalidExpression, compile_boolean, parse

OBJECT = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "web", "namespace": "apps", "generation": 2, "labels": {"a/b": "c"}},
    "spec": {"ratio": 0.5, "tags": ["x", "y"], "empty": None},
    "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]},
    "data": {"password": "hunter2("},
}

READY = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == '{}')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (READY.format("True"), True),
        (READY.format("False"), False),
        ("status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", True),
        ("metadata.generation != status.observedGeneration", False),
        ("has(status.missing) && status.missing == 1", False),
        ("kind == 'Thing' && metadata.namespace == 'apps'", True),
        ("spec.ratio < 1 && status.observedGeneration == 2.0", True),
        ("spec.empty == null", True),
        ("status.missing == 1 || true", True),
        ("metadata.name.matches('^w(e|x)+b$')", True),
        # strings
        ("'a,b'.split(',')[1].upperAscii() + 'c'.charAt(0) == 'Bc'", True),
        ("'%s-%d'.format(['v', 1]) == 'v-1' && ['a', 'b'].join('-').replace('-', '+') == 'a+b'", True),
        # sets
        ("sets.contains(spec.tags, ['y']) && !sets.contains(spec.tags, ['z'])", True),
        (
            "sets.equivalent([1, 1.0, 2], [2u, 1]) && sets.intersects([1, 2], [2]) && !sets.intersects([1], [true])",
            True,
        ),
        ("sets.contains([[1], {'a': true}], [[1.0], {'a': true}]) && !sets.contains([[1]], [[true]])", True),
        # encoders
        ("base64.decode('aGk=') == b'hi' && base64.encode(b'hi') == 'aGk='", True),
        # optional types
        ("metadata.?labels['a/b'].orValue('') == 'c'", True),
        ("!status.?phase.hasValue() && status.?phase.orValue('none') == 'none'", True),
        # times are UTC
        ("timestamp('2026-01-02T23:00:00-05:00').getDayOfMonth() == 2", True),
    ],
)
def test_an_expression_says_yes_or_no(text, expected):
    assert parse(text).holds(OBJECT) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("status.phase == 'x'", "failed to evaluate the CEL expression 'status.phase == 'x'': no such key: phase"),
        ("condition.ready", 'No value with name "condition"'),
        ("metadata.name", "failed to evaluate CEL expression as boolean: 'metadata.name'"),
        ("status.conditions[4].type == 'x'", "Index error"),
        ("metadata.name + 1 == 'x'", "No matching overloads"),
        ("spec.tags.exists(t, t.matches('('))", "invalid regular expression"),
        ("nosuch(1)", "No matching overloads"),
        ("optional.none().value()", "optional.none() dereference"),
    ],
)
def test_what_cannot_be_told_names_the_expression(text, problem):
    with pytest.raises(EvaluationFailed) as failed:
        parse(text).holds(OBJECT)
    assert problem in str(failed.value)


@pytest.mark.parametrize(
    "text", ["{'a': 1}[data.password] == 1", "'x'.matches(data.password)", "int(data.password) > 0"]
)
def test_no_failure_quotes_the_data(text, capfd):
    with pytest.raises(EvaluationFailed) as failed:
        parse(text).holds(OBJECT)
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    "text", ["data.", "", "has(status)", "a == ", "x" * (LONGEST + 1), "(" * 100 + "a" + ")" * 100]
)
def test_what_is_no_expression_is_refused_at_once(text):
    with pytest.raises(InvalidExpression) as refused:
        parse(text)
    assert refused.value.reason == "InvalidCELExpression"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dep.status.ready", "CEL expression output type mismatch: expected bool, got dyn"),
        ("'yes'", "expected bool, got string"),
        ("other.status == 1", "undeclared reference to 'other"),
        ("dep.status.size('a') == 1 && nosuch(dep)", "undeclared reference to 'nosuch'"),
        ("1 + 'a' == 2", "found no matching overload"),
        ("dep.", "Syntax error"),
    ],
)
def test_a_checked_expression_has_its_variables_and_is_a_boolean(text, problem):
    with pytest.raises(InvalidExpression) as refused:
        compile_boolean(text, ("self", "dep"))
    assert problem in str(refused.value)


def test_a_checked_expression_is_evaluated():
    same = compile_boolean("dep.metadata.labels['v'] == self.metadata.labels['v']", ("self", "dep"))
    one, other = {"metadata": {"labels": {"v": "1"}}}, {"metadata": {"labels": {"v": "2"}}}
    assert same.holds({"self": one, "dep": one})
    assert not same.holds({"self": one, "dep": other})


NESTED = "l.all(a, l.all(b, l.all(c, {})))"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (NESTED.format("true"), {"l": [1] * 200}),
        (NESTED.format("s.matches('(x|y)*z') || true"), {"l": [1] * 20, "s": "xy" * 100_000}),
        ("l.all(a, s.contains(string(a)) || true)", {"l": [1] * 9_000, "s": "xy" * 500_000}),
        ("['aaaa']" + ".map(y, y + y)" * 24 + "[0].size() == 1", {}),
        ("[[1, 2]]" + ".map(y, y+y)" * 24 + "[0].size() == 1", {}),
        ("'aaaaaaaa'" + ".replace('a', 'aaaaaaaa')" * 12 + " == ''", {}),
        ("l.map(x, s).join('').size() == 1", {"l": [1] * 9_000, "s": "x" * 100_000}),
        ("sets.contains(l, m)", {"l": list(range(5_000)), "m": list(range(5_000))}),
        ("s.split('').all(a, s.split('').all(b, a == b))", {"s": "x" * 5_000}),
        ("s.matches(')') // '" + "\n || l.all(a, l.all(b, s.contains('y')))", {"l": [1] * 500, "s": "x" * 100_000}),
        ("r'\\)' == s || l.all(a, l.all(b, l.all(c, l.all(d, s == s + 'x'))))", {"l": [1] * 50, "s": "x" * 10_000}),
    ],
)
def test_what_would_not_end_soon_is_not_evaluated(text, data):
    with pytest.raises(EvaluationFailed, match=r"too much work|Iteration budget|too large"):
        parse(text).holds(data)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (
            "status.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'x')",
            {"status": {"conditions": [{"type": str(i)} for i in range(300)]}},
        ),
        ("data.all(k, !data[k].contains('nothing'))", {"data": {f"key{i}": "x" * 500 for i in range(40)}}),
        ("data['dashboard'].contains('title')", {"data": {"dashboard": "title" * 150_000}}),
        ("metadata.name.replace('-', '.') + '.example.com' == 'a.b.example.com'", {"metadata": {"name": "a-b"}}),
    ],
)
def test_ordinary_expressions_are_far_from_the_bound(text, data):
    assert parse(text).holds(data)


def test_a_regular_expression_takes_linear_time():
    assert not parse("s.matches('^(a+)+$')").holds({"s": "a" * 100_000 + "b"})


def test_the_runtime_is_loaded_with_the_first_expression():
    code = (
        "import sys, penstock.core.cel.expression as e, penstock.core.health.exprs, penstock.core.flux.kustomization\n"
        "assert not any('cel_expr' in m for m in sys.modules)\n"
        "e.parse('true'); assert 'cel_expr_python.cel' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
