import io
import json
from pathlib import Path

import pytest

from penstock.cli.main import main
from penstock.core.errors import Conflict
from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY
from penstock.wiring import open_runtime, open_state

PLANE = """
apiVersion: penstock.dev/v1alpha1
kind: Plane
metadata: {name: main}
spec:
  source: {url: https://git.example.com/fleet.git}
  clusters:
  - {name: production, path: clusters/production}
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    (tmp_path / "penstock.yaml").write_text(PLANE)
    return str(tmp_path / "data")


def penstock(data: str, *words: str) -> int:
    return main([*words, "--data-dir", data])


def applied(data: str) -> int:
    return penstock(data, "plane", "apply", "-f", str(Path(data).parent / "penstock.yaml"))


def test_a_plane_is_created_shown_and_left_alone(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert applied(data) == 0
    assert capsys.readouterr().out.splitlines() == [
        "+ clusters[production].name: production",
        "+ clusters[production].path: clusters/production",
        "+ source.url: https://git.example.com/fleet.git",
        "plane/main created",
    ]
    assert penstock(data, "plane", "show") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# uid: ")
    assert "url: https://git.example.com/fleet.git" in shown
    assert applied(data) == 0
    assert capsys.readouterr().out == "plane/main unchanged\n"


def test_whom_it_concerns_is_woken(data: str) -> None:
    applied(data)
    runtime = open_runtime(data)
    waiting = [runtime.port("bus").receive(stage, wait=0) for stage in ("fetch", "reconcile")]
    runtime.close()
    assert [type(each.envelope.message) for each in waiting if each] == [SourceChanged, ReconcileDue]


def test_a_dry_run_writes_nothing(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert penstock(data, "plane", "apply", "--dry-run", "-f", str(Path(data).parent / "penstock.yaml")) == 0
    assert "plane/main created (dry run: nothing was changed)" in capsys.readouterr().out
    assert open_state(data).list("") == ()


def test_a_document_comes_from_stdin_too(
    data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PLANE.encode())))
    assert penstock(data, "plane", "apply", "-f", "-") == 0
    assert capsys.readouterr().out.endswith("plane/main created\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "penstock.yaml"),
        ("", "must hold one document, a Plane; it holds 0"),
        (PLANE + "---\na: b\n", "must hold one document, a Plane; it holds 2"),
        (PLANE.replace("path:", "paht:"), "penstock.yaml, Plane/main, spec.clusters[0].path: is required"),
    ],
)
def test_a_wrong_document_changes_nothing(
    data: str, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    (Path(data).parent / "penstock.yaml").write_text(text)
    assert applied(data) == 1
    assert problem in capsys.readouterr().err
    assert open_state(data).list("") == ()


def test_a_missing_file_or_plane_is_named(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert penstock(data, "plane", "apply", "-f", "nowhere.yaml") == 1
    assert "nowhere.yaml: No such file" in capsys.readouterr().err
    for words in (("plane", "show"), ("cluster", "list"), ("cluster", "remove", "x")):
        assert penstock(data, *words) == 1
        assert "there is no Plane yet" in capsys.readouterr().err


def test_somebody_faster_wins(data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def put(*_: object, **__: object) -> None:
        raise Conflict("another version")

    monkeypatch.setattr("penstock.adapters.state.sqlite.SqliteState.put", put)
    assert applied(data) == 1
    assert "changed by somebody else meanwhile" in capsys.readouterr().err


def test_clusters_are_added_listed_and_removed(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    applied(data)
    add = ("cluster", "add", "staging", "--path", "./clusters/staging", "--context", "kind-staging")
    assert penstock(data, *add, "--kubeconfig", "/k/config", "--label", "tier=gold") == 0
    assert capsys.readouterr().out.endswith("plane/main configured\n")
    assert penstock(data, "cluster", "list") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["NAME", "PATH", "KUBECONFIG", "CONTEXT", "REGION", "LABELS"],
        ["production", "./clusters/production", "default", "-", "-", "-"],
        ["staging", "./clusters/staging", "/k/config", "kind-staging", "-", "tier=gold"],
    ]
    assert penstock(data, "cluster", "remove", "production") == 0
    assert "cluster production is orphaned: everything on it stays" in capsys.readouterr().out
    assert [record.key for record in open_state(data).list("object/production/")] == []


def test_a_clouds_cluster_is_added_by_its_resource_name(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    applied(data)
    arn = "arn:aws:eks:eu-central-1:111122223333:cluster/frankfurt"
    assert penstock(data, "cluster", "add", "frankfurt", "--path", "x", "--provider", "aws", "--resource", arn) == 0
    penstock(data, "cluster", "list")
    assert f"aws {arn}" in capsys.readouterr().out


def test_a_dry_run_of_a_removal_keeps_the_cluster(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    applied(data)
    before = json.dumps([dict(record.value) for record in open_state(data).list("")])
    assert penstock(data, "cluster", "remove", "production", "--dry-run") == 0
    assert "cluster production is orphaned" in capsys.readouterr().out
    assert json.dumps([dict(record.value) for record in open_state(data).list("")]) == before
    assert open_state(data).get(PLANE_KEY) is not None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("add", "production", "--path", "x"), "the plane has a cluster production already"),
        (("add", "Bad", "--path", "x"), "spec.clusters[1].name: is 'Bad'"),
        (("add", "b", "--path", "../x"), "spec.clusters[1].path: is '../x'"),
        (("add", "b", "--path", "x", "--label", "odd"), "--label odd: must be KEY=VALUE"),
        (
            ("add", "b", "--path", "x", "--provider", "aws", "--resource", "b"),
            "spec.clusters[1].kubeConfig.cluster: is 'b', must be arn:aws:eks:REGION:ACCOUNT:cluster/NAME",
        ),
        (("add", "b", "--path", "x", "--resource", "b"), "spec.clusters[1].kubeConfig.cluster: needs a provider"),
        (("add", "b", "--path", "x", "--provider", "generic"), "kubeConfig.address: is required for provider generic"),
        (("remove", "gone"), "the plane has no cluster gone"),
    ],
)
def test_what_cannot_be_done_is_said(
    data: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    applied(data)
    assert penstock(data, "cluster", *words) == 1
    assert problem in capsys.readouterr().err


def test_a_plane_without_clusters_says_how_to_add_one(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    applied(data)
    penstock(data, "cluster", "remove", "production")
    capsys.readouterr()
    assert penstock(data, "cluster", "list") == 0
    assert "penstock cluster add" in capsys.readouterr().out
