"""The deployed shape: each function by AWS's own runtime client, in a process and environment of its own, from the
unpacked aws.zip and nothing else, on moto's server with what Terraform's module made there; pollers do what the event source
mappings say, a function URL what AWS's front does. The story is tests/deployed.py's. A collector hears what they tell of
themselves: each before it answers, since nothing runs between two calls.
"""

import base64
import contextlib
import json
import os
import re
import threading
from pathlib import Path

import pytest
from tests.aws import events
from tests.aws.functions import function
from tests.aws.heard import heard
from tests.aws.made import made
from tests.aws.plane import NAMES
from tests.deployed import GIVEN, Story, World
from tests.docs.markdown import fences
from tests.infra import iam
from tests.infra.applied import run
from tests.infra.aws_calls import needs
from tests.needles import needles
from tests.observability.logs import documented
from tests.observability.prometheus import newer, prometheus
from tests.observability.receiver import Collector, path_to_root, roots
from tests.observability.test_prometheus import OF_SERVE, QUERIES, RULES, metrics_of
from tests.observability.test_traces_served import PUSHED, deliveries
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.adapters.telemetry.otel.instruments import CATALOGUE
from penstock.core.messages import PLANE, Envelope, SourceChanged
from penstock.ports.bus import Dispatch
from penstock.wiring import Runtime, load_pipeline, settings_from

PIPELINE = load_pipeline()
OTLP_FLAGS = (
    "--web.enable-otlp-receiver",
    "--enable-feature=otlp-deltatocumulative,created-timestamp-zero-ingestion",
)
HEADERS = "x-key=collector-canary"
WAY = [
    ("deliver", "notify"),
    ("process event", "notify"),
    ("process artifact-stored", "reconcile"),
    ("process source-changed", "fetch"),
    (PUSHED, "webhook"),
]
"""Of a push, from its message in the chat room back to its delivery: each run, and in which function."""

pytestmark = pytest.mark.xdist_group("deployed-aws")  # one plane for all of them


def way_to_root(spans, span):
    """A span and all that it is part of, the root last."""
    known, found = {each.id: each for each in spans}, [span]
    while found[-1].parent:
        found.append(known[found[-1].parent])
    return found


class Poller:
    """An event source mapping: batches, of which is deleted what the function does not report."""

    def __init__(self, source, running):
        self.source, self.running = source, running
        self.stopping, self.errors = threading.Event(), []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def run(self):
        sqs, stage = Clients(NAMES.region).client("sqs"), PIPELINE.stage(self.source.stage)
        url = sqs.get_queue_url(QueueName=self.source.queue)["QueueUrl"]
        asked = {
            "QueueUrl": url,
            "MaxNumberOfMessages": self.source.batch,
            "WaitTimeSeconds": 1,
            "AttributeNames": ["All"],
        }
        while not self.stopping.is_set():
            messages = sqs.receive_message(**asked).get("Messages", ())
            if not messages:
                continue
            batch = [(m["Body"], m["ReceiptHandle"], int(m["Attributes"]["ApproximateReceiveCount"])) for m in messages]
            event = events.sqs(*batch, stage=stage.name)
            try:
                answer = self.running.invoke(event, seconds=stage.timeout)
            except Exception as error:
                self.errors.append(error)
                return
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for record, (_, receipt, _) in zip(event["Records"], batch, strict=True):
                if record["messageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)


class Deployed:
    """The plane's resources, its functions, and the world around them."""

    def __init__(self, stack, directory, collector):
        self.collector, self.logs = collector, directory / "logs"
        self.logs.mkdir()
        self.made = stack.enter_context(made(directory))
        self.world = World(stack, directory)
        (directory / "runtime").mkdir()
        root, client = bundles.made("aws").root, bundles.runtime(directory / "runtime")
        self.functions = {
            name: stack.enter_context(function(root, client, name, self.environment(name), self.logs / name))
            for name in self.made.environments
        }
        sources = {each.stage: Poller(each, self.functions[each.stage]) for each in self.made.sources}
        self.pollers = {stage: stack.enter_context(poller) for stage, poller in sources.items()}
        self.story = Story(self.world, Runtime(settings_from(self.made.shell)), self.http, self.tick)

    def environment(self, stage):
        """What its configuration says, what Lambda adds, keys of its own, as a role gives them, and its secrets."""
        keys = {"AWS_ACCESS_KEY_ID": f"key-of-{stage}", "AWS_SECRET_ACCESS_KEY": f"secret-of-{stage}"}
        telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "OTEL_EXPORTER_OTLP_HEADERS": HEADERS}
        # what an operator may set to see more; at DEBUG libraries tell requests with all that is in them
        loud = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}
        added = {"AWS_REGION": NAMES.region, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], **telemetry, **loud}
        secrets = {name: text for name, text in self.world.own(stage).items() if name.startswith("PENSTOCK_SECRET_")}
        return {**self.made.environments[stage], **added, **keys, **secrets}

    def http(self, stage, method, path, headers, body):
        """As a function URL hands a request on."""
        path, _, query = path.partition("?")
        event = events.function_url(method, path, headers=headers, body=body, query=query)
        answer = self.functions[stage].invoke(event, seconds=60)
        text = base64.b64decode(answer["body"]).decode() if answer.get("isBase64Encoded") else answer.get("body", "")
        return answer["statusCode"], {n.lower(): v for n, v in answer.get("headers", {}).items()}, text

    def tick(self):
        """The scheduled rule's call."""
        (stage,) = self.made.scheduled
        assert self.functions[stage].invoke(events.schedule("aws.events"), seconds=60) is None


