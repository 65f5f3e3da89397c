"""healthCheckExprs: which entry is for an object, in which order its expressions are asked, what a failure is."""

import pytest

from penstock.core.cel.expression import InvalidExpression
from penstock.core.flux.kustomization import HealthCheckExpr
from penstock.core.health.exprs import health_rules
from penstock.core.health.status import Status

NO = "data.no"
READY = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == '{}')"


def entry(kind="Thing", version="example.com/v1", **expressions):
    names = {"inProgress": "in_progress"}
    texts = {names.get(name, name): text for name, text in expressions.items()}
    return HealthCheckExpr(api_version=version, kind=kind, **{"current": NO, **texts})


def thing(kind="Thing", version="example.com/v1", **fields):
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "x"},
        "data": {"no": False, "yes": True},
        **fields,
    }


@pytest.mark.parametrize(
    ("expressions", "fields", "expected"),
    [
        ({"current": "data.yes"}, {}, Status.CURRENT),
        ({"current": NO, "failed": NO, "inProgress": NO}, {}, Status.IN_PROGRESS),
        ({"current": "data.yes", "failed": "data.yes", "inProgress": "data.yes"}, {}, Status.IN_PROGRESS),
        ({"current": "data.yes", "failed": "data.yes", "inProgress": NO}, {}, Status.FAILED),
        ({"current": "data.oops", "failed": "data.yes"}, {}, Status.FAILED),
        ({"current": "data.yes", "failed": "data.oops"}, {}, Status.UNKNOWN),
        ({"current": READY.format("True")}, {}, Status.UNKNOWN),
        ({"current": READY.format("True")}, {"status": {}}, Status.UNKNOWN),
        (
            {"current": READY.format("True"), "failed": READY.format("False")},
            {"status": {"conditions": []}},
            Status.FAILED,
        ),
        # what kstatus would look at is not looked at
        (
            {"current": "data.yes"},
            {"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            Status.CURRENT,
        ),
        ({"current": "data.yes"}, {"status": {"conditions": [{"type": "Stalled", "status": "True"}]}}, Status.CURRENT),
        # but the generation is, where it is a number
        (
            {"current": "data.yes"},
            {"metadata": {"name": "x", "generation": 2}, "status": {"observedGeneration": 1}},
            Status.IN_PROGRESS,
        ),
        (
            {"current": "data.oops"},
            {"metadata": {"name": "x", "generation": 2}, "status": {"observedGeneration": 1}},
            Status.IN_PROGRESS,
        ),
        (
            {"current": "data.yes"},
            {"metadata": {"name": "x", "generation": 2}, "status": {"observedGeneration": 2}},
            Status.CURRENT,
        ),
        (
            {"current": "data.yes"},
            {"metadata": {"name": "x", "generation": 2}, "status": {"observedGeneration": "1"}},
            Status.CURRENT,
        ),
    ],
)
def test_the_first_true_expression_decides(expressions, fields, expected):
    assert health_rules([entry(**expressions)]).assess(thing(**fields)).status is expected


def test_what_cannot_be_evaluated_says_why():
    found = health_rules([entry(current="status.phase == 'Up'")]).assess(thing(status={}))
    assert found.message == "failed to evaluate the CEL expression 'status.phase == 'Up'': no such key: phase"


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (thing(), Status.FAILED),
        (thing(version="example.com/v2beta1"), Status.FAILED),
        (thing(kind="Other"), Status.IN_PROGRESS),
        (thing(version="example.org/v1"), Status.CURRENT),
        (thing(kind="ConfigMap", version="v1"), Status.CURRENT),
        (thing(kind="Secret", version="v1"), Status.FAILED),
        (
            thing(kind="Job", version="batch/v1", status={"conditions": [{"type": "Complete", "status": "True"}]}),
            Status.CURRENT,
        ),
        (thing(kind="CronJob", version="batch/v1"), Status.FAILED),
        (None, Status.NOT_FOUND),
    ],
    ids=[
        "kind",
        "any version",
        "whole group",
        "other group",
        "other core kind",
        "core kind",
        "Job",
        "CronJob",
        "absent",
    ],
)
def test_an_entry_is_for_a_kind_or_a_whole_group(manifest, expected):
    rules = health_rules(
        [
            entry(failed="data.yes"),
            entry(kind="", inProgress="data.yes"),
            entry(kind="Secret", version="v1", failed="data.yes"),
            entry(kind="", version="batch/v1", failed="data.yes"),
        ]
    )
    assert rules.assess(manifest).status is expected


EVALUATOR = "failed to create custom status evaluator for healthchecks"
PREFIX = "Reconciliation failed terminally due to configuration error: "


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [entry(), entry(current="data.")],
            "duplicate custom health check for GroupKind Thing.example.com at healthchecks[1]",
        ),
        (
            [entry(kind=""), entry(kind="", version="example.com/v2")],
            "duplicate custom health check for GroupKind .example.com at healthchecks[1]",
        ),
        (
            [entry(), entry(kind="Other", failed="data.")],
            f"{EVALUATOR}[1]: failed to parse the expression Failed: failed to parse the CEL expression 'data.': ",
        ),
        ([entry(inProgress="a b")], "healthchecks[0]: failed to parse the expression InProgress: "),
        ([entry(current="has(status)")], "has() argument must be a field selection"),
    ],
)
def test_a_wrong_entry_is_terminal(entries, message):
    with pytest.raises(InvalidExpression) as refused:
        health_rules(entries)
    assert str(refused.value).startswith(PREFIX)
    assert message in str(refused.value)
    assert refused.value.reason == "InvalidCELExpression"
