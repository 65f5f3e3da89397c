"""Taking over fields from kubectl and Flux: which entries of managedFields become ours."""

import pytest

from penstock.core.reconcile.managers import as_taken_over, taken_over

OURS = {"manager": "penstock", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}}


def entry(manager, operation="Update", **more):
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": {"f:data": {"f:b": {}}}, **more}


def live(*entries):
    return {"kind": "ConfigMap", "metadata": {"name": "x", "managedFields": list(entries)}}


@pytest.mark.parametrize(
    "theirs",
    [
        entry("kubectl-client-side-apply"),
        entry("kubectl-edit"),
        entry("kubectl", "Apply"),
        entry("before-first-apply"),
        entry("kustomize-controller", "Apply"),
        entry("kustomize-controller"),
    ],
    ids=lambda each: f"{each['manager']}-{each['operation']}",
)
def test_what_kubectl_and_flux_set_becomes_ours(theirs):
    (merged,) = taken_over(live(OURS, theirs), "penstock")
    assert (merged["manager"], merged["operation"]) == ("penstock", "Apply")
    assert merged["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    (alone,) = taken_over(live(theirs), "penstock")
    assert alone["fieldsV1"] == {"f:data": {"f:b": {}}}


@pytest.mark.parametrize(
    "theirs",
    [
        entry("kubectl", "Update", subresource="scale"),
        entry("before-first-apply", "Apply"),
        entry("kube-controller-manager"),
        entry("helm"),
    ],
    ids=lambda each: f"{each['manager']}-{each['operation']}",
)
def test_what_others_set_stays_theirs(theirs):
    assert taken_over(live(OURS, theirs), "penstock") is None
    assert as_taken_over(live(OURS, theirs), "penstock") == live(OURS, theirs)
    edited = entry("kubectl-edit")
    assert taken_over(live(OURS, theirs, edited), "penstock")[1:] == [theirs]


def test_nothing_is_changed_in_place():
    before = live(OURS, entry("kubectl-edit"))
    taken_over(before, "penstock")
    assert before == live(OURS, entry("kubectl-edit"))


def test_what_the_operator_overrides_becomes_ours_too():
    helm, other = entry("helm-controller"), entry("kube-controller-manager")
    assert taken_over(live(OURS, helm, other), "penstock", ("helm",))[1:] == [other]
    assert taken_over(live(OURS, entry("helm", "Apply")), "penstock", ("helm",)) is not None
    assert taken_over(live(OURS, entry("helm", subresource="scale")), "penstock", ("helm",)) is None
    assert taken_over(live(OURS, other), "penstock", ("pen", "penstock")) is None, "a prefix of our own name"
