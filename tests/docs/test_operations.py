"""docs/operations.md counts right: its costs are made again of its own tables, its quotas are those of the code."""

import re

import pytest
from tests.docs.markdown import table, text_of

from penstock.adapters.bus import pubsub, sns_sqs
from penstock.adapters.secrets import parameterstore, stored
from penstock.core import messages
from penstock.ports import state
from penstock.wiring import load_pipeline

PAGE = "docs/operations.md"
CALL_SECONDS = 0.010
TICKS, TICK_SECONDS = 60 * 24 * 30, 0.3
POLLS = 3 * 15 * 60 * 24 * 30
SECRETS = 10
READ_UNITS, WRITE_UNITS = 2, 4


def prices():
    return {row[0]: float(row[1]) for row in table(PAGE, "price", "dollars")}


def counts():
    return {row[0]: int(row[1]) for row in table(PAGE, "of", "a push")}


def stages():
    """By stage: runs, billed seconds of a run, GiB."""
    found = {}
    for name, runs, processor, requests, waits, memory in table(PAGE, "stage", "runs", "processor, ms"):
        seconds = (int(processor) + int(waits)) / 1000 + int(requests) * CALL_SECONDS
        found[name] = int(runs), seconds, int(memory) / 1024
    return found


def costs():
    """1,000 pushes and a month, by line and cloud."""
    of, push = prices(), counts()
    aws = {
        "functions": sum(
            runs * (seconds * gib * of["Lambda, x86"] + of["Lambda, requests"])
            for runs, seconds, gib in stages().values()
        ),
        "bus": push["messages"] * (of["SNS"] + 2 * of["SQS"]),
        "records": push["record reads"] * READ_UNITS * of["DynamoDB, read"]
        + push["record writes"] * WRITE_UNITS * of["DynamoDB, write"],
        "artifacts": push["artifact writes"] * of["S3, write"] + push["artifact reads"] * of["S3, read"],
    }
    google = {
        "functions": sum(
            runs * (seconds * (of["Cloud Run, vCPU"] + gib * of["Cloud Run, memory"]) + of["Cloud Run, requests"])
            for runs, seconds, gib in stages().values()
        ),
        "bus": push["messages"] * 2 * 1000 * of["Pub/Sub"],
        "records": push["record reads"] * of["Firestore, read"] + push["record writes"] * of["Firestore, write"],
        "artifacts": push["artifact writes"] * of["Cloud Storage, write"]
        + push["artifact reads"] * of["Cloud Storage, read"],
    }
    tick = load_pipeline().stage("tick").memory / 1024
    months = {
        "AWS": TICKS * (TICK_SECONDS * tick * of["Lambda, x86"] + of["Lambda, requests"])
        + POLLS * of["SQS"]
        + SECRETS * of["Secrets Manager"],
        "Google Cloud": TICKS
        * (TICK_SECONDS * (of["Cloud Run, vCPU"] + tick * of["Cloud Run, memory"]) + of["Cloud Run, requests"])
        + SECRETS * of["Secret Manager"],
    }
    lines = {f"{name}, 1,000 pushes": (1000 * aws[name], 1000 * google[name]) for name in aws}
    lines["**1,000 pushes**"] = (1000 * sum(aws.values()), 1000 * sum(google.values()))
    lines["a month without any"] = (months["AWS"], months["Google Cloud"])
    return lines


def test_the_costs_are_those_of_the_tables():
    told = {row[0]: [cell.strip("*") for cell in row[1:]] for row in table(PAGE, "", "AWS", "Google Cloud")}
    assert told == {name: [f"${cost:.2f}" for cost in pair] for name, pair in costs().items()}


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


def test_the_page_has_what_an_operator_looks_for():
    page = text_of(PAGE)
    for heading in ("What it costs", "Quotas", "Dead letters", "Rotate a secret", "Upgrade and roll back", "Restore"):
        assert f"\n## {heading}" in page
