"""The hash in the names of generated objects, bit for bit."""

import pytest

from penstock.core.kustomize.hashing import content_hash, go_json


@pytest.mark.parametrize(
    ("manifest", "suffix"),
    [
        ({"kind": "ConfigMap", "metadata": {"name": "x"}}, "6ct58987ht"),
        ({"kind": "ConfigMap", "data": {"VAR1": "100"}}, "ck8bcg6c5m"),
        ({"kind": "Secret", "type": "Opaque", "data": {}}, "46f8b28mk5"),
    ],
)
def test_the_hash_follows_from_the_content_and_not_from_the_name(manifest, suffix):
    assert content_hash(manifest) == content_hash({**manifest, "metadata": {"name": "other"}})
    assert len(content_hash(manifest)) == 10
    assert set(content_hash(manifest)) <= set("2456789bcdfghkmt")
    assert content_hash(manifest) == suffix


def test_other_kinds_have_a_hash_too():
    assert content_hash({"kind": "X", "spec": [1.0]}) != content_hash({"kind": "X", "spec": [2.0]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": "<&>\u2028é"}, '{"a":"\\u003c\\u0026\\u003e\\u2028é","b":1}'),
        ([1.0, 1.5, None, True], "[1,1.5,null,true]"),
    ],
)
def test_json_as_go_writes_it(value, text):
    assert go_json(value) == text
