"""Logins at the clouds' registries: where a token may go, what is asked, and what an answer means."""

import base64
import json
from datetime import UTC, datetime

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from penstock.core.errors import InvalidDocument, Refused, Transient
from penstock.core.http import HttpResponse
from penstock.core.identity import registries
from penstock.core.identity.sigv4 import AwsKeys

KEYS = AwsKeys(access_key_id="AKID", secret_access_key="canary-secret", session_token="canary-session")
MOMENT = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
ECR = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"


def answer(value, status=200):
    return HttpResponse(status=status, body=json.dumps(value).encode())


@pytest.mark.parametrize(
    ("registry", "region", "host"),
    [
        (ECR, "eu-central-1", "api.ecr.eu-central-1.amazonaws.com"),
        (
            "111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
            "ecr-fips.us-gov-west-1.amazonaws.com",
        ),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"),
        ("111122223333.dkr-ecr.eu-west-1.on.aws", "eu-west-1", "api.ecr.eu-west-1.amazonaws.com"),
        ("public.ecr.aws", "us-east-1", "api.ecr-public.us-east-1.amazonaws.com"),
    ],
)
def test_the_region_and_api_of_an_ecr(registry, region, host):
    found = registries.ecr_registry(registry)
    assert (found.region, found.host) == (region, host)


@pytest.mark.parametrize(
    "registry",
    ["ghcr.io", f"{ECR}.evil.example.com", "evil.example.com", "1.dkr.ecr.x.amazonaws.com", f"{ECR}:8443", f"x{ECR}"],
)
def test_no_token_goes_to_a_registry_of_somebody_else(registry):
    for ask in (registries.ecr_registry, registries.acr_scope, registries.check_gcp):
        with pytest.raises(InvalidDocument, match=r"spec\.url: is at"):
            ask(registry)
    with pytest.raises(InvalidDocument):
        registries.ask_acr("acme.azurecr.io.evil.example.com", "canary")


def test_ecr_is_asked_with_a_signature_as_botocore_makes_it():
    asked = registries.ask_ecr(registries.ecr_registry(ECR), KEYS, MOMENT)
    assert asked.headers["x-amz-target"] == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    request = botocore.awsrequest.AWSRequest(method="POST", url=asked.url, data=asked.body)
    for name in ("content-type", "x-amz-target"):
        request.headers[name] = asked.headers[name]
    held = botocore.credentials.Credentials("AKID", "canary-secret", "canary-session")
    signer = botocore.auth.SigV4Auth(held, "ecr", "eu-central-1")
    request.context["timestamp"] = "20261127T030000Z"
    request.headers["X-Amz-Date"], request.headers["X-Amz-Security-Token"] = "20261127T030000Z", "canary-session"
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert asked.headers["authorization"].endswith(f"Signature={signature}")
    public = registries.ask_ecr(registries.ecr_registry("public.ecr.aws"), KEYS, MOMENT)
    assert public.headers["x-amz-target"].startswith("SpencerFrontendService.")
    assert "/us-east-1/ecr-public/aws4_request" in public.headers["authorization"]


def test_the_login_of_an_ecr():
    basic = base64.b64encode(b"AWS:canary").decode()
    for registry, data in (
        (ECR, [{"authorizationToken": basic, "expiresAt": 1.8e9}]),
        ("public.ecr.aws", {"authorizationToken": basic, "expiresAt": 1.8e9}),
    ):
        login, end = registries.ecr_login(answer({"authorizationData": data}), registries.ecr_registry(registry))
        assert (login.basic, end) == (basic, 1.8e9)
        assert "canary" not in repr(login)
    for wrong in ({}, {"authorizationData": []}, {"authorizationData": [{"authorizationToken": "?", "expiresAt": 1}]}):
        with pytest.raises(Transient, match="not what is documented"):
            registries.ecr_login(answer(wrong), registries.ecr_registry(ECR))
    with pytest.raises(Refused, match="AccessDenied"):
        registries.ecr_login(answer({"message": "AccessDenied"}, 400), registries.ecr_registry(ECR))


def test_azure_exchanges_a_token_at_the_registry_itself():
    assert registries.acr_scope("acme.azurecr.io") == "https://containerregistry.azure.net/.default"
    asked = registries.ask_acr("acme.azurecr.io", "canary")
    assert asked.url == "https://acme.azurecr.io/oauth2/exchange"
    assert asked.body == b"grant_type=access_token&service=acme.azurecr.io&access_token=canary"
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1000 + 3600}).encode()).decode().rstrip("=")
    login, end = registries.acr_login(answer({"refresh_token": f"a.{claims}.b"}), "acme.azurecr.io", 1000.0)
    assert base64.b64decode(login.basic) == f"00000000-0000-0000-0000-000000000000:a.{claims}.b".encode()
    assert end == 4600.0
    assert registries.acr_login(answer({"refresh_token": "opaque"}), "acme.azurecr.io", 0.0)[1] == 5400.0
    with pytest.raises(Transient):
        registries.acr_login(answer({"refresh_token": 1}), "acme.azurecr.io", 0.0)


@pytest.mark.parametrize("registry", ["europe-west1-docker.pkg.dev", "gcr.io", "eu.gcr.io"])
def test_google_takes_an_access_token_as_password(registry):
    registries.check_gcp(registry)
    assert base64.b64decode(registries.gcp_login("canary").basic) == b"oauth2accesstoken:canary"
