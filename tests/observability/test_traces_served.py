"""One push is one trace: `penstock serve` as a process, and a collector that decodes what it sends."""

import contextlib
import json
import time

import pytest
from tests.deployed import Story
from tests.observability.receiver import Collector, path_to_root, roots
from tests.observability.world import ServedFleet

pytestmark = pytest.mark.xdist_group("traces-served")  # one plane for all of them, each looks at what came so far
PUSHED = "POST /hook/{digest}"
TOLD = ("deliver", "process event")
APPS = "clusters/production/apps.yaml"


def stages_of(path):
    """A path without what sends: between two stages there is one step that sent the message."""
    assert all(path[number + 1].startswith("send") for number, name in enumerate(path) if name.startswith("process"))
    return [name for name in path if not name.startswith("send")]


def deliveries(spans):
    """How each message to the chat room came about."""
    return [stages_of(path_to_root(spans, span)) for span in spans if span.name == "deliver"]


@pytest.fixture(scope="module")
def collector():
    with Collector() as made:
        yield made


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, collector):
    with contextlib.ExitStack() as stack:
        made = ServedFleet(
            stack,
            tmp_path_factory.mktemp("served"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20collector-canary",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_METRIC_EXPORT_INTERVAL="500",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        )
        made.begin()
        collector.quiet()
        yield made


def test_a_push_is_one_trace_from_the_delivery_to_the_message(fleet, collector):
    fleet.scale(5)
    way = ["deliver", "process event", "process artifact-stored", "process source-changed", PUSHED]
    spans = collector.trace_with(PUSHED, also=(*TOLD, "apply", "checkout"), when=lambda spans: way in deliveries(spans))
    (root,) = roots(spans)
    assert (root.name, root.kind, root.parent) == (PUSHED, "SERVER", "")
    assert root.attributes["http.response.status_code"] == 202
    (checkout,) = [span for span in spans if span.name == "checkout"]
    assert path_to_root(spans, checkout) == [
        "checkout",
        "look at source",
        "process source-changed",
        "send source-changed",
        PUSHED,
    ]
    (apply,) = [span for span in spans if span.name == "apply"]
    assert path_to_root(spans, apply)[1] == "process artifact-stored"
    assert {"read artifact", "render", "plan", "watch health", "resolve head"} <= {span.name for span in spans}
    assert not [span.name for span in spans if span.failed]


def test_a_child_is_in_the_trace_of_the_push_that_changed_its_spec(fleet, collector):
    assert fleet.push({APPS: fleet.world.files[APPS].replace("interval: 10m", "interval: 11m")}) == 202
    deadline = time.monotonic() + 60
    while True:
        spans = collector.trace_with(PUSHED, also=("process source-changed",))
        children = [
            span
            for span in spans
            if span.name == "process reconcile-due"
            and span.attributes.get("penstock.kustomization") == "flux-system/apps"
        ]
        if children:
            break
        assert time.monotonic() < deadline, sorted({span.name for span in spans})
        time.sleep(0.2)
    path = path_to_root(spans, children[0])
    assert path[0] == "process reconcile-due"
    assert path[2] == "process artifact-stored"
    assert path[-1] == PUSHED
    assert len(roots(spans)) == 1


def test_attributes_are_those_of_the_semantic_conventions(fleet, collector):
    spans = collector.trace_with(PUSHED, also=TOLD)
    (process, *_) = [span for span in spans if span.name == "process source-changed"]
    assert process.kind == "CONSUMER"
    wanted = {
        "messaging.system": "penstock",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "source-changed",
        "messaging.consumer.group.name": "fetch",
        "penstock.stage": "fetch",
        "penstock.outcome": "done",
    }
    assert wanted.items() <= process.attributes.items()
    assert process.attributes["messaging.message.id"]
    (checkout,) = [span for span in spans if span.name == "checkout"]
    assert checkout.kind == "CLIENT"
    assert checkout.attributes["vcs.repository.url.full"] == fleet.world.url
    (reconcile, *_) = [span for span in spans if span.name == "process artifact-stored"]
    assert reconcile.attributes["k8s.cluster.name"] == "demo"
    resource = process.resource
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("penstock", "test")
    assert resource["service.instance.id"]
    assert "faas.name" not in resource


def test_the_log_names_the_same_trace(fleet, collector):
    spans = collector.trace_with(PUSHED, also=TOLD)
    logged = [json.loads(line) for line in fleet.lines if line.startswith("{")]
    mine = [line for line in logged if line.get("trace") == spans[0].trace]
    assert {line["stage"] for line in mine} >= {"webhook", "fetch", "reconcile", "notify"}
    ids = {span.id for span in spans}
    assert {line["span"] for line in mine} <= ids
    reconciled = [line for line in mine if line["message"] == "kustomization reconciled"]
    assert reconciled
    for line in reconciled:
        assert line["cluster"] == "demo"
        assert line["kustomization"].startswith("flux-system/")
        assert line["revision"].startswith("main@sha1:")


def test_a_forged_traceparent_is_a_link(fleet, collector):
    answers = []

    def forged(stage, method, path, headers, body):
        answers.append(
            fleet.http(stage, method, path, {**headers, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}, body)
        )
        return answers[-1]

    assert Story(fleet.world, fleet.runtime, forged, None).hook(fleet.world.canaries["hook"]) == 202
    trace = json.loads(answers[0][2])["trace"]
    assert trace != "ab" * 16
    end = time.monotonic() + 30
    while not (found := [span for span in collector.spans if span.trace == trace and span.name == PUSHED]):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert found[0].links == ("ab" * 16,)
    assert found[0].parent == ""


def test_a_schedule_that_finds_nothing_sends_nothing(fleet, collector):
    ticks = [span for span in collector.spans if span.name == "tick"]
    assert all(span.attributes["penstock.published"] > 0 for span in ticks)
    logged = [json.loads(line) for line in fleet.lines if line.startswith("{")]
    assert len(ticks) <= len([line for line in logged if line.get("stage") == "tick"])


def test_metrics_come_too_as_sums_since_the_start(fleet, collector):
    end = time.monotonic() + 30
    while "penstock.push.ready.duration" not in {name for name, _, _ in collector.metrics}:
        assert time.monotonic() < end
        time.sleep(0.2)
    named = {name: metric for name, metric, _ in collector.metrics}
    assert {"penstock.stage.duration", "gotk_reconcile_duration_seconds", "penstock.objects"} <= set(named)
    assert named["penstock.objects"]["sum"]["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE"


def resources(metric):
    """(kind, name) of each point of gotk_resource_info."""
    points = metric["gauge"]["dataPoints"]
    labels = [{each["key"]: each["value"].get("stringValue", "") for each in point["attributes"]} for point in points]
    return {(each["customresource_kind"], each["name"]) for each in labels}


def test_what_is_read_of_the_store_is_sent_where_nobody_scrapes_it(fleet, collector):
    end, wanted = time.monotonic() + 30, {("Kustomization", "apps"), ("GitRepository", "flux-system")}
    while True:
        told = {name: metric for name, metric, _ in collector.metrics}
        if "gotk_resource_info" in told and wanted <= resources(told["gotk_resource_info"]):
            break
        assert time.monotonic() < end, told.get("gotk_resource_info")
        time.sleep(0.2)
    assert {"penstock.queue.messages", "penstock.dead_letters.waiting"} <= set(told)
    dead = told["penstock.dead_letters"]["sum"]["dataPoints"]
    assert {point.get("asInt") for point in dead} == {"0"}, "an alert on a rise sees the first"


def test_the_collectors_credential_goes_there_and_nowhere_else(fleet, collector):
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer collector-canary"}
    assert b"canary" not in b"".join(collector.bodies)
    assert "collector-canary" not in fleet.said()


def test_no_secret_of_the_fleet_is_in_what_was_sent(fleet, collector):
    sent = b"".join(collector.bodies)
    assert [name for name, text in fleet.world.canaries.items() if text.encode() in sent] == []
    assert b"/services/demo" not in sent
    assert fleet.story.receiver().digest.encode() not in sent
