"""docs/plane.md speaks of the fields that there are, and its example is one that works."""

import re
from pathlib import Path
from typing import Any

import yaml

from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_schema import plane_schema

PAGE = (Path(__file__).parents[4] / "docs" / "plane.md").read_text()


def test_the_example_is_a_plane() -> None:
    example = re.search(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert example is not None
    plane = parse_plane(yaml.safe_load(example[1]))
    assert plane.policy_for("production").no_cross_namespace_refs
    assert plane.policy_for("production").allowed_hosts == ("git.internal.example.com",)


def fields(schema: dict[str, Any]) -> set[str]:
    return set(schema["properties"])


def test_every_field_is_explained() -> None:
    spec = plane_schema()["properties"]["spec"]["properties"]
    named = {*fields(spec["source"]), *fields(spec["clusters"]["items"]), *fields(spec["policy"])}
    missing = {name for name in named if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", PAGE)}
    assert missing == set()
