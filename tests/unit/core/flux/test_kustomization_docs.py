"""docs/kustomization-fields.md: every field that the parser knows, which of them are served, tests that exist."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.kustomization import parse_kustomization

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "kustomization-fields.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]

TARGET = {"kind": "Deployment"}
SPEC: dict[str, Any] = {
    "interval": "1m",
    "prune": True,
    "sourceRef": {"kind": "GitRepository", "name": "a"},
    "dependsOn": [{"name": "a"}],
    "healthChecks": [{"kind": "Deployment", "name": "a"}],
    "healthCheckExprs": [{"apiVersion": "a/v1", "current": "true"}],
    "commonMetadata": {},
    "patches": [{"patch": "x", "target": TARGET}],
    "images": [{"name": "a"}],
    "ignore": [{"paths": ["/a"], "target": TARGET}],
    "postBuild": {"substituteFrom": [{"kind": "Secret", "name": "a"}]},
    "decryption": {"provider": "sops", "secretRef": {"name": "a"}, "serviceAccountName": "a"},
    "kubeConfig": {"secretRef": {"name": "a"}},
}
BY_CONFIG_MAP = {**SPEC, "kubeConfig": {"configMapRef": {"name": "a"}}}


def document(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "b"}
    return {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata, "spec": spec}


def known_fields(spec: dict[str, Any], *steps: str | int) -> set[str]:
    """The fields that the parser knows at a place of the spec: it names them when it refuses another one."""
    spec = copy.deepcopy(spec)
    place: Any = spec
    for step in steps:
        place = place[step]
    place["unheardOf"] = 1
    with pytest.raises(InvalidDocument) as refused:
        parse_kustomization(document(spec))
    known = re.search(r"unheardOf: is not a field here \(known: (.*)\)", str(refused.value))
    assert known is not None, refused.value
    return set(known[1].split(", "))


def every_field(spec: dict[str, Any]) -> set[str]:
    """Dotted paths of everything that can be written; what a ``target`` holds is one thing."""
    found: set[str] = set()

    def walk(value: Any, steps: tuple[str | int, ...], path: str) -> None:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            walk(value[0], (*steps, 0), f"{path}[]")
        elif isinstance(value, dict) and not path.endswith(".target"):
            names = known_fields(spec, *steps)
            found.update(f"{path}.{name}" if path else name for name in names)
            for name in names & value.keys():
                walk(value[name], (*steps, name), f"{path}.{name}" if path else name)

    walk(spec, (), "")
    return found


def named(row: list[str]) -> set[str]:
    return set(re.findall(r"`([^`]+)`", row[0]))


def test_every_field_has_its_row() -> None:
    assert {name for row in ROWS for name in named(row)} == every_field(SPEC) | every_field(BY_CONFIG_MAP)
    assert sum(len(named(row)) for row in ROWS) == len({name for row in ROWS for name in named(row)})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W.*", "", row[0].strip("`")))
def test_each_row_names_a_test_that_exists(row: list[str]) -> None:
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    assert found, row[-1]
    assert re.search(rf"^def {found[2]}\(", (ROOT / found[1]).read_text(), re.MULTILINE), row[-1]
