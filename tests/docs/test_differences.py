"""docs/differences-from-flux.md and docs/security.md: each row names a test that exists, and some are held here."""

import re
from itertools import pairwise

import pytest
import yaml
from tests.docs.markdown import ROOT, cells, text_of
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import Grant

TENANT = "system:serviceaccount:flux-system:tenant"


def rows(document, header):
    """Every row of every table whose last column is that header."""
    found, inside = [], False
    for before, line in pairwise(["", *text_of(document).splitlines()]):
        row = cells(line) if line.startswith("|") else []
        if row and not before.startswith("|"):
            inside = row[-1] == header
        elif row and inside and set("".join(row)) - set("-: "):
            found.append(row)
    return found


NAMED = [(doc, row) for doc in ("docs/differences-from-flux.md", "docs/security.md") for row in rows(doc, "test")]


def test_there_are_rows():
    assert len(NAMED) > 45
    assert {len(row) for doc, row in NAMED if "differences" in doc} == {4}


@pytest.mark.parametrize(("document", "row"), NAMED, ids=lambda value: value[0][:60] if isinstance(value, list) else "")
def test_each_row_names_a_test_that_exists(document, row):
    assert all(row), row
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    assert found, row[-1]
    assert re.search(rf"^ *def {found[2]}\(", (ROOT / found[1]).read_text(), re.MULTILINE), row[-1]


# Rows that no other test holds


def plane_with(files):
    plane = MemoryPlane()
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./apps"), "apps/ns.yaml": namespace("apps"), **files})
    plane.settle(seconds=30)
    return plane


@pytest.mark.parametrize(
    "base", ["https://github.com/example/base?ref=v1", "github.com/example/base", "ssh://git@example.com/a/x"]
)
def test_a_remote_base_is_refused(base):
    plane = plane_with({"apps/kustomization.yaml": yaml.safe_dump({"resources": ["ns.yaml", base]})})
    assert plane.ready("apps").startswith("False")
    assert "remote bases and files are not read" in plane.ready("apps")
    assert plane.live("v1", "Namespace", "", "apps") is None


@pytest.mark.parametrize(
    ("kinds", "ready"), [({"Namespace", "Secret", "ConfigMap"}, "True"), ({"Namespace", "ConfigMap"}, "False")]
)
def test_variables_are_read_as_the_account_that_applies(kinds, ready):
    post_build = {"substituteFrom": [{"kind": "Secret", "name": "values"}]}
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    plane.cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "values", "namespace": "flux-system"},
            "data": {"colour": "Ymx1ZQ=="},
        }
    )
    plane.cluster.grants.append(Grant(user=TENANT, verbs=frozenset({"*"}), kinds=frozenset(kinds), namespace=""))
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization(
                "apps", "./apps", serviceAccountName="tenant", postBuild=post_build
            ),
            "apps/ns.yaml": namespace("apps"),
            "apps/config.yaml": config_map("web", colour="${colour}"),
        }
    )
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith(ready), plane.ready("apps")
    assert (plane.config_map("web") == {"colour": "blue"}) is (ready == "True")


def test_a_misspelt_field_reaches_the_api_server():
    document = yaml.safe_load(config_map("web", colour="blue")) | {"immutabel": True}
    plane = plane_with({"apps/config.yaml": yaml.safe_dump(document)})
    assert plane.live("v1", "ConfigMap", "apps", "web")["immutabel"] is True


def test_the_field_manager_is_penstock():
    plane = plane_with({"apps/config.yaml": config_map("web", colour="blue")})
    found = plane.live("v1", "ConfigMap", "apps", "web")["metadata"]["managedFields"]
    assert [(each["manager"], each["operation"]) for each in found] == [("penstock", "Apply")]
