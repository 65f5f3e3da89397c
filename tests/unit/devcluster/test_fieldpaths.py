import pytest

from penstock.devcluster.fieldpaths import (
    from_fields_v1,
    item_element,
    ordered,
    readable,
    to_fields_v1,
    with_declared_parents,
)
from penstock.devcluster.schema import Schema

STRING = Schema(kind="scalar", type="string")
PORT = Schema(kind="struct", fields={"port": STRING, "protocol": STRING}, defaults={"protocol": "TCP"})
PORTS = Schema(kind="list", element=PORT, keys=("port", "protocol"))
KEY = 'k:{"port":80,"protocol":"TCP"}'

DOCUMENTS = {
    "empty": {},
    "leaves": {"f:data": {"f:a": {}, "f:b": {}}},
    "an inner member": {"f:data": {".": {}, "f:a": {}}},
    "list items": {"f:ports": {KEY: {".": {}, "f:port": {}}}},
    "set members": {"f:finalizers": {'v:"a"': {}, 'v:"b"': {}}},
    "a member without children beside one with": {"f:a": {}, "f:b": {".": {}, "f:c": {".": {}, "f:d": {}}}},
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_fields_v1_round_trip(document):
    assert to_fields_v1(from_fields_v1(document)) == document


def test_fields_v1_names_paths():
    document = {"f:ports": {KEY: {".": {}, "f:port": {}}}, "f:x": {}}
    assert from_fields_v1(document) == {("f:ports", KEY), ("f:ports", KEY, "f:port"), ("f:x",)}


@pytest.mark.parametrize(
    ("item", "schema", "expected"),
    [
        ({"port": 80, "protocol": "UDP"}, PORTS, 'k:{"port":80,"protocol":"UDP"}'),
        ({"port": 80}, PORTS, KEY),
        ({}, Schema(kind="list", element=Schema(kind="struct"), keys=("name",)), "k:{}"),
        ("x", Schema(kind="list", element=STRING, unique=True), 'v:"x"'),
    ],
)
def test_items_are_known_by_keys_with_defaults_or_by_value(item, schema, expected):
    assert item_element(item, schema) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:c", 'k:{"name":"x"}', "f:image"), '.c[name="x"].image'),
        (("f:p", 'k:{"protocol":"TCP","port":80}'), '.p[port=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"a"'), '.finalizers[="a"]'),
    ],
)
def test_readable(path, expected):
    assert readable(path) == expected


def test_conflicts_are_listed_members_first():
    paths = frozenset({("f:c", 'k:{"n":"a"}', "f:env", "f:x"), ("f:c", 'k:{"n":"a"}', "f:image"), ("f:b",)})
    assert [readable(path) for path in ordered(paths)] == [".b", '.c[n="a"].image', '.c[n="a"].env.x']


def test_declared_fields_above_a_path_become_members():
    root = Schema(
        kind="struct", fields={"meta": Schema(kind="struct", fields={"labels": Schema(kind="map", element=STRING)})}
    )
    path = ("f:meta", "f:labels", "f:a")
    assert with_declared_parents(frozenset({path}), root) == {path, path[:1], path[:2]}
