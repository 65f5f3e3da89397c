"""Comparisons that need not be made again."""

import pytest

from penstock.core.drift.compare import Verdict
from penstock.core.reconcile import plan as planning
from penstock.core.reconcile.equal import KnownEqual
from penstock.core.reconcile.normalise import NAME_LABEL, NAMESPACE_LABEL
from penstock.core.reconcile.plan import Action, Ownership, plan
from penstock.core.resources import ref_of

LABELS = {NAME_LABEL: "app", NAMESPACE_LABEL: "flux-system"}


def desired(value="1"):
    metadata = {"name": "c", "namespace": "apps", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def live(value="1", version="7", uid="u"):
    made = desired(value)
    fields = {"f:data": {"f:key": {}}, "f:metadata": {"f:labels": {f"f:{key}": {} for key in LABELS}}}
    managed = [{"manager": "penstock", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}]
    return {**made, "metadata": {**made["metadata"], "uid": uid, "resourceVersion": version, "managedFields": managed}}


@pytest.fixture
def compared(monkeypatch):
    """How often objects were compared."""
    calls = []
    real = planning.compare_ignoring

    def counting(*args, **kwargs):
        found = real(*args, **kwargs)
        calls.append(found.verdict)
        return found

    monkeypatch.setattr(planning, "compare_ignoring", counting)
    return calls


def action(equal, wanted, found):
    ownership = Ownership(namespace="flux-system", name="app", manager="penstock", claimed={}, equal=equal)
    (change,) = plan([wanted], {ref_of(wanted): found}, {}, ownership, prune=True).changes
    return change.action


def test_the_same_two_are_compared_once(compared):
    equal = KnownEqual()
    assert [action(equal, desired(), live()) for _ in range(3)] == [Action.UNCHANGED] * 3
    assert compared == [Verdict.EQUAL]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (desired("2"), live(), Action.CONFIGURED),
        (desired(), live("2", version="8"), Action.CONFIGURED),
        (desired(), live("2", uid="another"), Action.CONFIGURED),
        (desired(), live(version="8"), Action.UNCHANGED),
    ],
)
def test_whatever_changes_is_compared_again(compared, wanted, found, expected):
    equal = KnownEqual()
    action(equal, desired(), live())
    assert action(equal, wanted, found) is expected
    assert len(compared) == 2


def test_what_differs_is_not_remembered(compared):
    equal = KnownEqual()
    assert [action(equal, desired("2"), live()) for _ in range(2)] == [Action.CONFIGURED] * 2
    assert len(compared) == 2


def test_rules_count(compared):
    equal = KnownEqual()
    equal.remember(desired(), live(), ())
    assert equal.holds(desired(), live(), ())
    assert not equal.holds(desired(), live(), ("rule",))


def test_there_is_a_bound_and_objects_without_a_version_are_not_kept():
    equal = KnownEqual(kept=2)
    for uid in ("a", "b", "c"):
        equal.remember(desired(), live(uid=uid), ())
    assert [equal.holds(desired(), live(uid=uid), ()) for uid in ("a", "b", "c")] == [False, False, True]
    equal.remember(desired(), live(version="", uid=""), ())
    assert not equal.holds(desired(), live(version="", uid=""), ())
