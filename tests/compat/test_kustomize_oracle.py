"""Random overlays render the same in the real kustomize, where one is on PATH (or PENSTOCK_KUSTOMIZE names one)."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controlplane.build import tool

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError
from penstock.kustomize import BuildOptions, build

OLDEST = (5, 8)
"""Older ones differ in what later releases call bugs (the order of labels, for one)."""


def oracle():
    """The command of a kustomize that is new enough, or why there is none."""
    binary = os.environ.get("PENSTOCK_KUSTOMIZE") or tool("kustomize") or shutil.which("kustomize")
    candidates = [([binary, "version"], [binary, "build"])] if binary else []
    if shutil.which("kubectl"):
        candidates.append((["kubectl", "version", "--client"], ["kubectl", "kustomize"]))
    old = []
    for ask, command in candidates:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False).stdout
        version = re.search(r"(?:Kustomize Version: |^)v?(\d+)\.(\d+)", told, re.MULTILINE)
        if "(devel)" in told or (version and (int(version[1]), int(version[2])) >= OLDEST):
            return command, ""
        old.append(" ".join(told.split()))
    return None, f"no kustomize of v5.8 or later (PENSTOCK_KUSTOMIZE can name one); found: {old or 'none'}"


COMMAND, REASON = oracle()
pytestmark = pytest.mark.skipif(COMMAND is None, reason=REASON)

NAMES = st.sampled_from(["app", "db", "web-1", "x"])
KINDS = st.sampled_from(["Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "Namespace", "Widget"])
SCALARS = st.one_of(
    st.sampled_from(
        ["", "yes", "on", "~", "null", "1.10", "0644", "2020-01-02", "a: b", "# no", " x", "x ", "é", "😀"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=100),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["line\n", "two\nlines\n", "no end\nhere", "\n", "end  \n", "a\n\nb\n\n", "\ttab\n", "word " * 40]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b1", "b10", "b2", "on", "k.y/z", "é", "A"]), inner, max_size=3),
    ),
    max_leaves=8,
)
LABELS = st.dictionaries(st.sampled_from(["app", "tier", "a/b"]), st.sampled_from(["web", "true", "1"]), max_size=2)

API_VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Widget": "example.com/v1alpha1"}


@st.composite
def manifests(draw):
    kind, name = draw(KINDS), draw(NAMES)
    manifest = {"apiVersion": API_VERSIONS.get(kind, "v1"), "kind": kind, "metadata": {"name": name}}
    if draw(st.booleans()) and kind != "Namespace":
        manifest["metadata"]["namespace"] = draw(st.sampled_from(["prod", "dev"]))
    labels = draw(LABELS)
    if labels:
        manifest["metadata"]["labels"] = labels
    if kind in ("Deployment", "StatefulSet"):
        containers = [{"name": one, "image": f"{one}:1", "env": [{"name": "E", "value": "v"}]} for one in ("a", "b")]
        volumes = [{"name": "v", "configMap": {"name": draw(NAMES)}}]
        manifest["spec"] = {"template": {"spec": {"containers": containers, "volumes": volumes}}}
        manifest["spec"]["selector"] = {"matchLabels": {"app": name}}
    elif kind == "ConfigMap":
        manifest["data"] = {
            "k": draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=200))
        }
    elif kind == "Widget":
        manifest["spec"] = draw(st.dictionaries(st.sampled_from(["a", "z", "list"]), VALUES, max_size=3))
    return manifest


@st.composite
def overlays(draw):
    fields = {}
    options = {
        "namespace": st.sampled_from(["prod", "dev"]),
        "namePrefix": st.sampled_from(["my-", "a"]),
        "nameSuffix": st.sampled_from(["-v2"]),
        "commonLabels": LABELS,
        "commonAnnotations": LABELS,
        "labels": st.lists(
            st.fixed_dictionaries(
                {"pairs": LABELS}, optional={"includeSelectors": st.booleans(), "includeTemplates": st.booleans()}
            ),
            max_size=2,
        ),
        "images": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["a", "b"])},
                optional={"newName": st.just("c/d"), "newTag": st.just("2"), "digest": st.just("sha256:12")},
            ),
            max_size=2,
        ),
        "configMapGenerator": st.lists(
            st.fixed_dictionaries({"name": NAMES, "literals": st.just(["k=v", "e="])}), max_size=1
        ),
        "patches": st.lists(patches(), max_size=2),
        "replacements": st.lists(replacements(), max_size=1),
        "replicas": st.just([{"name": "app", "count": 3}]),
    }
    for name, strategy in options.items():
        if draw(st.integers(0, 2)) == 0:
            fields[name] = draw(strategy)
    return fields


@st.composite
def replacements(draw):
    paths = ["metadata.labels.app", "metadata.annotations.x", "spec.a", "spec.template.spec.containers.[name=a].image"]
    target = {"select": {"kind": draw(KINDS)}, "fieldPaths": [draw(st.sampled_from(paths))]}
    options = draw(st.sampled_from([None, {"create": True}, {"delimiter": ":", "index": 0}]))
    if options:
        target["options"] = options
    return {
        "source": {"kind": "ConfigMap", "fieldPath": draw(st.sampled_from(["data.k", "metadata.name"]))},
        "targets": [target],
    }


@st.composite
def patches(draw):
    spec = {
        "template": {
            "spec": {
                "containers": [{"name": draw(st.sampled_from(["a", "new"])), "env": [{"name": "E", "value": "w"}]}],
                "volumes": draw(st.sampled_from([None, [{"name": "w", "emptyDir": {}}]])),
            }
        }
    }
    if draw(st.booleans()):
        operations = [
            {"op": "add", "path": "/metadata/annotations/x", "value": "y"},
            {
                "op": draw(st.sampled_from(["add", "replace"])),
                "path": "/spec/template/spec/volumes/0/name",
                "value": "z",
            },
        ]
        return {"patch": yaml.safe_dump(operations), "target": {"kind": "Deployment|StatefulSet"}}
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}
    return {
        "patch": yaml.safe_dump(patch),
        "target": {"kind": "Deployment", "name": draw(st.sampled_from(["app", ".*"]))},
    }


@settings(
    max_examples=int(os.environ.get("PENSTOCK_ORACLE_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(
    documents=st.lists(manifests(), min_size=1, max_size=5),
    flow=st.sampled_from([None, True, False]),
    layers=st.lists(overlays(), min_size=1, max_size=2),
)
def test_random_overlays_render_the_same(documents, flow, layers, tmp_path):
    texts = [yaml.safe_dump(one, allow_unicode=True, default_flow_style=flow) for one in documents]
    write(tmp_path / "base" / "all.yaml", "---\n".join(texts))
    write(tmp_path / "base" / "kustomization.yaml", "resources: [all.yaml]\n")
    top = "base"
    for number, layer in enumerate(layers):
        below, top = top, f"layer{number}"
        write(tmp_path / top / "kustomization.yaml", yaml.safe_dump({**layer, "resources": [f"../{below}"]}))
    real = subprocess.run([*COMMAND, str(tmp_path / top)], capture_output=True, text=True, timeout=60, check=False)
    try:
        ours, problem = build(DiskTree(tmp_path), top, BuildOptions()).to_yaml(), ""
    except PenstockError as error:
        ours, problem = "", str(error)
    assert bool(problem) == bool(real.returncode), f"ours: {problem or 'fine'}; kustomize: {real.stderr or 'fine'}"
    assert ours == real.stdout


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
