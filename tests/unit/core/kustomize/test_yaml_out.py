"""Values to text, byte for byte as go-yaml v2 prints them."""

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.scalars import NO_KEY
from penstock.core.kustomize.yaml_out import dump, dump_one, dump_ordered, key_order

LONG = "word " * 20


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", '""'),
        ("yes", '"yes"'),
        ("1.10", '"1.10"'),
        ("1:30", '"1:30"'),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a:b", "a:b"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("- a", "'- a'"),
        ("-a", "-a"),
        ("?", "'?'"),
        ("?a", "?a"),
        ("it's", "it's"),
        ("'quoted'", "'''quoted'''"),
        ("[a]", "'[a]'"),
        ("a]", "a]"),
        ("--- a", "'--- a'"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("a\tb", '"a\\tb"'),
        ("é", "é"),
        ("😀", '"\\U0001F600"'),
        ("\u2028", "'\u2028'"),
        ("\ufeffx", '"\\uFEFF\\x78"'),
        ("\x07\x1b\x85", '"\\a\\e\\N"'),
        ("a\nb", "|-\n  a\n  b"),
        ("a\n", "|\n  a"),
        ("a\n\n", "|+\n  a\n"),
        ("\n", "|2+\n"),
        (" a\nb\n", "|2\n   a\n  b"),
        ("a\n\nb\n", "|\n  a\n\n  b"),
        ("a \nb\n", '"a \\nb\\n"'),
        ("a\tb\nc", '"a\\tb\\nc"'),
        (None, "null"),
        (True, "true"),
        (1.0, "1"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_leaves(value, text):
    assert dump_one({"k": value}) == f"k: {text}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {"b": [1, {"c": 2, "d": [3]}]}}, "a:\n  b:\n  - 1\n  - c: 2\n    d:\n    - 3\n"),
        ({"a": [[1, 2], [[3]]]}, "a:\n- - 1\n  - 2\n- - - 3\n"),
        ([{"a": 1}], "- a: 1\n"),
        ({"k" * 129: {"a": 1}}, f"? {'k' * 129}\n: a: 1\n"),
        ({"k" * 129: [1]}, f"? {'k' * 129}\n: - 1\n"),
        ({"a\nb": "x"}, "? |-\n  a\n  b\n: x\n"),
        ("text", "text\n"),
    ],
)
def test_structures(value, text):
    assert dump_one(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (LONG + "end", "k: " + "word " * 15 + "word\n  word word word word end\n"),
        ("x" * 100, f"k: {'x' * 100}\n"),
        ("'" + LONG, "k: '''" + "word " * 15 + "word\n  word word word word '\n"),
        ("\t" + LONG + "a  b", 'k: "\\t' + "word " * 15 + 'word\n  word word word word a  b"\n'),
        ("\t" + "x" * 78 + "  b", 'k: "\\t' + "x" * 78 + '\n  \\ b"\n'),
    ],
)
def test_long_lines_are_folded_after_column_80(value, text):
    assert dump_one({"k": value}) == text


@pytest.mark.parametrize(
    "keys",
    [
        ("A", "a", "b"),
        ("a-b", "a1", "a2", "a10", "ab"),
        ("a/b", "aa"),
        ("1", "2", "10", "a"),
        ("a1", "a01"),
        ("x.y", "xa"),
    ],
)
def test_keys_are_in_natural_order(keys):
    assert key_order(tuple(reversed(keys))) == keys


def test_documents_are_separated():
    assert dump([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"


def test_a_key_that_json_cannot_have_is_an_error():
    with pytest.raises(BuildFailed, match="can't be a key"):
        dump_one({"a": 1, f"{NO_KEY}f.yaml: a mapping can't be a key": 2})


def test_structures_of_go_keep_their_order():
    assert (
        dump_ordered([{"path": "b", "by": {"kind": "K", "at": "yes"}}])
        == '- path: b\n  by:\n    kind: K\n    at: "yes"\n'
    )
