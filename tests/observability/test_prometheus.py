"""`penstock serve` scraped by the real Prometheus; every query of the dashboard and every metric of the alerts is there."""

import contextlib
import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml
from tests.docs.markdown import ROOT, fences
from tests.observability.prometheus import program, prometheus
from tests.observability.world import ServedFleet

from penstock.adapters.telemetry.otel.instruments import CATALOGUE

FOLDER = ROOT / "infra/observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
ALERTS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
TOKEN = "metrics-canary"
WORDS = frozenset(
    [
        "by",
        "count",
        "histogram_quantile",
        "increase",
        "le",
        "max",
        "or",
        "rate",
        "sort_desc",
        "sum",
        "unless",
        "vector",
        "and",
        "on",
        "bool",
    ]
)


def metrics_of(expression):
    """(name, labels that are matched) of each selector."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    grouped = re.sub(r"\b(by|on)\s*\([^)]*\)", "", bare)
    found = re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?", re.sub(r"\[[^\]]*\]", "", grouped))
    labels = {name: re.findall(r"(\w+)\s*=", matchers) for name, matchers in found if name not in WORDS}
    return {name: matched for name, matched in labels.items() if "_" in name or name == "up"}


# promtool


@pytest.mark.real
def test_the_alerts_are_rules():
    done = subprocess.run(
        [program("promtool"), "check", "rules", "alerts.yaml"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


@pytest.mark.real
def test_each_alert_fires_where_it_should_and_only_there():
    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts_test.yaml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_both_ways():
    quiet, firing, *_ = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    names = sorted(rule["alert"] for rule in RULES)
    assert sorted(case["alertname"] for case in quiet["alert_rule_test"]) == names
    assert sorted(case["alertname"] for case in firing["alert_rule_test"]) == names
    assert all(case["exp_alerts"] for case in firing["alert_rule_test"])


# The dashboard


def test_panels_have_titles_units_queries_and_places_of_their_own():
    assert DASHBOARD["uid"] == "penstock"
    assert DASHBOARD["schemaVersion"] >= 39
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
    for panel in PANELS:
        assert panel["type"] in {"stat", "table", "timeseries"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_seconds_are_shown_as_seconds():
    for title, expression in QUERIES:
        (unit,) = {
            panel["fieldConfig"]["defaults"]["unit"]
            for panel in PANELS
            if panel["title"] == title and any(t["expr"] == expression for t in panel["targets"])
        }
        assert ("_seconds_bucket" in expression) == (unit == "s"), title


OF_SERVE = [each.prometheus for each in CATALOGUE if each.served_only] + [
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
]
"""What functions do not tell."""


def test_a_panel_that_functions_leave_empty_says_why_and_never_shows_a_0():
    """``or vector(0)`` would tell of 0 objects that are not ready where nobody counts them."""
    assert len(OF_SERVE) == 5
    for panel in PANELS:
        used = {name for target in panel["targets"] for name in metrics_of(target["expr"])}
        told = panel["fieldConfig"]["defaults"].get("noValue", "")
        assert ("penstock serve alone" in told) == bool(used & set(OF_SERVE)), panel["title"]
    assert not [title for title, expression in QUERIES if "vector(" in expression]


def test_variables_are_declared():
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", " ".join(expression for _, expression in QUERIES)))
    assert used - declared == {"__rate_interval", "__range"}
    assert declared - used == {"datasource"}


def test_every_metric_of_the_catalogue_is_shown():
    shown = " ".join(expression for _, expression in QUERIES)
    for instrument in CATALOGUE:
        # controller-runtime's time is Flux's gotk_reconcile_duration_seconds with fewer labels
        assert instrument.prometheus in shown or instrument.name == "controller_runtime_reconcile_time_seconds"


# Scraped


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    program("prometheus")
    with contextlib.ExitStack() as stack:
        secret = {
            "cluster": "-",
            "namespace": "penstock-system",
            "name": "metrics-token",
            "stringData": {"token": TOKEN},
        }
        made = ServedFleet(
            stack,
            tmp_path_factory.mktemp("served"),
            "--metrics-addr",
            "127.0.0.1:0",
            PENSTOCK_SECRET_METRICS=json.dumps(secret),
        )
        made.begin()
        made.metrics = made.found(r"metrics    (http://\S+),")
        made.scale(5)
        yield made


@pytest.fixture(scope="module")
def server(fleet, tmp_path_factory):
    """Prometheus on the configuration of the page, with this test's address and files."""
    directory = tmp_path_factory.mktemp("prometheus")
    (directory / "token").write_text(TOKEN)
    (page,) = [fence.text for fence in fences("docs/observability.md", "yaml") if "scrape_configs" in fence.text]
    config = yaml.safe_load(page)
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "penstock"
    job["authorization"]["credentials_file"] = str(directory / "token")
    job["static_configs"][0]["targets"] = [fleet.metrics.removeprefix("http://").removesuffix("/metrics")]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yaml")]
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with prometheus(directory / "prometheus.yaml", directory) as running:
        running.until('up{job="penstock"} == 1')
        running.until("penstock_push_ready_duration_seconds_count > 0")
        running.until("rate(penstock_stage_duration_seconds_count[1m])")
        yield running


