"""Signatures, against botocore's own signer: the same time, the same bytes."""

from datetime import UTC, datetime
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest

from penstock.core.http import HttpRequest
from penstock.core.identity.sigv4 import AwsKeys, Scope, presigned, signed

MOMENT = datetime(2026, 11, 27, 0, 1, 2, tzinfo=UTC)
KEYS = AwsKeys(access_key_id="AKIDEXAMPLE", secret_access_key="secret/+canary")
TEMPORARY = AwsKeys(access_key_id="ASIAEXAMPLE", secret_access_key="secret/+canary", session_token="IQoJb3JpZ2lu/+==")


def botocore_credentials(keys: AwsKeys):
    from botocore.credentials import Credentials

    return Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)


@pytest.fixture
def at_moment():
    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT.replace(tzinfo=None)):
        yield


@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["long-lived", "temporary"])
@pytest.mark.parametrize("url", ["https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"])
def test_presigned_urls_are_botocores(at_moment, keys: AwsKeys, url: str) -> None:
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method="GET", url=url, headers={"x-k8s-aws-id": "production"})
    SigV4QueryAuth(botocore_credentials(keys), "sts", "eu-central-1", expires=60).add_auth(request)
    scope = Scope(region="eu-central-1", service="sts", moment=MOMENT)
    ours = presigned(url, keys, scope, headers={"x-k8s-aws-id": "production"}, seconds=60)
    assert sorted(parse_qsl(urlsplit(ours).query)) == sorted(parse_qsl(urlsplit(request.url).query))
    assert urlsplit(ours)[:3] == urlsplit(request.url)[:3]


@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["long-lived", "temporary"])
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://eks.eu-central-1.amazonaws.com/clusters/production", b""),
        ("GET", "https://eks.cn-north-1.amazonaws.com.cn/clusters/a_b-C", b""),
        ("POST", "https://sts.eu-central-1.amazonaws.com/?b=2&a=1", b"Action=GetCallerIdentity"),
    ],
)
def test_signed_requests_are_botocores(at_moment, keys: AwsKeys, method: str, url: str, body: bytes) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    theirs = AWSRequest(method=method, url=url, data=body, headers={"content-type": "text/plain"})
    SigV4Auth(botocore_credentials(keys), "eks", "eu-central-1").add_auth(theirs)
    request = HttpRequest(method=method, path="", url=url, body=body, headers={"content-type": "text/plain"})
    ours = signed(request, keys, Scope(region="eu-central-1", service="eks", moment=MOMENT))
    assert ours.headers["authorization"] == theirs.headers["Authorization"]
    assert ours.headers["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert ours.body == body


def test_keys_are_not_in_a_repr() -> None:
    assert "canary" not in repr(TEMPORARY)
    assert "IQoJ" not in repr(TEMPORARY)
