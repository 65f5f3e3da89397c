"""What a cloud's endpoints may answer, and what it becomes: a value of its documented shape, or an error of ours."""

import json

import pytest

from penstock.core.clusters import eks, gke
from penstock.core.clusters.access import ClusterAccess
from penstock.core.errors import Refused, Transient
from penstock.core.http import HttpResponse
from penstock.core.identity import aws, azure, gcp, git_hosts

EKS = "arn:aws:eks:eu-central-1:123456789012:cluster/production"
GKE = ClusterAccess(provider="gcp", cluster="projects/acme/locations/europe-west1/clusters/production")
ROLE = aws.Role(arn="arn:aws:iam::123456789012:role/a", region="eu-central-1", session="s")
NOW = 1_000.0
READERS = {
    "eks": lambda answer: eks.described(answer, EKS),
    "gke": lambda answer: gke.described(answer, GKE),
    "gcp": lambda answer: gcp.exchanged(answer, NOW),
    "azure": lambda answer: azure.granted(answer, "Azure token", NOW),
    "sts": lambda answer: aws.assumed(answer, ROLE),
}


def answer(value, status=200):
    return HttpResponse(status=status, body=value if isinstance(value, bytes) else json.dumps(value).encode())


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"<a>" * 1000, b"\xff", b""], ids=repr)
def test_what_cannot_be_read_is_an_error_of_ours(reader, status, body):
    with pytest.raises((Transient, Refused)):
        READERS[reader](answer(body, status))


@pytest.mark.parametrize("body", [{"message": "\n \n"}, {"error": "\n"}, {"error": {"message": " "}}, {"error": []}])
def test_a_refusal_that_says_nothing_is_told_as_one(body):
    with pytest.raises(Refused, match=r"refused without a reason \(400\)"):
        gcp.exchanged(answer(body, 400), NOW)


@pytest.mark.parametrize("wrong", ["x", 7, [1], True])
@pytest.mark.parametrize(
    ("reader", "path"),
    [
        ("eks", "cluster"),
        ("eks", "cluster.certificateAuthority"),
        ("gke", "masterAuth"),
        ("gke", "privateClusterConfig"),
        ("gke", "controlPlaneEndpointsConfig"),
        ("gke", "controlPlaneEndpointsConfig.dnsEndpointConfig"),
    ],
)
def test_a_field_of_another_type_is_not_what_is_documented(reader, path, wrong):
    value = wrong
    for name in reversed(path.split(".")):
        value = {name: value}
    with pytest.raises(Transient, match="not what is documented"):
        READERS[reader](answer(value))


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx-other: 1", "é", 7, None, "x" * 70_000])
def test_what_cannot_stand_in_a_header_is_no_token(token):
    for made in (
        lambda: gcp.exchanged(answer({"access_token": token}), NOW),
        lambda: azure.granted(answer({"access_token": token, "expires_in": 60}), "Azure token", NOW),
        lambda: gcp.impersonated(answer({"accessToken": token, "expireTime": "2026-01-01T00:00:00Z"}), "e"),
        lambda: git_hosts.app_login(answer({"token": token, "expires_at": "2026-01-01T00:00:00Z"})),
    ):
        with pytest.raises(Transient, match="not what is documented"):
            made()


@pytest.mark.parametrize(("seconds", "ends"), [(60, NOW + 60), ("60", NOW + 60), (1e9, NOW + 86_400)])
def test_no_token_is_believed_for_longer_than_a_day(seconds, ends):
    assert gcp.exchanged(answer({"access_token": "t", "expires_in": seconds}), NOW) == ("t", ends)
    assert azure.granted(answer({"access_token": "t", "expires_in": seconds}), "x", NOW) == ("t", ends)


@pytest.mark.parametrize("seconds", [b"NaN", b"-1", b"0", b'"x"', b"[]", b"null", b"9" * 400])
def test_what_is_no_lifetime_is_not_what_is_documented(seconds):
    body = b'{"access_token": "t", "expires_in": ' + seconds + b"}"
    with pytest.raises(Transient, match="not what is documented"):
        azure.granted(answer(body), "x", NOW)
