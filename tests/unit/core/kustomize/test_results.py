"""What is kept from one build to the next never shows in the output, and does not grow without bound."""

import random

import pytest

from penstock.core.errors import PenstockError
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.resource import Resource
from penstock.core.kustomize.results import Results
from penstock.core.tree import blob, memory_tree
from penstock.kustomize import BuildOptions, build

BASE = {
    "over/kustomization.yaml": "resources: [../base]\nnamespace: prod\nnamePrefix: p-\nnameSuffix: -s\n"
    "commonLabels: {a: b}\ncommonAnnotations: {c: d}\nimages: [{name: web, newTag: '2'}]\n"
    'patches:\n- target: {kind: Deployment}\n  patch: \'[{"op": "add", "path": "/spec/replicas", "value": 2}]\'\n',
    "base/kustomization.yaml": "resources: [d.yaml, cm.yaml]\n",
    "base/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
    "      containers: [{name: c, image: web:1, envFrom: [{configMapRef: {name: cm}}]}]\n",
    "base/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {k: v}\n",
}
CHANGES = [
    ("base/cm.yaml", "k: v", "k: w"),
    ("base/cm.yaml", "name: cm", "name: other"),
    ("over/kustomization.yaml", "namespace: prod", "namespace: dev"),
    ("over/kustomization.yaml", "a: b", "a: c"),
    ("over/kustomization.yaml", "newTag: '2'", "newTag: '3'"),
    ("over/kustomization.yaml", '\\"value\\": 2', '\\"value\\": 3'),
    ("over/kustomization.yaml", '"value": 2', '"value": 3'),
    ("over/kustomization.yaml", "kind: Deployment", "kind: None"),
    ("over/kustomization.yaml", "namePrefix: p-", "namePrefix: q-"),
    ("over/kustomization.yaml", "resources:", "buildMetadata: [originAnnotations]\nresources:"),
    ("over/kustomization.yaml", "resources:", "openapi: {version: v1.21.2}\nresources:"),
]


@pytest.mark.parametrize("size", [200_000, 5, 0])
@pytest.mark.parametrize(("path", "old", "new"), CHANGES)
def test_a_build_after_a_change_is_as_one_from_nothing(path, old, new, size):
    cache = ParseCache(results=size)
    before = build(memory_tree(BASE), "over", cache=cache).to_yaml()
    changed = memory_tree({**BASE, path: BASE[path].replace(old, new)})
    assert build(changed, "over", cache=cache).to_yaml() == build(changed, "over").to_yaml()
    assert (
        build(memory_tree(BASE), "over", cache=cache).to_yaml() == before == build(memory_tree(BASE), "over").to_yaml()
    )


def test_one_cache_serves_several_options():
    cache = ParseCache()
    for options in (BuildOptions(), BuildOptions(policies_in_namespaces=True), BuildOptions.flux({"namespace": "n"})):
        expected = build(memory_tree(BASE), "over", options).to_yaml()
        assert build(memory_tree(BASE), "over", options, cache).to_yaml() == expected


def resource(name):
    return Resource(manifest={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


def test_a_result_is_made_once_for_each_transformer():
    made, kept = [], resource("a")

    def change(one):
        made.append(one)
        return one

    results = Results(10)
    results.apply("x", [kept, kept], change)
    results.apply("y", [kept], change)
    results.apply("x", [kept, resource("a")], change)
    assert len(made) == 3


def test_the_transformers_least_recently_used_are_dropped():
    made, first = [], resource("a")
    results = Results(2)

    def run(step):
        results.apply(step, [first], lambda one: made.append(step) or one)

    for step in ("x", "y", "x", "z", "x", "y"):
        run(step)
    assert made == ["x", "y", "z", "y"]


def test_parsed_files_are_bounded():
    cache = ParseCache(size=10)
    cache.put(("1", "objects"), "one", 6)
    cache.put(("2", "objects"), "two", 6)
    assert cache.get(("1", "objects")) is None
    assert cache.get(("2", "objects")) == "two"
    cache.put(("3", "objects"), "three", 11)
    assert cache.get(("3", "objects")) is None


def test_a_file_of_the_same_content_elsewhere_is_told_apart_in_errors():
    cache = ParseCache()
    bad = "kind: X\n"
    for name in ("a.yaml", "b.yaml"):
        tree = memory_tree({"kustomization.yaml": f"resources: [{name}]\n", name: bad})
        with pytest.raises(Exception, match=name):
            build(tree, cache=cache)
    assert blob(bad.encode()).id


def referrer(name, configmap, namespace=""):
    place = f", namespace: {namespace}" if namespace else ""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{place}}}\nspec:\n"
        f"  containers: [{{name: c, envFrom: [{{configMapRef: {{name: {configmap}}}}}]}}]\n"
    )


def referred(name, namespace=""):
    place = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{place}}}\n"


@pytest.mark.parametrize("seed", range(20))
def test_references_follow_whatever_changes_elsewhere(seed):
    chosen = random.Random(seed)
    names, places = ("one", "two", "three"), ("", "red", "blue")

    def files():
        objects = {
            f"base/{kind}-{index}.yaml": make(*parts, chosen.choice(places))
            for index in range(3)
            for kind, make, parts in (
                ("pod", referrer, (f"pod-{index}", chosen.choice(names))),
                ("map", referred, (chosen.choice(names),)),
            )
        }
        affix = chosen.choice(["namePrefix: p-", "nameSuffix: -s", "namePrefix: q-"])
        return {
            **objects,
            "base/kustomization.yaml": f"resources: [{', '.join(path[5:] for path in objects)}]\n",
            "over/kustomization.yaml": f"resources: [../base]\n{affix}\n",
        }

    def outcome(tree, cache=None):
        try:
            return build(memory_tree(tree), "over", cache=cache).to_yaml()
        except PenstockError as error:
            return str(error)

    cache, kept = ParseCache(), files()
    for _ in range(30):
        other = files()
        kept = {path: chosen.choice([content, other[path]]) for path, content in kept.items()}
        assert outcome(kept, cache) == outcome(kept)
