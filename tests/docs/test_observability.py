"""docs/observability.md: variables, metrics, alerts, the tree of a push and the numbers are those of the code."""

import ast
import json
import re

import pytest
import yaml
from tests.docs.markdown import ROOT, fences, table, text_of
from tests.docs.test_serve import Recorder
from tests.observability.logs import documented

from penstock.adapters.secrets.environment import secrets_of
from penstock.core.errors import Terminal
from penstock.wiring.collector import collector_from
from penstock.wiring.settings import settings_from

PAGE = "docs/observability.md"


class Endpoint(Recorder):
    """An environment that names a collector, and remembers what else was asked for."""

    def get(self, name, default=None):
        super().get(name, default)
        return "http://127.0.0.1:4318" if name == "OTEL_EXPORTER_OTLP_ENDPOINT" else default


def test_the_variables_are_those_that_are_read():
    class Reading(Endpoint):
        def __getitem__(self, name):
            return self.get(name)

    environment = Reading()
    collector_from(environment)
    rows = [row[0].strip("`") for row in table(PAGE, "variable", "meaning")]
    assert set(rows) == environment.asked | {"K_SERVICE", "AWS_LAMBDA_FUNCTION_NAME"}
    assert len(rows) == len(set(rows))


def test_the_example_exports_to_where_it_says():
    (block,) = [fence.text for fence in fences(PAGE, "sh") if "OTEL_EXPORTER_OTLP_ENDPOINT" in fence.text]
    environment = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", block, re.MULTILINE))
    found = collector_from(environment)
    assert found.traces == "https://collector.example.com:4318/v1/traces"
    assert found.metrics == "https://collector.example.com:4318/v1/metrics"
    assert found.trace_headers == environment["OTEL_EXPORTER_OTLP_HEADERS"]
    assert "Bearer" not in repr(found)


def test_the_metrics_are_those_of_the_catalogue():
    from penstock.adapters.telemetry.otel.instruments import CATALOGUE

    rows = {row[0].strip("`"): row for row in table(PAGE, "metric", "type", "labels")}
    assert set(rows) == {instrument.prometheus for instrument in CATALOGUE}
    for instrument in CATALOGUE:
        _, kind, labels, _ = rows[instrument.prometheus]
        assert kind == instrument.kind
        assert labels.split(", ") == [label.replace(".", "_") for label in instrument.labels], instrument.name


def test_the_alerts_are_those_of_the_rules():
    rules = yaml.safe_load((ROOT / "infra/observability/alerts.yaml").read_text())["groups"][0]["rules"]
    rows = [(row[0].strip("`"), row[1]) for row in table(PAGE, "alert", "severity")]
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]
    assert "ten rules" in text_of(PAGE)
    assert len(rules) == 10


def test_the_files_are_there():
    for name, _ in table(PAGE, "file", "what"):
        assert (ROOT / "infra/observability" / name.strip("`")).exists()
    assert json.loads((ROOT / "infra/observability/dashboard.json").read_text())["title"] == "penstock"


def test_the_numbers():
    from penstock.adapters.telemetry.otel import instruments, pipeline

    text = text_of(PAGE)
    assert (pipeline.FLUSH_SECONDS, pipeline.BREAK_SECONDS, instruments.MOST_RESOURCES) == (2.0, 30.0, 20_000)
    assert "at most 2 seconds" in text
    assert "not again for 30 seconds" in text
    assert "never more than 2000" in text
    assert "20,000" in text


def test_the_token_of_the_page_is_the_one_that_is_read():
    from penstock.wiring.metrics import METRICS_TOKEN

    texts = dict(re.findall(r"^export (PENSTOCK_SECRET_\w+)='(.*)'$", text_of(PAGE), re.MULTILINE))
    assert set(secrets_of(texts)) == {METRICS_TOKEN}


def test_the_tree_of_the_page_is_that_of_a_push():
    """The names of its steps, in the project's own words; tests/observability holds the tree itself."""
    (tree,) = [fence.text for fence in fences(PAGE, "") if "POST /hook/{digest}" in fence.text]
    code = "".join(path.read_text() for path in (ROOT / "shared/penstock").rglob("*.py"))
    named = re.findall(r"^[ │├└]*([a-zA-Z][a-z A-Z,/{}-]*?)(?:  |$)", tree, re.MULTILINE)
    assert len(named) >= 10
    for step in (part for name in named for part in name.split(", ")):
        verb = step.partition(" ")[0]
        known = f'"{step}"' in code or f'"{verb}"' in code or step.startswith("POST ")
        assert known, step


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "ten"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ],
)
def test_what_cannot_be_followed_is_named(variable, value):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", variable: value}
    with pytest.raises(Terminal, match=variable):
        settings_from(environment)


def test_a_password_in_an_endpoint_that_is_none_is_not_repeated():
    with pytest.raises(Terminal) as refused:
        settings_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://u:canary@x.example"})
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "traces", "metrics"),
    [
        ({}, "http://c:4318/v1/traces", "http://c:4318/v1/metrics"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "", "http://c:4318/v1/metrics"),
        ({"OTEL_METRICS_EXPORTER": "none"}, "http://c:4318/v1/traces", ""),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"}, "http://t/x", "http://c:4318/v1/metrics"),
    ],
)
def test_each_signal_goes_where_it_should(more, traces, metrics):
    found = collector_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/", **more})
    assert (found.traces, found.metrics) == (traces, metrics)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"},
    ],
)
def test_it_is_off_unless_somebody_turns_it_on(environment):
    assert collector_from(environment) is None


def recorded():
    """Every field that the code names when it tells a fact, with where."""
    found = {}
    for path in sorted((ROOT / "shared/penstock").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
                found |= {each.arg: f"{path.name}:{node.lineno}" for each in node.keywords if each.arg}
    return found


def test_every_field_of_the_log_is_in_its_table():
    found = recorded()
    assert {"detail", "stage", "outcome"} <= set(found)
    assert {name: where for name, where in found.items() if name not in documented()} == {}
