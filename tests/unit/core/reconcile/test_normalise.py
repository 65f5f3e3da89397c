"""What is applied carries its owner, and only what a user may write."""

import base64

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.reconcile.masked import Mask
from penstock.core.reconcile.normalise import NAME_LABEL, NAMESPACE_LABEL, normalise

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n").decode()
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "n", "creationTimestamp": None, "labels": {"a": "b"}},
    "data": {"k": "djE=", "kept": "eA=="},
    "stringData": {"k": "v2"},
    "status": {},
}


def test_a_secret_is_merged_labelled_and_stripped():
    made = normalise(SECRET, namespace="flux-system", name="apps")
    assert made["data"] == {"k": "djI=", "kept": "eA=="}
    assert "stringData" not in made
    assert "status" not in made
    assert "creationTimestamp" not in made["metadata"]
    assert made["metadata"]["labels"] == {"a": "b", NAME_LABEL: "apps", NAMESPACE_LABEL: "flux-system"}
    assert SECRET["stringData"] == {"k": "v2"}


def test_common_metadata_wins_over_the_object_but_not_over_the_owner():
    labels = {"a": "common", NAME_LABEL: "stolen"}
    made = normalise(SECRET, namespace="flux-system", name="apps", labels=labels, annotations={"x": "y"})
    assert made["metadata"]["labels"] == {"a": "common", NAME_LABEL: "apps", NAMESPACE_LABEL: "flux-system"}
    assert made["metadata"]["annotations"] == {"x": "y"}


def test_what_an_exported_object_says_of_its_old_life_is_left_out():
    """The API server takes none of it; sent all the same, it is refused, or looks like drift for ever."""
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    past = {"uid": "u", "resourceVersion": "7", "generation": 3, "selfLink": "/x", "managedFields": []}
    made = normalise({**crd, "metadata": {"name": "x", **past}, "status": {"a": 1}}, namespace="n", name="k")
    assert made == {**crd, "metadata": {"name": "x", "labels": {NAME_LABEL: "k", NAMESPACE_LABEL: "n"}}}


@pytest.mark.parametrize(("kind", "field"), [("Secret", "data"), ("ConfigMap", "binaryData"), ("ConfigMap", "data")])
def test_base64_is_on_one_line_as_the_api_server_keeps_it(kind, field):
    """kustomize's generators write lines of 70 characters."""
    wrapped = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, field: {"k": "eHh4\neHh4\n"}}
    made = normalise(wrapped, namespace="n", name="k")
    assert made[field] == {"k": "eHh4\neHh4\n" if (kind, field) == ("ConfigMap", "data") else "eHh4eHh4"}


def test_what_a_controller_fills_in_is_left_to_it():
    """Applied, an aggregated role would have no rules until the controller has filled them in again."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "x"}, "rules": []}
    assert "rules" not in normalise({**role, "aggregationRule": {"clusterRoleSelectors": []}}, namespace="n", name="k")
    assert "rules" in normalise(role, namespace="n", name="k")


@pytest.mark.parametrize(("bundle", "kept"), [("Cg==", False), ("?", False), ("", True), (PEM, True)])
def test_a_ca_bundle_that_only_keeps_a_place_does_not_take_it(bundle, kept):
    config = {"service": {"name": "a", "namespace": "b"}, "caBundle": bundle}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
        "spec": {"group": "g", "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": config}}},
    }
    made = normalise(crd, namespace="n", name="k")
    assert ("caBundle" in made["spec"]["conversion"]["webhook"]["clientConfig"]) == kept
    assert made["spec"]["conversion"]["webhook"]["clientConfig"]["service"] == config["service"]
    assert made["spec"]["group"] == "g"
    assert config["caBundle"] == bundle


def test_a_number_in_string_data_is_named():
    with pytest.raises(InvalidDocument, match=r"stringData\.port: must be a string, not int: put it in quotes"):
        normalise({**SECRET, "stringData": {"port": 80}}, namespace="n", name="k")


def test_people_never_see_the_values_of_secrets():
    last = "kubectl.kubernetes.io/last-applied-configuration"
    secret = {**SECRET, "metadata": {"name": "s", "annotations": {last: "djE="}}}
    shown = Mask()(secret)
    assert shown["data"] == {"k": "***", "kept": "***"}
    assert "v2" not in str(shown)
    assert "djE=" not in str(shown)
    other = Mask(key=b"key")({**secret, "data": {"k": "djI=", "kept": "eA=="}})
    same = Mask(key=b"key")(secret)
    assert (other["data"]["kept"] == same["data"]["kept"], other["data"]["k"] == same["data"]["k"]) == (True, False)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
    assert Mask()(config) is config


def test_whole_floats_are_integers_and_nothing_else_is_copied():
    spec = {"replicas": 1.0, "ratio": 0.5, "list": [2.0, "x"], "same": {"a": 1}}
    made = normalise({**SECRET, "kind": "Widget", "spec": spec}, namespace="n", name="k")["spec"]
    assert repr(made) == "{'replicas': 1, 'ratio': 0.5, 'list': [2, 'x'], 'same': {'a': 1}}"
    assert made["same"] is spec["same"]
