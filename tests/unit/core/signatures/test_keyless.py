"""Cosign without keys, on a small Sigstore: certificate, its log, the transparency log, the identity."""

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import ssl
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.signing import (
    DIGEST,
    ISSUER,
    OTHER_DIGEST,
    SIGNED_AT,
    SUBJECT,
    Sigstore,
    bundle,
    new_key,
    payload,
    rekord,
    sign,
)

from penstock.core.errors import Refused
from penstock.core.signatures.certificates import names
from penstock.core.signatures.keyless import CERTIFICATE, PROMISE, Identity, verify_keyless
from penstock.core.signatures.trust_root import trust_root
from penstock.core.sources.patterns import compiled


def identity(issuer=f"^{ISSUER}$", subject="^https://github.com/acme/fleet.*$"):
    return Identity(issuer=compiled(issuer, "issuer"), subject=compiled(subject, "subject"))


ANYBODY = []
US = [identity()]


@pytest.fixture(scope="module")
def sigstore():
    return Sigstore()


@pytest.fixture(scope="module")
def root(sigstore):
    return trust_root({"trusted_root.json": sigstore.root})


def test_a_signature_counts_whose_identity_one_of_the_matchers_finds(sigstore, root):
    found = [sigstore.signed()]
    assert verify_keyless(found, [identity(subject="^nobody$"), *US], root, DIGEST) == (ISSUER, SUBJECT)
    assert verify_keyless(found, ANYBODY, root, DIGEST) == (ISSUER, SUBJECT)
    assert verify_keyless(found, [identity(issuer="githubusercontent", subject="fleet")], root, DIGEST)


@pytest.mark.parametrize(
    ("issuer", "subject"), [("^https://accounts.google.com$", ".*"), (".*", "^https://github.com/evil/")]
)
def test_a_signature_of_somebody_else_does_not_count(sigstore, root, issuer, subject):
    with pytest.raises(Refused, match="whom matchOIDCIdentity does not name") as caught:
        verify_keyless([sigstore.signed()], [identity(issuer, subject)], root, DIGEST)
    assert SUBJECT in str(caught.value)


def test_issuer_and_subject_must_be_found_by_one_and_the_same_matcher(sigstore, root):
    halves = [identity(subject="^nobody$"), identity(issuer="^https://elsewhere$")]
    with pytest.raises(Refused, match="does not name"):
        verify_keyless([sigstore.signed()], halves, root, DIGEST)


def test_an_address_and_a_long_issuer_are_read_too(sigstore, root):
    key = new_key()
    long = "https://oidc.example.com/" + "x" * 150
    made = sigstore.certificate(key, subject="dev@example.com", issuer=long)
    assert names(made) == (long, ("dev@example.com",))
    found = [sigstore.signed(key=key, certificate=made)]
    assert verify_keyless(found, [identity(f"^{long}$", "^dev@example.com$")], root, DIGEST)


def test_the_signature_of_another_digest_does_not_count(sigstore, root):
    with pytest.raises(Refused, match="of another digest"):
        verify_keyless([sigstore.signed(OTHER_DIGEST)], US, root, DIGEST)


def test_a_payload_that_was_changed_does_not_count(sigstore, root):
    changed = dataclasses.replace(sigstore.signed(OTHER_DIGEST), data=payload(DIGEST))
    with pytest.raises(Refused, match="payload was changed"):
        verify_keyless([changed], US, root, DIGEST)


@pytest.mark.parametrize("at", [SIGNED_AT + dt.timedelta(minutes=10), SIGNED_AT - dt.timedelta(minutes=1)])
def test_what_was_logged_while_its_certificate_was_not_valid_does_not_count(sigstore, root, at):
    with pytest.raises(Refused, match="not valid at the time of signing"):
        verify_keyless([sigstore.signed(at=at)], US, root, DIGEST)


