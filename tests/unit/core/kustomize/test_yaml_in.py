"""Files to values: documents, anchors, merges, and what is refused."""

import pytest

from penstock.core.kustomize.yaml_in import load_config, load_documents
from penstock.core.kustomize.yaml_nodes import MalformedYaml, YamlLimits, refolded


def load(text, **options):
    return load_documents(text.encode(), "f.yaml", **options)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("---\na: 1\n--- # next\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("# only a comment\n---\n---\na: 1\n", [{"a": 1}]),
        ("a: 1\r\nb: |\r\n  x\r\n", [{"a": 1, "b": "x\n"}]),
        ("\ufeffa: 1\n", [{"a": 1}]),
        ("", []),
        ("a: &x [1]\nb: *x\n", [{"a": [1], "b": [1]}]),
        ("a: &x 1\nb: &x 2\nc: *x\n", [{"a": 1, "b": 2, "c": 2}]),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n", [{"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}]),
        (
            "x: &x {p: 1}\ny: &y {p: 2, q: 2}\nb:\n  !!merge <<: [*x, *y]\n",
            [{"x": {"p": 1}, "y": {"p": 2, "q": 2}, "b": {"p": 1, "q": 2}}],
        ),
        (
            "a: !!str 1\nb: !!int '2'\nc: !!float 3\nd: !!binary aGk=\ne: !mine x\n",
            [{"a": "1", "b": 2, "c": 3.0, "d": "hi", "e": "x"}],
        ),
        ("y: 1\non: 2\n", [{"y": 1, "on": 2}]),
        ("1: a\n", [{"1": "a"}]),
    ],
)
def test_documents(text, documents):
    assert load(text) == documents


def test_annotations_are_texts_as_written():
    text = "metadata:\n  annotations: {a: 1.10, b: true, c: 2020-01-02, d: ~, e: 0644}\n"
    assert load(text)[0]["metadata"]["annotations"] == {
        "a": "1.10",
        "b": "true",
        "c": "2020-01-02",
        "d": "~",
        "e": "0644",
    }


def test_in_a_patch_a_null_annotation_stays_null():
    assert load("metadata: {annotations: {a: ~, b: 1}}\n", patch=True)[0]["metadata"]["annotations"] == {
        "a": None,
        "b": "1",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [\n", "MalformedYAMLError"),
        ("a: 1\n--- b: 2\nc: 3\n", "invalid document separator"),
        ("a: 1\na: 2\n", 'mapping key "a" already defined'),
        ("x:\n  1: a\n", "is not a string: put it in quotes"),
        ("a: &a [*a]\n", "contains itself"),
        ("a: {<<: 1}\n", "map merge requires"),
        ("a: {<<: {}, <<: {}}\n", "duplicate merge key"),
        ("a: !!int x\n", "cannot decode"),
        ("a: !!binary '*'\n", "not base64"),
        ("a: *nope\n", "MalformedYAMLError"),
        ("a: \x00\n", "MalformedYAMLError"),
    ],
)
def test_what_is_refused_names_the_file(text, message):
    with pytest.raises(MalformedYaml, match=message) as caught:
        load(text)
    assert str(caught.value).startswith("f.yaml")


def test_bytes_that_are_not_utf8():
    with pytest.raises(MalformedYaml, match="byte 3 is not UTF-8"):
        load_documents(b"a: \xff\n", "f.yaml")


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "a", "{a: " * 5000])
def test_deep_nesting_is_refused_before_it_does_harm(text):
    with pytest.raises(MalformedYaml, match=r"nested deeper|MalformedYAMLError"):
        load(text)


def test_aliases_count_each_time():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(f'*a{n - 1}' for _ in range(9))}]" for n in range(1, 9)]
    with pytest.raises(MalformedYaml, match="aliases included"):
        load("\n".join(lines), limits=YamlLimits(values=100_000))


def test_a_patch_may_repeat_keys():
    assert load("a: 1\na: 2\n", patch=True) == [{"a": 2}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes\nb: off\n", {"a": True, "b": False}),
        ("1: a\ntrue: b\nyes: c\n", {"1": "a", "true": "c"}),
        ("a: 1\n---\nb: 2\n", {"a": 1}),
        ("# nothing\n", None),
        ("a: 1\na: 2\n", {"a": 2}),
    ],
)
def test_files_of_kustomize_are_yaml_1_1(text, value):
    assert load_config(text.encode(), "kustomization.yaml") == value


@pytest.mark.parametrize(
    ("value", "again"),
    [
        ("plain\ntext\n", "plain\ntext\n"),
        ("a\n  b\nc\n", "a\n\n  b\nc\n"),
        ("end\n\n", "end\n\n\n"),
        (" a\nb\nc\n", " a\nb c\n"),
        ("trailing \n  b\n", "trailing \n  b\n"),
    ],
)
def test_folded_text_as_kustomize_writes_it_again(value, again):
    assert refolded(value) == again
