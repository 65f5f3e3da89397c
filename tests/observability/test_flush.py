"""In a function: what a run told is sent before it ends; a collector that is dead, slow or angry costs little, fails nothing."""

import io
import json
import socket
import threading
import time

import pytest
from tests.observability.receiver import Collector

from penstock.adapters.bus.memory import MemoryBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.jsonlines import JsonLinesTelemetry
from penstock.adapters.telemetry.otel import pipeline
from penstock.core.errors import Refused, Terminal
from penstock.core.messages import Envelope, SourceChanged
from penstock.core.secrets.names import OWN, secret_name
from penstock.wiring import Runtime, load_pipeline, settings_from
from penstock.wiring.runtime import Process

MESSAGE = SourceChanged(cluster="prod", namespace="flux-system", name="web")
SLACK = 8.0
"""Seconds that a busy machine may take beside the bound; a collector that hangs does it for longer than both."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As a process would begin: without threads of an earlier one, which may have complained in this one's minute."""
    for thread in threading.enumerate():
        if thread.name.startswith(("otel-", "Otel")):
            thread.join(60)
    monkeypatch.setattr(pipeline._complaints, "_next", 0.0)


@pytest.fixture
def patient(monkeypatch):
    """For tests of something else than the bound: a machine may be that busy."""
    monkeypatch.setattr(pipeline, "FLUSH_SECONDS", 60.0)


def function(tmp_path, url, *, secrets=MemorySecrets, **more):
    """A function's runtime, and its log."""
    clock, log = SimulatedClock(), io.StringIO()
    settings = settings_from({"OTEL_EXPORTER_OTLP_ENDPOINT": url, "PENSTOCK_DATA_DIR": str(tmp_path), **more})
    made = Runtime(
        settings,
        instead={
            "bus": lambda: MemoryBus(load_pipeline(), clock),
            "clock": lambda: clock,
            "log": lambda: JsonLinesTelemetry(log, clock),
            "secrets": secrets,
            "state": MemoryState,
            "storage": MemoryStorage,
        },
        process=Process(short_lived=True),
    )
    return made, log


def call(runtime):
    """One invocation; how long it took."""
    started = time.monotonic()
    with runtime.invocation("call-1"):
        outcome = runtime.run_message("fetch", Envelope(message=MESSAGE, id="1", traceparent=""))
    assert outcome.kind == "done"
    return time.monotonic() - started


def told(log, name):
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == name]


def test_each_run_is_sent_at_its_end(tmp_path, patient):
    with Collector() as collector:
        runtime, log = function(tmp_path, collector.url)
        for number in range(1, 4):
            call(runtime)
            assert len([span for span in collector.spans if span.name == "process source-changed"]) == number
        assert collector.requests.count("/v1/metrics") == 3
        assert told(log, "telemetry not exported") == []
        cold = [span.attributes.get("faas.coldstart") for span in collector.spans if span.name.startswith("process")]
        assert cold == [True, None, None]
        assert {span.attributes["faas.invocation_id"] for span in collector.spans} == {"call-1"}
        assert [line.get("cold") for line in told(log, "stage finished")] == [True, None, None]
        runtime.close()


def test_a_difference_is_sent_once(tmp_path, patient):
    with Collector() as collector:
        runtime, _ = function(tmp_path, collector.url)
        for _ in range(3):
            call(runtime)
        runtime.close()
        found = [metric["histogram"] for name, metric, _ in collector.metrics if name == "penstock.stage.duration"]
        assert [int(each["dataPoints"][0]["count"]) for each in found] == [1, 1, 1]
        assert {each["aggregationTemporality"] for each in found} == {"AGGREGATION_TEMPORALITY_DELTA"}


def test_the_operators_wish_for_sums_wins(tmp_path, patient):
    with Collector() as collector:
        wish = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative"}
        runtime, _ = function(tmp_path, collector.url, **wish)
        for _ in range(2):
            call(runtime)
        runtime.close()
        found = [metric["histogram"] for name, metric, _ in collector.metrics if name == "penstock.stage.duration"]
        assert [int(each["dataPoints"][0]["count"]) for each in found[:2]] == [1, 2]


def test_a_collector_that_hangs_delays_one_run_by_the_bound_and_the_next_ones_not(tmp_path):
    with Collector(patience=60) as collector:
        runtime, log = function(tmp_path, collector.url)
        first = call(runtime)
        assert pipeline.FLUSH_SECONDS <= first < pipeline.FLUSH_SECONDS + SLACK
        asked = len(collector.requests)
        assert sum(call(runtime) for _ in range(20)) < SLACK
        assert len(collector.requests) <= asked + 2, "nobody asks again while it rests"
        assert len(told(log, "stage finished")) == 21
        runtime.close()