def test_another_sigstore_does_not_count_in_any_of_its_parts(sigstore, root):
    other = Sigstore()
    with pytest.raises(Refused, match="no trusted transparency log"):
        verify_keyless([other.signed()], US, root, DIGEST)
    for part, problem in (("ca", "no trusted authority"), ("ct", "no trusted certificate log")):
        mixed = Sigstore()
        mixed.rekor_key = sigstore.rekor_key
        if part == "ct":
            mixed.ca, mixed.ca_key = sigstore.ca, sigstore.ca_key
        with pytest.raises(Refused, match=problem):
            verify_keyless([mixed.signed()], US, root, DIGEST)


def test_a_certificate_that_is_in_no_log_or_not_for_code_does_not_count(sigstore, root):
    key = new_key()
    for made, problem in (
        (sigstore.certificate(key, logged=False), "in no certificate log"),
        (sigstore.certificate(key, usage=ExtendedKeyUsageOID.CLIENT_AUTH), "not for signing code"),
    ):
        with pytest.raises(Refused, match=problem):
            verify_keyless([sigstore.signed(key=key, certificate=made)], US, root, DIGEST)


def test_a_log_entry_of_another_signature_does_not_count(sigstore, root):
    """CVE-2022-36056: an honest entry beside a forged signature."""
    key, other = new_key(), new_key()
    held = sigstore.certificate(key).public_bytes(Encoding.PEM)
    forged = rekord(payload(), sign(other, payload()), sigstore.certificate(other).public_bytes(Encoding.PEM))
    for entry in (
        forged,
        rekord(payload(OTHER_DIGEST), sign(key, payload()), held),
        {"apiVersion": "0.0.1", "kind": "rekord", "spec": {}},
        {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {}},
        [1],
    ):
        with pytest.raises(Refused, match="a log entry"):
            verify_keyless([sigstore.signed(key=key, entry=entry)], US, root, DIGEST)


def test_annotations_that_are_missing_or_malformed_do_not_count(sigstore, root):
    good = sigstore.signed()
    promise = json.loads(good.annotations[PROMISE])
    later = {**promise, "Payload": {**promise["Payload"], "integratedTime": promise["Payload"]["integratedTime"] + 1}}
    for changed in (
        {CERTIFICATE: ""},
        {CERTIFICATE: "-----BEGIN CERTIFICATE-----"},
        {PROMISE: ""},
        {PROMISE: "{}"},
        {PROMISE: json.dumps(later)},
        {PROMISE: json.dumps({**promise, "Payload": {**promise["Payload"], "integratedTime": 10**30}})},
        {PROMISE: json.dumps({**promise, "Payload": {**promise["Payload"], "logID": "zz"}})},
        {PROMISE: json.dumps({**promise, "Payload": {**promise["Payload"], "logIndex": True}})},
    ):
        with pytest.raises(Refused, match="no matching signatures"):
            verify_keyless([dataclasses.replace(good, annotations={**good.annotations, **changed})], US, root, DIGEST)


def test_a_log_that_is_retired_counts_for_what_it_logged_before(sigstore):
    document = json.loads(sigstore.root)
    window = document["tlogs"][0]["publicKey"]["validFor"]
    window["end"] = "2026-04-01T00:00:00Z"
    assert verify_keyless(
        [sigstore.signed()], US, trust_root({"trusted_root.json": json.dumps(document).encode()}), DIGEST
    )
    window["end"] = "2026-02-01T00:00:00Z"
    with pytest.raises(Refused, match="no trusted transparency log"):
        verify_keyless(
            [sigstore.signed()], US, trust_root({"trusted_root.json": json.dumps(document).encode()}), DIGEST
        )


def test_the_public_instance_is_known_and_trusts_nobody_of_ours(sigstore):
    public = trust_root({})
    assert any("fulcio" in each.chain[-1].subject.rfc4514_string() or each.chain for each in public.authorities)
    assert all(hashlib.sha256(log.id).digest() and len(log.id) == 32 for log in (*public.rekor, *public.ct))
    with pytest.raises(Refused, match="no trusted transparency log"):
        verify_keyless([sigstore.signed()], ANYBODY, public, DIGEST)


