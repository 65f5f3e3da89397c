import pytest

from penstock.devcluster.schema import ANY, Schema
from penstock.devcluster.typed import MISSING, compare, field_set, merge, remove, same

STRING = Schema(kind="scalar", type="string")
NAMED = Schema(kind="struct", fields={"name": STRING, "image": STRING})
ROOT = Schema(
    kind="struct",
    fields={
        "name": STRING,
        "labels": Schema(kind="map", element=STRING),
        "selector": Schema(kind="struct", atomic=True, fields={"a": STRING}),
        "containers": Schema(kind="list", element=NAMED, keys=("name",)),
        "args": Schema(kind="list", element=STRING, atomic=True),
        "tags": Schema(kind="list", element=STRING, unique=True),
        "free": ANY,
        "inner": Schema(kind="struct", fields={"x": STRING}),
    },
)
A, B = ("f:containers", 'k:{"name":"a"}'), ("f:containers", 'k:{"name":"b"}')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "x"}, {("f:name",)}),
        ({"labels": {"k": "v"}}, {("f:labels", "f:k")}),
        ({"labels": {}}, {("f:labels",)}),
        ({"labels": None}, {("f:labels",)}),
        ({"selector": {"a": "b"}}, {("f:selector",)}),
        ({"args": ["x", "y"]}, {("f:args",)}),
        ({"tags": ["x"]}, {("f:tags", 'v:"x"')}),
        ({"containers": [{"name": "a", "image": "i"}]}, {A, (*A, "f:name"), (*A, "f:image")}),
        ({"containers": []}, set()),
        ({"inner": {}}, {("f:inner",)}),
        ({"free": {"a": {"b": [1]}}}, {("f:free", "f:a"), ("f:free", "f:a", "f:b")}),
    ],
)
def test_what_a_configuration_sets(value, expected):
    assert field_set(value, ROOT) == expected


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        ({"name": "x"}, {"name": "x"}, set(), set(), set()),
        ({"name": "x"}, {"name": "y"}, set(), {("f:name",)}, set()),
        ({}, {"labels": {"k": "v"}}, {("f:labels",), ("f:labels", "f:k")}, set(), set()),
        ({"labels": {"k": "v", "w": "x"}}, {"labels": {"k": "v"}}, set(), set(), {("f:labels", "f:w")}),
        ({"args": ["x"]}, {"args": ["y"]}, set(), {("f:args",)}, set()),
        (
            {"containers": [{"name": "a"}]},
            {"containers": [{"name": "b"}]},
            {B, (*B, "f:name")},
            set(),
            {A, (*A, "f:name")},
        ),
        ({"labels": None}, {"labels": {"k": "v"}}, {("f:labels", "f:k")}, set(), set()),
        ({"inner": {}}, {"inner": {"x": "y"}}, {("f:inner", "f:x")}, set(), set()),
        ({"free": {"a": 1}}, {"free": [1]}, set(), {("f:free",)}, set()),
    ],
)
def test_compare(old, new, added, modified, removed):
    found = compare(old, new, ROOT)
    assert (found.added, found.modified, found.removed) == (added, modified, removed)


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        ({"name": "x", "labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"name": "x", "labels": {"a": "1", "b": "2"}}),
        ({"selector": {"a": "b"}}, {"selector": {}}, {"selector": {}}),
        ({"args": ["x", "y"]}, {"args": ["z"]}, {"args": ["z"]}),
        ({"tags": ["x", "y"]}, {"tags": ["z", "x"]}, {"tags": ["z", "x", "y"]}),
        ({"free": {"a": [1], "b": 2}}, {"free": {"a": [2]}}, {"free": {"a": [2], "b": 2}}),
        ({"labels": {"a": "1"}}, {"labels": None}, {"labels": {"a": "1"}}),
    ],
)
def test_merge(live, config, expected):
    assert merge(live, config, ROOT) == expected


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        ("ab", "ab", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "cb", "acb"),
        ("axb", "ba", "xba"),
        ("xab", "ab", "xab"),
        ("ab", "cab", "cab"),
        ("ab", "xy", "abxy"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
    ],
)
def test_lists_of_maps_keep_the_configurations_order(live, config, expected):
    def items(names):
        return {"containers": [{"name": name} for name in names]}

    merged = merge(items(live), items(config), ROOT)
    assert "".join(item["name"] for item in merged["containers"]) == expected


def test_merged_items_keep_what_the_configuration_does_not_say():
    merged = merge({"containers": [{"name": "a", "image": "i"}]}, {"containers": [{"name": "a"}]}, ROOT)
    assert merged == {"containers": [{"name": "a", "image": "i"}]}


@pytest.mark.parametrize(
    ("value", "paths", "expected"),
    [
        ({"name": "x", "args": ["a"]}, {("f:name",)}, {"args": ["a"]}),
        ({"labels": {"a": "1", "b": "2"}}, {("f:labels", "f:a")}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {("f:labels", "f:a")}, {"labels": None}),
        ({"containers": [{"name": "a"}, {"name": "b"}]}, {A}, {"containers": [{"name": "b"}]}),
        ({"containers": [{"name": "a", "image": "i"}]}, {(*A, "f:image")}, {"containers": [{"name": "a"}]}),
        ({"labels": {"a": "1"}, "name": "x"}, {("f:labels",), ("f:labels", "f:a")}, {"name": "x"}),
    ],
)
def test_remove(value, paths, expected):
    assert remove(value, frozenset(paths), ROOT) == expected


def test_same_is_jsons_equality():
    assert same({"a": [1, None]}, {"a": [1, None]})
    assert not same(1, True)
    assert not same({"a": 1}, {"a": 1, "b": None})
    assert repr(MISSING) == "MISSING"
