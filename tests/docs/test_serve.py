"""docs/serve.md: variables, log fields, files, numbers and the restore are those of the code."""

import configparser
import re
from pathlib import Path

import pytest
from tests.docs import shell
from tests.docs.markdown import DOCS, ROOT, fences, table, text_of
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.bus.visibility import VISIBILITY
from penstock.adapters.secrets.environment import PREFIX, secrets_of
from penstock.core.http import HttpRequest
from penstock.core.secrets.names import OWN, secret_name
from penstock.stages import api
from penstock.wiring import outcome, workers
from penstock.wiring.embedded import EmbeddedPlane, Options
from penstock.wiring.http import BODY_LIMITS, answer
from penstock.wiring.runtime import Runtime
from penstock.wiring.settings import settings_from
from penstock.wiring.topology import load_pipeline
from penstock.wiring.web import API_THREADS

PAGE = "docs/serve.md"


class Recorder(dict):
    """An environment that remembers what was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


def test_the_variables_are_those_that_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = Recorder()
    settings_from(environment)
    rows = [row[0].strip("`") for row in table(PAGE, "variable", "meaning")]
    elsewhere = {row[0].strip("`") for row in table("docs/observability.md", "variable", "meaning")}
    assert set(rows) == environment.asked - elsewhere | {f"{PREFIX}…"}
    assert len(rows) == len(set(rows))


def test_every_other_variable_is_on_some_page():
    """Of other backends."""
    code = (ROOT / "shared/penstock/wiring/settings.py").read_text()
    pages = "".join(text_of(document) for document in DOCS)
    for name in set(re.findall(r'"((?:PENSTOCK|AWS|GOOGLE)_[A-Z_]+)"', code)):
        assert name in pages, name


def test_the_secrets_of_the_page_are_read():
    texts = dict(re.findall(r"^export (PENSTOCK_SECRET_\w+)='(.*)'$", text_of(PAGE), re.MULTILINE))
    assert set(secrets_of(texts)) == {secret_name(OWN, "-", "flux-system", "fleet-token"), api.TOKEN_SECRET}


def logged():
    """Every field of every record that a small story leaves: a push, a failure, a retry, requests, a tick."""
    plane = MemoryPlane()
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./apps"), "apps/ns.yaml": namespace("apps")})
    plane.settle()
    plane.push({"apps/config.yaml": config_map("web", colour="blue")})
    plane.settle()
    stage = load_pipeline().stage("api")
    answer(stage, HttpRequest(method="GET", path="/status"), plane.deps, plane.bus)
    broken = HttpRequest(method="POST", path="/reconcile", body=b"{")
    answer(stage, broken, plane.deps, plane.bus)
    plane.clock.advance(3600)
    plane.tick()
    return plane.telemetry.facts


def test_every_field_of_a_finished_stage_is_explained():
    explained = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table(PAGE, "field", "meaning"))))
    used = {name for fact in logged() if fact.name == "stage finished" for name in fact.fields}
    assert used >= {"stage", "trace", "outcome", "milliseconds", "method", "status"}
    assert used <= explained


def test_the_files_of_the_directory_are_those_that_appear(tmp_path):
    """A started plane leaves what the page lists, beside SQLite's own."""
    from penstock.cli.plane import change_plane

    settings = settings_from({}, data_dir=tmp_path)
    runtime = Runtime(settings)
    change_plane(runtime, plane_document())
    runtime.close()
    with EmbeddedPlane(Options(settings=settings, sync_seconds=0.0)):
        found = {path.name for path in tmp_path.iterdir() if not path.name.endswith(("-wal", "-shm"))}
        assert (tmp_path / "api-token").stat().st_mode & 0o777 == 0o600
    listed = {row[0].strip("`").rstrip("/") for row in table(PAGE, "file", "what")}
    assert found == listed - ({"artifacts"} - found)


def plane_document():
    source = {"url": "http://127.0.0.1:9/none.git", "interval": "5m"}
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "docs"},
        "spec": {"source": source, "clusters": []},
    }


