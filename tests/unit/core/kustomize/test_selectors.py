"""Selectors of patches and replacements."""

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.selectors import Selector, matches, parse_selector
from penstock.core.resources import Gvk

OBJECT = {
    "gvk": Gvk(group="apps", version="v1", kind="Deployment"),
    "names": ("web", "prod-web"),
    "namespaces": ("default", "shop"),
    "labels": {"app": "web", "tier": "front", "replicas": "3", "empty": "", "example.com/x": "y"},
    "annotations": {"note": "yes"},
}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"kind": "Deployment"}, True),
        ({"kind": "Deploy"}, False),
        ({"kind": "Deploy.*"}, True),
        ({"kind": "Deployment|StatefulSet"}, True),
        ({"kind": "Stateful|Deploy"}, False),
        ({"group": "apps", "version": "v1"}, True),
        ({"version": "v2"}, False),
        ({"name": "web"}, True),
        ({"name": "prod-web"}, True),
        ({"name": "prod"}, False),
        ({"name": "^web$"}, True),
        ({"name": "w.b"}, True),
        ({"namespace": "shop"}, True),
        ({"namespace": "(default|other)"}, True),
        ({"namespace": "other"}, False),
        ({"label_selector": "app=web"}, True),
        ({"label_selector": "app==web,tier=front"}, True),
        ({"label_selector": "app=web, tier = back"}, False),
        ({"label_selector": "app!=web"}, False),
        ({"label_selector": "missing!=web"}, True),
        ({"label_selector": "app"}, True),
        ({"label_selector": "missing"}, False),
        ({"label_selector": "!missing"}, True),
        ({"label_selector": "!app"}, False),
        ({"label_selector": "app in (web, api)"}, True),
        ({"label_selector": "app notin (web)"}, False),
        ({"label_selector": "missing notin (web)"}, True),
        ({"label_selector": "empty="}, True),
        ({"label_selector": "empty in ()"}, True),
        ({"label_selector": "app in (x,),tier"}, False),
        ({"label_selector": "replicas>2"}, True),
        ({"label_selector": "replicas<3"}, False),
        ({"label_selector": "app>2"}, False),
        ({"label_selector": "example.com/x=y"}, True),
        ({"annotation_selector": "note=yes"}, True),
        ({"annotation_selector": "note=no"}, False),
    ],
)
def test_matches(selector, expected):
    assert matches(Selector(**selector), **OBJECT) is expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "("}, r"target: '\^\(\?:\(\)\$' is not a regular expression"),
        ({"kind": "(?=x)"}, "not a regular expression"),
        ({"name": 1}, r"target\.name: must be a text"),
        ({"labelSelector": "app=(x)"}, "not a label selector"),
        ({"labelSelector": "app in web"}, r"expected '\('"),
        ({"labelSelector": "app in (web,"}, r"expected '\)'"),
        ({"labelSelector": "app in (a b)"}, r"expected ',' or '\)'"),
        ({"labelSelector": "app=web tier"}, "expected ',' or the end"),
        ({"labelSelector": "a,"}, "expected the name of a label"),
        ({"labelSelector": "-x"}, "expected the name of a label"),
        ({"labelSelector": "UPPER.example/x"}, "expected the name of a label"),
        ({"labelSelector": "app ( x"}, "expected in, notin"),
        ({"labelSelector": "x>y"}, "must be an integer"),
        ({"annotationSelector": f"x={'y' * 64}"}, "up to 63"),
    ],
)
def test_what_is_wrong_is_named(fields, message):
    with pytest.raises(BuildFailed, match=message):
        parse_selector(fields, "target")


def test_fields_of_a_kustomization():
    fields = {"kind": "Pod", "name": "a.*", "labelSelector": "x", "annotationSelector": None, "options": {}}
    assert parse_selector(fields, "target") == Selector(kind="Pod", name="a.*", label_selector="x")


def test_an_expression_that_hangs_other_engines_does_not_hang():
    assert not matches(Selector(name="(a+)+b"), **{**OBJECT, "names": ("a" * 5000,)})
