"""docs/operations.md counts right: its costs are made again of its own tables, its quotas are those of the code.

What the modules make is counted in tests/infra/test_costs.py.
"""

import io
import re
from collections import Counter
from dataclasses import replace

import pytest
from tests.bench.bench_cloud import fleet
from tests.docs.markdown import table, text_of
from tests.memory_plane import MemoryPlane, config_map
from tests.round_trips import BODY, Journey, receiver

from penstock.adapters.bus import pubsub, sns_sqs
from penstock.adapters.secrets import parameterstore, stored
from penstock.adapters.telemetry.jsonlines import LAMBDA, JsonLinesTelemetry, Words
from penstock.core import messages
from penstock.ports import state
from penstock.wiring import load_pipeline

PAGE = "docs/operations.md"
CALL_SECONDS = 0.010
HOURS = 24 * 30
TICKS, TICK_SECONDS = 60 * HOURS, 0.3
POLLS = 3 * 15 * 60 * 24 * 30
SECRETS = 10
EVALUATIONS = 2 * 60 * HOURS
ADDED = {"AWS": 700, "Google Cloud": 2000}
"""Bytes of log of a run that are not ours."""
READ_UNITS, WRITE_UNITS = 2, 4


def prices():
    return {row[0]: float(row[1]) for row in table(PAGE, "price", "dollars")}


def counts(column=1):
    """Of a push; of an idle hour in column 2."""
    return {row[0]: int(row[column]) for row in table(PAGE, "of", "a push", "an idle hour")}


def stages():
    """By stage: runs, billed seconds of a run, GiB."""
    found = {}
    for name, runs, processor, requests, waits, memory in table(PAGE, "stage", "runs", "processor, ms"):
        seconds = (int(processor) + int(waits)) / 1000 + int(requests) * CALL_SECONDS
        found[name] = int(runs), seconds, int(memory) / 1024
    return found


def costs():
    """1,000 pushes and a month, by line and cloud."""
    of, idle = prices(), counts(2)
    aws, google = asked_of_aws(counts()), asked_of_google(counts())
    aws["functions"] = sum(runs * lambda_run(seconds, gib) for runs, seconds, gib in stages().values())
    google["functions"] = sum(runs * cloud_run(seconds, gib) for runs, seconds, gib in stages().values())
    aws["log"], google["log"] = logged(counts(), sum(runs for runs, *_ in stages().values()))
    tick = TICK_SECONDS, load_pipeline().stage("tick").memory / 1024
    looks = [stages()[stage][1:] for stage in ("fetch", "reconcile")] * idle["runs of fetch and of reconcile, each"]
    work = (
        TICKS * lambda_run(*tick)
        + HOURS * (sum(lambda_run(*run) for run in looks) + sum(asked_of_aws(idle).values()))
        + POLLS * of["SQS"],
        TICKS * cloud_run(*tick)
        + HOURS * (sum(cloud_run(*run) for run in looks) + sum(asked_of_google(idle).values())),
    )
    month = {
        "a month without any: work": work,
        "ten secrets": (SECRETS * of["Secrets Manager"], SECRETS * of["Secret Manager"]),
        "alarms, dashboard, metrics, schedule": (watched_on_aws(made(1)), watched_on_google(made(2))),
        "log": tuple(HOURS * each for each in logged(idle, 60 + idle["messages"])),
    }
    lines = {
        f"{name}, 1,000 pushes": (1000 * aws[name], 1000 * google[name])
        for name in ("functions", "bus", "records", "artifacts", "log")
    }
    return {
        **lines,
        "**1,000 pushes**": (1000 * sum(aws.values()), 1000 * sum(google.values())),
        **month,
        "**a month without any**": tuple(sum(each) for each in zip(*month.values(), strict=True)),
        "each further region: alarms, dashboard, metrics, pollers": (
            watched_on_aws(made(3)) + POLLS * of["SQS"],
            watched_on_google(made(4)),
        ),
        "the example's KMS keys": (keys(1) * of["KMS"], keys(2) * of["Cloud KMS"]),
    }


def made(column):
    """Of the Terraform module, by row; a dash is none, or none that is billed."""
    rows = table(PAGE, "by the month", "AWS", "Google Cloud")
    return {row[0]: int(row[column]) if row[column].isdigit() else 0 for row in rows}