@pytest.fixture(scope="module", params=[run.how()])
def deployed(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector())
        calls = stack.enter_context(heard())
        found = Deployed(stack, tmp_path_factory.mktemp("deployed"), collector)
        found.calls = calls
        found.story.begin()
        collector.quiet()
        yield found


def test_a_signed_push_changes_the_cluster_and_tells_once(deployed):
    deployed.story.push()


def test_that_push_is_one_trace_over_four_functions(deployed):
    wanted = [name for name, _ in WAY]
    spans = deployed.collector.trace_with(PUSHED, also=("apply",), when=lambda spans: wanted in deliveries(spans))
    (root,) = roots(spans)
    assert (root.name, root.kind, root.attributes["http.response.status_code"]) == (PUSHED, "SERVER", 202)
    where = {span.id: span.resource["faas.name"].removeprefix("plane-1-") for span in spans}
    told = [span for span in spans if span.name == "deliver"]
    ways = [
        [(each.name, where[each.id]) for each in way_to_root(spans, span) if not each.name.startswith("send")]
        for span in told
    ]
    assert WAY in ways
    assert len({span.resource["service.instance.id"] for span in spans}) == len({*where.values()}) == 4
    assert {span.attributes.get("messaging.system") for span in spans} - {None} == {"aws.sns"}
    resource = root.resource
    assert (resource["cloud.provider"], resource["cloud.region"]) == ("aws", NAMES.region)
    assert not [span.name for span in spans if span.failed]
    # two calls of a function are two invocations, and each step says in which it was made
    calls = {span.attributes.get("faas.invocation_id") for span in spans if span.name.startswith("process")}
    assert None not in calls
    assert len(calls) >= 3
    (checkout,) = [span for span in spans if span.name == "checkout"]
    assert path_to_root(spans, checkout)[-1] == PUSHED


def test_a_tick_finds_a_commit_that_nobody_told_of(deployed):
    deployed.story.scheduled()


def test_the_api_tells_what_is_and_reconciles(deployed):
    deployed.story.asked()


def test_each_process_has_its_own_credentials_and_tells_none(deployed):
    """Not even in its memory of the environment: what Linux says that each process was started with."""
    canaries = deployed.world.canaries
    for stage, running in deployed.functions.items():
        given = Path(f"/proc/{running.process.pid}/environ").read_text()
        held = {name for name, text in canaries.items() if text in given}
        assert held == set(GIVEN.get(stage, ())), stage
        assert [other for other in PIPELINE.stages if f"secret-of-{other}" in given] == [stage]
        log = (deployed.logs / stage).read_bytes()
        assert b'"stage finished"' in log, stage
        assert [name for name, text in canaries.items() if any(form in log for form in needles(text))] == [], stage