def test_a_bundle_counts_whose_identity_a_matcher_finds(sigstore, root):
    assert verify_keyless([sigstore.bundle()], US, root, DIGEST) == (ISSUER, SUBJECT)
    with pytest.raises(Refused, match="does not name"):
        verify_keyless([sigstore.bundle()], [identity(subject="^nobody$")], root, DIGEST)
    with pytest.raises(Refused, match="of another digest"):
        verify_keyless([sigstore.bundle(OTHER_DIGEST)], US, root, DIGEST)


@pytest.mark.parametrize("at", [SIGNED_AT + dt.timedelta(minutes=10), SIGNED_AT - dt.timedelta(minutes=1)])
def test_a_bundle_that_was_logged_while_its_certificate_was_not_valid_does_not_count(sigstore, root, at):
    with pytest.raises(Refused, match="cert is not valid at validation time"):
        verify_keyless([sigstore.bundle(at=at)], US, root, DIGEST)


def test_a_bundle_of_another_sigstore_or_another_logged_signature_does_not_count(sigstore, root):
    forged = sigstore.bundle(certificate=sigstore.certificate(new_key()))
    changed = json.loads(sigstore.bundle(OTHER_DIGEST).data)
    changed["dsseEnvelope"]["payload"] = json.loads(sigstore.bundle().data)["dsseEnvelope"]["payload"]
    swapped = dataclasses.replace(forged, data=json.dumps(changed).encode())
    for found in (Sigstore().bundle(), sigstore.bundle(logged=b"another"), forged, swapped):
        with pytest.raises(Refused, match="a bundle does not hold"):
            verify_keyless([found], ANYBODY, root, DIGEST)


def test_without_sigstore_python_a_bundle_is_refused_and_says_what_to_install(sigstore, root, monkeypatch):
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    with pytest.raises(Refused, match=r"pip install 'penstock\[sigstore\]'"):
        verify_keyless([sigstore.bundle()], US, root, DIGEST)
    assert verify_keyless([sigstore.signed()], US, root, DIGEST), "what stands beside a tag needs it not"


def test_a_bundle_that_was_signed_by_key_names_nobody(root):
    with pytest.raises(Refused, match="a bundle does not hold"):
        verify_keyless([bundle(new_key())], ANYBODY, root, DIGEST)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"mediaType": "x"}'])
def test_what_is_no_trusted_root_is_refused(data):
    with pytest.raises(Refused, match=r"trusted_root\.json is not Sigstore's trusted root"):
        trust_root({"trusted_root.json": data})
    with pytest.raises(Refused, match=r"has no trusted_root\.json"):
        trust_root({"other": data})


@pytest.mark.parametrize("broken", ["x", [1], 7, True])
def test_a_trusted_root_of_wrong_types_is_refused(sigstore, broken):
    document = json.loads(sigstore.root)
    document["tlogs"][0]["publicKey"]["validFor"] = broken
    with pytest.raises(Refused, match=r"trusted_root\.json is not Sigstore's trusted root"):
        trust_root({"trusted_root.json": json.dumps(document).encode()})


def of_version(certificate, number):
    """The certificate in DER, as one of a version that there is not."""
    made = certificate.public_bytes(Encoding.DER)
    version = bytes((0xA0, 3, 2, 1, 2))
    assert made.count(version) == 1
    return made.replace(version, version[:-1] + bytes([number]))


def test_a_certificate_that_cannot_be_read_hides_no_signature_that_holds(sigstore, root):
    """Anybody who may write beside an artifact may put it there."""
    made = of_version(sigstore.certificate(new_key()), 99)
    beside = sigstore.signed()
    junk = dataclasses.replace(beside, annotations={**beside.annotations, CERTIFICATE: ssl.DER_cert_to_PEM_cert(made)})
    bundled = json.loads(sigstore.bundle().data)
    bundled["verificationMaterial"]["certificate"]["rawBytes"] = base64.b64encode(made).decode()
    in_bundle = dataclasses.replace(sigstore.bundle(), data=json.dumps(bundled).encode())
    for found in (junk, in_bundle):
        with pytest.raises(Refused, match=r"cannot be read \(InvalidVersion\)"):
            verify_keyless([found], US, root, DIGEST)
        assert verify_keyless([found, sigstore.signed()], US, root, DIGEST) == (ISSUER, SUBJECT)
