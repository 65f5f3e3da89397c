import json

import pytest

from penstock.core import records
from penstock.core.errors import Terminal
from penstock.core.records import (
    Approval,
    Condition,
    DeliveryRecord,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    ReceiverRecord,
    SourceStatus,
    Suspension,
)
from penstock.core.tree import Inputs

READY = Condition(type="Ready", status="True", reason="ReconciliationSucceeded", message="m", since="t")
FULL = [
    ObjectRecord(document={"kind": "Kustomization"}, parent="a/b", generation=3, account="x", tombstone=True),
    SourceStatus(revision="main@sha1:abc", artifact="sha256:x", observation=4, conditions=(READY,), error="x"),
    KustomizationStatus(
        conditions=(READY,),
        last_applied_revision="main@sha1:abc",
        inputs=Inputs(files=("a",), listings=("",), absences=("b",)),
        waiting_for=("a/b",),
        pending={"until": 1.5},
        rendered=("id",),
        inventory=("id",),
        history=({"outcome": "x"},),
        suspension=Suspension(who="me", why="because"),
    ),
    ReceiverRecord(
        cluster="c",
        namespace="n",
        name="r",
        type="github",
        digest="ab" * 32,
        secret="webhook_c_n_r",
        events=("push",),
        resources=({"kind": "GitRepository", "namespace": "n", "name": "x"},),
    ),
    DeliveryRecord(delivered_at="t", delivered_event="push"),
    PlaneRecord(uid="ab" * 16, document={"kind": "Plane"}),
    Approval(digest="sha256:x", who="me", when="t"),
]
EMPTY = [SourceStatus(), KustomizationStatus(), DeliveryRecord(), ObjectRecord(document={})]


@pytest.mark.parametrize("record", FULL + EMPTY, ids=lambda r: type(r).__name__)
def test_a_record_comes_back_from_json_as_it_went_in(record):
    assert type(record).from_value(json.loads(json.dumps(record.to_value()))) == record


@pytest.mark.parametrize("record", FULL, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("number", [2, None, "1"])
def test_a_format_of_another_release_is_refused(record, number):
    with pytest.raises(Terminal, match="a newer release wrote it, upgrade this one"):
        type(record).from_value({**record.to_value(), "format": number})


@pytest.mark.parametrize("record", FULL, ids=lambda r: type(r).__name__)
def test_a_field_of_a_later_release_of_this_format_is_left_out(record):
    assert type(record).from_value({**record.to_value(), "later": 1}) == record


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (records.object_key("c", "Kustomization", "n", "x"), "object/c/Kustomization/n/x"),
        (records.status_key("-", "GitRepository", "n", "x"), "status/-/GitRepository/n/x"),
        (records.receiver_key("d", "c", "n", "x"), "receiver/d/c/n/x"),
        (records.delivery_key("c", "n", "x"), "delivery/c/n/x"),
        (records.approval_key("c", "n", "x"), "approval/c/n/x"),
        (records.lease_key("c", "n", "x"), "lease/c/n/x"),
        (records.PLANE_KEY, "plane"),
    ],
)
def test_keys(key, text):
    assert key == text


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ((), False),
        ((READY,), True),
        ((Condition(type="Ready", status="False", reason="r", message="m"),), False),
        ((Condition(type="Reconciling", status="True", reason="r", message="m"),), False),
    ],
)
def test_ready(conditions, ready):
    assert KustomizationStatus(conditions=conditions).ready() == ready


def test_a_condition_by_type():
    status = KustomizationStatus(conditions=(READY,))
    assert status.condition("Ready") is READY
    assert status.condition("Stalled") is None
