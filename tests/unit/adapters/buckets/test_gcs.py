"""A service account's key is exchanged for a token once, not for each object."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials

from penstock.adapters.buckets.gcs import GcsBuckets
from penstock.adapters.buckets.http import BucketHttp
from penstock.ports.buckets import RemoteBucket


def key(email):
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps({"client_email": email, "private_key": pem, "token_uri": "https://example.com"}).encode()


@pytest.fixture
def exchanged(monkeypatch):
    """Whose keys were exchanged, and the tokens that requests then bore."""
    asked, sent = [], []

    def refresh(credentials, _request):
        asked.append(credentials.service_account_email)
        credentials.token = f"token-{len(asked)}"

    def get(http, url, *, most):
        sent.append(http._sign(url)["Authorization"])
        assert most
        return 404, b"", {}

    monkeypatch.setattr(Credentials, "refresh", refresh)
    monkeypatch.setattr(BucketHttp, "get", get)
    return asked, sent


def test_one_exchange_serves_all_objects_of_one_key(exchanged):
    asked, sent = exchanged
    buckets = GcsBuckets()
    for secret in (key("a@example.com"), key("b@example.com")):
        bucket = RemoteBucket(
            provider="gcp", endpoint="https://example.com", name="fleet", credentials={"serviceaccount": secret}
        )
        for number in range(5):
            assert buckets.read(bucket, f"{number}.yaml", most=10) is None
    assert asked == ["a@example.com", "b@example.com"]
    assert sent == ["Bearer token-1"] * 5 + ["Bearer token-2"] * 5
