"""Signatures for tests, made as Cosign makes them: by key, and without keys by a small Sigstore of one's own."""

import base64
import datetime as dt
import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penstock.core.signatures.attached import SIMPLE_SIGNING, Attached
from penstock.core.signatures.cosign import IN_TOTO, SIGNATURE, pre_authentication
from penstock.core.signatures.keyless import CERTIFICATE, PROMISE

DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNED_AT = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "https://github.com/acme/fleet/.github/workflows/release.yaml@refs/tags/v1.0.0"
_FULCIO_ISSUER_V1, _FULCIO_ISSUER = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}") for number in (1, 8))


def b64(data):
    return base64.b64encode(data).decode()


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def der(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(key, data):
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)


def new_key(kind="ecdsa"):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def payload(digest=DIGEST):
    critical = {
        "identity": {"docker-reference": "registry.example.com/acme/fleet"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def simple(key, digest=DIGEST, **annotations):
    data = payload(digest)
    return Attached(media_type=SIMPLE_SIGNING, data=data, annotations={SIGNATURE: b64(sign(key, data)), **annotations})


def statement(digest=DIGEST):
    subject = [{"digest": {"sha256": digest.removeprefix("sha256:")}}]
    found = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
    }
    return json.dumps(found).encode()


def bundle(key, digest=DIGEST, *, data=b"", payload_type=IN_TOTO):
    data = data or statement(digest)
    signature = sign(key, pre_authentication(payload_type, data))
    envelope = {"payload": b64(data), "payloadType": payload_type, "signatures": [{"sig": b64(signature)}]}
    material = {"publicKey": {"hint": "x"}, "tlogEntries": []}
    found = {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return Attached(media_type=BUNDLE, data=json.dumps(found).encode())


class Sigstore:
    """A certificate authority, a certificate log and a transparency log. ``root``: its trusted_root.json."""

    def __init__(self):
        self.ca_key, self.ct_key, self.rekor_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test fulcio")])
        self.ca = (
            self._builder(name, name, self.ca_key.public_key(), days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.ca_key.public_key()), critical=False)
            .sign(self.ca_key, hashes.SHA256())
        )
        self.root = json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [_log(self.rekor_key, "https://rekor.example.com")],
                "certificateAuthorities": [
                    {
                        "subject": {"organization": "test", "commonName": "test fulcio"},
                        "uri": "https://fulcio.example.com",
                        "certChain": {"certificates": [{"rawBytes": b64(self.ca.public_bytes(Encoding.DER))}]},
                        "validFor": {"start": "2025-01-01T00:00:00Z"},
                    }
                ],
                "ctlogs": [_log(self.ct_key, "https://ctfe.example.com")],
                "timestampAuthorities": [],
            }
        ).encode()

    def _builder(self, subject, issuer, key, *, days=0, minutes=0):
        start = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC) if minutes else dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=days, minutes=minutes))
        )

    def certificate(self, key, *, subject=SUBJECT, issuer=ISSUER, logged=True, usage=ExtendedKeyUsageOID.CODE_SIGNING):
        """A certificate that is good for ten minutes. The log stamps what it is without the stamp (RFC 6962)."""
        der_issuer = b"\x0c" + (b"\x81" if len(issuer) > 127 else b"") + bytes([len(issuer)]) + issuer.encode()
        general = (
            x509.RFC822Name(subject)
            if "@" in subject and "/" not in subject
            else x509.UniformResourceIdentifier(subject)
        )
        built = (
            self._builder(x509.Name([]), self.ca.subject, key.public_key(), minutes=10)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([general]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_FULCIO_ISSUER_V1, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_FULCIO_ISSUER, der_issuer), critical=False)
        )
        if not logged:
            return built.sign(self.ca_key, hashes.SHA256())
        tbs = built.sign(self.ca_key, hashes.SHA256()).tbs_certificate_bytes
        stamps = self._stamps(tbs)
        stamped = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), stamps)
        return built.add_extension(stamped, critical=False).sign(self.ca_key, hashes.SHA256())

    def _stamps(self, tbs):
        time = (int(SIGNED_AT.timestamp()) * 1000).to_bytes(8, "big")
        entry = hashlib.sha256(der(self.ca_key)).digest() + len(tbs).to_bytes(3, "big") + tbs
        signature = sign(self.ct_key, b"\0\0" + time + b"\0\1" + entry + b"\0\0")
        log = hashlib.sha256(der(self.ct_key)).digest()
        one = b"\0" + log + time + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big") + signature
        listed = len(one).to_bytes(2, "big") + one
        listed = len(listed).to_bytes(2, "big") + listed
        length = bytes([len(listed)]) if len(listed) < 128 else b"\x81" + bytes([len(listed)])
        return b"\x04" + length + listed

    def signed(self, digest=DIGEST, *, at=SIGNED_AT, key=None, certificate=None, data=None, entry=None):
        """A signature as Cosign 2 leaves it in a registry."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        data = data or payload(digest)
        held = (certificate or self.certificate(key)).public_bytes(Encoding.PEM)
        signature = sign(key, data)
        body = json.dumps(entry or rekord(data, signature, held)).encode()
        logged = {
            "body": b64(body),
            "integratedTime": int(at.timestamp()),
            "logID": hashlib.sha256(der(self.rekor_key)).hexdigest(),
            "logIndex": 7,
        }
        promise = sign(self.rekor_key, json.dumps(logged, sort_keys=True, separators=(",", ":")).encode())
        annotations = {
            SIGNATURE: b64(signature),
            CERTIFICATE: held.decode(),
            PROMISE: json.dumps({"SignedEntryTimestamp": b64(promise), "Payload": logged}),
        }
        return Attached(media_type=SIMPLE_SIGNING, data=data, annotations=annotations)

    def bundle(self, digest=DIGEST, *, key=None, certificate=None, data=None, logged=None, at=SIGNED_AT):
        """A bundle as Cosign 3 makes it: an envelope, logged alone in a tree of one leaf, with proof, checkpoint and promise.

        ``logged``: the envelope's signature that the log has, another one than the envelope's own; ``at``: when.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        signing = certificate or self.certificate(key)
        data = data or statement(digest)
        signature = sign(key, pre_authentication(IN_TOTO, data))
        verifier = b64(signing.public_bytes(Encoding.PEM))
        hashed = {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}
        spec = {
            "envelopeHash": hashed,
            "payloadHash": hashed,
            "signatures": [{"signature": b64(logged or signature), "verifier": verifier}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode()
        found = {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(signing.public_bytes(Encoding.DER))},
                "tlogEntries": [self._entry(body, at)],
            },
            "dsseEnvelope": {"payload": b64(data), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signature)}]},
        }
        return Attached(media_type=BUNDLE, data=json.dumps(found).encode())

    def _entry(self, body, at):
        root, log = hashlib.sha256(b"\0" + body).digest(), hashlib.sha256(der(self.rekor_key)).digest()
        note = f"rekor.example.com - 1\n1\n{b64(root)}\n"
        signed = b64(log[:4] + sign(self.rekor_key, note.encode()))
        time = int(at.timestamp())
        promised = {"body": b64(body), "integratedTime": time, "logID": log.hex(), "logIndex": 0}
        promise = sign(self.rekor_key, json.dumps(promised, sort_keys=True, separators=(",", ":")).encode())
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(log)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(time),
            "inclusionPromise": {"signedEntryTimestamp": b64(promise)},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 rekor.example.com {signed}\n"},
            },
            "canonicalizedBody": b64(body),
        }


def rekord(data, signature, certificate):
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}},
        "signature": {"content": b64(signature), "publicKey": {"content": b64(certificate)}},
    }
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def _log(key, url):
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64(der(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2025-01-01T00:00:00Z"},
        },
        "logId": {"keyId": b64(hashlib.sha256(der(key)).digest())},
    }


def _usage(**given):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})