def keys(column):
    return made(column)["KMS keys of the example"]


def watched_on_aws(made):
    of = prices()
    return (
        made["alarms: metrics, or conditions"] * of["CloudWatch, alarms"]
        + made["metrics of the log"] * of["CloudWatch, metrics"]
        + made["dashboards"] * of["CloudWatch, dashboards"]
    )


def watched_on_google(made):
    of = prices()
    condition = of["Cloud Monitoring, alerts"] + EVALUATIONS * of["Cloud Monitoring, evaluations"]
    return made["alarms: metrics, or conditions"] * condition + made["scheduler jobs"] * of["Cloud Scheduler"]


def logged(count, runs):
    """Dollars on both clouds."""
    of = prices()
    aws, google = (count[f"bytes of log, {cloud}"] + runs * added for cloud, added in ADDED.items())
    return aws / 1e9 * of["CloudWatch, log"], google / 2**30 * of["Cloud Logging"]


def lambda_run(seconds, gib):
    return seconds * gib * prices()["Lambda, x86"] + prices()["Lambda, requests"]


def cloud_run(seconds, gib):
    of = prices()
    return seconds * (of["Cloud Run, vCPU"] + gib * of["Cloud Run, memory"]) + of["Cloud Run, requests"]


def asked_of_aws(count):
    of = prices()
    return {
        "bus": count["messages"] * (of["SNS"] + 2 * of["SQS"]) + count["looks at dead letters (AWS)"] * of["SQS"],
        "records": (count["record reads"] * READ_UNITS + count["looks at the due index (AWS: eight parts)"] * 0.5)
        * of["DynamoDB, read"]
        + count["record writes"] * WRITE_UNITS * of["DynamoDB, write"],
        "artifacts": count["artifact writes"] * of["S3, write"] + count["artifact reads"] * of["S3, read"],
    }


def asked_of_google(count):
    of = prices()
    return {
        "bus": count["messages"] * 2 * 1000 * of["Pub/Sub"],
        "records": count["record reads"] * of["Firestore, read"] + count["record writes"] * of["Firestore, write"],
        "artifacts": count["artifact writes"] * of["Cloud Storage, write"]
        + count["artifact reads"] * of["Cloud Storage, read"],
    }


def test_the_costs_are_those_of_the_tables():
    told = {row[0]: [cell.strip("*") for cell in row[1:]] for row in table(PAGE, "", "AWS", "Google Cloud")}
    assert told == {name: [f"${cost:.2f}" for cost in pair] for name, pair in costs().items()}


def test_an_idle_hour_asks_as_much_as_is_counted():
    """By the calls of the ports, on a simulated clock; a fifth more or less."""
    plane = MemoryPlane()
    plane.push(fleet())
    plane.settle()
    asked, runs = Counter(), Counter()

    class Counted:
        def __init__(self, port, what):
            self.port, self.what = port, what

        def __getattr__(self, name):
            found = getattr(self.port, name)
            if not callable(found):
                return found

            def call(*words, **more):
                asked[f"{self.what}.{name}"] += (
                    sum(map(len, more.values()), sum(map(len, words))) if name == "read" else 1
                )
                return found(*words, **more)

            return call

    step = plane.step_stage
    plane.step_stage = lambda stage: step(stage) and (runs.update([stage]) or True)
    plane.deps = replace(plane.deps, state=Counted(plane.state, "state"), storage=Counted(plane.storage, "storage"))
    idle_hour(plane)
    said = counts(2)
    found = {
        "record reads": sum(asked[f"state.{name}"] for name in ("get", "list", "read", "due")),
        "record writes": asked["state.put"] + asked["state.delete"],
        "runs of fetch and of reconcile, each": runs["fetch"],
        "messages": runs["fetch"] + runs["reconcile"] + runs["notify"],
    }
    assert abs(runs["fetch"] - runs["reconcile"]) <= 1  # at the hour's edges
    assert {name: found[name] for name in found if not 0.8 * said[name] <= found[name] <= 1.2 * said[name]} == {}, found


