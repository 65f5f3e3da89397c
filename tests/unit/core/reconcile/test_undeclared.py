"""Paths of structured-merge-diff, as a real API server (1.36) wrote them."""

import pytest

from penstock.core.reconcile.undeclared import undeclared, without

POD = {
    "replcas": 3,
    "selector": {"matchLabels": {"app.kubernetes.io/name": "x"}},
    "containers": [
        {"name": "a", "image": "x", "imagePulPolicy": "Always"},
        {"name": "b", "ports": [{"containerPort": 80, "bar": 1}], "env": [{"name": "A.B[0]=", "vaule": "1"}]},
    ],
    "m": {"a.b": {"q": "1", "r": "2"}, "a": {"b": {"r": "3"}}},
    "l": [{"x": "1", "y": "2"}],
    "s": ["v"],
}


def at(value, *path):
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("replcas", ("replcas",)),
        ('containers[name="a"].imagePulPolicy', ("containers", 0, "imagePulPolicy")),
        ('containers[name="b"].ports[containerPort=80,protocol="TCP"].bar', ("containers", 1, "ports", 0, "bar")),
        ('containers[name="b"].env[name="A.B[0]="].vaule', ("containers", 1, "env", 0, "vaule")),
        ("l[0].y", ("l", 0, "y")),
        ("m.a.b.r", ("m", "a.b", "r")),
        ("selector.matchLabels.app.kubernetes.io/name", ("selector", "matchLabels", "app.kubernetes.io/name")),
    ],
)
def test_a_field_is_left_out_and_nothing_else(path, where):
    left = without({"spec": POD}, [f"spec.{path}"])
    *parents, leaf = where
    assert leaf not in at(left["spec"], *parents)
    assert leaf in at(POD, *parents), "the document itself is not changed"
    at(left["spec"], *parents)[leaf] = at(POD, *where)
    assert left["spec"] == POD


@pytest.mark.parametrize("path", ["spec.x", "spec.l[1].y", 'spec.containers[name="c"].image', "spec.s[0].x", ""])
def test_what_is_not_there_is_not_guessed(path):
    assert without({"metadata": {}, "spec": POD}, ["metadata", path]) is None


def test_only_undeclared_fields_are_named():
    causes = [("a.b", "field not declared in schema"), ("c", "expected string, got 1")]
    assert undeclared(causes) == ("a.b",)
