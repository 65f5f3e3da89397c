import pytest

from penstock.devcluster.patches import json_patch, merge_patch
from penstock.devcluster.schema import Schema
from penstock.devcluster.statuses import ApiError
from penstock.devcluster.strategic import strategic_merge

STRING = Schema(kind="scalar", type="string")
ITEM = Schema(kind="struct", fields={"name": STRING, "image": STRING})
ROOT = Schema(
    kind="struct",
    fields={
        "items": Schema(kind="list", element=ITEM, merge_key="name", merge_strategy="merge"),
        "names": Schema(kind="list", element=STRING, merge_strategy="merge"),
        "args": Schema(kind="list", element=STRING),
        "strategy": Schema(kind="struct", fields={"type": STRING, "x": STRING}, merge_strategy="retainKeys"),
    },
)


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": ["c"]}, {"a": ["c"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "x"}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": 1}, ["c"], ["c"]),
    ],
)
def test_merge_patch(value, patch, expected):
    assert merge_patch(value, patch) == expected


@pytest.mark.parametrize(
    ("value", "operations", "expected"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ({"a/b": 1}, [{"op": "replace", "path": "/a~1b", "value": 2}], {"a/b": 2}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": 1}, "b": {"x": 1}}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}),
    ],
)
def test_json_patch(value, operations, expected):
    assert json_patch(value, operations) == expected


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "remove", "path": "/z"}], 422),
        ([{"op": "replace", "path": "/z", "value": 1}], 422),
        ([{"op": "add", "path": "/l/9", "value": 1}], 422),
        ([{"op": "nope", "path": "/a"}], 422),
        ([{"op": "add", "path": "a", "value": 1}], 422),
        ([{"path": "/a"}], 422),
        ({"op": "add"}, 400),
        ([{"op": "remove", "path": "/a"}] * 10_001, 413),
    ],
)
def test_json_patch_that_does_not_apply(operations, code):
    live = {"a": 1, "l": []}
    with pytest.raises(ApiError) as problem:
        json_patch(live, operations)
    assert problem.value.code == code
    assert live == {"a": 1, "l": []}


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        ({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
        ({"names": ["a"]}, {"names": ["b", "a"]}, {"names": ["a", "b"]}),
        (
            {"items": [{"name": "a", "image": "1"}]},
            {"items": [{"name": "b"}, {"name": "a", "image": "2"}]},
            {"items": [{"name": "a", "image": "2"}, {"name": "b"}]},
        ),
        (
            {"items": [{"name": "a"}, {"name": "b"}]},
            {"items": [{"name": "a", "$patch": "delete"}]},
            {"items": [{"name": "b"}]},
        ),
        ({"items": [{"name": "a"}]}, {"items": [{"$patch": "replace"}, {"name": "c"}]}, {"items": [{"name": "c"}]}),
        (
            {"items": [{"name": "a"}, {"name": "b"}]},
            {"$setElementOrder/items": [{"name": "b"}, {"name": "a"}]},
            {"items": [{"name": "b"}, {"name": "a"}]},
        ),
        ({"names": ["a", "b"]}, {"$deleteFromPrimitiveList/names": ["a"]}, {"names": ["b"]}),
        (
            {"strategy": {"type": "R", "x": "y"}},
            {"strategy": {"$retainKeys": ["type"], "type": "S"}},
            {"strategy": {"type": "S"}},
        ),
        ({"strategy": {"x": "y"}}, {"strategy": {"$patch": "replace", "type": "S"}}, {"strategy": {"type": "S"}}),
        ({"strategy": {"x": "y"}}, {"strategy": {"$patch": "delete"}}, {"strategy": {}}),
        ({"strategy": {"x": "y"}}, {"strategy": None}, {}),
    ],
)
def test_strategic_merge(value, patch, expected):
    assert strategic_merge(value, patch, ROOT) == expected