def test_each_line_of_a_log_is_an_object_in_lambdas_words(deployed):
    for stage in PIPELINE.stages:
        for line in (deployed.logs / stage).read_text().splitlines():
            told = json.loads(line)
            assert {"timestamp", "level", "message"} <= told.keys(), line
            assert told.keys() <= documented(), line
            if told["message"] == "stage finished":
                assert {"requestId", "trace", "span", "stage", "outcome", "milliseconds"} <= told.keys(), line


def test_each_function_has_sent_what_it_told_before_it_answered(deployed):
    """All of it is here although nobody calls them any more; the first run of each process says so, and no other."""
    deployed.collector.quiet()
    counted = {}
    for name, metric, resource in deployed.collector.metrics:
        if name == "faas.coldstarts":
            assert metric["sum"]["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_DELTA"
            for point in metric["sum"]["dataPoints"]:
                stage = resource["faas.name"].removeprefix("plane-1-")
                assert point["attributes"][0]["value"]["stringValue"] == stage
                counted[stage] = counted.get(stage, 0) + int(point["asInt"])
    assert counted == dict.fromkeys(PIPELINE.stages, 1)
    ended = {stage: (deployed.logs / stage).read_text().count('"stage finished"') for stage in PIPELINE.stages}
    runs = dict.fromkeys(PIPELINE.stages, 0)
    ages = dict.fromkeys(PIPELINE.stages, 0)
    for name, metric, _ in deployed.collector.metrics:
        for point in metric.get("histogram", {}).get("dataPoints", ()):
            labels = {each["key"]: each["value"].get("stringValue") for each in point["attributes"]}
            if name == "penstock.stage.duration":
                runs[labels["stage"]] += int(point["count"])
            if name == "penstock.queue.age":
                ages[labels["stage"]] += int(point["count"])
                assert float(point["sum"]) < 60 * int(point["count"])
    assert runs == ended
    assert ages == {stage: ended[stage] if stage in {each.name for each in PIPELINE.queues()} else 0 for stage in ended}
    names = {name for name, _, _ in deployed.collector.metrics}
    assert {"penstock.push.ready.duration", "penstock.objects", "penstock.notifications"} <= names


def test_no_secret_of_the_fleet_is_in_what_was_sent(deployed):
    sent = b"".join(deployed.collector.bodies)
    assert {headers.get("x-key") for headers in deployed.collector.headers} == {"collector-canary"}
    hidden = [*deployed.world.canaries.values(), "collector-canary", deployed.story.receiver().digest, "/services/demo"]
    hidden += [f"{kind}-of-{stage}" for kind in ("key", "secret") for stage in PIPELINE.stages]
    assert [text for text in hidden if text.encode() in sent] == []


def test_nothing_was_lost_or_failed(deployed):
    assert [poller.errors for poller in deployed.pollers.values()] == [[], [], []]
    assert deployed.story.runtime.bus.dead_letters() == ()
    assert deployed.world.changes_told() == deployed.world.scaled


def test_each_call_is_one_that_the_functions_role_allows(deployed):
    """By the policies that stand in IAM; by hand nobody makes any. What moto itself does not ask."""
    if run.how() != "terraform":
        pytest.skip("no Terraform made roles")
    made = [
        (key.removeprefix("key-of-"), *need)
        for key, *call in deployed.calls
        if key.startswith("key-of-")
        for need in needs(*call)
    ]
    policies = deployed.made.policies
    refused = {f"{stage}: {what}" for stage, *what in made if not iam.allowed(policies[stage], *what)}
    assert refused == set()
    asked = {stage: {act for other, act, *_ in made if other == stage} for stage in PIPELINE.stages}
    assert {"sns:Publish", "s3:PutObject", "dynamodb:PutItem"} <= asked["fetch"]
    assert {"s3:GetObject", "secretsmanager:CreateSecret"} <= asked["reconcile"]
    assert "dynamodb:BatchGetItem" in asked["tick"]
    assert "sns:Publish" in asked["webhook"]


def test_what_no_attempt_ends_becomes_a_dead_letter_that_tick_tells_of(deployed):
    """By the queue's own redrive policy; the last of the story, since fetch stops for it."""
    deployed.pollers["fetch"].stop()
    sqs, pipeline = Clients(NAMES.region).client("sqs"), PIPELINE.stage("fetch")
    url = sqs.get_queue_url(QueueName=next(each.queue for each in deployed.made.sources if each.stage == "fetch"))[
        "QueueUrl"
    ]
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["RedrivePolicy"])
    assert policy["maxReceiveCount"] == pipeline.attempts
    wake = SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system")
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    deployed.story.runtime.bus.publish(
        [Dispatch(envelope=Envelope(message=wake, id="killer", traceparent=traceparent))]
    )
    for _ in range(pipeline.attempts):
        assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    deployed.tick()
    (letter,) = deployed.story.runtime.bus.dead_letters()
    assert (letter.stage, letter.error) == ("fetch", "not finished in 8 attempts: its worker died or hung each time")


