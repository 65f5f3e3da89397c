"""Which Alerts an event concerns."""

from dataclasses import replace

import pytest

from penstock.core.flux.alert import Alert
from penstock.core.flux.receiver import ObjectSelector
from penstock.core.messages import Event
from penstock.core.notify.match import asks_for, forbids_cross_namespace, invalid_patterns, own_failure, passes_lists

EVENT = Event(
    id="1",
    cluster="production",
    api_version="kustomize.toolkit.fluxcd.io/v1",
    kind="Kustomization",
    namespace="flux-system",
    name="apps",
    severity="info",
    reason="ReconciliationSucceeded",
    message="Reconciliation finished",
    timestamp="2026-01-01T00:00:00Z",
)


def source(kind="Kustomization", name="*", namespace="flux-system", **labels):
    return ObjectSelector(kind=kind, namespace=namespace, name=name, labels=labels)


def alert(*sources, **fields):
    base = {"name": "a", "namespace": "flux-system", "provider": "slack"}
    return Alert(sources=sources or (source(),), **(base | fields))


def no_labels():
    raise AssertionError("labels are only looked up where an Alert asks for them")


@pytest.mark.parametrize(
    ("asked", "event", "expected"),
    [
        (alert(), {}, True),
        (alert(source(name="apps")), {}, True),
        (alert(source(name="web")), {}, False),
        (alert(source(name="web"), source(name="apps")), {}, True),
        (alert(source(kind="GitRepository")), {}, False),
        (alert(source(namespace="team")), {}, False),
        (alert(source(namespace="team")), {"namespace": "team"}, True),
        (alert(suspend=True), {}, False),
        (alert(severity="error"), {}, False),
        (alert(severity="error"), {"severity": "error"}, True),
        (alert(severity="info"), {"severity": "error"}, True),
    ],
)
def test_sources_severity_and_suspension(asked, event, expected):
    assert asks_for(asked, replace(EVENT, **event), no_labels) is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({"team": "a", "x": "y"}, True), ({"team": "b"}, False), ({}, False), (None, False)],
)
def test_labels_count_for_explicit_names_too(labels, expected):
    for name in ("*", "apps"):
        assert asks_for(alert(source(name=name, team="a")), EVENT, lambda: labels) is expected


STAGE = {"kind": "Stage", "namespace": "", "name": "fetch", "severity": "error", "api_version": "penstock.dev/v1alpha1"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (alert(source(kind="Stage")), True),
        (alert(source(kind="Stage", name="fetch")), True),
        (alert(source(kind="Stage", name="reconcile")), False),
        (alert(source()), True),
        (alert(source(name="apps")), False),
        (alert(source(team="a")), False),
        (alert(source(kind="Stage"), namespace="team"), False),
        (alert(source(namespace="team"), namespace="team"), False),
        (alert(source(kind="Stage"), suspend=True), False),
    ],
)
def test_what_the_plane_gave_up_goes_to_flux_system_alone(asked, expected):
    assert asks_for(asked, replace(EVENT, **STAGE), no_labels) is expected


def test_only_notifys_own_dead_letters_are_its_own_failures():
    assert own_failure(replace(EVENT, kind="Stage", namespace="", name="notify"))
    assert not own_failure(replace(EVENT, kind="Stage", namespace="", name="fetch"))
    assert not own_failure(replace(EVENT, name="notify"))


@pytest.mark.parametrize(
    ("inclusions", "exclusions", "message", "expected"),
    [
        ((), (), "anything", True),
        (("finished",), (), "Reconciliation finished in 1s", True),
        (("^finished",), (), "Reconciliation finished", False),
        (("(?i)FINISHED",), (), "Reconciliation finished", True),
        (("a", "fin.*d$"), (), "Reconciliation finished", True),
        ((), ("waiting.*socket",), "waiting for a socket", False),
        (("waiting",), ("socket",), "waiting for a socket", False),
        (("(?=x)",), (), "x", False),
        (("(?=x)", "x"), (), "x", True),
        ((), ("(?=x)",), "x", True),
        (("é",), (), "café", True),
        (("a.b",), (), "a\nb", False),
        (("x",), (), "\ud800x", True),
    ],
)
def test_lists_are_gos_expressions_searched_anywhere(inclusions, exclusions, message, expected):
    assert passes_lists(alert(inclusions=inclusions, exclusions=exclusions), message) is expected


def test_an_expression_that_would_hang_a_backtracking_engine_does_not():
    assert not passes_lists(alert(inclusions=("(a+)+$",)), "a" * 50_000 + "b")


def test_what_is_no_expression_is_named():
    found = invalid_patterns(alert(inclusions=("ok", "(?=x)"), exclusions=("[",)))
    assert found == ("spec.inclusionList[1]", "spec.exclusionList[0]")


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        ({}, False),
        ({"spec": {"policy": None, "clusters": None}}, False),
        ({"spec": {"policy": {"noCrossNamespaceRefs": True}}}, True),
        ({"spec": {"clusters": [{"name": "production", "policy": {"noCrossNamespaceRefs": True}}]}}, True),
        ({"spec": {"clusters": [{"name": "staging", "policy": {"noCrossNamespaceRefs": True}}]}}, False),
        (
            {
                "spec": {
                    "policy": {"noCrossNamespaceRefs": True},
                    "clusters": [{"name": "production", "policy": {"noCrossNamespaceRefs": False}}],
                }
            },
            False,
        ),
    ],
)
def test_a_clusters_policy_overrides_the_planes(plane, expected):
    assert forbids_cross_namespace(plane, "production") is expected
