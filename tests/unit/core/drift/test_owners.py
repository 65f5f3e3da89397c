"""Who set a field last, told from managedFields."""

import pytest

from penstock.core.drift.compare import OWNERSHIP
from penstock.core.drift.owners import MOST_TOLD, Setter, setters, told


def entry(manager, time, fields, operation="Update", **more):
    return {"manager": manager, "operation": operation, "time": time, "fieldsV1": fields, **more}


def live(*entries):
    spec = {"replicas": 3, "containers": [{"name": "proxy"}, {"name": "web", "image": "web:2"}], "list": ["a", "b"]}
    annotations = {"a.b/c": "1"}
    return {"metadata": {"annotations": annotations, "managedFields": list(entries)}, "spec": spec}


OURS = entry("penstock", "2030-01-01T00:00:00Z", {"f:spec": {"f:replicas": {}}}, "Apply")
IMAGE = {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("spec.replicas", {"f:spec": {"f:replicas": {}}}),
        ("spec.containers[1].image", IMAGE),
        ("spec.containers[1]", IMAGE),
        ("spec.containers", IMAGE),
        ("metadata.annotations.a.b/c", {"f:metadata": {"f:annotations": {".": {}, "f:a.b/c": {}}}}),
        ("spec.list[1]", {"f:spec": {"f:list": {'v:"b"': {}}}}),
        ("spec.whole.below", {"f:spec": {"f:whole": {}}}),
    ],
)
def test_the_newest_other_manager_of_a_field(path, fields):
    older, newer = entry("helm", "2030-01-02T00:00:00Z", fields), entry("kubectl-edit", "2030-01-03T00:00:00Z", fields)
    for entries in ((OURS, older, newer), (newer, older, OURS)):
        (found,) = setters(live(*entries), [path], manager="penstock")
        assert found == Setter(path=path, manager="kubectl-edit", time="2030-01-03T00:00:00Z")
    assert str(found) == f"{path} (kubectl-edit, 2030-01-03T00:00:00Z)"


def test_a_subresource_is_named():
    scaled = entry("kubectl", "", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    (found,) = setters(live(OURS, scaled), ["spec.replicas"], manager="penstock")
    assert str(found) == "spec.replicas (kubectl by scale)"


def test_what_was_removed_is_nobodys():
    other = entry("kubectl-edit", "2030-01-03T00:00:00Z", {"f:spec": {"f:other": {}}})
    (found,) = setters(live(OURS, other), ["spec.gone"], manager="penstock")
    assert str(found) == "spec.gone (removed, last written by kubectl-edit, 2030-01-03T00:00:00Z)"
    assert [str(each) for each in setters(live(OURS), ["spec.gone"], manager="penstock")] == ["spec.gone (removed)"]


def test_ownership_alone_is_somebodys():
    other = entry("kubectl-edit", "2030-01-03T00:00:00Z", {"f:spec": {"f:replicas": {}}})
    (found,) = setters(live(other), [OWNERSHIP], manager="penstock")
    assert (found.manager, found.removed) == ("kubectl-edit", False)
    assert str(setters(live(), [OWNERSHIP], manager="penstock")[0]) == OWNERSHIP


def test_messages_are_bounded():
    found = [Setter(path=f"p{number}") for number in range(MOST_TOLD + 2)]
    assert told(found) == "p0, p1, p2, p3, p4 and 2 more"