def test_a_collector_that_refuses_is_asked_no_more_for_a_while_and_told_of_once(tmp_path, patient):
    with Collector(status=400) as collector:
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=header-canary"}
        runtime, log = function(tmp_path, collector.url.replace("//", "//u:password-canary@"), **headers)
        for _ in range(5):
            call(runtime)
        assert collector.requests.count("/v1/traces") == 1
        (line,) = told(log, "telemetry not exported")
        assert line["severity"] == "ERROR"
        assert "canary" not in log.getvalue()
        runtime.close()


def test_a_collector_that_is_not_there_delays_by_no_more_than_the_bound(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        runtime, _ = function(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
        first = call(runtime)
        assert first < pipeline.FLUSH_SECONDS + SLACK
        assert sum(call(runtime) for _ in range(20)) < SLACK
        runtime.close()


def test_a_collector_that_comes_back_is_found(tmp_path, monkeypatch, patient):
    monkeypatch.setattr(pipeline, "BREAK_SECONDS", 0.0)
    with Collector(status=400) as collector:
        runtime, _ = function(tmp_path, collector.url)
        call(runtime)
        collector.status = 200
        call(runtime)
        runtime.close()
        assert collector.requests.count("/v1/traces") >= 2


def test_a_collector_that_answers_byte_by_byte_is_waited_for_no_longer(monkeypatch):
    """An exporter's timeout is that of one read: each byte begins it anew."""
    monkeypatch.setattr(pipeline, "FLUSH_SECONDS", 0.2)
    ended, calls = threading.Event(), []
    flush = pipeline.Bounded(lambda: calls.append(1) or ended.wait(60))
    started = time.monotonic()
    for _ in range(3):
        flush()
    assert time.monotonic() - started < SLACK
    assert calls == [1]
    ended.set()


def test_a_run_that_ends_while_another_sends_is_sent_after_it(patient):
    """Several requests at a time in one process: the one that sends may have begun too early for the others."""
    sending, go_on, told, sent = threading.Event(), threading.Event(), [], []

    def send():
        taken = tuple(told)
        sending.set()
        assert go_on.wait(60)
        sent.append(taken)
        return True

    flush = pipeline.Bounded(send)

    def run(name):
        told.append(name)
        flush()

    runs = [threading.Thread(target=run, args=("first",))]
    runs[0].start()
    assert sending.wait(60)
    runs += [threading.Thread(target=run, args=(name,)) for name in ("second", "third")]
    for each in runs[1:]:
        each.start()
    while len(told) < 3:
        time.sleep(0.01)
    go_on.set()
    for each in runs:
        each.join(60)
    assert sent[0] == ("first",)
    assert set(sent[-1]) == {"first", "second", "third"}
    assert len(sent) <= 3


def test_what_breaks_in_sending_breaks_nothing_else():
    def broken():
        raise OSError("no route")

    pipeline.Bounded(broken)()


def test_closing_is_bounded_too(tmp_path):
    with Collector(patience=60) as collector:
        runtime, _ = function(tmp_path, collector.url)
        runtime.run_message("fetch", Envelope(message=MESSAGE, id="1", traceparent=""))
        started = time.monotonic()
        runtime.close()
        assert time.monotonic() - started < pipeline.CLOSE_SECONDS + SLACK


def test_without_the_extra_it_is_said_what_to_install(tmp_path, monkeypatch):
    import sys

    from penstock.core.errors import Terminal

    for name in [name for name in sys.modules if name.startswith("penstock.adapters.telemetry.otel")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    runtime, _ = function(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(Terminal, match=r"pip install 'penstock\[otel\]'"):
        runtime.port("telemetry")


def stored(data):
    """The plane's secrets, with the collector's."""
    found = MemorySecrets()
    found.put(secret_name(OWN, "-", "penstock-system", "otlp-headers"), data, owner="uid")
    return lambda: found


def test_credentials_of_the_collector_come_from_the_planes_secret(tmp_path, patient):
    with Collector() as collector:
        data = {"headers": b"authorization=Bearer%20canary-1,x-tenant=a\n"}
        named = {"PENSTOCK_OTLP_HEADERS_SECRET": "otlp-headers"}
        made, log = function(tmp_path, collector.url, secrets=stored(data), **named)
        call(made)
        made.close()
    sent = [{name.lower(): value for name, value in headers.items()} for headers in collector.headers]
    assert {(headers.get("authorization"), headers.get("x-tenant")) for headers in sent} == {("Bearer canary-1", "a")}
    assert "canary-1" not in log.getvalue() + repr(made.settings)
    assert "not exported" not in log.getvalue()


def test_a_variable_of_a_signal_wins(tmp_path, patient):
    with Collector() as collector:
        more = {
            "PENSTOCK_OTLP_HEADERS_SECRET": "otlp-headers",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-key=of-traces",
        }
        made, _ = function(tmp_path, collector.url, secrets=stored({"headers": b"x-key=of-both"}), **more)
        call(made)
        made.close()
    keys = {
        path: dict(headers).get("x-key") for path, headers in zip(collector.requests, collector.headers, strict=True)
    }
    assert keys == {"/v1/traces": "of-traces", "/v1/metrics": "of-both"}


def test_credentials_of_the_collector_are_rotated_while_a_function_is_warm(tmp_path, patient, monkeypatch):
    """Both are taken, then the new one alone; and where the collector forgets the old one first, nothing is lost either."""
    monkeypatch.setattr(pipeline, "BREAK_SECONDS", 0.0)
    kept = stored({"headers": b"x-key=canary-1"})()

    def write(key):
        kept.put(
            secret_name(OWN, "-", "penstock-system", "otlp-headers"), {"headers": f"x-key={key}".encode()}, owner="uid"
        )

    with Collector(keys={"canary-1"}) as collector:
        made, log = function(tmp_path, collector.url, secrets=lambda: kept, PENSTOCK_OTLP_HEADERS_SECRET="otlp-headers")
        call(made)
        collector.keys = {"canary-1", "canary-2"}
        write("canary-2")
        call(made)
        collector.keys = {"canary-2"}
        call(made)
        assert collector.refused == []
        collector.keys = {"canary-3"}
        call(made)
        assert set(collector.refused) == {"canary-2"}
        write("canary-3")
        call(made)
        made.close()
    runs = [span for span in collector.spans if span.name == "process source-changed"]
    sent = [headers["x-key"] for headers in collector.headers]
    assert sorted(set(sent)) == ["canary-1", "canary-2", "canary-3"]
    assert len(runs) == 4, "what was told while nobody had the right key is gone: the SDK gives it up"
    assert "canary" not in log.getvalue() + repr(made.settings)


class Cached:
    """A store that answers from its cache what is not asked for anew."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def get(self, name, *, newest=False):
        return {"headers": self.new if newest else self.old}


def test_a_collector_that_refuses_what_is_cached_is_sent_the_newest_at_once(tmp_path, patient):
    with Collector(keys={"canary-2"}) as collector:
        secrets = Cached(b"x-key=canary-1", b"x-key=canary-2")
        made, _ = function(
            tmp_path, collector.url, secrets=lambda: secrets, PENSTOCK_OTLP_HEADERS_SECRET="otlp-headers"
        )
        call(made)
        made.close()
    assert [span.name for span in collector.spans].count("process source-changed") == 1
    assert {name for name, _, _ in collector.metrics} >= {"penstock.stage.duration"}
    assert set(collector.refused) == {"canary-1"}


class Away:
    def get(self, name, *, newest=False):
        raise Refused("the identity that this runs as needs a permission")


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        (MemorySecrets, "of the plane has no entry headers"),
        (stored({"token": b"canary-1"}), "of the plane has no entry headers"),
        (stored({"headers": b"\xff"}), "it is no text"),
        (Away, "needs a permission"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told_once_and_fails_nothing(tmp_path, patient, secrets, said):
    with Collector() as collector:
        made, log = function(tmp_path, collector.url, secrets=secrets, PENSTOCK_OTLP_HEADERS_SECRET="otlp-headers")
        call(made)
        call(made)
        made.close()
    assert collector.bodies
    (line,) = told(log, "telemetry not exported")
    assert said in line["error"]
    assert "canary-1" not in log.getvalue()


def test_headers_in_place_of_a_name_are_refused_and_not_told():
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PENSTOCK_OTLP_HEADERS_SECRET": "x-key=canary-1",
    }
    with pytest.raises(Terminal, match="PENSTOCK_OTLP_HEADERS_SECRET") as refused:
        settings_from(environment)
    assert "canary-1" not in str(refused.value)
