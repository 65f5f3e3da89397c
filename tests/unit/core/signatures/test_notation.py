"""Notary Project signatures in JWS: what a trust policy lets pass, and everything that must not."""

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from tests.signing import DIGEST, OTHER_DIGEST, _usage

from penstock.core.errors import Refused
from penstock.core.signatures.attached import JWS, Attached
from penstock.core.signatures.notation import trust_policy, verify_notation

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
REPOSITORY = "registry.example.com/acme/fleet"
SUBJECT = {NameOID.COMMON_NAME: "release", NameOID.ORGANIZATION_NAME: "acme", NameOID.COUNTRY_NAME: "DE"}


def url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def named(parts):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


class Notary:
    """A certificate authority and a signing certificate of it."""

    def __init__(self, key=None, *, until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC), usage=True, revocable=False, ca=True):
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        issuer = named({NameOID.COMMON_NAME: "acme root"})
        self.root = self._built(issuer, issuer, self.ca_key, dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        if ca:
            self.root = self.root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.root = self.root.add_extension(_usage(key_cert_sign=True), critical=True).sign(
            self.ca_key, hashes.SHA256()
        )
        leaf = self._built(named(SUBJECT), issuer, self.key, until).add_extension(
            _usage(digital_signature=usage), critical=True
        )
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        if revocable:
            where = x509.UniformResourceIdentifier("http://ocsp.example.com")
            described = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
            leaf = leaf.add_extension(x509.AuthorityInformationAccess([described]), critical=False)
        self.leaf = leaf.sign(self.ca_key, hashes.SHA256())

    def _built(self, subject, issuer, key, until):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(until)
        )

    def sign(self, digest=DIGEST, *, chain=None, algorithm="", header=None, payload=None):
        protected = {
            "alg": algorithm or ("PS256" if isinstance(self.key, rsa.RSAPrivateKey) else "ES256"),
            "crit": ["io.cncf.notary.signingScheme"],
            "cty": "application/vnd.cncf.notary.payload.v1+json",
            "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": "2026-05-01T00:00:00Z",
            **(header or {}),
        }
        target = {"targetArtifact": {"mediaType": "x", "digest": digest, "size": 1}} if payload is None else payload
        first, second = url64(json.dumps(protected).encode()), url64(json.dumps(target).encode())
        signed = f"{first}.{second}".encode()
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            signature = self.key.sign(signed, pss, hashes.SHA256())
        else:
            r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        held = [each.public_bytes(Encoding.DER) for each in (chain or (self.leaf, self.root))]
        envelope = {
            "payload": second,
            "protected": first,
            "header": {"x5c": [base64.b64encode(each).decode() for each in held]},
            "signature": url64(signature),
        }
        return Attached(media_type=JWS, data=json.dumps(envelope).encode())

    def policy(self, *, level="strict", override=None, identities=("*",), scopes=("*",), repository=REPOSITORY):
        statement = {
            "name": "fleet",
            "registryScopes": list(scopes),
            "signatureVerification": {"level": level, **({"override": override} if override else {})},
            "trustStores": ["ca:acme"],
            "trustedIdentities": list(identities),
        }
        document = {"version": "1.0", "trustPolicies": [statement]}
        secret = {"trustpolicy.json": json.dumps(document).encode(), "root.crt": self.root.public_bytes(Encoding.PEM)}
        return trust_policy(secret, repository)


@pytest.fixture(scope="module")
def notary():
    return Notary()