@pytest.mark.real
@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_of_the_dashboard_has_series(server, title, expression):
    filled = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
    assert server.query(re.sub(r"\$(cluster|stage)", ".*", filled))


@pytest.mark.real
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_metric_of_an_alert_is_there_with_the_labels_that_it_asks_for(server, rule):
    found = metrics_of(rule["expr"])
    assert found
    for name, labels in found.items():
        series = server.query(name)
        assert series, name
        for label in labels:
            assert any(label in each["metric"] for each in series), f"{name} has no label {label}"
    server.query(rule["expr"])


@pytest.mark.real
def test_the_variables_of_the_dashboard_have_values(server):
    for variable in DASHBOARD["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
        assert {each["metric"].get(label) for each in server.query(metric)} - {None}


@pytest.mark.real
def test_the_rules_are_loaded_and_none_fails(server):
    groups = server.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in RULES]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


@pytest.mark.real
def test_every_metric_of_the_catalogue_is_scraped_with_its_labels_and_type(server):
    types = server.api("metadata")
    for instrument in CATALOGUE:
        name = instrument.prometheus
        series = server.query(f"{name}_count" if instrument.kind == "histogram" else name)
        assert series, name
        told = set().union(*(each["metric"] for each in series)) - {"__name__", "job", "instance"}
        assert told <= {label.replace(".", "_") for label in instrument.labels}, name
        assert {each["type"] for each in types.get(name, types.get(name.removesuffix("_total")))} == {instrument.kind}


@pytest.mark.real
def test_what_is_ready_is_told_as_flux_tells_it(server):
    (apps,) = server.query('gotk_resource_info{customresource_kind="Kustomization", name="apps"}')
    wanted = {
        "customresource_group": "kustomize.toolkit.fluxcd.io",
        "customresource_version": "v1",
        "exported_namespace": "flux-system",
        "ready": "True",
        "suspended": "false",
        "source_name": "flux-system",
        "cluster": "demo",
    }
    assert wanted.items() <= apps["metric"].items()
    assert apps["metric"]["revision"].startswith("main@sha1:")
    (source,) = server.query('gotk_resource_info{customresource_kind="GitRepository"}')
    assert (source["metric"]["cluster"], source["metric"]["ready"]) == ("-", "True")


@pytest.mark.real
def test_objects_that_were_applied_are_counted(server):
    (configured,) = server.query('penstock_objects_total{action="configured", cluster="demo"}')
    assert float(configured["value"][1]) >= 1
    (requests,) = server.query('penstock_run_api_requests_count{stage="reconcile"}')
    assert float(requests["value"][1]) >= 1


# Who may read


def read(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.real
@pytest.mark.parametrize(
    "given",
    [{}, {"authorization": "Bearer "}, {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"}],
)
def test_without_the_token_nothing_is_told(fleet, given):
    status, text = read(fleet.metrics, **given)
    assert status == 401
    assert "penstock_" not in text


@pytest.mark.real
def test_the_plane_itself_has_no_metrics_and_the_metrics_have_no_plane(fleet):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert read(f"{fleet.url}/metrics", **bearer)[0] in (401, 404)
    assert read(fleet.metrics.replace("/metrics", "/status"), **bearer)[0] == 404
    assert read(f"{fleet.url}/status", **bearer)[0] == 401


@pytest.mark.real
def test_no_secret_is_in_the_metrics(fleet):
    status, text = read(fleet.metrics, authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert "canary" not in text
    assert fleet.story.receiver().digest not in text
