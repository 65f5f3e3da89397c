"""The listener of /metrics: where it may listen, who may read, and what of the store it tells."""

import pytest
from tests.memory_plane import MemoryPlane, kustomization

from penstock.core.errors import Refused, Terminal, Transient
from penstock.core.records import KustomizationStatus, status_key
from penstock.wiring import Runtime, settings_from
from penstock.wiring.metrics import is_loopback, metrics_token, parse_address, serve_metrics
from penstock.wiring.runtime import Process
from penstock.wiring.stored_metrics import FRESH_SECONDS, StoredMetrics

TOKEN = '{"cluster": "-", "namespace": "penstock-system", "name": "metrics-token", "stringData": {"token": "t\\n"}}'


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:9293", ("127.0.0.1", 9293)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9293", ("::1", 9293)),
        (":9293", ("0.0.0.0", 9293)),
    ],
)
def test_addresses(text, parsed):
    assert parse_address(text) == parsed


@pytest.mark.parametrize("text", ["9293", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "::1:9293"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(Terminal, match="--metrics-addr"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
    + [(host, False) for host in ("::", "10.0.0.1", "metrics.example.com", "localhost.example.com")],
)
def test_the_loopback(host, loopback):
    assert is_loopback(host) == loopback


@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0", "metrics.example.com:1"])
def test_beyond_this_machine_it_does_not_listen_without_a_token(tmp_path, address):
    runtime = Runtime(settings_from({}, data_dir=tmp_path), process=Process(scraped=True))
    with pytest.raises(Refused, match="penstock-system/metrics-token"):
        serve_metrics(runtime, address)
    runtime.close()


def test_with_a_token_it_does(tmp_path):
    settings = settings_from({"PENSTOCK_SECRET_M": TOKEN}, data_dir=tmp_path)
    assert metrics_token(settings) == "t"
    runtime = Runtime(settings, process=Process(scraped=True))
    server = serve_metrics(runtime, "0.0.0.0:0")
    server.start()
    server.stop()
    runtime.close()


def test_the_api_token_is_not_the_token_of_metrics(tmp_path):
    api = TOKEN.replace("metrics-token", "api-token")
    assert metrics_token(settings_from({"PENSTOCK_SECRET_A": api}, data_dir=tmp_path)) == ""


def labels(values):
    return {
        (each["customresource_kind"], each["cluster"], each["name"]): (each["ready"], each["suspended"])
        for _, each in values
    }


def test_each_source_and_kustomization_is_told_once():
    plane = MemoryPlane()
    held = kustomization("held", "./held", suspend=True)
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./missing"), "clusters/prod/held.yaml": held})
    plane.settle()
    assert labels(StoredMetrics(plane.state, plane.bus, plane.clock).resources()) == {
        ("GitRepository", "-", "flux-system"): ("True", "false"),
        ("Kustomization", "prod", "flux-system"): ("True", "false"),
        ("Kustomization", "prod", "apps"): ("False", "false"),
        ("Kustomization", "prod", "held"): ("Unknown", "true"),
    }


def test_several_scrapers_read_the_store_once():
    plane = MemoryPlane()
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./missing")})
    plane.settle()
    metrics = StoredMetrics(plane.state, plane.bus, plane.clock)
    before = metrics.resources()
    key = status_key("prod", "Kustomization", "flux-system", "apps")
    plane.state.put(key, KustomizationStatus().to_value(), expected=None)
    assert metrics.resources() is before
    plane.clock.advance(FRESH_SECONDS)
    assert labels(metrics.resources())["Kustomization", "prod", "apps"] == ("Unknown", "false")


def test_a_store_that_cannot_be_read_fails_no_scrape(monkeypatch):
    plane = MemoryPlane()

    def refuse(*_, **__):
        raise Transient("disk full")

    metrics = StoredMetrics(plane.state, plane.bus, plane.clock)
    monkeypatch.setattr(plane.state, "list", refuse)
    monkeypatch.setattr(plane.bus, "depth", refuse)
    assert (metrics.resources(), metrics.depth(), metrics.dead_letters()) == ([], [], [])


def test_queues_and_dead_letters_are_told_by_stage():
    plane = MemoryPlane()
    plane.push({})
    metrics = StoredMetrics(plane.state, plane.bus, plane.clock)
    depth = {each["stage"]: value for value, each in metrics.depth()}
    assert depth["fetch"] >= 1
    delivery = plane.bus.receive("fetch", wait=0)
    while plane.bus.retry(delivery, delay=0, error="x"):
        delivery = plane.bus.receive("fetch", wait=0)
    dead = {each["stage"]: value for value, each in metrics.dead_letters()}
    assert dead == {"fetch": 1.0, "reconcile": 0.0, "notify": 0.0}
