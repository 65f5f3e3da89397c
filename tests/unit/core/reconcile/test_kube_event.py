"""Events of the cluster: what they say, what they hang on, and how equal ones are counted."""

from dataclasses import replace

from penstock.core.messages import Event
from penstock.core.reconcile.kube_event import LONGEST, kube_event, repeated

EVENT = Event(
    id="1",
    cluster="prod",
    api_version="kustomize.toolkit.fluxcd.io/v1",
    kind="Kustomization",
    namespace="flux-system",
    name="apps",
    severity="info",
    reason="Progressing",
    message="ConfigMap/apps/a created",
    timestamp="2030-01-31T18:00:00Z",
)


def replaced(**fields):
    return replace(EVENT, **fields)


def made(event=EVENT, uid="u"):
    return kube_event(event, uid=uid, reporter="plane/prod")


def test_equal_words_have_one_name_and_a_long_one_is_cut():
    first = made()
    assert first["metadata"]["name"] == made(replaced(id="2", timestamp="later"))["metadata"]["name"]
    assert first["metadata"]["name"] != made(replaced(message="other"))["metadata"]["name"]
    of_revision = made(replaced(metadata={"revision": "main@sha1:1"}))
    assert of_revision["metadata"]["name"] != first["metadata"]["name"]
    assert of_revision["metadata"]["annotations"] == {"kustomize.toolkit.fluxcd.io/revision": "main@sha1:1"}
    assert made(replaced(severity="error"))["type"] == "Warning"
    assert len(made(replaced(message="x" * 5000))["message"]) == LONGEST
    assert len(made(replaced(name="x" * 253))["metadata"]["name"]) <= 253


def test_without_an_inventory_object_there_is_no_uid():
    assert "uid" not in made(uid="")["involvedObject"]


def test_a_second_one_is_counted():
    known = {**made(), "count": 4, "metadata": {"name": "n", "resourceVersion": "7"}}
    again = repeated(known, made(replaced(timestamp="2030-02-01T00:00:00Z"), uid="new"))
    assert (again["count"], again["lastTimestamp"]) == (5, "2030-02-01T00:00:00Z")
    assert again["firstTimestamp"] == "2030-01-31T18:00:00Z"
    assert again["involvedObject"]["uid"] == "new"
    assert again["metadata"] == known["metadata"]
