"""Receiver documents: what parses, what is refused and where, and the index entry that the webhook reads."""

import hashlib

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.receiver import index_entry, parse_receiver, problems, webhook_digest
from penstock.core.records import ReceiverRecord

V1 = "notification.toolkit.fluxcd.io/v1"
GIT = {"kind": "GitRepository", "name": "flux-system"}


def document(api_version=V1, **spec):
    base = {"type": "github", "secretRef": {"name": "webhook-token"}, "resources": [GIT]}
    return {
        "apiVersion": api_version,
        "kind": "Receiver",
        "metadata": {"name": "github", "namespace": "flux-system"},
        "spec": {key: value for key, value in (base | spec).items() if value is not None},
    }


def test_every_field_of_a_public_fleet_is_read():
    receiver = parse_receiver(
        document(
            events=["ping", "push"],
            resources=[
                {"apiVersion": "source.toolkit.fluxcd.io/v1", **GIT},
                {"kind": "Kustomization", "name": "*", "namespace": "apps", "matchLabels": {"team": "a"}},
            ],
            interval="1h",
            suspend=True,
        )
    )
    assert receiver.events == ("ping", "push")
    assert [(r.target.kind, r.target.namespace, r.target.name) for r in receiver.resources] == [
        ("GitRepository", "flux-system", "flux-system"),
        ("Kustomization", "apps", "*"),
    ]
    assert receiver.interval.total_seconds() == 3600
    assert receiver.suspend
    assert problems(receiver) == ()


def test_an_oidc_receiver_parses_and_is_named_as_not_served():
    provider = {
        "issuerURL": "https://token.actions.githubusercontent.com",
        "variables": [{"name": "repo", "expression": "claims.repository"}],
        "validations": [{"expression": "vars.repo == 'a/b'", "message": "not ours"}],
    }
    receiver = parse_receiver(document(type="generic-oidc", secretRef=None, oidcProviders=[provider]))
    assert receiver.secret == ""
    assert receiver.oidc_providers[0].audience == "notification-controller"
    assert [reason for reason, _ in problems(receiver)] == ["UnsupportedType"]


def test_an_older_version_is_noted():
    receiver = parse_receiver(document(api_version="notification.toolkit.fluxcd.io/v1beta2"))
    assert receiver.warnings == (f"notification.toolkit.fluxcd.io/v1beta2 is deprecated: write {V1}",)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"type": "forgejo"}, "spec.type"),
        ({"type": None}, "spec.type"),
        ({"secretRef": None}, "spec.secretRef"),
        ({"secretRef": {"name": "a", "key": "token"}}, "spec.secretRef.key"),
        ({"resources": []}, "spec.resources"),
        ({"resources": [GIT | {"nam": "x"}]}, "spec.resources[0].nam"),
        ({"resources": [GIT, {"kind": "GitRepository"}]}, "spec.resources[1].name"),
        ({"resources": [{"kind": "git repo", "name": "x"}]}, "spec.resources[0].kind"),
        ({"event": ["push"]}, "spec.event"),
        ({"events": ["push", 1]}, "spec.events[1]"),
        ({"interval": "soon"}, "spec.interval"),
        ({"oidcProviders": [{"issuerURL": "https://i", "validations": []}]}, "spec.oidcProviders[0].validations"),
        (
            {"oidcProviders": [{"issuerURL": "https://i", "validations": [{"expression": "true", "message": "m"}]}]},
            "spec.oidcProviders",
        ),
        ({"type": "generic-oidc"}, "spec.secretRef"),
        ({"type": "generic-oidc", "secretRef": None}, "spec.oidcProviders"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(spec, path):
    with pytest.raises(InvalidDocument) as caught:
        parse_receiver(document(**spec), file="clusters/x/receiver.yaml")
    assert caught.value.path == path
    assert "clusters/x/receiver.yaml, Receiver/flux-system/github" in str(caught.value)


def test_an_unknown_version_is_refused():
    with pytest.raises(InvalidDocument, match=r"apiVersion: is notification\.toolkit\.fluxcd\.io/v2, must be"):
        parse_receiver(document(api_version="notification.toolkit.fluxcd.io/v2"))


def test_the_digest_is_that_of_flux():
    """Flux: sha256 of token + name + namespace, concatenated, the token untrimmed."""
    expected = hashlib.sha256(b"s3cret\ngithubflux-system").hexdigest()
    assert webhook_digest(b"s3cret\n", "github", "flux-system") == expected


def test_the_index_entry_holds_all_that_the_webhook_needs_and_no_secret():
    receiver = parse_receiver(
        document(
            events=["push"],
            resources=[GIT, {"kind": "GitRepository", "name": "*", "matchLabels": {"b": "2", "a": "1"}}],
        )
    )
    entry = index_entry(receiver, "production", b"s3cret")
    assert entry == ReceiverRecord(
        cluster="production",
        namespace="flux-system",
        name="github",
        type="github",
        digest=webhook_digest(b"s3cret", "github", "flux-system"),
        secret="webhook_production_flux--system_webhook--token",
        events=("push",),
        resources=(
            {"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"},
            {"kind": "GitRepository", "namespace": "flux-system", "name": "*", "selector": "a=1,b=2"},
        ),
    )
    assert ReceiverRecord.from_value(entry.to_value()) == entry
    assert "s3cret" not in repr(entry)


@pytest.mark.parametrize(
    ("spec", "cross_namespace", "reason", "sentence", "left"),
    [
        ({"resourceFilter": "res."}, True, "InvalidCELExpression", "spec.resourceFilter: failed to parse", 0),
        ({"resourceFilter": "res.metadata.name"}, True, "InvalidCELExpression", "expected bool, got dyn", 0),
        (
            {"resources": [GIT, GIT | {"filter": "other == 1"}]},
            True,
            "InvalidCELExpression",
            "spec.resources[1].filter: failed to parse",
            1,
        ),
        ({"resources": [{"kind": "GitRepository", "name": "*"}]}, True, "ValidationFailed", "[0].matchLabels", 0),
        ({"resources": [{"kind": "ImageRepository", "name": "a"}, GIT]}, True, "UnsupportedKind", "ImageRepository", 1),
        ({"resources": [GIT | {"namespace": "apps"}, GIT]}, False, "AccessDenied", "[0].namespace: apps", 1),
        ({"type": "gitlab"}, True, "UnsupportedType", "of type gitlab are not served yet", 1),
    ],
)
def test_what_is_not_served_is_said_and_left_out(spec, cross_namespace, reason, sentence, left):
    receiver = parse_receiver(document(**spec))
    found = problems(receiver, cross_namespace=cross_namespace)
    assert [each for each, _ in found] == [reason]
    assert sentence in found[0][1]
    assert len(index_entry(receiver, "c", b"t", cross_namespace=cross_namespace).resources) == left


def test_filters_stand_in_the_index():
    resources = [GIT, GIT | {"filter": "req.ref == 'x'"}]
    receiver = parse_receiver(document(resourceFilter="res.kind == 'GitRepository'", resources=resources))
    assert problems(receiver) == ()
    first, second = index_entry(receiver, "c", b"t").resources
    assert first["receiverFilter"] == second["receiverFilter"] == "res.kind == 'GitRepository'"
    assert ("filter" in first, second["filter"]) == (False, "req.ref == 'x'")