def test_a_signature_of_a_trusted_authority_counts(notary):
    for identities in (
        ("*",),
        ("x509.subject: C=DE, O=acme",),
        ("x509.subject: CN=other", "x509.subject: CN=release,O=acme"),
    ):
        assert verify_notation([notary.sign()], notary.policy(identities=identities), DIGEST, NOW)
    by_rsa = Notary(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert verify_notation([by_rsa.sign()], by_rsa.policy(), DIGEST, NOW)


@pytest.mark.parametrize(
    "identity", ["x509.subject: C=DE, O=evil", "x509.subject: C=US,O=acme", "x509.issuer: CN=release"]
)
def test_a_signature_of_somebody_else_does_not_count(notary, identity):
    with pytest.raises(Refused, match="whom the trust policy 'fleet' does not name"):
        verify_notation([notary.sign()], notary.policy(identities=(identity,)), DIGEST, NOW)


def refuses(signature, policy, told, *, digest=DIGEST, now=NOW):
    with pytest.raises(Refused, match=told) as caught:
        verify_notation([signature], policy, digest, now)
    assert caught.value.reason == "VerificationError"


def test_other_digests_authorities_and_keys_do_not_count(notary):
    refuses(notary.sign(OTHER_DIGEST), notary.policy(), "of another digest")
    refuses(notary.sign(payload={}), notary.policy(), "of another digest")
    refuses(Notary().sign(), notary.policy(), "no certificate authority in the Secret")
    forged = Notary()
    forged.leaf, forged.root = notary.leaf, notary.root
    refuses(forged.sign(), notary.policy(), "by another key, or was changed")
    with pytest.raises(Refused, match=r"no matching signatures were found$"):
        verify_notation([], notary.policy(), DIGEST, NOW)


def test_a_trusted_root_beside_a_chain_that_it_has_not_issued_does_not_count(notary):
    other = Notary()
    refuses(other.sign(chain=(other.leaf, notary.root)), notary.policy(), "not issued by the next one")
    refuses(notary.sign(chain=(notary.leaf,)), notary.policy(), "not issued by the next one")


def test_certificates_must_be_valid_now_and_for_signing(notary):
    expired = Notary(until=dt.datetime(2026, 5, 15, tzinfo=dt.UTC))
    refuses(expired.sign(), expired.policy(), "not valid then, or is not now")
    assert verify_notation([expired.sign()], expired.policy(level="permissive"), DIGEST, NOW)
    for made, told in ((Notary(usage=False), "not for signatures"), (Notary(ca=False), "no authority")):
        refuses(made.sign(), made.policy(), told)


def test_an_expiry_counts_where_it_is_enforced(notary):
    signed = notary.sign(header={"io.cncf.notary.expiry": "2026-05-20T00:00:00Z"})
    refuses(signed, notary.policy(), "one has expired")
    assert verify_notation([signed], notary.policy(level="permissive"), DIGEST, NOW)


def test_revocation_that_would_have_to_be_asked_for_is_refused_where_it_is_enforced():
    made = Notary(revocable=True)
    refuses(made.sign(), made.policy(), "OCSP and CRLs are not asked here")
    assert verify_notation([made.sign()], made.policy(override={"revocation": "log"}), DIGEST, NOW)


def test_a_policy_that_only_audits_verifies_nothing_but_integrity(notary):
    policy = notary.policy(level="audit")
    assert verify_notation([Notary().sign()], policy, DIGEST, NOW) is False
    refuses(notary.sign(OTHER_DIGEST), policy, "of another digest")


def test_headers_that_are_not_known_do_not_count(notary):
    policy = notary.policy()
    refuses(notary.sign(header={"crit": ["x"]}), policy, "critical headers")
    refuses(
        notary.sign(header={"io.cncf.notary.signingScheme": "notary.x509.signingAuthority"}), policy, "another scheme"
    )
    refuses(notary.sign(algorithm="none"), policy, "by another key")
    refuses(notary.sign(algorithm="ES512"), policy, "by another key")
    refuses(Attached(media_type="application/cose", data=b""), policy, "in COSE, which is not served")
    for data in (
        b"",
        b"{}",
        b'{"protected": "e30", "payload": "e30", "header": {"x5c": ["AA=="]}}',
        b'{"protected": "?"}',
    ):
        with pytest.raises(Refused):
            verify_notation([Attached(media_type=JWS, data=data)], policy, DIGEST, NOW)


def test_the_policy_of_the_repository_itself_comes_before_the_one_for_all(notary):
    assert notary.policy(scopes=(REPOSITORY,)).name == "fleet"
    with pytest.raises(Refused, match=f"no trust policy is for {REPOSITORY}"):
        notary.policy(scopes=("registry.example.com/acme",))
    assert notary.policy(level="skip").skips


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ({}, r"has no trustpolicy\.json"),
        ({"trustpolicy.json": b"["}, "is no JSON"),
        ({"trustpolicy.json": b'{"version": "2.0"}'}, "version is not 1.0"),
        ({"trustpolicy.json": b'{"version": "1.0"}'}, "a field is missing"),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(secret, told):
    with pytest.raises(Refused, match=told):
        trust_policy(secret, REPOSITORY)


def test_a_policy_without_certificates_or_with_an_unknown_level_is_refused(notary):
    with pytest.raises(Refused, match="level is not"):
        notary.policy(level="lax")
    with pytest.raises(Refused, match="names no trustStores or trustedIdentities"):
        notary.policy(identities=())
    found = json.dumps(
        {
            "version": "1.0",
            "trustPolicies": [
                {
                    "name": "a",
                    "registryScopes": ["*"],
                    "signatureVerification": {"level": "strict"},
                    "trustStores": ["ca:a"],
                    "trustedIdentities": ["*"],
                }
            ],
        }
    )
    with pytest.raises(Refused, match="has no certificate"):
        trust_policy({"trustpolicy.json": found.encode()}, REPOSITORY)
    with pytest.raises(Refused, match="cannot be used"):
        trust_policy({"trustpolicy.json": found.encode(), "a.crt": b"canary"}, REPOSITORY)


@pytest.mark.parametrize("broken", ["x", [1], 7, True])
def test_an_envelope_of_wrong_types_hides_no_signature_that_holds(notary, broken):
    envelope = json.loads(notary.sign().data)
    junk = Attached(media_type=JWS, data=json.dumps({**envelope, "header": broken}).encode())
    with pytest.raises(Refused, match="no chain of certificates"):
        verify_notation([junk], notary.policy(), DIGEST, NOW)
    assert verify_notation([junk, notary.sign()], notary.policy(), DIGEST, NOW)
