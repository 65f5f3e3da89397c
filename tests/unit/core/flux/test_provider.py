"""Provider documents: what parses, what is not served, and where a wrong one is wrong."""

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.provider import TYPES, parse_provider, unserved

GROUP = "notification.toolkit.fluxcd.io"


def document(api_version=f"{GROUP}/v1beta3", **spec):
    return {
        "apiVersion": api_version,
        "kind": "Provider",
        "metadata": {"name": "slack", "namespace": "flux-system"},
        "spec": {"type": "slack", **spec},
    }


def test_every_field_is_read():
    provider = parse_provider(
        document(
            address="https://hooks.slack.com/services/x",
            channel="alerts",
            username="flux",
            timeout="5s",
            secretRef={"name": "slack-webhook"},
            suspend=True,
        )
    )
    assert provider.address == "https://hooks.slack.com/services/x"
    assert (provider.channel, provider.username, provider.secret) == ("alerts", "flux", "slack-webhook")
    assert provider.timeout.total_seconds() == 5
    assert provider.suspend
    assert unserved(provider) == ()


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_flux_parses_and_the_others_say_that_they_are_not_served(kind):
    said = [reason for reason, _ in unserved(parse_provider(document(type=kind)))]
    assert said == ([] if kind in {"slack", "pagerduty", "generic", "generic-hmac"} else ["UnsupportedType"])


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"proxy": "http://user:pass@proxy:3128"}, "spec.proxy"),
        ({"proxySecretRef": {"name": "proxy"}}, "spec.proxySecretRef"),
        ({"certSecretRef": {"name": "ca"}}, "spec.certSecretRef"),
        ({"serviceAccountName": "cloud"}, "spec.serviceAccountName"),
    ],
)
def test_a_field_that_would_change_the_way_is_never_ignored(spec, path):
    found = unserved(parse_provider(document(**spec)))
    assert found == (("UnsupportedField", f"{path} is not served yet"),)


def test_what_has_no_effect_is_noted():
    warnings = parse_provider(document(api_version=f"{GROUP}/v1beta2", interval="10m")).warnings
    assert warnings == (
        f"{GROUP}/v1beta2 is deprecated: write {GROUP}/v1beta3",
        "spec.interval has no effect: remove it",
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"type": "irc"}, "spec.type"),
        ({"address": "x" * 2049}, "spec.address"),
        ({"secretRef": {"nam": "a"}}, "spec.secretRef.name"),
        ({"proxy": "socks5://user:s3cret@proxy"}, "spec.proxy"),
        ({"commitStatusExpr": "'x'"}, "spec.commitStatusExpr"),
        ({"chanel": "alerts"}, "spec.chanel"),
        ({"timeout": 15}, "spec.timeout"),
    ],
)
def test_a_wrong_field_is_named_by_its_path_and_never_quoted_where_it_may_be_secret(spec, path):
    with pytest.raises(InvalidDocument) as caught:
        parse_provider(document(**spec))
    assert caught.value.path == path
    assert "s3cret" not in str(caught.value)


def test_a_commit_status_expression_parses_where_flux_takes_it():
    assert parse_provider(document(type="github", commitStatusExpr="'x'")).commit_status_expr == "'x'"
