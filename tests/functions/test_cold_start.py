"""What the lean functions load: nothing of Kubernetes, Git or the clouds, at import and after their first work.

Each runs in a process of its own, through functions-framework, on the embedded bus and the project's own stages.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import functions_framework
import pytest
from tests.bench.bench_cold_start import BODY, ROOT, published, seed

from penstock.core.messages import Envelope, Event, encode
from penstock.wiring import load_pipeline

HEAVY = (
    "kubernetes",
    "dulwich",
    "boto3",
    "botocore",
    "grpc",
    "google.auth",
    "google.cloud.pubsub",
    "google.cloud.storage",
    "opentelemetry",
    "google.protobuf",
    "prometheus_client",
    "requests",
    "pydantic",
    "sigstore",
)
HEAVY += ("google.cloud.secretmanager", "google.api_core", "urllib3", "cryptography", "pyrage", "yaml", "re2")

PROGRAM = """
import json, sys
import functions_framework

stage, source, path, headers, body = json.loads(sys.stdin.read())
client = functions_framework.create_app(stage, source).test_client()
imported = sorted(sys.modules)
answer = client.post(path, headers=headers, data=body.encode())
print(json.dumps({"status": answer.status_code, "imported": imported, "after": sorted(sys.modules)}))
"""


def first_answer(stage, environment, path, headers, body):
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([stage, str(ROOT / "functions" / stage / "main.py"), path, headers, body]),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def heavy(modules):
    return [name for name in modules if any(name == h or name.startswith(h + ".") for h in HEAVY)]


def test_the_webhook_loads_no_client_at_import_nor_for_a_push(tmp_path):
    push = seed(tmp_path)
    told = first_answer("webhook", push.environment, push.path, push.headers, BODY.decode())
    assert told["status"] == 202
    assert published(tmp_path) == 1
    assert heavy(told["imported"]) == []
    assert heavy(told["after"]) == []


def test_a_forged_push_is_refused_and_publishes_nothing(tmp_path):
    push = seed(tmp_path)
    headers = {**push.headers, "x-hub-signature-256": "sha256=" + "0" * 64}
    assert first_answer("webhook", push.environment, push.path, headers, BODY.decode())["status"] == 401
    assert published(tmp_path) == 0


@pytest.mark.parametrize("stage", ["notify", "tick"])
def test_notify_and_tick_load_no_client_at_import_nor_for_their_first_work(tmp_path, stage):
    event = Event(
        id="e",
        cluster="production",
        api_version="v1",
        kind="Kustomization",
        namespace="flux-system",
        name="apps",
        severity="info",
        reason="ReconciliationSucceeded",
        message="m",
        timestamp="2026-01-01T00:00:00Z",
    )
    body = encode(Envelope(message=event, id="1", traceparent="")).decode() if stage == "notify" else ""
    told = first_answer(stage, seed(tmp_path).environment, "/", {"content-type": "application/cloudevents+json"}, body)
    assert told["status"] == 204
    assert heavy(told["imported"]) == []
    assert heavy(told["after"]) == []


IMPORTED = """
import importlib.util, json, sys

before = set(sys.modules)
spec = importlib.util.spec_from_file_location("function", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(sorted(set(sys.modules) - before)))
"""
CLOUDS = {
    "aws": ("lambda_handler.py", {"functions_framework", "flask", "werkzeug", "jinja2"}, 130),
    "google": ("main.py", set(), 340),
}
"""By provider: the entry point, what its functions must not import beside HEAVY, and how many modules they may."""


@functools.cache
def imported(provider, stage):
    source = ROOT / "functions" / stage / CLOUDS[provider][0]
    command = [sys.executable, "-c", IMPORTED, str(source)]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "shared"), "PENSTOCK_BACKEND": provider}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(finished.stdout)


@pytest.mark.parametrize("provider", CLOUDS)
@pytest.mark.parametrize("stage", sorted(load_pipeline().stages))
def test_no_function_loads_a_client_at_import_on_any_cloud(provider, stage):
    """Clients load where they are used; what a function imports before its first event is in every cold start."""
    _, never, most = CLOUDS[provider]
    found = imported(provider, stage)
    assert heavy(found) == []
    assert {name.partition(".")[0] for name in found} & never == set()
    assert len(found) <= most, f"{len(found)} modules, {most} are its budget: {found}"


@pytest.mark.parametrize("provider", CLOUDS)
def test_the_embedded_adapters_are_not_loaded_in_a_cloud(provider):
    """Nor ports of other stages: each port's module comes with its adapter."""
    found = [name for name in imported(provider, "webhook") if name.startswith(("sqlite3", "penstock.ports."))]
    assert set(found) <= {f"penstock.ports.{port}" for port in ("bus", "clock", "deps", "secrets", "telemetry")}


@pytest.mark.parametrize("provider", CLOUDS)
def test_stages_cost_a_cold_start_what_the_leanest_costs(provider):
    """Each loads its own code at its first event, so that no import of one is paid for by all."""
    counts = {stage: len(imported(provider, stage)) for stage in load_pipeline().stages}
    assert max(counts.values()) - min(counts.values()) <= 5, counts


def test_the_names_that_are_looked_for_are_the_real_ones():
    installed = {path.name for path in Path(functions_framework.__file__).parents[1].iterdir()}
    assert {"kubernetes", "dulwich", "grpc", "boto3", "botocore", "urllib3", "yaml", "opentelemetry"} <= installed


def test_opentelemetry_is_loaded_where_a_collector_is_named_and_a_dead_one_fails_nothing(tmp_path):
    push = seed(tmp_path)
    environment = {**push.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    told = first_answer("webhook", environment, push.path, push.headers, BODY.decode())
    assert told["status"] == 202
    assert published(tmp_path) == 1
    assert heavy(told["imported"]) == []
    assert {"opentelemetry.sdk.trace", "requests"} <= set(told["after"])
    assert not [name for name in told["after"] if name.startswith(("grpc", "prometheus_client", "kubernetes"))]