# Prometheus


@pytest.fixture(scope="module")
def server(deployed, tmp_path_factory):
    """Prometheus, as the page says for functions, when it was sent what these sent."""
    directory = tmp_path_factory.mktemp("prometheus")
    (directory / "prometheus.yaml").write_text("{}")
    with prometheus(directory / "prometheus.yaml", directory, *OTLP_FLAGS, binary=newer()) as running:
        deployed.collector.quiet()
        for path, body in zip(deployed.collector.requests, deployed.collector.bodies, strict=True):
            if path == "/v1/metrics":
                running.take(body)
        yield running


@pytest.mark.real
@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_of_the_dashboard_has_series_of_functions_or_says_why_not(server, title, expression):
    filled = re.sub(r"\$(cluster|stage)", ".*", expression.replace("$__rate_interval", "10m").replace("$__range", "1h"))
    found = server.query(filled)
    of_serve = set(metrics_of(expression)) & set(OF_SERVE)
    assert bool(found) != bool(of_serve), (title, found)


@pytest.mark.real
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_metric_of_an_alert_is_told_by_functions(server, rule):
    for name, labels in metrics_of(rule["expr"]).items():
        series = server.query(name)
        if name in (*OF_SERVE, "up"):
            assert series == []
            continue
        assert series, name
        for label in labels:
            assert any(label in each["metric"] for each in series), f"{name} has no label {label}"


@pytest.mark.real
def test_every_metric_of_functions_has_its_name_and_labels(server):
    for instrument in CATALOGUE:
        name = instrument.prometheus
        series = server.query(f"{name}_count" if instrument.kind == "histogram" else name)
        assert bool(series) != instrument.served_only, name
        told = set().union(*(each["metric"] for each in series)) - {"__name__", "job", "instance"}
        assert told <= {label.replace(".", "_") for label in instrument.labels}, name
        assert {each["metric"]["job"] for each in series} <= {"penstock"}


@pytest.mark.real
def test_prometheus_runs_as_the_page_says():
    (block,) = [
        fence.text for fence in fences("docs/observability.md", "sh") if "web.enable-otlp-receiver" in fence.text
    ]
    assert set(OTLP_FLAGS) <= set(block.replace("\\\n", " ").split())


@pytest.mark.real
def test_what_was_told_is_counted_whole(server, deployed):
    """Each run of each process, its first one too: of differences nothing is lost on the way."""
    for stage in PIPELINE.stages:
        ended = (deployed.logs / stage).read_text().count('"stage finished"')
        (counted,) = server.query(f'sum(penstock_stage_duration_seconds_count{{stage="{stage}"}})')
        assert float(counted["value"][1]) == ended
        (risen,) = server.query(f'sum(increase(penstock_stage_duration_seconds_count{{stage="{stage}"}}[30m]))')
        assert float(risen["value"][1]) >= ended * 0.9, stage