def test_numbers():
    text = text_of(PAGE)
    stages = load_pipeline().stages.values()
    attempts = {stage.name: stage.attempts for stage in stages if stage.trigger == "topic"}
    assert attempts.pop("notify") == 10
    assert set(attempts.values()) == {8}
    assert "up to eight times (`notify`: ten)" in text
    assert (outcome.BACKOFF_SECONDS, outcome.BACKOFF_CEILING) == (1.0, 300.0)
    assert "1 s to 5 min" in text
    assert BODY_LIMITS["webhook"] == 3 * 1024 * 1024
    assert "client_max_body_size 3m" in text
    assert (VISIBILITY, API_THREADS, workers.THREADS["reconcile"]) == (30.0, 8, 4)
    assert "after 30 s" in text
    assert "at most eight requests" in text


def test_the_unit_file_starts_what_exists():
    (unit,) = fences(PAGE, "ini")
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit.text)
    program, name, *flags = parser["Service"]["ExecStart"].split()
    assert Path(program).name == "penstock"
    args = shell.parser_of(name).parse_args([name, *flags])
    assert args.log == "json"


# Restoring


def test_a_plane_of_another_uid_writes_nothing_until_its_leavings_are_gone():
    before = MemoryPlane()
    files = {
        "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
        "apps/ns.yaml": namespace("apps"),
        "apps/config.yaml": config_map("web", colour="blue"),
    }
    before.push(files)
    before.settle()
    after = MemoryPlane()
    after.deps.clusters.cluster = after.cluster = before.cluster
    after.state.put("plane", {**after.state.get("plane").value, "uid": "e" * 32}, expected=None)
    after.push({**files, "apps/config.yaml": config_map("web", colour="red")})
    after.settle(seconds=30)
    assert "OwnedByOther" in after.ready("flux-system")
    assert after.config_map("web") == {"colour": "blue"}
    for kind, version in (("ConfigMap", "v1"), ("Lease", "coordination.k8s.io/v1")):
        for each in leavings(before.cluster, kind, version):
            before.cluster.delete(each)
    after.clock.advance(3600)
    after.tick()
    after.settle()
    assert after.ready("apps").startswith("True")
    assert after.config_map("web") == {"colour": "red"}


def leavings(cluster, kind, version):
    from penstock.core.resources import Gvk

    group, _, plain = version.rpartition("/")
    return list(cluster.list(Gvk(group=group, version=plain, kind=kind), namespace="penstock-system").items)


def test_older_records_delete_nothing_that_came_later():
    plane = MemoryPlane()
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./apps"), "apps/ns.yaml": namespace("apps")})
    plane.settle()
    backup = {record.key: (record.value, record.due) for record in plane.state.list("")}
    plane.push({"apps/config.yaml": config_map("web", colour="blue")})
    plane.settle()
    for record in plane.state.list(""):
        plane.state.delete(record.key, expected=None)
    for key, (value, due) in backup.items():
        plane.state.put(key, value, expected=None, due=due)
    deletes = len([call for call in plane.writes() if call[0] == "delete"])
    plane.push({})
    plane.settle()
    assert plane.ready("apps").startswith("True")
    assert plane.config_map("web") == {"colour": "blue"}
    assert len([call for call in plane.writes() if call[0] == "delete"]) == deletes


@pytest.mark.parametrize("reason", ["OwnedByOther", "OwnedByFlux", "PruneStopped", "UnsupportedKind"])
def test_the_reasons_that_need_somebody_are_explained(reason):
    assert reason in {row[0].strip("`") for row in table("docs/troubleshooting.md", "reason", "what it means")}


def test_every_reason_of_a_kustomization_is_explained():
    """Reasons that reconcile gives by name; a passing one needs no explanation."""
    passing = {"Progressing", "ProgressingWithRetry", "Succeeded", "ReconciliationSucceeded"}
    explained = {row[0].strip("`") for row in table("docs/troubleshooting.md", "reason", "what it means")}
    code = "".join(
        path.read_text()
        for folder in ("stages/reconcile", "core/reconcile")
        for path in (ROOT / "shared/penstock" / folder).glob("*.py")
    )
    used = set(re.findall(r'\breason="([A-Z]\w+)"', code))
    assert len(used) >= 8
    assert used - passing <= explained
