"""Each expected text is what `sops decrypt` 3.13.3 prints for that tree."""

from typing import Any

import pytest

from penstock.core.secrets.values import Comment, Moment
from penstock.core.secrets.yaml_text import emit_yaml


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain text", "plain text"),
        ("", '""'),
        ("yes", '"yes"'),
        ("017", '"017"'),
        ("1e3", '"1e3"'),
        ("a: b", "'a: b'"),
        ("it's: so", "'it''s: so'"),
        ("a #b", "'a #b'"),
        ("- a", "'- a'"),
        ("-a", "-a"),
        ("---", "'---'"),
        (" a", "' a'"),
        ("a\tb", '"a\\tb"'),
        ("\U0001f600", '"\\U0001F600"'),
        ("\x07\xad", '"\\a\xad"'),
        ("word " * 40 + "end", "word " * 40 + "end"),
        ("a\nb", "|-\n    a\n    b"),
        ("a\nb\n", "|\n    a\n    b"),
        ("a\n\n", "|+\n    a\n"),
        (" a\nb", "|4-\n     a\n    b"),
        ("a \nb", '"a \\nb"'),
        ("a\nb ", '"a\\nb "'),
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (0.5, "0.5"),
        (2.0, "2"),
        (-123456.75, "-123456.75"),
        (123456789.0, "1.23456789e+08"),
        (1e-7, "1e-07"),
        (0.0, "0"),
        (b"bytes", "bytes"),
        (Moment("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert emit_yaml([{"k": value}]) == f"k: {text}\n"


def test_nesting() -> None:
    tree = {
        "k": [
            ["a", ["b"]],
            "x\ny",
            {"m": "p\nq", "l": ["r\ns", [{"z": "u\nv"}]], "n": {"o": ["d", ["e"]]}},
        ],
        "map": {"of": {"maps": 1}},
        "yes": [{"w": []}],
    }
    assert emit_yaml([tree]) == (
        "k:\n    - - a\n      - - b\n    - |-\n      x\n      y\n    - m: |-\n        p\n        q\n      l:\n"
        "        - |-\n          r\n          s\n        - - z: |-\n                u\n                v\n"
        '      "n":\n        o:\n            - d\n            - - e\n'
        'map:\n    of:\n        maps: 1\n"yes":\n    - w: []\n'
    )


def test_several_documents_without_comments() -> None:
    assert emit_yaml([{Comment("x"): None, "a": 1}, {}]) == "a: 1\n---\n{}\n"
