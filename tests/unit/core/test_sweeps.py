"""Who is looked at together."""

import pytest

from penstock.core.messages import ReconcileDue
from penstock.core.records import Condition, KustomizationStatus, ObjectRecord
from penstock.core.sweeps import MOST_OBJECTS, MOST_TOGETHER, Member, early_enough, may_join, together


def member(name, cluster="prod", objects=10):
    return Member(message=ReconcileDue(cluster=cluster, namespace="n", name=name, why="interval"), objects=objects)


def told(messages):
    return [(each.cluster, each.name, *each.others) for each in messages]


def test_those_of_a_cluster_make_one_message():
    found = together([member("a"), member("x", "stage"), member("b"), member("c")])
    assert told(found) == [("prod", "a", "n/b", "n/c"), ("stage", "x")]
    assert {each.why for each in found} == {"interval"}
    assert together([]) == []


def test_a_sweep_has_bounds():
    many = together([member(str(number)) for number in range(2 * MOST_TOGETHER + 1)])
    assert [1 + len(each.others) for each in many] == [MOST_TOGETHER, MOST_TOGETHER, 1]
    large = together([member("a", objects=MOST_OBJECTS), member("b", objects=1), member("c", objects=MOST_OBJECTS - 1)])
    assert told(large) == [("prod", "a"), ("prod", "b", "n/c")]
    assert told(together([member("huge", objects=10 * MOST_OBJECTS)])) == [("prod", "huge")]


READY = (Condition(type="Ready", status="True", reason="", message=""),)


@pytest.mark.parametrize(
    ("status", "joins"),
    [
        (KustomizationStatus(conditions=READY), True),
        (KustomizationStatus(), False),
        (KustomizationStatus(conditions=READY, waiting_for=("n/x",)), False),
        (KustomizationStatus(conditions=READY, pending={"deadline": 1}), False),
    ],
)
def test_only_who_is_in_order_joins(status, joins):
    assert may_join(status) is joins


def record(interval, **more):
    spec = {"interval": interval, "prune": True, "sourceRef": {"kind": "GitRepository", "name": "s"}}
    document = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": spec,
    }
    return ObjectRecord(document=document, **more)


@pytest.mark.parametrize(
    ("found", "seconds", "early"),
    [
        (record("10m"), 60, True),
        (record("10m"), 61, False),
        (record("1h"), 60, True),
        (record("1h"), 61, False),
        (record("1m"), 6, True),
        (record("1m"), 7, False),
        (record("10m", tombstone=True), 1, False),
        (record("soon"), 1, False),
    ],
)
def test_a_tenth_of_the_interval_early_at_most(found, seconds, early):
    assert early_enough(found, seconds) is early
