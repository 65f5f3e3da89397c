"""kustomize's own end-to-end tests, as data: the output byte for byte, an error where kustomize gives one.

The data stands outside the repository (PENSTOCK_CONFORMANCE names its directory).
"""

import base64
import json
import os
from functools import cache
from pathlib import Path

import pytest
from tests.controlplane.build import tool

from penstock.adapters.helm.binary import BinaryHelm
from penstock.core.errors import PenstockError
from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, build

CASES = Path(os.environ.get("PENSTOCK_CONFORMANCE", "/work/shared/conformance/kustomize"))


NO_DATA = f"no data in {CASES}: set PENSTOCK_CONFORMANCE"


def stored(category):
    return sorted(path.stem for path in (CASES / category).glob("*.json"))


def names(category):
    return stored(category) or [pytest.param("", marks=pytest.mark.skip(reason=NO_DATA))]


@cache
def case(category, name):
    return json.loads((CASES / category / f"{name}.json").read_text())


def built(data, reorder):
    files = {path: text.replace("{{ROOT}}", "") for path, text in data["files"].items()}
    files |= {path: base64.b64decode(text) for path, text in data.get("files_base64", {}).items()}
    asked = data.get("options", {})
    options = BuildOptions(
        load_restrictions="none" if asked.get("load_restrictor") == "none" else "rootOnly",
        reorder=asked.get("reorder", reorder),
        managed_by_label=bool(asked.get("add_managedby_label")),
        enable_helm=bool(asked.get("enable_helm")),
        helm=BinaryHelm(str(tool("helm"))) if asked.get("enable_helm") else None,
        version=data.get("kustomize_version", "v5.8.1").removeprefix("kustomize-"),
    )
    tree = memory_tree({path.lstrip("/"): content for path, content in files.items()})
    return build(tree, data["dir"].strip("/").removeprefix("."), options).to_yaml()


@pytest.mark.parametrize("name", names("core"))
def test_current_fields_render_byte_for_byte(name):
    data = case("core", name)
    assert built(data, "none") == data["expected"]


@pytest.mark.parametrize("name", names("legacy"))
def test_deprecated_fields_render_byte_for_byte(name):
    data = case("legacy", name)
    assert built(data, "none") == data["expected"]


@pytest.mark.real
@pytest.mark.skipif(tool("helm") is None, reason="no helm: `make tools`")
@pytest.mark.parametrize("name", names("helm"))
def test_charts_render_byte_for_byte(name):
    data = case("helm", name)
    assert built(data, "none") == data["expected"]


@pytest.mark.parametrize("category", ["core", "legacy"])
def test_without_flags_the_order_is_by_kind(category):
    found = stored(category)
    if not found:
        pytest.skip(NO_DATA)
    differing = []
    for name in found:
        data = case(category, name)
        if "expected_default_reorder" in data and built(data, "unspecified") != data["expected_default_reorder"]:
            differing.append(name)
    assert differing == []


@pytest.mark.parametrize("name", names("errors"))
def test_what_kustomize_refuses_is_an_error(name):
    with pytest.raises(PenstockError) as caught:
        built(case("errors", name), "none")
    assert str(caught.value)
