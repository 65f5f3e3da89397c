"""Repositories checked out in a directory (PENSTOCK_REPOSITORIES): each kustomization as the real kustomize builds it."""

import os
from pathlib import Path

import pytest
from tests.compat.kustomize_repositories import compare, kustomizations
from tests.compat.test_kustomize_oracle import COMMAND, REASON

ROOT = os.environ.get("PENSTOCK_REPOSITORIES", "")
NONE = pytest.param(
    Path("none"), marks=pytest.mark.skip(reason="PENSTOCK_REPOSITORIES names no directory of checkouts")
)
REPOSITORIES = sorted(path for path in Path(ROOT).iterdir() if path.is_dir()) if ROOT else [NONE]

pytestmark = pytest.mark.skipif(COMMAND is None, reason=REASON)


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda path: path.name)
def test_every_kustomization_of_a_repository(repository):
    differing = [one for one in compare(repository, COMMAND) if one.verdict in ("differs", "only ours fails")]
    assert [f"{one.verdict}: {one.directory}: {one.ours.error}" for one in differing] == []


def test_the_comparison_sees_a_difference(tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "kustomization.yaml").write_text("resources: [cm.yaml]\n")
    (tmp_path / "app" / "cm.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "Kustomization").write_text("resources: [none.yaml]\n")
    assert [one.name for one in kustomizations(tmp_path)] == ["app", "bad"]
    assert [one.verdict for one in compare(tmp_path, COMMAND)] == ["same", "both fail"]
    monkeypatch.setattr("penstock.kustomize.Build.to_yaml", lambda _: "kind: ConfigMap\n")
    assert [one.verdict for one in compare(tmp_path, COMMAND)] == ["differs", "both fail"]
