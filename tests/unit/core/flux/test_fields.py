"""The only way in which fields become values: each wrong one is named by its dotted path."""

from datetime import timedelta

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import Fields, Where, open_document, parse_duration

WHERE = Where(file="apps/x.yaml", document="Kustomization/flux-system/apps")


def fields(value):
    return Fields(value, where=WHERE, path="spec")


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("2us", 2e-6), ("3µs", 3e-6)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "1d", "-1m", "1 m", "1m "])
def test_other_text_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "read", "problem"),
    [
        ({}, lambda f: f.string("a"), "spec.a: is required"),
        ({"a": 1}, lambda f: f.string("a"), "spec.a: must be a string, not the number 1: put it in quotes"),
        ({"a": True}, lambda f: f.string("a"), "spec.a: must be a string, not the boolean true"),
        ({"a": "x"}, lambda f: f.string("a", one_of=("y", "z")), "spec.a: is 'x', must be one of y, z"),
        ({"a": "xxx"}, lambda f: f.string("a", longest=2), "spec.a: is longer than 2 characters"),
        ({"a": "x"}, lambda f: f.string("a", pattern="[0-9]+"), r"spec.a: is 'x', must match [0-9]+"),
        ({"a": "A_b"}, lambda f: f.name("a"), "spec.a: is 'A_b', must be a Kubernetes name"),
        ({}, lambda f: f.boolean("a"), "spec.a: is required"),
        ({"a": "yes"}, lambda f: f.boolean("a"), "spec.a: must be true or false, not a string"),
        ({}, lambda f: f.integer("a"), "spec.a: is required"),
        ({"a": True}, lambda f: f.integer("a"), "spec.a: must be an integer, not the boolean true"),
        ({"a": 7}, lambda f: f.integer("a", most=5), "spec.a: is 7, must be between 0 and 5"),
        ({}, lambda f: f.duration("a"), "spec.a: is required (a duration such as 10m)"),
        ({"a": 5}, lambda f: f.duration("a"), "spec.a: must be a duration such as 10m, not the number 5"),
        ({"a": "5"}, lambda f: f.duration("a"), "spec.a: '5' is not a duration"),
        ({"a": "x"}, lambda f: f.strings("a"), "spec.a: must be a list, not a string"),
        ({"a": ["x", 1]}, lambda f: f.strings("a"), "spec.a[1]: must be a string, not the number 1"),
        ({"a": []}, lambda f: f.string_map("a"), "spec.a: must be a mapping, not a list"),
        ({"a": {"k": 1}}, lambda f: f.string_map("a"), "spec.a.k: must be a string, not the number 1"),
        ({}, lambda f: f.nested("a"), "spec.a: is required"),
        ({"a": [1]}, lambda f: f.each("a", lambda g: g.string("b")), "spec.a[0]: must be a mapping, not the number 1"),
        (
            {"a": [{"b": "x", "c": 1}]},
            lambda f: f.each("a", lambda g: g.string("b")),
            "spec.a[0].c: is not a field here",
        ),
        (
            {"a": {"c": None}},
            lambda f: f.optional("a", lambda g: g.string("b", default="")),
            "spec.a.c: is not a field",
        ),
        ({"a": object()}, lambda f: f.string("a"), "spec.a: must be a string, not object"),
    ],
)
def test_a_wrong_field_is_named(value, read, problem):
    with pytest.raises(InvalidDocument) as caught:
        read(fields(value))
    assert problem in str(caught.value)
    assert str(caught.value).startswith("apps/x.yaml, Kustomization/flux-system/apps, spec.a")


def test_right_fields_become_values():
    f = fields({"s": "x", "b": False, "i": 3, "d": "1m", "l": ["a"], "m": {"k": "v"}, "n": {"x": "y"}, "null": None})
    assert (f.string("s"), f.boolean("b"), f.integer("i"), f.duration("d")) == ("x", False, 3, timedelta(minutes=1))
    assert (f.strings("l"), f.string_map("m"), f.strings("none"), f.string_map("none")) == (("a",), {"k": "v"}, (), {})
    assert f.optional("n", lambda g: g.string("x")) == "y"
    assert f.optional("none", lambda g: g.string("x")) is None
    assert f.each("none", lambda g: g.string("x")) == ()
    assert (f.string("no", default="d"), f.boolean("no", default=True), f.integer("no", default=2)) == ("d", True, 2)
    assert (f.has("s"), f.has("null"), f.has("nothing")) == (True, False, False)
    assert f.raw("null") is None
    assert f.duration("no", default=timedelta(0)) == timedelta(0)
    f.done()


def test_unknown_fields_are_refused_with_what_is_known():
    f = fields({"known": "x", "knwon": "y"})
    f.string("known")
    with pytest.raises(InvalidDocument, match=r"spec\.knwon: is not a field here \(known: known\)"):
        f.done()


def test_a_document_must_hold_a_mapping():
    manifest = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": ["x"]}
    with pytest.raises(InvalidDocument, match="X/n, spec: must be a mapping, not a list"):
        open_document(manifest, file="")
    spec, where = open_document({**manifest, "spec": None}, file="f")
    spec.done()
    assert where == Where(file="f", document="X/n")
