"""Flux's objects as kustomize-controller 1.9.4 wrote them on a real API server (tests/fixtures/flux, recorded)."""

import json
from pathlib import Path

import pytest

from penstock.core.errors import Terminal
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.flux.live import (
    FLUX_MANAGER,
    MOVED,
    applied_revision,
    as_document,
    as_flux_inventory,
    as_given_back,
    as_suspended,
    by_name,
    flux_inventory,
    in_flight,
    moved_by,
    parents_first,
    rendered_by,
    suspended_by_others,
)
from penstock.core.reconcile.inventory import object_id
from penstock.core.reconcile.managers import handed_over, with_managed_fields

FILE = Path(__file__).parents[3] / "fixtures" / "flux" / "applied_by_kustomize_controller_1.9.4.json"
RECORDED = json.loads(FILE.read_text())
OBJECTS = [each for each in RECORDED if each["kind"] != "Kustomization"]
APPS, ROOT = (each for each in RECORDED if each["kind"] == "Kustomization")


def entry(live, manager, operation="Apply"):
    found = [e for e in live["metadata"]["managedFields"] if (e["manager"], e["operation"]) == (manager, operation)]
    return found[0]["fieldsV1"] if found else None


@pytest.mark.parametrize("live", OBJECTS, ids=lambda live: live["kind"])
def test_fields_change_hands_there_and_back(live):
    ours = with_managed_fields(live, handed_over(live, giver=FLUX_MANAGER, taker="penstock"))
    assert entry(ours, "penstock") == entry(live, FLUX_MANAGER)
    assert entry(ours, FLUX_MANAGER) is None
    others = [e for e in live["metadata"]["managedFields"] if e["manager"] != FLUX_MANAGER]
    assert [e for e in ours["metadata"]["managedFields"] if e["manager"] != "penstock"] == others
    assert handed_over(ours, giver=FLUX_MANAGER, taker="penstock") is None, "made again it writes nothing"
    back = with_managed_fields(ours, handed_over(ours, giver="penstock", taker=FLUX_MANAGER))
    assert back == live


def test_fields_that_the_taker_has_already_are_joined():
    live = next(each for each in OBJECTS if each["kind"] == "ConfigMap")
    mine = {"manager": "penstock", "operation": "Apply", "fieldsV1": {"f:data": {"f:mine": {}}}}
    both = with_managed_fields(live, [*live["metadata"]["managedFields"], mine])
    made = with_managed_fields(both, handed_over(both, giver=FLUX_MANAGER, taker="penstock"))
    assert entry(made, "penstock")["f:data"].keys() == {"f:mine", "f:key", "f:old"}
    assert len(made["metadata"]["managedFields"]) == 1


def test_the_inventory_is_read_and_written_in_its_format():
    entries = flux_inventory(APPS)
    assert "apps_web_apps_Deployment" in {object_id(ref) for ref in entries}
    assert as_flux_inventory(entries) == APPS["status"]["inventory"]
    assert flux_inventory({"metadata": {}}) == {}
    assert applied_revision(APPS).startswith("main@sha1:")
    wrong = {**APPS, "status": {"inventory": {"entries": [{"id": "nonsense", "v": "v1"}]}}}
    with pytest.raises(Terminal, match=r"flux-system/apps: status\.inventory"):
        by_name([wrong])


def test_who_renders_whom():
    assert rendered_by(ROOT) == ("flux-system/apps", "flux-system/flux-system")
    assert parents_first(by_name([APPS, ROOT]), "flux-system/flux-system") == (
        "flux-system/flux-system",
        "flux-system/apps",
    )
    assert parents_first(by_name([APPS]), "flux-system/flux-system") == ()


def test_the_live_object_is_a_document_again():
    assert parse_kustomization(as_document(APPS)).path == "apps"
    assert "suspend" not in as_document(as_suspended(APPS, "owner"))["spec"]


def test_suspended_and_given_back_it_is_as_it_was():
    held = as_suspended(APPS, "uid/prod/flux-system/apps")
    assert (held["spec"]["suspend"], moved_by(held)) == (True, "uid/prod/flux-system/apps")
    assert as_suspended(held, "uid/prod/flux-system/apps") == held
    back = as_given_back(held, suspend=False)
    assert back["spec"] == APPS["spec"]
    assert MOVED not in back["metadata"]["annotations"]
    assert as_given_back(held, suspend=True)["spec"]["suspend"] is True


@pytest.mark.parametrize("from_git", [True, False])
def test_who_suspended_it(from_git):
    spec = {**APPS["spec"], "suspend": True}
    fields = [*APPS["metadata"]["managedFields"]]
    if from_git:
        (flux,) = (e for e in fields if e["manager"] == FLUX_MANAGER)
        added = {**flux["fieldsV1"], "f:spec": {**flux["fieldsV1"]["f:spec"], "f:suspend": {}}}
        fields = [{**flux, "fieldsV1": added} if e is flux else e for e in fields]
    live = {**APPS, "spec": spec, "metadata": {**APPS["metadata"], "managedFields": fields}}
    assert suspended_by_others(live) is not from_git
    held = as_suspended(live, "owner")
    assert suspended_by_others(held) is not from_git, "and it is known after the move"
    assert as_given_back(held, suspend=False)["spec"].get("suspend", False) is not from_git


@pytest.mark.parametrize(
    ("reason", "busy"), [("Progressing", True), ("ProgressingWithRetry", False), ("DependencyNotReady", False)]
)
def test_whether_a_run_goes_on(reason, busy):
    condition = {"type": "Reconciling", "status": "True", "reason": reason}
    assert in_flight({**APPS, "status": {"conditions": [condition]}}) is busy
    assert not in_flight(APPS)
