"""Artifacts that the real cosign signed in a real registry, verified; and what cosign itself says of ours.

cosign is not built by `make tools` (it takes a quarter of an hour): see MISSING.
"""

import hashlib
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from tests.contract.registries import MANIFEST_TYPE, REPOSITORY, RealServer, missing
from tests.controlplane.build import cache
from tests.signing import Sigstore, new_key, pem

from penstock.adapters.registry.memory import FLUX_LAYER, archive, manifest_of
from penstock.core.errors import Refused
from penstock.core.signatures.cosign import trusted_keys, verify_keyed
from penstock.core.signatures.keyless import Identity, verify_keyless
from penstock.core.signatures.trust_root import trust_root
from penstock.core.sources.patterns import compiled

VERSION = "3.1.3"
COSIGN = cache() / f"cosign-{VERSION}-linux-amd64" / "cosign"
MISSING = missing() or (
    ""
    if COSIGN.exists()
    else f"cosign is not built: GOBIN={COSIGN.parent} go install github.com/sigstore/cosign/v3/cmd/cosign@v{VERSION}"
)
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
FILES = {"a.yaml": b"a: 1\n"}


class World:
    """A registry with one artifact. ``cosign``: runs the binary, with a home of its own and no network."""

    def __init__(self, served, folder):
        self.served, self.folder = served, folder

    def push(self, tag, files=FILES):
        """As ``flux push artifact`` does; the digest. Cosign reads the config, too."""
        self.served.blob(b"{}")
        return self.served.manifest(tag, manifest_of(self.served.blob(archive(files)), {}, FLUX_LAYER))

    def run(self, *arguments, check=True):
        environment = {
            "HOME": str(self.folder), "PATH": os.environ["PATH"], "COSIGN_PASSWORD": "canary",
            "TUF_ROOT": str(self.folder / "tuf"), "HTTPS_PROXY": "http://127.0.0.1:1",
        }  # fmt: skip
        done = subprocess.run(
            [str(COSIGN), *arguments], cwd=self.folder, env=environment, capture_output=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def key(self, name):
        """A key pair of cosign's own making; the public one."""
        self.run("generate-key-pair", "--output-key-prefix", name)
        return (self.folder / f"{name}.pub").read_bytes()

    def sign(self, key, digest, *more):
        named = f"{self.served.host}/{REPOSITORY}@{digest}"
        shared = ("--key", f"{key}.key", "--yes", "--allow-http-registry", "--tlog-upload=false")
        self.run("sign", *shared, *more, named)

    def signatures(self, digest):
        return self.served.registry.signatures(self.served.image(), digest, "cosign")


@pytest.fixture
def world(tmp_path):
    with RealServer(tmp_path) as served:
        yield World(served, tmp_path)


FORMATS = {
    "bundle": ("--use-signing-config=false", "--new-bundle-format=true"),
    "tag": ("--use-signing-config=false", "--new-bundle-format=false"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_what_cosign_signed_by_key_counts_and_only_that(world, form):
    ours, theirs = trusted_keys({"cosign.pub": world.key("ours")}), trusted_keys({"x.pub": world.key("theirs")})
    digest, other = world.push("1.0.0"), world.push("2.0.0", {"b.yaml": b"b: 1\n"})
    with pytest.raises(Refused, match="no matching signatures"):
        verify_keyed(world.signatures(digest), ours, digest)
    world.sign("ours", digest, *FORMATS[form])
    found = world.signatures(digest)
    assert len(found) == 1
    assert found[0].media_type.startswith("application/vnd.dev.sigstore.bundle") is (form == "bundle")
    assert verify_keyed(found, ours, digest) == "cosign.pub"
    with pytest.raises(Refused, match="by another key"):
        verify_keyed(found, theirs, digest)
    with pytest.raises(Refused, match="of another digest"):
        verify_keyed(found, ours, other)
    assert world.signatures(other) == ()
    world.sign("theirs", digest, *FORMATS[form])
    assert verify_keyed(world.signatures(digest), ours, digest) == "cosign.pub", "a second signature hides no first one"


def imported(world, key):
    """A key of somebody else's making, as cosign imports it."""
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (world.folder / "plain.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    world.run("import-key-pair", "--key", "plain.pem", "--output-key-prefix", "imported")
    digest = world.push("1.0.0")
    world.sign("imported", digest, *FORMATS["tag"])
    return digest


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_keys_of_other_makers_too(world, kind):
    key = new_key(kind)
    digest = imported(world, key)
    assert verify_keyed(world.signatures(digest), trusted_keys({"a.pub": pem(key)}), digest) == "a.pub"


def test_ed25519ph_is_another_algorithm_and_is_refused(world):
    """With an Ed25519 key cosign prehashes; what is verified here is Ed25519 itself."""
    key = new_key("ed25519")
    digest = imported(world, key)
    with pytest.raises(Refused, match="by another key"):
        verify_keyed(world.signatures(digest), trusted_keys({"a.pub": pem(key)}), digest)


IDENTITY = Identity(issuer=compiled("^https://token.actions", "a"), subject=compiled("/acme/fleet/", "b"))


def attach(world, digest, signature):
    """Push a keyless signature of our own Sigstore as cosign 2 does."""
    blob = world.served.blob(signature.data)
    manifest = manifest_of(blob, {}, "application/vnd.dev.cosign.simplesigning.v1+json")
    manifest["layers"][0]["annotations"] = dict(signature.annotations)
    config = json.dumps(
        {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [blob[0]]}}
    ).encode()
    manifest["config"] = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": world.served.blob(config)[0],
        "size": len(config),
    }
    assert manifest["mediaType"] == MANIFEST_TYPE
    world.served.manifest(digest.replace(":", "-") + ".sig", manifest)


def cosign_says(world, root, digest, subject="/acme/fleet/"):
    (world.folder / "root.json").write_bytes(root)
    done = world.run(
        "verify", "--allow-http-registry", "--trusted-root", "root.json", "--offline",
        "--certificate-oidc-issuer-regexp", "^https://token.actions", "--certificate-identity-regexp", subject,
        f"{world.served.host}/{REPOSITORY}@{digest}", check=False,
    )  # fmt: skip
    return done.returncode == 0, done.stderr.decode()


def test_cosign_and_we_agree_on_signatures_without_keys(world):
    """The Sigstore of our own tests is one that cosign believes in, and what it refuses we refuse."""
    sigstore, digest = Sigstore(), world.push("1.0.0")
    other = "sha256:" + hashlib.sha256(b"other").hexdigest()
    unlogged = sigstore.certificate(key := new_key(), logged=False)
    cases = {
        "good": (sigstore.signed(digest), sigstore.root, True),
        "another digest": (sigstore.signed(other), sigstore.root, False),
        "another root": (sigstore.signed(digest), Sigstore().root, False),
        "no certificate log": (sigstore.signed(digest, key=key, certificate=unlogged), sigstore.root, False),
    }
    for name, (signature, root, holds) in cases.items():
        attach(world, digest, signature)
        said, why = cosign_says(world, root, digest)
        assert said is holds, (name, why)
        found = world.signatures(digest)
        if holds:
            verify_keyless(found, [IDENTITY], trust_root({"trusted_root.json": root}), digest)
        else:
            with pytest.raises(Refused):
                verify_keyless(found, [IDENTITY], trust_root({"trusted_root.json": root}), digest)
    attach(world, digest, sigstore.signed(digest))
    assert cosign_says(world, sigstore.root, digest, subject="/acme/other/")[0] is False
