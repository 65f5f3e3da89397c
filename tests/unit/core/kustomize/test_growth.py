"""Copies of copies, and texts of texts, end at a bound: no build can be made to take all memory."""

import json

import pytest
import yaml

from penstock.core.errors import BuildFailed
from penstock.core.kustomize import growth
from penstock.core.tree import memory_tree
from penstock.kustomize import build

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: text, m: {x: y}}\n"
SELECT = {"select": {"kind": "ConfigMap"}}


def built(text=OBJECT, **fields):
    config = yaml.safe_dump({"varReference": [{"path": "data/k"}]})
    fields = {"resources": ["a.yaml"], "configurations": ["c.yaml"], **fields}
    return build(memory_tree({"a.yaml": text, "c.yaml": config, "kustomization.yaml": yaml.safe_dump(fields)}))


def copies(times):
    operations = [{"op": "copy", "from": "/data/m", "path": f"/data/m/c{number}"} for number in range(times)]
    return {"patches": [{"target": {"kind": "ConfigMap"}, "patch": json.dumps(operations)}]}


def replacements(times):
    source = {"kind": "ConfigMap", "fieldPath": "data.m"}
    return {
        "replacements": [
            {"source": source, "targets": [{**SELECT, "fieldPaths": [f"data.m.c{n}"], "options": {"create": True}}]}
            for n in range(times)
        ]
    }


def prepended(times):
    target = {**SELECT, "fieldPaths": ["data.k"], "options": {"delimiter": "-", "index": -1}}
    source = {"kind": "ConfigMap", "fieldPath": "data.k"}
    return {"replacements": [{"source": source, "targets": [target]}] * times}


@pytest.mark.parametrize("fields", [copies(60), replacements(60), prepended(60)], ids=["copy", "whole", "text"])
def test_what_doubles_at_each_step_is_refused(fields):
    with pytest.raises(BuildFailed, match=r"would (hold|be longer)"):
        built(**fields)


@pytest.mark.parametrize("fields", [copies(3), replacements(3), prepended(3)], ids=["copy", "whole", "text"])
def test_a_few_copies_are_none_of_that(fields):
    assert built(**fields).to_yaml().startswith("apiVersion: v1\n")


def test_a_variable_within_its_own_value_is_written_out_once_and_no_further_than_the_bound(monkeypatch):
    variable = {"name": "V", "objref": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}}
    variable["fieldref"] = {"fieldPath": "data.k"}
    text = OBJECT.replace("text", "'" + "$(V)" * 10 + "'")
    assert built(text, vars=[variable]).manifests[0]["data"]["k"] == "$(V)" * 100
    monkeypatch.setattr(growth, "LONGEST_TEXT", 399)
    with pytest.raises(BuildFailed, match="longer than 399 characters"):
        built(text, vars=[variable])
