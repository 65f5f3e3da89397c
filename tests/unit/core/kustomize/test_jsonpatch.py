"""JSON patches, as evanphx/json-patch v4 was seen to apply them."""

import copy

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.jsonpatch import apply_json6902, parse_json6902, through_json
from penstock.core.kustomize.written import PartlyEmpty, Quoted, WrittenFloat, WrittenInt

TARGET = {"a": {"b/c": 1, "d~e": 2}, "l": [1, 2, 3], "n": None, "f": 1.5, "t": True, "s": "x"}


def patched(patch, target=None):
    return apply_json6902(TARGET if target is None else target, parse_json6902(patch, "patch.yaml"))


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ("- {op: add, path: /new, value: {x: 1}}", {"new": {"x": 1}}),
        ("- {op: add, path: /new}", {"new": None}),
        ('[{"op": "add", "path": "/s", "value": "y"}]', {"s": "y"}),
        ("- {op: add, path: /l/-, value: 4}", {"l": [1, 2, 3, 4]}),
        ("- {op: add, path: /l/0, value: 0}", {"l": [0, 1, 2, 3]}),
        ("- {op: add, path: /l/3, value: 4}", {"l": [1, 2, 3, 4]}),
        ("- {op: add, path: /l/-1, value: 4}", {"l": [1, 2, 3, 4]}),
        ("- {op: add, path: /l/-4, value: 4}", {"l": [4, 1, 2, 3]}),
        ("- {op: replace, path: /l/-1, value: 9}", {"l": [1, 2, 9]}),
        ("- {op: replace, path: /missing, value: 1}", {"missing": 1}),
        ("- {op: replace, path: /a/b~1c, value: 9}", {"a": {"b/c": 9, "d~e": 2}}),
        ("- {op: remove, path: /a/d~0e}", {"a": {"b/c": 1}}),
        ("- {op: remove, path: /l/1}", {"l": [1, 3]}),
        ("- {op: copy, from: /l, path: /m}", {"m": [1, 2, 3]}),
        ("- {op: copy, from: /missing, path: /m}", {"m": None}),
        ("- {op: move, from: /l/0, path: /l/-}", {"l": [2, 3, 1]}),
        ("- {op: add, path: ignored/s, value: z}", {"s": "z"}),
        ("- {op: add, path: /, value: z}", {"": "z"}),
        ("- {op: add, path: /s, value: yes}", {"s": True}),
        ("- {op: add, path: /s, value: 1.0}", {"s": 1}),
        ("[]", {}),
    ],
)
def test_operations(patch, changed):
    assert patched(patch) == {**TARGET, **changed}


def test_a_field_can_be_moved_away():
    assert patched("- {op: move, from: /s, path: /a/s}") == {
        "a": {"b/c": 1, "d~e": 2, "s": "x"},
        "l": [1, 2, 3],
        "n": None,
        "f": 1.5,
        "t": True,
    }


def test_the_whole_object_can_be_replaced():
    assert patched("- {op: replace, path: '', value: {x: 1}}") == {"x": 1}


@pytest.mark.parametrize(
    "patch",
    [
        "- {op: test, path: /s, value: x}",
        "- {op: test, path: /missing, value: null}",
        "- {op: test, path: /n}",
        "- {op: test, path: /s, value: 'x'}",
        "- {op: test, path: /l/0, value: 1.0}",
        "- {op: test, path: /a, value: {d~e: 2, b/c: 1}}",
        "- {op: test, path: /l, value: [1, 2, 3]}",
        "- {op: test, path: /f, value: 1.5}",
    ],
)
def test_tests_that_pass(patch):
    assert patched(patch) == TARGET


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("- {op: test, path: /s, value: y}", "testing value failed"),
        ("- {op: test, path: /t, value: 1}", "testing value failed"),
        ('[{"op": "test", "path": "/l/0", "value": 1.0}]', "testing value failed"),
        ("- {op: test, path: /l, value: [1, 2]}", "testing value failed"),
        ("- {op: test, path: /a, value: {b/c: 1}}", "testing value failed"),
        ("- {op: remove, path: /missing}", "nonexistent key: missing"),
        ("- {op: remove, path: /l/3}", "invalid index: 3"),
        ("- {op: add, path: /l/4, value: 1}", "invalid index: 4"),
        ("- {op: add, path: /l/-5, value: 1}", "invalid index: -5"),
        ("- {op: replace, path: /l/-, value: 1}", "not a proper array index"),
        ("- {op: add, path: /l/x, value: 1}", "not a proper array index"),
        ("- {op: add, path: /missing/x, value: 1}", "doc is missing path: /missing"),
        ("- {op: add, path: /s/x, value: 1}", "doc is missing path: /s"),
        ("- {op: add, path: /n/x, value: 1}", "doc is missing path: /n"),
        ("- {op: add, path: nowhere, value: 1}", "starts with a slash"),
        ("- {op: remove, path: ''}", "starts with a slash"),
        ("- {op: move, from: /missing, path: /x}", "nonexistent key"),
        ("- {op: copy, from: /l/9, path: /x}", "invalid index"),
        ("- {op: replace, path: '', value: 1}", "must be object or array"),
        ("- {op: replace, path: '', value: [1]}", "leaves a list"),
        ("- {op: bogus, path: /s}", "bogus.*use add, remove"),
        ("- {op: add, value: 1}", "add needs path"),
        ("- {op: move, path: /x}", "move needs from"),
        ("- x", "an operation is a mapping"),
        ("op: add", "is a list of operations"),
        ("[{op: add}]", "not JSON"),
        ('[{"op": "add", "path": "/s", "value": NaN}]', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_does_not_apply_names_file_and_operation(patch, message):
    with pytest.raises(BuildFailed, match=rf"^patch\.yaml.*{message}"):
        patched(patch)


def test_nothing_is_changed_in_place():
    before = copy.deepcopy(TARGET)
    operations = parse_json6902("- {op: add, path: /x, value: {z: [1]}}\n- {op: add, path: /x/z/-, value: 2}", "p")
    assert apply_json6902(TARGET, operations) == apply_json6902(TARGET, operations) == {**TARGET, "x": {"z": [1, 2]}}
    assert before == TARGET


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Quoted("x"), str),
        (WrittenInt(420, "0644"), int),
        (WrittenFloat(2.0, "2.0"), int),
        (PartlyEmpty({}, frozenset()), dict),
    ],
)
def test_traits_of_writing_are_lost_on_the_way_through_json(value, kind):
    assert type(through_json({"x": [value]})["x"][0]) is kind


def test_what_json_does_not_change_is_shared():
    value = {"a": [1, {"b": "c"}], "d": 1.5}
    assert through_json(value) is value
    assert through_json(2**53 + 1) == 2**53
