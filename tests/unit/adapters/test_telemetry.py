import io
import json

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.fanout import FanOutTelemetry
from penstock.adapters.telemetry.jsonlines import JsonLinesTelemetry
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.adapters.telemetry.redaction import redact
from penstock.adapters.telemetry.text import TextTelemetry

SECRET_NAMES = """
token webhookToken password passphrase Authorization api_key apikey private_key secret client_secret set_cookie
credentials kubeconfig address signature
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_fields_named_like_secrets_lose_their_value(name):
    assert redact({name: "canary"}) == {name: "[redacted]"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("cannot reach https://user:canary@git.example/x", "cannot reach https://[redacted]@git.example/x"),
        ("https://git.example/x and a@b.example", "https://git.example/x and a@b.example"),
        (12, 12),
        (1.5, 1.5),
        (None, None),
        (True, True),
    ],
)
def test_values_lose_userinfo_and_nothing_else(value, told):
    assert redact({"error": value}) == {"error": told}


def test_long_texts_are_cut():
    assert redact({"error": "x" * 5_000})["error"] == "x" * 4_000 + "… (5000 characters)"


@pytest.mark.parametrize(("outcome", "severity"), [("done", "INFO"), ("retry", "ERROR"), ("failed", "ERROR")])
def test_a_json_line_is_what_log_collectors_read(outcome, severity):
    stream = io.StringIO()
    telemetry = JsonLinesTelemetry(stream, SimulatedClock())
    telemetry.record("stage finished", name="größe\n", token="canary", outcome=outcome)
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue()) == {
        "time": "2026-01-01T00:00:00.000Z",
        "severity": severity,
        "message": "stage finished",
        "name": "größe\n",
        "token": "[redacted]",
        "outcome": outcome,
    }


@pytest.mark.parametrize("kind", [JsonLinesTelemetry, TextTelemetry])
def test_a_stream_that_is_gone_stops_nothing(kind):
    stream = io.StringIO()
    stream.close()
    kind(stream, SimulatedClock()).record("stage finished", stage="fetch", outcome="done")


@pytest.mark.parametrize(
    ("name", "fields", "line"),
    [
        (
            "stage finished",
            {"stage": "fetch", "cluster": "prod", "kind": "GitRepository", "namespace": "a", "name": "b"}
            | {"outcome": "done", "milliseconds": 12.3},
            "00:00:00 fetch     prod/GitRepository/a/b done 12 ms\n",
        ),
        (
            "stage finished",
            {"stage": "webhook", "method": "POST", "status": 202, "outcome": "done", "milliseconds": 3.0},
            "00:00:00 webhook   POST 202 3 ms\n",
        ),
        (
            "dead letter",
            {"stage": "notify", "outcome": "dead", "error": "Timeout: x"},
            "00:00:00 notify    dead dead letter Timeout: x\n",
        ),
        ("object applied", {"stage": "reconcile", "name": "web"}, ""),
    ],
)
def test_a_line_for_people(name, fields, line):
    stream = io.StringIO()
    TextTelemetry(stream, SimulatedClock()).record(name, **fields)
    assert stream.getvalue() == line


def test_fan_out_hands_each_record_to_all():
    targets = [MemoryTelemetry(), MemoryTelemetry()]
    FanOutTelemetry(targets).record("x", name="n")
    assert [target.named("x") for target in targets] == [({"name": "n"},)] * 2


def test_memory_keeps_the_newest():
    telemetry = MemoryTelemetry(most=2)
    for number in range(3):
        telemetry.record("x", number=number)
    assert [fact.fields["number"] for fact in telemetry.facts] == [1, 2]
