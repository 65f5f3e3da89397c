"""Each field of a kustomization: one case a file of ``cases/``, its output as the real kustomize gives it.

A case: ``build DIRECTORY``, then ``=== PATH`` before each file, and ``=== output``.
"""

import base64
from pathlib import Path

import pytest

from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, ParseCache, build

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))


def read(case):
    first, *parts = case.read_text(encoding="utf-8").split("=== ")
    files = {}
    for part in parts:
        path, _, content = part.partition("\n")
        encoded = path.endswith(" (base64)")
        files[path.removesuffix(" (base64)")] = base64.b64decode(content) if encoded else content
    output = files.pop("output")
    return first.removeprefix("build ").strip().removeprefix("."), memory_tree(files), output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_output_is_kustomizes(case):
    directory, tree, output = read(case)
    assert build(tree, directory).to_yaml() == output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_second_build_from_the_same_cache_gives_the_same(case):
    directory, tree, output = read(case)
    cache = ParseCache()
    build(tree, directory, BuildOptions(reorder="none"), cache)
    assert build(tree, directory, cache=cache).to_yaml() == output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_input_is_recorded(case):
    directory, tree, _ = read(case)
    inputs = build(tree, directory).inputs
    assert set(inputs.files) == {path for path, _ in tree.items()}
