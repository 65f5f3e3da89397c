from datetime import UTC, datetime

import pytest

from penstock.core.records import Condition, KustomizationStatus, ObjectRecord, SourceStatus, Suspension
from penstock.core.sources.wakeups import (
    ROOT,
    Candidate,
    ancestors,
    candidate,
    derived_revision,
    descendants,
    to_wake,
    touched,
)
from penstock.core.tree import Inputs, memory_tree

GIT = "GitRepository/flux-system/flux-system"
OTHER = "GitRepository/flux-system/other"
OLD = memory_tree({"root.yaml": "1", "mid.yaml": "1", "leaf.yaml": "1"})
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def made(name, *, parent="", source=GIT, **more):
    """A Kustomization in order, which read ``<name>.yaml`` of the old tree."""
    inputs = Inputs(files=(f"{name}.yaml",))
    given = {"inputs": inputs, "inputs_digest": inputs.digest(OLD), "succeeded": True, **more}
    return Candidate(ref=name, parent=parent, source=source, **given)


def tree(*changed):
    return memory_tree({f"{name}.yaml": "2" if name in changed else "1" for name in ("root", "mid", "leaf")})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, False),
        ({"inputs_digest": "sha256:other"}, True),
        ({"inputs_digest": ""}, True),
        ({"succeeded": False}, True),
        ({"changed": True}, True),
        ({"changed": True, "suspended": True}, False),
        ({"changed": True, "tombstone": True}, False),
        ({"changed": True, "source": OTHER}, False),
    ],
)
def test_what_touches_a_kustomization(more, expected):
    assert touched(made("leaf", **more), {GIT: OLD}) is expected


@pytest.mark.parametrize(("more", "expected"), [({}, False), ({"changed": True}, True), ({"succeeded": False}, True)])
def test_a_source_without_an_artifact_only_concerns_those_with_news_of_their_own(more, expected):
    assert touched(made("leaf", **more), {GIT: None}) is expected


@pytest.mark.parametrize(
    ("changed", "mid", "expected"),
    [
        ((), {}, ()),
        (("leaf",), {}, ("leaf",)),
        (("mid", "leaf"), {}, ("mid",)),
        (("root", "leaf"), {}, ("root",)),
        (("root", "mid", "leaf"), {}, ("root",)),
        (("leaf",), {"succeeded": False}, ("mid",)),
        (("mid", "leaf"), {"suspended": True}, ("leaf",)),
        (("mid", "leaf"), {"tombstone": True}, ("leaf",)),
        (("mid", "leaf"), {"source": OTHER}, ("leaf",)),
        (("root", "leaf"), {"source": OTHER}, ("root",)),  # past the one between, by its own source
    ],
)
def test_parents_are_woken_before_their_children(changed, mid, expected):
    chain = (made("leaf", parent="mid"), made("mid", parent="root", **mid), made("root"))
    assert tuple(item.ref for item in to_wake(chain, {GIT: tree(*changed)})) == expected


def test_after_a_parent_its_descendants_are_looked_at_whatever_their_depth():
    chain = (made("root"), made("mid", parent="root"), made("leaf", parent="mid"), made("beside"))
    below = descendants(chain, "root")
    assert [item.ref for item in below] == ["mid", "leaf"]
    assert [item.ref for item in to_wake(below, {GIT: tree("root", "leaf")})] == ["leaf"]


def test_an_ancestor_of_another_source_does_not_count_though_it_is_woken_too():
    items = (made("root"), made("leaf", parent="root", source=OTHER))
    awake = to_wake(items, {GIT: tree("root"), OTHER: tree("leaf")})
    assert [item.ref for item in awake] == ["root", "leaf"]


def test_two_sources_are_told_apart():
    items = (made("root"), made("leaf", source=OTHER))
    assert [item.ref for item in to_wake(items, {GIT: OLD, OTHER: tree("leaf")})] == ["leaf"]


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ({}, ()),
        ({"a": ""}, ()),
        ({"a": "b", "b": "c", "c": ""}, ("b", "c")),
        ({"a": "b", "b": "a"}, ("b",)),
        ({"a": "a"}, ()),
    ],
)
def test_ancestors_end_even_in_a_circle(parents, expected):
    assert ancestors("a", parents) == expected


def document(**spec):
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "apps", "name": "web"},
        "spec": {"sourceRef": {"kind": "GitRepository", "name": "site"}, **spec},
    }


READY = (Condition(type="Ready", status="True", reason="Succeeded", message=""),)


@pytest.mark.parametrize(
    ("record", "status", "expected"),
    [
        ({}, None, {"changed": True}),
        ({}, {"observed_generation": 1, "conditions": READY}, {"succeeded": True}),
        ({"generation": 2}, {"observed_generation": 1, "conditions": READY}, {"succeeded": True, "changed": True}),
        ({"parent": ROOT, "tombstone": True}, {"observed_generation": 1}, {"parent": ROOT, "tombstone": True}),
        ({}, {"observed_generation": 1, "suspension": Suspension(who="me")}, {"suspended": True}),
        (
            {},
            {"observed_generation": 1, "suspension": Suspension(who="me", until="2026-01-02T03:04:06Z")},
            {"suspended": True},
        ),
        ({}, {"observed_generation": 1, "suspension": Suspension(who="me", until="2026-01-02T03:04:05Z")}, {}),
    ],
)
def test_a_candidate_is_read_from_its_records(record, status, expected):
    made_of = candidate(
        ObjectRecord(document=document(), **record),
        None if status is None else KustomizationStatus(**status),
        now=NOW,
    )
    assert made_of == Candidate(ref="apps/web", source="GitRepository/apps/site", **expected)


@pytest.mark.parametrize(
    ("spec", "source", "suspended"),
    [
        ({"suspend": True}, "GitRepository/apps/site", True),
        (
            {"sourceRef": {"kind": "ExternalArtifact", "namespace": "x", "name": "y"}},
            "ExternalArtifact/x/y",
            False,
        ),
    ],
)
def test_a_candidate_follows_its_source_ref(spec, source, suspended):
    made_of = candidate(ObjectRecord(document=document(**spec)), None, now=NOW)
    assert (made_of.source, made_of.suspended) == (source, suspended)


@pytest.mark.parametrize(
    ("changed", "conditions", "expected"),
    [((), READY, "main@sha1:new"), (("leaf",), READY, "main@sha1:old"), ((), (), "main@sha1:old")],
)
def test_an_untouched_kustomization_counts_as_ready_at_the_new_revision(changed, conditions, expected):
    inputs = Inputs(files=("leaf.yaml",))
    status = KustomizationStatus(
        conditions=conditions,
        inputs=inputs,
        inputs_digest=inputs.digest(OLD),
        last_applied_revision="main@sha1:old",
    )
    assert derived_revision(status, SourceStatus(revision="main@sha1:new"), tree(*changed)) == expected
