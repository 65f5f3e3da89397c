"""The telemetry port: what every adapter does with records, and what those that trace do with steps."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.telemetry.fanout import FanOutTelemetry
from penstock.adapters.telemetry.jsonlines import JsonLinesTelemetry
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.adapters.telemetry.otel.telemetry import OtelTelemetry
from penstock.adapters.telemetry.text import TextTelemetry
from penstock.core.errors import Refused
from penstock.ports.telemetry import Scoped

OTHER = f"00-{'ef' * 16}-{'9' * 16}-01"


@dataclass
class Seen:
    """A step as an adapter kept it: traceparents without flags."""

    name: str
    id: str
    parent: str
    links: tuple
    failed: bool
    text: str


def without_flags(traceparent):
    return "-".join(traceparent.split("-")[1:3])


class Memory:
    def __init__(self):
        self.telemetry = MemoryTelemetry()

    def steps(self):
        return [
            Seen(
                step.name,
                without_flags(step.traceparent),
                without_flags(step.parent),
                tuple(map(without_flags, step.links)),
                bool(step.error) or step.fields.get("outcome") == "failed",
                repr(step),
            )
            for step in self.telemetry.steps
        ]


class Otel:
    def __init__(self):
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)
        self.telemetry = OtelTelemetry(tracers.get_tracer("t"), meters.get_meter("t"), system="penstock")

    def steps(self):
        found = sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)
        return [
            Seen(
                span.name,
                f"{span.context.trace_id:032x}-{span.context.span_id:016x}",
                f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" if span.parent else "",
                tuple(f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links),
                not span.status.is_ok and span.status.status_code.name == "ERROR",
                span.to_json(),
            )
            for span in found
        ]


class Fanned(Memory):
    """The log, which traces nothing, before the one who traces."""

    def __init__(self):
        super().__init__()
        self.traced = self.telemetry
        self.telemetry = FanOutTelemetry([JsonLinesTelemetry(io.StringIO(), SimulatedClock()), self.traced])

    def steps(self):
        kept, self.telemetry = self.telemetry, self.traced
        try:
            return super().steps()
        finally:
            self.telemetry = kept


@pytest.fixture(params=[Memory, Otel, Fanned], ids=lambda kind: kind.__name__)
def traced(request):
    return request.param()


@pytest.fixture(params=[JsonLinesTelemetry, TextTelemetry])
def untraced(request):
    return request.param(io.StringIO(), SimulatedClock())


def test_steps_are_a_tree(traced):
    with traced.telemetry.span("a") as a, traced.telemetry.span("b"), traced.telemetry.span("c"):
        pass
    first, second, third = traced.steps()
    assert [step.name for step in (first, second, third)] == ["a", "b", "c"]
    assert first.parent == ""
    assert (second.parent, third.parent) == (first.id, second.id)
    assert without_flags(a.traceparent) == first.id
    assert len({step.id.split("-")[0] for step in (first, second, third)}) == 1


def test_what_comes_after_a_step_is_not_part_of_it(traced):
    with traced.telemetry.span("a"):
        pass
    with traced.telemetry.span("b"):
        pass
    first, second = traced.steps()
    assert second.parent == ""
    assert first.id.split("-")[0] != second.id.split("-")[0]


def test_a_step_goes_on_with_another_processs_trace(traced):
    with traced.telemetry.span("a", parent=OTHER, links=[f"00-{'12' * 16}-{'3' * 16}-01"]), traced.telemetry.span("b"):
        pass
    first, second = traced.steps()
    assert first.parent == without_flags(OTHER)
    assert first.links == (f"{'12' * 16}-{'3' * 16}",)
    assert second.parent == first.id


def test_inside_a_step_of_the_same_trace_the_step_is_the_parent(traced):
    span = traced.telemetry.span
    with span("a", parent=OTHER) as a, span("b", parent=a.traceparent), span("c", parent=a.traceparent):
        pass
    _, second, third = traced.steps()
    assert third.parent == second.id


def test_inside_a_step_of_another_trace_the_given_parent_holds(traced):
    with traced.telemetry.span("a"), traced.telemetry.span("b", parent=OTHER):
        pass
    assert traced.steps()[1].parent == without_flags(OTHER)


def test_another_thread_goes_on_from_the_scopes_parent(traced):
    with traced.telemetry.span("a") as a:
        scoped = Scoped(telemetry=traced.telemetry, parent=a.traceparent)

        def work(number):
            with scoped.span("b"):
                pass

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
    first, *others = traced.steps()
    assert [step.parent for step in others] == [first.id] * 3


@pytest.mark.parametrize("parent", ["nonsense", "00-x-y-z", f"00-{'0' * 32}-{'0' * 16}-00", "----"])
def test_a_parent_that_is_none_begins_a_trace_and_harms_nobody(traced, parent):
    with traced.telemetry.span("a", parent=parent, links=[parent]) as a:
        assert a.traceparent


def test_an_error_is_told_by_its_kind_and_goes_on(traced):
    with pytest.raises(Refused, match="canary"), traced.telemetry.span("a"):
        raise Refused("canary", reason="AccessDenied")
    (step,) = traced.steps()
    assert step.failed
    assert "AccessDenied" in step.text
    assert "canary" not in step.text


def test_a_step_that_is_noted_as_failed_is(traced):
    with traced.telemetry.span("process") as step:
        step.note(outcome="failed", reason="BuildFailed", error="no such file")
    assert traced.steps()[0].failed


def test_fields_named_like_secrets_and_passwords_in_urls_do_not_leave(traced):
    with traced.telemetry.span("checkout", token="canary-1", url="https://u:canary-2@git.example/x") as step:
        step.note(password="canary-3")
        traced.telemetry.record("object created", secret="canary-4", error="https://u:canary-5@x.example")
    assert "canary" not in traced.steps()[0].text
    assert "git.example" in traced.steps()[0].text


def test_records_and_steps_of_a_scope_carry_its_fields_and_their_own_win():
    inner = MemoryTelemetry()
    scoped = Scoped(telemetry=inner, fields={"stage": "fetch", "name": "a"})
    scoped.record("x", name="b")
    with scoped.span("y", name="c"):
        pass
    assert inner.named("x") == ({"stage": "fetch", "name": "b"},)
    assert inner.steps[0].fields == {"stage": "fetch", "name": "c"}


def test_who_only_writes_records_lets_steps_pass(untraced):
    with untraced.span("a", parent=OTHER, links=[OTHER], stage="x") as step:
        step.note(outcome="failed")
        assert step.traceparent == ""
    with pytest.raises(ValueError), untraced.span("a"):
        raise ValueError


def test_the_log_keeps_its_own_words_for_time_and_severity():
    stream = io.StringIO()
    JsonLinesTelemetry(stream, SimulatedClock()).record("x", time="then", severity="none", message="y")
    told = json.loads(stream.getvalue())
    assert (told["time"], told["severity"], told["message"]) == ("2026-01-01T00:00:00.000Z", "INFO", "x")
