"""One push is one trace over separate processes: each function by functions-framework, over the Pub/Sub emulator."""

import contextlib
import os

import pytest
from tests.google.test_deployed import Deployed
from tests.observability.receiver import Collector, path_to_root, roots
from tests.observability.test_traces_served import PUSHED, deliveries

STAGES = ("webhook", "fetch", "reconcile", "notify")

pytestmark = pytest.mark.xdist_group("deployed-google")  # two planes at once would be too many for a small machine


class Exporting(Deployed):
    """The same functions, told of a collector as Terraform would tell them."""

    def __init__(self, stack, directory, collector):
        self.collector = collector
        super().__init__(stack, directory)

    def more(self, stage):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "K_SERVICE": f"plane-1-{stage}"}


@pytest.fixture(scope="module")
def collector():
    with Collector() as made:
        yield made


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, collector):
    for variable in ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST"):
        if os.environ.get(variable):
            pytest.skip(f"{variable}: this test wants an emulator of its own")
    with contextlib.ExitStack() as stack:
        made = Exporting(stack, tmp_path_factory.mktemp("exporting"), collector)
        made.story.begin()
        collector.quiet(8)
        made.world.scale(5)
        assert made.story.hook(made.world.canaries["hook"]) == 202
        made.story.until(lambda: made.world.changes_told() == 1, "the message")
        yield made


@pytest.mark.real
def test_four_processes_make_one_trace(deployed, collector):
    way = ["deliver", "process event", "process artifact-stored", "process source-changed", PUSHED]
    spans = collector.trace_with(PUSHED, also=("apply",), when=lambda spans: way in deliveries(spans))
    assert len(roots(spans)) == 1
    assert {span.resource["faas.name"] for span in spans} == {f"plane-1-{stage}" for stage in STAGES}
    assert len({span.resource["service.instance.id"] for span in spans}) == len(STAGES)
    (checkout,) = [span for span in spans if span.name == "checkout"]
    assert checkout.resource["faas.name"] == "plane-1-fetch"
    assert path_to_root(spans, checkout)[-1] == PUSHED
    systems = {span.attributes.get("messaging.system") for span in spans} - {None}
    assert systems == {"gcp_pubsub"}
    resource = spans[0].resource
    assert (resource["cloud.provider"], resource["cloud.region"]) == ("gcp", "europe-west3")


@pytest.mark.real
def test_each_run_has_sent_what_it_told_before_it_answered(deployed, collector):
    """Nothing runs between two calls of a function: no thread could send later."""
    for stage in STAGES:
        cold = [
            span
            for span in collector.spans
            if span.resource["faas.name"] == f"plane-1-{stage}" and span.attributes.get("faas.coldstart")
        ]
        assert len({span.attributes.get("penstock.stage") for span in cold}) == 1, stage
    names = {name: metric for name, metric, _ in collector.metrics}
    assert {"faas.coldstarts", "penstock.stage.duration", "penstock.push.ready.duration", "penstock.queue.age"} <= set(
        names
    )


@pytest.mark.real
def test_functions_send_differences(deployed, collector):
    sums = [metric["sum"] for name, metric, _ in collector.metrics if name == "faas.coldstarts"]
    assert {each["aggregationTemporality"] for each in sums} == {"AGGREGATION_TEMPORALITY_DELTA"}
    points = [point for each in sums for point in each["dataPoints"]]
    counted = {point["attributes"][0]["value"]["stringValue"]: int(point["asInt"]) for point in points}
    assert {stage: counted[stage] for stage in STAGES} == dict.fromkeys(STAGES, 1)
