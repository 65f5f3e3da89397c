"""The golden cases of tests/fixtures/kustomize: what is built, what is refused, and what was read for it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fixtures.kustomize_cases import CASES
from tests.fixtures.kustomize_trees import trees

from penstock.core.errors import PenstockError
from penstock.core.kustomize.kustomization import _SHAPES
from penstock.core.kustomize.plugins import _TRANSFORMERS
from penstock.core.tree import MemoryTree, blob, memory_tree
from penstock.kustomize import ParseCache, build

GOOD = [case for case in CASES if not case.words]
BAD = [case for case in CASES if case.words]


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@by_name(GOOD)
def test_output(case):
    assert build(case.tree, case.built, case.options).to_yaml() == case.expected


@by_name(BAD)
def test_error(case):
    with pytest.raises(PenstockError) as caught:
        build(case.tree, case.built, case.options).to_yaml()
    for words in case.words:
        assert words in str(caught.value)


@by_name(GOOD)
def test_a_cache_and_the_order_of_files_change_nothing(case):
    tree, cache = case.tree, ParseCache()
    backwards = MemoryTree(dict(reversed(list(tree.items()))))
    first = build(tree, case.built, case.options, cache)
    again = build(backwards, case.built, case.options, cache)
    assert again.to_yaml() == first.to_yaml() == case.expected
    assert again.inputs == first.inputs


CHANGES = {
    "removed": lambda _: None,
    "emptied": lambda _: b"",
    "garbled": lambda data: data + b"\n}{: [\n",
    "shortened": lambda data: data[: len(data) // 2],
    "recoloured": lambda data: data.replace(b"a", b"b"),
}


@pytest.mark.parametrize("change", CHANGES)
@by_name(GOOD)
def test_a_file_that_changes_the_outcome_was_an_input(case, change):
    tree = case.tree
    before = build(tree, case.built, case.options)
    for path, found in tree.items():
        files = dict(tree.items())
        data = CHANGES[change](found.data)
        if data is None:
            del files[path]
        else:
            files[path] = blob(data)
        changed = MemoryTree(files)
        if before.inputs.digest(changed) == before.inputs.digest(tree):
            assert outcome(case, changed) == before.to_yaml()
        else:
            assert path in before.inputs.files


NEWCOMERS = ["kustomization.yml", "Kustomization", "new.yaml", "a/b/c.txt"]


@by_name(GOOD)
def test_a_file_that_appears_and_changes_the_outcome_was_missed(case):
    tree = case.tree
    before = build(tree, case.built, case.options)
    places = {"", *(path.rpartition("/")[0] for path, _ in tree.items())}
    for path in [f"{place}/{name}".lstrip("/") for place in sorted(places) for name in NEWCOMERS]:
        changed = MemoryTree({**dict(tree.items()), path: blob(b"namePrefix: new-\n")})
        if before.inputs.digest(changed) == before.inputs.digest(tree):
            assert outcome(case, changed) == before.to_yaml()


def outcome(case, tree):
    try:
        return build(tree, case.built, case.options).to_yaml()
    except PenstockError as error:
        return f"error: {error}"


KINDS = [*_TRANSFORMERS, "ConfigMapGenerator", "SecretGenerator", "IAMPolicyGenerator", "HelmChartInflationGenerator"]
DOCUMENT_FIELDS = {"metadata", "apiVersion", "kind"}


@pytest.mark.parametrize("name", sorted({*_SHAPES, *KINDS} - DOCUMENT_FIELDS))
def test_every_field_and_plugin_has_cases(name):
    assert sum(case.name.startswith(f"{name}/") for case in CASES) >= 3


@pytest.mark.parametrize("cases", [GOOD, GOOD[::-1]], ids=["forwards", "backwards"])
def test_one_cache_serves_all_cases(cases):
    cache = ParseCache()
    for case in cases:
        assert build(case.tree, case.built, case.options, cache).to_yaml() == case.expected, case.name


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=trees(), second=trees(), taken=st.sets(st.sampled_from(["base/all.yaml", "part/kustomization.yaml"])))
def test_a_cache_never_shows(first, second, taken):
    """Two builds that share files and a cache give what each gives alone, and what was read decides the outcome."""
    second = {**second, **{path: first[path] for path in taken}}
    cache = ParseCache()
    for files in (first, second, first):
        assert result(files, cache) == result(files, ParseCache())


def result(files, cache):
    try:
        found = build(memory_tree(files), "overlay", cache=cache)
    except PenstockError as error:
        return f"{type(error).__name__}: {error}"
    return found.to_yaml(), found.inputs
