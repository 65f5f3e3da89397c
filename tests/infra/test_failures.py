"""What the alarms "failures" of both clouds count: runs that failed and messages that were given up, not every line of an error."""

import io
import json
import re
from dataclasses import replace

import pytest
from tests.infra.hcl import read
from tests.infra.terraform import INFRA
from tests.memory_plane import URL, MemoryPlane

from penstock.adapters.telemetry.jsonlines import PLAIN, JsonLinesTelemetry
from penstock.core.errors import Terminal, Transient
from penstock.ports.bus import DeadLetter
from penstock.wiring.reports import announce
from penstock.wiring.run import run_tick

FILTERS = {
    "aws": ("aws_cloudwatch_log_metric_filter", "pattern", r"\$\.(\w+)"),
    "google": ("google_logging_metric", "filter", r"jsonPayload\.(\w+)"),
}
"""By cloud: type, argument, and how a field of a line is written in it."""


def counts(cloud):
    """The filter as a function of a line: comparisons for equality, "and" and "or" are all that it has."""
    type_, argument, field = FILTERS[cloud]
    text = read(INFRA / cloud).resources["resource", type_, "failures"][argument].strip('"').replace('\\"', '"')
    text = text.strip("{} ").removeprefix("${local.logs} AND ")
    text = re.sub(field + r' ?= ?"([^"]*)"', r'(line.get("\1") == "\2")', text)
    program = text.replace("&&", "and").replace("||", "or").replace("AND", "and").replace("OR", "or")
    return eval(f"lambda line: {program}")


class Broken:
    """A store that refuses everything."""

    def __getattr__(self, name):
        def refuse(*_words, **_more):
            raise Terminal("no right to read")

        return refuse


@pytest.mark.parametrize("cloud", FILTERS)
def test_failures_are_runs_that_failed_and_messages_that_were_given_up(cloud):
    plane, lines = MemoryPlane(), io.StringIO()
    plane.deps = replace(plane.deps, telemetry=JsonLinesTelemetry(lines, plane.clock, PLAIN))
    plane.git.fail(URL, Transient("the Git server does not answer"))
    plane.settle()
    run_tick(plane.pipeline.stage("tick"), replace(plane.deps, state=Broken()), plane.bus)
    letter = DeadLetter(receipt="1", stage="notify", body=b"{}", error="refused")
    announce(letter, plane.bus, plane.clock, plane.deps.telemetry)
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert {"source looked at", "stage finished", "dead letter"} <= {line["message"] for line in found}
    assert "failed" in {line["outcome"] for line in found if line["message"] == "source looked at"}
    counted = [(line["message"], line["stage"]) for line in found if counts(cloud)(line)]
    assert counted == [("stage finished", "tick"), ("dead letter", "notify")]
