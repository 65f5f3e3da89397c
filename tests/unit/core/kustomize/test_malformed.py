"""Whatever a repository holds: an output or one of our errors, and soon. Nothing else leaves a build."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import PenstockError
from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, build

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n"
SECONDS = 20.0
"""Of a machine that does other things as well; on its own each takes a fraction of one."""

_levels = [f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(_levels)

RESOURCES = {
    "alias bomb": BOMB,
    "flow sequences in each other": CM + "x: " + "[" * 5000 + "]" * 5000,
    "flow mappings in each other": CM + "x: " + "{a: " * 3000 + "1" + "}" * 3000,
    "block mappings in each other": CM + "".join(" " * n + "k:\n" for n in range(2000)),
    "open brackets": CM + "x: " + "[" * 100_000,
    "an integer of 5,000 digits": CM + "x: " + "9" * 5000 + "\n",
    "a float beyond all floats": CM + "x: 1e999\n",
    "a hexadecimal of 5,000 digits": CM + "x: 0x" + "f" * 5000 + "\n",
    "NUL": CM + "x: a\0b\n",
    "control characters": CM + "x: a\x07b\n",
    "a byte order mark within": CM + "---\n\ufeff" + CM.replace("cm", "c2"),
    "UTF-16": ("\ufeff" + CM).encode("utf-16-le"),
    "UTF-32": ("\ufeff" + CM).encode("utf-32"),
    "half of UTF-16": b"\xff\xfe\x00",
    "Latin-1": CM.encode() + b"x: \xe9\n",
    "a surrogate": CM.encode() + b"x: \xed\xa0\x80\n",
    "an escaped surrogate": CM + 'x: "\\ud800"\n',
    "an escape beyond Unicode": CM + 'x: "\\U00110000"\n',
    "carriage returns": CM.replace("\n", "\r"),
    "tabs": CM + "x:\n\ty: 1\n",
    "duplicate keys": CM + "x: 1\nx: 2\n",
    "YAML 1.2": "%YAML 1.2\n---\n" + CM,
    "YAML 2.0": "%YAML 2.0\n---\n" + CM,
    "an unknown directive": "%FOO bar\n---\n" + CM,
    "an anchor of another document": CM + "x: &a 1\n---\n" + CM.replace("cm", "c2") + "y: *a\n",
    "an anchor twice, and an error behind it": CM + "x: &a 1\ny: &a 2\nz: [\n",
    "an alias of itself": CM + "y: &a [*a]\n",
    "a merge key of no mapping": CM + "y: {<<: 1, q: 2}\n",
    "a merge key of itself": CM + "y: &a {<<: *a}\n",
    "a tag of Python": CM + "a: !!python/object/apply:os.system ['id']\n",
    "binary that is none": CM + "a: !!binary '***'\n",
    "a key that is a list": CM + "[a]: b\n",
    "a label selector of 5,000 digits": CM + "metadata: {name: cm, labels: {a: '" + "9" * 5000 + "'}}\n",
}
KUSTOMIZATIONS = {
    "alias bomb": BOMB,
    "a list": "- a\n",
    "huge replicas": "replicas: [{name: cm, count: " + "9" * 5000 + "}]\n",
    "huge index": 'patches: [{target: {kind: X}, patch: \'[{"op": "remove", "path": "/a/' + "9" * 5000 + "\"}]'}]\n",
    "huge selector": "patches: [{patch: 'a: b', target: {labelSelector: 'a > " + "9" * 5000 + "'}}]\n",
    "Unicode digits": "patches: [{patch: 'a: b', target: {labelSelector: 'a > ٣'}}]\n",
    "huge float": "configMapGenerator: [{name: a, literals: [a=1e22]}]\nnamePrefix: 1e22\n",
    "an endless expression": "patches: [{patch: 'a: b', target: {name: '(a+)+$'}}]\n",
    "NUL in a path": 'resources: ["cm\\0.yaml"]\n',
    "a long path": "resources: ['" + "a/" * 20_000 + "']\n",
    "a path upwards": "resources: ['" + "../" * 20_000 + "']\n",
    "a URL of nothing": "resources: ['https://']\n",
    "a bad port": "resources: ['https://h:99999999/a/b.git']\n",
    "a bad IPv6 host": "resources: ['https://[::1/a/b.git']\n",
    "an endless timeout": "resources: ['https://h/a/b.git?timeout=" + "9" * 400 + "h']\n",
}


def outcome(files, **options):
    started = time.monotonic()
    try:
        found = build(memory_tree(files), "", BuildOptions(**options)).to_yaml()
    except PenstockError as error:
        found = error
    assert time.monotonic() - started < SECONDS
    return found


@pytest.mark.parametrize("text", RESOURCES.values(), ids=RESOURCES)
def test_a_resource(text):
    outcome({"kustomization.yaml": "resources: [x.yaml]\nnamePrefix: p-\n", "x.yaml": text})


@pytest.mark.parametrize("text", KUSTOMIZATIONS.values(), ids=KUSTOMIZATIONS)
def test_a_kustomization(text):
    outcome({"kustomization.yaml": text, "cm.yaml": CM})


def test_integers_and_floats_that_no_machine_holds_are_text_as_written():
    text = f"{CM}x: {'9' * 5000}\ny: 1e999\nz: 18446744073709551615\n"
    found = outcome({"kustomization.yaml": "resources: [x.yaml]\n", "x.yaml": text})
    assert f"\nx: {'9' * 5000}\n" in found
    assert "\nz: 18446744073709551615\n" in found


SEEDS = [
    CM + "data:\n  a: |\n    text\n  b: >-\n    folded\n    text\n  c: &a 'quoted'\n  d: *a\n",
    (
        "resources: [x.yaml]\nnamePrefix: p-\nnamespace: web\ncommonLabels: {a: b}\nimages: [{name: a, newTag: '1'}]\n"
        "patches:\n- target: {kind: ConfigMap}\n  patch: |-\n    - op: add\n      path: /data/x\n      value: '1'\n"
        "replacements:\n- source: {kind: ConfigMap, fieldPath: data.a}\n  targets:\n  - select: {kind: ConfigMap}\n"
        "    fieldPaths: [data.b]\nconfigMapGenerator:\n- name: made\n  literals: [a=b]\nreplicas: [{name: cm, count: 2}]\n"
        "vars: [{name: V, objref: {kind: ConfigMap, name: cm, apiVersion: v1}, fieldref: {fieldpath: data.a}}]\n"
    ),
]
PIECES = st.one_of(
    st.sampled_from(
        ["\t", "\0", "\r\n", "---\n", "...\n", ": ", "- ", "? ", "&a ", "*a", "!!int ", "!!map ", "<<: ", "[", "]", "{", "}", "|\n",
         ">-\n", "'", '"', "\\", "%", "@", "`", "#", "~", "null", "true", "0x", "1e9", "\ufeff", "\u0085", "\u2028", "é", "😀"]
    ),
    st.text(max_size=4),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)


def edited(text, edits):
    for place, removed, added in edits:
        at = int(place * len(text))
        text = text[:at] + added + text[at + removed :]
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["kustomization.yaml", "x.yaml"]), EDITS, st.booleans())
def test_files_with_a_few_characters_changed(name, edits, lenient):
    files = {"x.yaml": SEEDS[0], "kustomization.yaml": SEEDS[1]}
    outcome({**files, name: edited(files[name], edits)}, lenient=lenient)
