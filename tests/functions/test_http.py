"""HTTP stages: bounds on bodies, what the stage sees, errors as statuses, publish before answering."""

import io

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from penstock.core.errors import InvalidDocument, NotFound, Refused, Terminal, Transient
from penstock.core.http import HttpResponse, json_response
from penstock.core.messages import Outgoing, SourceChanged

MIB = 1024 * 1024
MESSAGE = SourceChanged(cluster="prod", namespace="flux-system", name="web")


def request(path="/hook/x", *, method="POST", data=b"{}", headers=None, **environ):
    builder = EnvironBuilder(path=path, method=method, data=data, headers=headers)
    return Request({**builder.get_environ(), **environ})


def recording(seen, response=None, messages=()):
    def run(asked, deps):
        seen.append(asked)
        return response or HttpResponse(status=202), list(messages)

    return run


def test_the_stage_sees_the_request_as_a_value(runtime, as_stage):
    seen = []
    as_stage("webhook", recording(seen, json_response(202, {"ok": True}, headers={"x-a": "b"})))
    answer = runtime.serve_http(
        "webhook", request("/hook/a%20b?x=1&y", data=b"\x00\xff", headers=[("X-Hub", "1"), ("X-Hub", "2")])
    )
    (asked,) = seen
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/hook/a b", "x=1&y", b"\x00\xff")
    assert asked.headers["x-hub"] == "1, 2"
    assert (answer.status_code, answer.get_json(), answer.headers["x-a"]) == (202, {"ok": True}, "b")
    assert answer.content_type == "application/json"


class Untouchable(io.RawIOBase):
    """A body that must not be read."""

    def readable(self):
        return True

    def readinto(self, buffer):
        raise AssertionError("the body was read")


@pytest.mark.parametrize(("stage", "limit"), [("webhook", 3 * MIB), ("api", MIB)])
def test_a_body_whose_length_is_over_the_limit_is_not_even_read(runtime, as_stage, stage, limit):
    seen = []
    as_stage(stage, recording(seen))
    asked = request(**{"CONTENT_LENGTH": str(limit + 1), "wsgi.input": Untouchable()})
    assert runtime.serve_http(stage, asked).status_code == 413
    assert asked.get_data() == b""  # what functions-framework does after each answer
    assert seen == []


@pytest.mark.parametrize(("size", "status"), [(MIB, 202), (MIB + 1, 413)])
def test_a_body_without_a_length_is_read_up_to_the_limit(runtime, as_stage, size, status):
    seen = []
    as_stage("api", recording(seen))
    body = io.BytesIO(b"x" * (size + 10 * MIB if status == 413 else size))
    asked = request(**{"wsgi.input": body, "wsgi.input_terminated": True})
    del asked.environ["CONTENT_LENGTH"]
    assert runtime.serve_http("api", asked).status_code == status
    assert body.tell() <= MIB + 1
    assert [len(value.body) for value in seen] == ([size] if status == 202 else [])


def test_a_body_that_ends_early_is_a_bad_request(runtime, as_stage):
    seen = []
    as_stage("webhook", recording(seen))
    asked = request(**{"wsgi.input": io.BytesIO(b"{"), "CONTENT_LENGTH": "10"})
    assert runtime.serve_http("webhook", asked).status_code == 400
    assert seen == []


def test_messages_are_on_the_bus_before_the_answer(runtime, as_stage):
    as_stage("webhook", recording([], messages=[Outgoing(message=MESSAGE)]))
    assert runtime.serve_http("webhook", request()).status_code == 202
    assert runtime.bus.receive("fetch", wait=0).envelope.message == MESSAGE


def test_what_cannot_be_published_was_not_accepted(runtime, as_stage, monkeypatch):
    def refuse(messages):
        raise Transient("disk full", retry_after=7)

    monkeypatch.setattr(runtime.bus, "publish", refuse)
    as_stage("webhook", recording([], messages=[Outgoing(message=MESSAGE)]))
    answer = runtime.serve_http("webhook", request())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Transient("canary"), 503),
        (NotFound("canary"), 404),
        (Refused("canary"), 403),
        (InvalidDocument("canary"), 422),
        (Terminal("canary"), 400),
        (ValueError("canary"), 500),
    ],
)
@pytest.mark.parametrize("stage", ["webhook", "api"])
def test_errors_have_a_status_and_only_the_api_says_why(runtime, as_stage, error, status, stage):
    def run(asked, deps):
        raise error

    as_stage(stage, run)
    if stage == "webhook" and status != 500:
        status = 503  # what it raises is the plane's own trouble, no fault of the sender's
    answer = runtime.serve_http(stage, request())
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert ("canary" in answer.get_data(as_text=True)) == (stage == "api" and status != 500)


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        (f"00-{'ab' * 16}-{'c' * 16}-01", True),
        (f"00-{'AB' * 16}-{'c' * 16}-01", False),
        (f"00-{'0' * 32}-{'c' * 16}-01", False),
        ("nonsense", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("stage", ["webhook", "api"])
def test_a_callers_trace_is_linked_to_and_not_gone_on_with(runtime, as_stage, given, linked, stage):
    """Anybody can send a traceparent: with it they would write into a trace of ours, or make it be sampled."""
    as_stage(stage, recording([], messages=[Outgoing(message=MESSAGE)]))
    runtime.serve_http(stage, request(headers={"traceparent": given}))
    trace = runtime.bus.receive("fetch", wait=0).envelope.trace
    step, sent = runtime.port("telemetry").steps
    assert (step.name, step.parent, step.links) == ("request", "", (given,) if linked else ())
    assert (sent.name, sent.parent) == ("send", step.traceparent)
    assert trace != "ab" * 16
    (told,) = runtime.port("telemetry").named("stage finished")
    assert (told["trace"], told["status"], told["outcome"]) == (trace, 202, "done")


def test_a_stage_may_wait_for_what_was_just_published(runtime, as_stage):
    def settle(asked, answer, deps):
        assert runtime.bus.depth()["fetch"] == 1
        return json_response(200, {"was": answer.status, "path": asked.path, "trace": deps.trace})

    as_stage("api", recording([], messages=[Outgoing(message=MESSAGE)]), settle=settle)
    answer = runtime.serve_http("api", request("/reconcile"))
    trace = runtime.port("telemetry").steps[0].traceparent.split("-")[1]
    assert (answer.status_code, answer.get_json()) == (200, {"was": 202, "path": "/reconcile", "trace": trace})


def test_where_waiting_fails_the_first_answer_stands(runtime, as_stage):
    def settle(asked, answer, deps):
        raise Transient("the records cannot be read")

    as_stage("api", recording([], messages=[Outgoing(message=MESSAGE)]), settle=settle)
    assert runtime.serve_http("api", request("/reconcile")).status_code == 202
