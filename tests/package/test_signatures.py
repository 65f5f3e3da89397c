"""Signatures without keys, verified by what `make package` made and nothing else: no other module, no variable, no network.

One bundle that somebody signed at the public Sigstore instance (`make tools` brings it), and the same with one thing
changed at a time; and a Sigstore of our own, whose logs sign what we want.
"""

import base64
import copy
import json
import subprocess
import sys

import pytest
from cryptography.x509 import load_der_x509_certificate
from tests.controlplane.build import SIGNED
from tests.package import bundles
from tests.signing import DIGEST, ISSUER, SUBJECT, Sigstore
from tools.package.provider import PROVIDERS

from penstock.core.signatures.certificates import names

BOTH = pytest.mark.parametrize("name", sorted(PROVIDERS))
PROGRAM = """
import json, socket, sys
sys.path.insert(0, sys.argv[1])


def refuse(*_, **__):
    raise SystemExit("somebody was asked over the network")


socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from penstock.core.errors import Refused
from penstock.core.signatures.attached import Attached
from penstock.core.signatures.keyless import Identity, verify_keyless
from penstock.core.signatures.trust_root import trust_root
from penstock.core.sources.patterns import compiled

told = {}
for name, case in json.load(sys.stdin).items():
    identities = [Identity(issuer=compiled(i, "issuer"), subject=compiled(s, "subject")) for i, s in case["identities"]]
    found = Attached(media_type="application/vnd.dev.sigstore.bundle.v0.3+json", data=json.dumps(case["bundle"]).encode())
    root = {"trusted_root.json": case["root"].encode()} if case["root"] else {}
    try:
        told[name] = list(verify_keyless([found], identities, trust_root(root), case["digest"]))
    except Refused as error:
        told[name] = str(error)
print(json.dumps(told))
"""


def judged(name, cases):
    """What the bundle of a provider says of each case: issuer and subject, or why it does not count."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(bundles.made(name).root)]
    done = subprocess.run(
        command, cwd="/", env={}, input=json.dumps(cases), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def case(bundle, digest, identity, root=""):
    """One question. ``root``: a trusted_root.json; without it the public instance's, as the bundle brings it."""
    return {"bundle": bundle, "digest": digest, "identities": [identity], "root": root}


def changed(bundle, path, value=None):
    """The bundle with one field put, or left out where no value is given."""
    made = copy.deepcopy(bundle)
    *way, last = path
    place = made
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


def other(text):
    """Bytes in base64 with the last one changed."""
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(bytes(data)).decode()


ENTRY = ("verificationMaterial", "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")


def tampered(bundle):
    """name -> the bundle with one thing wrong, and what is said of it."""
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    later = str(int(entry["integratedTime"]) + 3600)
    checkpoint = entry["inclusionProof"]["checkpoint"]["envelope"]
    return {
        "no inclusion proof": (changed(bundle, PROOF), "tlogEntries.0.inclusionProof Field required"),
        "no checkpoint": (changed(bundle, (*PROOF, "checkpoint")), "checkpoint"),
        "another root": (
            changed(bundle, (*PROOF, "rootHash"), other(entry["inclusionProof"]["rootHash"])),
            "inclusion",
        ),
        "another checkpoint": (
            changed(bundle, (*PROOF, "checkpoint", "envelope"), checkpoint.replace("\n\n", "x\n\n", 1)),
            "checkpoint: invalid signature",
        ),
        "another entry": (
            changed(bundle, (*ENTRY, "canonicalizedBody"), other(entry["canonicalizedBody"])),
            "root hash",
        ),
        "another index": (changed(bundle, (*PROOF, "logIndex"), "1"), "nclusion"),
        "no entry at all": (changed(bundle, ENTRY), "log entry"),
        # without a signed time, its certificate of ten minutes is one that has expired
        "no promise": (changed(bundle, (*ENTRY, "inclusionPromise")), "must contain an inclusion promise"),
        "another promise": (
            changed(
                bundle,
                (*ENTRY, "inclusionPromise", "signedEntryTimestamp"),
                other(entry["inclusionPromise"]["signedEntryTimestamp"]),
            ),
            "invalid inclusion promise",
        ),
        "another time": (changed(bundle, (*ENTRY, "integratedTime"), later), "time"),
        "another signature": (
            changed(
                bundle,
                ("dsseEnvelope", "signatures", 0, "sig"),
                other(bundle["dsseEnvelope"]["signatures"][0]["sig"]),
            ),
            "",
        ),
        "another payload": (
            changed(
                bundle,
                ("dsseEnvelope", "payload"),
                base64.b64encode(base64.b64decode(bundle["dsseEnvelope"]["payload"]) + b" ").decode(),
            ),
            "",
        ),
        "another certificate": (
            changed(
                bundle,
                ("verificationMaterial", "certificate", "rawBytes"),
                other(bundle["verificationMaterial"]["certificate"]["rawBytes"]),
            ),
            "",
        ),
    }


def check(name, bundle, digest, who, root=""):
    """``who``: issuer and subject that have signed; the cases, and what is expected of each."""
    issuer, subject = who
    mine = (exactly(issuer), exactly(subject))
    wrong = tampered(bundle)
    cases = {
        "good": case(bundle, digest, mine, root),
        "anybody of theirs": case(bundle, digest, (".", "."), root),
        "another identity": case(bundle, digest, (exactly(issuer), "^somebody@example.com$"), root),
        "another issuer": case(bundle, digest, ("^https://issuer.example.com$", exactly(subject)), root),
        "another digest": case(bundle, "sha256:" + "0" * 64, mine, root),
        "another Sigstore": case(bundle, digest, mine, Sigstore().root.decode()),
        **{each: case(made, digest, mine, root) for each, (made, _) in wrong.items()},
    }
    told = judged(name, cases)
    assert told.pop("good") == told.pop("anybody of theirs") == [issuer, subject]
    assert all(isinstance(each, str) for each in told.values()), told
    assert "whom matchOIDCIdentity does not name" in told["another identity"]
    assert "whom matchOIDCIdentity does not name" in told["another issuer"]
    assert "of another digest" in told["another digest"]
    for each in ("another Sigstore", *wrong):
        said = told[each]
        assert "(1 looked at: a bundle does not hold: " in said, (each, said)
        assert wrong.get(each, ("", ""))[1] in said, (each, said)


def exactly(text):
    return "^" + text.replace(".", "[.]").replace("?", "[?]").replace("+", "[+]") + "$"


@pytest.mark.real
@BOTH
def test_who_signed_at_the_public_instance_counts_and_nothing_else(name):
    path = SIGNED.path / "oci-attestation.sigstore.json"
    if not path.exists():
        pytest.skip(f"{path} is not here: make tools")
    bundle = json.loads(path.read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    digest = "sha256:" + statement["subject"][0]["digest"]["sha256"]
    raw = base64.b64decode(bundle["verificationMaterial"]["certificate"]["rawBytes"])
    issuer, (subject,) = names(load_der_x509_certificate(raw))
    assert issuer == "https://github.com/login/oauth"
    check(name, bundle, digest, (issuer, subject))


@BOTH
def test_who_signed_at_a_sigstore_of_ones_own_counts_and_nothing_else(name):
    sigstore = Sigstore()
    check(name, json.loads(sigstore.bundle().data), DIGEST, (ISSUER, SUBJECT), sigstore.root.decode())
