"""Cosign's signatures by key: what counts, and everything that must not."""

import dataclasses
import json

import pytest
from tests.signing import DIGEST, OTHER_DIGEST, bundle, new_key, payload, pem, simple, statement

from penstock.core.errors import Refused
from penstock.core.signatures.attached import Attached
from penstock.core.signatures.cosign import SIGNATURE, trusted_keys, verify_keyed

KINDS = ("ecdsa", "rsa", "ed25519")


@pytest.mark.parametrize("make", [simple, bundle])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_by_any_key_of_the_secret_counts(kind, make):
    key, other = new_key(kind), new_key()
    keys = trusted_keys({"a.pub": pem(other), "b.pub": pem(key), "cosign.key": b"not a public one"})
    assert verify_keyed([make(key)], keys, DIGEST) == "b.pub"


@pytest.mark.parametrize("make", [simple, bundle])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_by_another_key_does_not_count(kind, make):
    with pytest.raises(Refused, match="by another key") as caught:
        verify_keyed([make(new_key(kind))], trusted_keys({"a.pub": pem(new_key(kind))}), DIGEST)
    assert caught.value.reason == "VerificationError"


@pytest.mark.parametrize("make", [simple, bundle])
def test_a_signature_of_another_digest_does_not_count_wherever_it_stands(make):
    key = new_key()
    with pytest.raises(Refused, match=rf"of another digest \({OTHER_DIGEST}\)"):
        verify_keyed([make(key, OTHER_DIGEST)], trusted_keys({"a.pub": pem(key)}), DIGEST)


def test_one_good_signature_among_bad_ones_is_enough_and_none_is_not():
    key = new_key()
    keys = trusted_keys({"a.pub": pem(key)})
    assert verify_keyed([simple(new_key()), bundle(key, OTHER_DIGEST), simple(key)], keys, DIGEST) == "a.pub"
    with pytest.raises(Refused, match=r"no matching signatures were found$"):
        verify_keyed([], keys, DIGEST)


def test_a_payload_that_was_changed_does_not_count():
    key = new_key()
    good = simple(key, OTHER_DIGEST)
    changed = dataclasses.replace(good, data=good.data.replace(OTHER_DIGEST.encode(), DIGEST.encode()))
    with pytest.raises(Refused, match="payload was changed"):
        verify_keyed([changed], trusted_keys({"a.pub": pem(key)}), DIGEST)


def test_a_statement_that_was_changed_does_not_count():
    key = new_key()
    found = json.loads(bundle(key, OTHER_DIGEST).data)
    found["dsseEnvelope"]["payload"] = json.loads(bundle(new_key()).data)["dsseEnvelope"]["payload"]
    changed = Attached(media_type="application/vnd.dev.sigstore.bundle.v0.3+json", data=json.dumps(found).encode())
    with pytest.raises(Refused, match="by another key"):
        verify_keyed([changed], trusted_keys({"a.pub": pem(key)}), DIGEST)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"[]", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "no DSSE envelope"),
        (b'{"dsseEnvelope": {"payloadType": 1, "signatures": []}}', "malformed"),
        (b'{"dsseEnvelope": {"payloadType": "x", "payload": "?", "signatures": [{"sig": "eA=="}]}}', "no base64"),
        (b'{"dsseEnvelope": {"payloadType": "x", "payload": "eA==", "signatures": [7]}}', "no base64"),
    ],
)
def test_what_is_no_bundle_does_not_count(data, problem):
    found = Attached(media_type="application/vnd.dev.sigstore.bundle.v0.3+json", data=data)
    with pytest.raises(Refused, match=problem):
        verify_keyed([found], trusted_keys({"a.pub": pem(new_key())}), DIGEST)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{}", "in-toto"),
        (statement().replace(b"Statement/v1", b"Statement/v9"), "in-toto"),
        (b'{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": 1}, 2]}', "of another digest"),
        (b'{"_type": "https://in-toto.io/Statement/v1", "subject": {}}', "of another digest"),
        (b'{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "\\ud800"}}]}', "."),
    ],
)
def test_a_signed_envelope_that_is_no_statement_of_the_digest_does_not_count(data, problem):
    key = new_key()
    with pytest.raises(Refused, match=problem):
        verify_keyed([bundle(key, data=data)], trusted_keys({"a.pub": pem(key)}), DIGEST)
    with pytest.raises(Refused, match="in-toto"):
        verify_keyed([bundle(key, payload_type="text/plain")], trusted_keys({"a.pub": pem(key)}), DIGEST)


@pytest.mark.parametrize("text", ["", "?", "eA=="])
def test_an_annotation_that_is_no_signature_does_not_count(text):
    found = Attached(
        media_type="application/vnd.dev.cosign.simplesigning.v1+json", data=payload(), annotations={SIGNATURE: text}
    )
    with pytest.raises(Refused, match="no matching signatures"):
        verify_keyed([found], trusted_keys({"a.pub": pem(new_key())}), DIGEST)


def test_a_secret_without_usable_keys_is_refused():
    for secret, problem in (
        ({}, "no public key"),
        ({"key": pem(new_key())}, "no public key"),
        ({"a.pub": b"canary"}, "a.pub is no public key"),
    ):
        with pytest.raises(Refused, match=problem) as caught:
            trusted_keys(secret)
        assert "canary" not in str(caught.value)