def idle_hour(plane):
    for _ in range(60):
        began = plane.clock.now()
        plane.tick()
        plane.settle(seconds=50)
        plane.clock.advance(max(0.0, 60 - (plane.clock.now() - began).total_seconds()))


@pytest.mark.parametrize(("cloud", "words"), [("AWS", LAMBDA), ("Google Cloud", Words(project="acme-prod"))])
def test_the_log_is_as_long_as_is_counted(cloud, words):
    """A push and an idle hour, in the lines that a function prints; a tenth more or less."""
    lines = io.StringIO()

    def written(plane):
        lines.truncate(lines.seek(0))
        plane.deps = replace(plane.deps, telemetry=JsonLinesTelemetry(lines, plane.clock, words))

    pushed = Journey()
    pushed.push(fleet())
    pushed.settle()
    path, headers = receiver(pushed)
    pushed.commit({"app/o000.yaml": config_map("o000", "default", x="1")})
    written(pushed)
    assert pushed.post(path, headers, BODY) == 202
    pushed.settle()
    push = len(lines.getvalue().encode())
    idle = MemoryPlane()
    idle.push(fleet())
    idle.settle()
    for _ in range(2):  # the second hour is like all others
        written(idle)
        idle_hour(idle)
    hour = len(lines.getvalue().encode())
    name = f"bytes of log, {cloud}"
    assert (push, hour) == (pytest.approx(counts()[name], rel=0.1), pytest.approx(counts(2)[name], rel=0.1))


def test_what_a_platform_adds_is_said():
    said = re.search(r"at ([\d,]+) bytes on AWS [^.]* and ([\d,]+) on Google Cloud", " ".join(text_of(PAGE).split()))
    assert [int(each.replace(",", "")) for each in said.groups()] == [*ADDED.values()]


def test_every_price_has_a_date_and_a_source():
    for row in table(PAGE, "price", "dollars"):
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row[3]), row
        assert re.fullmatch(
            r"(aws\.amazon|cloud\.google)\.com/[\w/-]+/pricing|(aws\.amazon|cloud\.google)\.com/[\w/-]+", row[4]
        ), row


def test_the_memory_is_what_the_pipeline_gives():
    for row in table(PAGE, "stage", "runs", "processor, ms"):
        assert int(row[5]) == load_pipeline().stage(row[0]).memory, row


QUOTAS = {
    "a message": messages.MAX_BYTES,
    "SNS batch": sns_sqs.BATCH_BYTES,
    "message timer": sns_sqs.LONGEST_TIMER,
    "Cloud Tasks": pubsub.LONGEST_DELAY,
    "a record": state.MAX_VALUE_BYTES,
    "a secret": stored.MAX_BYTES,
    "a parameter": parameterstore.MAX_BYTES,
    "longest stage": max(stage.timeout for stage in load_pipeline().stages.values()),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_our_own_limits_are_those_of_the_code(name):
    said = {row[0]: row[2] for row in table(PAGE, "limit", "theirs", "ours")}
    number = float(re.match(r"[\d,.]+", said[name])[0].replace(",", ""))
    unit = {"KiB": 1024, "kB": 1000, "s": 1, "minutes": 60, "days": 86_400}[said[name].split()[1].rstrip(";,")]
    assert number * unit == QUOTAS[name], said[name]


def test_each_secret_of_the_table_of_rotation_names_how_it_ends():
    rows = table(PAGE, "secret", "how", "the old one ends")
    assert len(rows) >= 8
    assert all(len(row) == 3 and all(row) for row in rows)


def test_a_cold_webhook_is_reckoned_with_the_processor_that_its_memory_brings():
    """Lambda: 1,769 MB are one. Git hosts wait ten seconds, and people for the push."""
    share = load_pipeline().stage("webhook").memory / 1769
    least, most = 0.31 / share, 0.42 / share
    told = " ".join(text_of("docs/aws.md").split())
    assert f"({share:.2f} of one) {least:.1f} to {most:.1f} s" in told
    assert most < 2


def test_the_page_has_what_an_operator_looks_for():
    page = text_of(PAGE)
    for heading in ("What it costs", "Quotas", "Dead letters", "Rotate a secret", "Upgrade and roll back", "Restore"):
        assert f"\n## {heading}" in page
