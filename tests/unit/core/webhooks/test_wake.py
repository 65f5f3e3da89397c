"""Whom a delivery wakes."""

import pytest

from penstock.core.flux.receiver import SERVED_TYPES
from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import ReceiverRecord
from penstock.core.webhooks.senders import SENDERS
from penstock.core.webhooks.wake import accepts, matches_selector, wakeups


def receiver(*resources, events=()):
    return ReceiverRecord(
        cluster="prod",
        namespace="flux-system",
        name="github",
        type="github",
        digest="0" * 64,
        secret="s",
        events=events,
        resources=tuple({"namespace": "flux-system", **each} for each in resources),
    )


def labelled(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


def test_every_served_type_has_a_reader_and_no_other():
    assert set(SENDERS) == SERVED_TYPES


@pytest.mark.parametrize(
    ("events", "event", "accepted"),
    [((), "push", True), (("Push",), "push", True), (("ping", "push"), "push", True), (("release",), "push", False)],
)
def test_events_are_compared_without_case_and_none_listed_means_all(events, event, accepted):
    assert accepts(receiver(events=events), event) is accepted


@pytest.mark.parametrize(
    ("labels", "selector", "matched"),
    [
        ({"team": "a", "tier": "1"}, "team=a", True),
        ({"team": "a"}, "team=a,tier=1", False),
        ({"team": "b"}, "team=a", False),
        ({}, "team=a", False),
        ({"team": "a"}, "", False),
        ({"team": ""}, "team=", True),
    ],
)
def test_selectors(labels, selector, matched):
    assert matches_selector(labelled("x", **labels), selector) is matched


def test_an_object_without_labels_matches_no_selector():
    assert not matches_selector({"metadata": {"name": "x", "labels": None}}, "a=b")


def test_sources_and_kustomizations_are_woken_each_once_in_order():
    entry = receiver(
        {"kind": "GitRepository", "name": "web"},
        {"kind": "OCIRepository", "name": "charts", "namespace": "apps"},
        {"kind": "Kustomization", "name": "apps"},
        {"kind": "GitRepository", "name": "*", "selector": "team=a"},
    )
    objects = {("GitRepository", "flux-system"): [labelled("web", team="a"), labelled("x"), labelled("api", team="a")]}
    hint = "main@sha1:" + "a" * 40
    assert wakeups(entry, hint, objects) == (
        SourceChanged(cluster="prod", kind="GitRepository", namespace="flux-system", name="web", hint=hint),
        SourceChanged(cluster="prod", kind="OCIRepository", namespace="apps", name="charts", hint=hint),
        ReconcileDue(cluster="prod", namespace="flux-system", name="apps", why="request"),
        SourceChanged(cluster="prod", kind="GitRepository", namespace="flux-system", name="api", hint=hint),
    )


def test_a_wildcard_over_nothing_wakes_nothing():
    assert wakeups(receiver({"kind": "Kustomization", "name": "*", "selector": "a=b"}), "", {}) == ()
