"""Sources that must be signed, from their document to the cluster: what is verified reaches it, and nothing else does."""

import base64
import dataclasses
import json

import pytest
import yaml
from tests.memory_plane import URL, MemoryPlane
from tests.signing import Sigstore, new_key, pem, simple
from tests.stages.test_fetch_sources import REPOSITORY, config_map, fleet, later, oci, ready, status

from penstock.adapters.registry.memory import manifest_of
from penstock.core.records import SourceStatus, status_key
from penstock.core.tree import blob

SIMPLE_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
BY_KEY = {"provider": "cosign", "secretRef": {"name": "keys"}}


def secret(name, **data):
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "flux-system"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    return yaml.safe_dump_all(
        [namespace, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}]
    )


def attach(plane, digest, signature):
    """Push a signature as ``cosign sign`` does."""
    manifest = manifest_of(plane.registry.put(signature.data), {}, SIMPLE_TYPE)
    manifest["layers"][0]["annotations"] = dict(signature.annotations)
    plane.registry.push_manifest(REPOSITORY, digest.replace(":", "-") + ".sig", manifest)


def verified(plane, kind="OCIRepository"):
    found = next((each for each in status(plane, kind).conditions if each.type == "SourceVerified"), None)
    return found and f"{found.status} {found.reason}: {found.message}"


def keyed(plane, key, **spec):
    return {
        **fleet("OCIRepository", oci(verify=BY_KEY, **spec)),
        "clusters/prod/keys.yaml": secret("keys", **{"cosign.pub": pem(key)}),
    }


def test_what_is_signed_by_a_trusted_key_reaches_the_cluster():
    plane, key = MemoryPlane(), new_key()
    digest = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    attach(plane, digest, simple(key, digest))
    plane.push(keyed(plane, key))
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "1"}
    told = f"True Succeeded: verified signature of revision latest@{digest}"
    assert verified(plane) == told
    before = plane.registry.requests
    later(plane)
    assert plane.registry.requests == before + 1, "an unchanged digest is verified once"
    assert verified(plane) == told


@pytest.mark.parametrize("how", ["unsigned", "another key", "another digest"])
def test_what_is_not_signed_so_does_not_reach_it_and_the_last_artifact_stays(how):
    plane, key = MemoryPlane(), new_key()
    first = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    attach(plane, first, simple(key, first))
    plane.push(keyed(plane, key))
    plane.settle(seconds=30)
    before = len(plane.events)
    second = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("2")})
    if how != "unsigned":
        attach(plane, second, simple(key, first) if how == "another digest" else simple(new_key(), second))
    later(plane)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert status(plane, "OCIRepository").revision == f"latest@{first}"
    message = ready(plane, "OCIRepository")
    assert message.startswith(
        "False VerificationError: failed to verify the signature using provider 'cosign': no matching signatures were found"
    )
    assert message.endswith(f"for '{REPOSITORY}@{second}'")
    assert verified(plane).startswith("False VerificationError: failed to verify")
    assert len({each.id for each in plane.events[before:] if each.reason == "VerificationError"}) == 1
    attach(plane, second, simple(key, second))
    later(plane)
    assert plane.config_map("a", "default") == {"key": "2"}
    assert verified(plane) == f"True Succeeded: verified signature of revision latest@{second}"


def test_an_artifact_that_was_stored_before_it_had_to_be_signed_is_verified_when_it_must():
    plane, key = MemoryPlane(), new_key()
    digest = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci()))
    plane.settle(seconds=10)
    assert verified(plane) is None
    plane.push(keyed(plane, key))
    plane.settle(seconds=30)
    assert verified(plane).startswith("False VerificationError")
    attach(plane, digest, simple(key, digest))
    later(plane)
    assert verified(plane).startswith("True Succeeded")


def test_a_document_that_stalled_and_is_served_by_a_newer_release_is_verified_all_the_same():
    """Stalled under an older release, its generation was recorded: what was stored before counts for nothing."""
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci()))
    plane.settle(seconds=10)
    plane.push(keyed(plane, new_key()))
    plane.settle(seconds=1)
    key = status_key("prod", "OCIRepository", "flux-system", "apps")
    held = plane.state.get(key)
    generation = held.value["generation"]
    plane.state.put(key, {**held.value, "generation": generation + 1}, expected=held.version)
    later(plane)
    assert verified(plane).startswith("False VerificationError")


def test_a_secret_without_keys_and_a_missing_one_refuse():
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci(verify=BY_KEY)))
    plane.settle(seconds=10)
    assert "VerificationError" in ready(plane, "OCIRepository")
    assert "failed to get secret 'flux-system/keys'" in ready(plane, "OCIRepository")
    plane.push({"clusters/prod/keys.yaml": secret("keys", other=b"canary-key")})
    plane.settle(seconds=30)
    assert "has no public key" in ready(plane, "OCIRepository")
    assert "canary" not in ready(plane, "OCIRepository")


def keyless(root, **match):
    asked = {"provider": "cosign", "matchOIDCIdentity": [match], "trustedRootSecretRef": {"name": "root"}}
    return {
        **fleet("OCIRepository", oci(verify=asked)),
        "clusters/prod/root.yaml": secret("root", **{"trusted_root.json": root}),
    }


def test_without_keys_the_identity_counts_under_a_trusted_root_of_ones_own():
    plane, sigstore = MemoryPlane(), Sigstore()
    digest = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    attach(plane, digest, sigstore.signed(digest))
    plane.push(keyless(sigstore.root, issuer="^https://token.actions.githubusercontent.com$", subject="/acme/other/"))
    plane.settle(seconds=30)
    assert "provider 'cosign keyless'" in ready(plane, "OCIRepository")
    assert "matchOIDCIdentity does not name" in ready(plane, "OCIRepository")
    plane.push(keyless(sigstore.root, issuer="^https://token.actions.githubusercontent.com$", subject="/acme/fleet/"))
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "1"}
    plane.push(keyless(Sigstore().root, issuer=".", subject="."))
    plane.settle(seconds=30)
    assert "in no trusted transparency log" in ready(plane, "OCIRepository")


def refer(plane, digest, bundle, tag):
    """Push a bundle as Cosign 3 does: a manifest whose subject the artifact is."""
    kind = bundle.media_type
    manifest = manifest_of(plane.registry.put(bundle.data), {}, kind)
    subject = {"mediaType": manifest["mediaType"], "digest": digest, "size": 2}
    plane.registry.push_manifest(REPOSITORY, tag, {**manifest, "artifactType": kind, "subject": subject})


@pytest.mark.parametrize("junk", [b"{}", b"not even JSON", b"[" * 5000])
def test_a_bundle_without_keys_counts_whatever_else_was_pushed_beside_the_artifact(junk):
    plane, sigstore = MemoryPlane(), Sigstore()
    digest = plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    of_another = sigstore.bundle("sha256:" + "0" * 64)
    for tag, bundle in (("b1", of_another), ("b2", dataclasses.replace(of_another, data=junk))):
        refer(plane, digest, bundle, tag)
    plane.push(keyless(sigstore.root, issuer="^https://token.actions.githubusercontent.com$", subject="/acme/fleet/"))
    plane.settle(seconds=30)
    assert "of another digest" in ready(plane, "OCIRepository")
    assert plane.config_map("a", "default") is None
    refer(plane, digest, sigstore.bundle(digest), "b0")
    later(plane)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert verified(plane).startswith("True Succeeded")


def git(**spec):
    return yaml.safe_dump(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "5m", "url": SITE, **spec},
        }
    )


SITE = "https://git.example.com/site"


class Ssh:
    """Signs as ``ssh-keygen -Y sign -n git`` does."""

    def __init__(self):
        self.key = new_key("ed25519")
        raw = self.key.public_key().public_bytes_raw()
        self.blob = self._counted(b"ssh-ed25519") + self._counted(raw)
        self.line = b"ssh-ed25519 " + base64.b64encode(self.blob)

    def _counted(self, data):
        return len(data).to_bytes(4, "big") + data

    def armored(self, payload):
        import hashlib

        parts = (b"git", b"", b"sha512", hashlib.sha512(payload).digest())
        signature = self.key.sign(b"SSHSIG" + b"".join(map(self._counted, parts)))
        inner = self._counted(b"ssh-ed25519") + self._counted(signature)
        made = b"SSHSIG" + (1).to_bytes(4, "big")
        made += b"".join(map(self._counted, (self.blob, b"git", b"", b"sha512", inner)))
        return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(made) + b"\n-----END SSH SIGNATURE-----"

    def commit(self, raw):
        head, blank, message = raw.partition(b"\n\n")
        return head + b"\ngpgsig " + self.armored(raw).replace(b"\n", b"\n ") + blank + message

    def tag(self, raw):
        return raw + self.armored(raw) + b"\n"


def git_status(plane):
    return SourceStatus.from_value(plane.state.get(status_key("prod", "GitRepository", "flux-system", "apps")).value)


def conditions(plane):
    return {each.type: f"{each.status} {each.reason}: {each.message}" for each in git_status(plane).conditions}


def site(plane, value, *, sign=bytes, ref="refs/heads/main"):
    return plane.git.commit(SITE, {"a.yaml": blob(config_map(value))}, sign=sign, ref=ref)


def verifying(mode, signer, ref):
    asked = {"mode": mode, "secretRef": {"name": "people"}}
    return {
        **fleet("GitRepository", git(ref=ref, verify=asked)),
        "clusters/prod/people.yaml": secret("people", **{"dev.sshpub": signer.line}),
    }


def test_a_signed_commit_reaches_the_cluster_and_an_unsigned_one_does_not():
    plane, signer = MemoryPlane(), Ssh()
    first = site(plane, "1", sign=signer.commit)
    plane.push(verifying("HEAD", signer, {"branch": "main"}))
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "1"}
    told = conditions(plane)["SourceVerified"]
    assert told.startswith(f"True Succeeded: verified signature of\n\t- commit '{first}' with key 'SHA256:")
    for sign in (bytes, Ssh().commit):
        second = site(plane, "2", sign=sign)
        later(plane)
        assert plane.config_map("a", "default") == {"key": "1"}
        problem = f"False InvalidCommitSignature: signature verification of commit '{second}' failed: "
        assert conditions(plane)["SourceVerified"].startswith(problem)
        assert conditions(plane)["Ready"].startswith(problem)
    site(plane, "3", sign=signer.commit)
    later(plane)
    assert plane.config_map("a", "default") == {"key": "3"}


def test_a_tag_and_the_commit_it_names_are_verified_each_as_the_mode_says():
    plane, signer = MemoryPlane(), Ssh()
    commit = site(plane, "1", ref="refs/heads/main")
    plane.git.tag(SITE, "v1.0.0", commit)
    plane.push(verifying("Tag", signer, {"tag": "v1.0.0"}))
    plane.settle(seconds=30)
    assert (
        conditions(plane)["Ready"]
        == "False InvalidGitObject: cannot verify signature of tag 'v1.0.0' since it is not signed"
    )
    plane.git.tag(SITE, "v1.0.0", commit, sign=signer.tag)
    later(plane)
    assert conditions(plane)["SourceVerified"].startswith(
        "True Succeeded: verified signature of\n\t- tag 'v1.0.0' with key"
    )
    plane.push(verifying("TagAndHEAD", signer, {"semver": "1.x"}))
    plane.settle(seconds=30)
    assert conditions(plane)["SourceVerified"].startswith("False InvalidCommitSignature")
    plane.git.tag(SITE, "v1.0.0", site(plane, "2", sign=signer.commit), sign=signer.tag)
    later(plane)
    assert plane.config_map("a", "default") == {"key": "2"}
    assert "\n\t- commit '" in conditions(plane)["SourceVerified"]


def test_a_signed_tag_that_a_server_gives_for_another_commit_does_not_count():
    plane, signer = MemoryPlane(), Ssh()
    good = site(plane, "1")
    plane.git.tag(SITE, "v1.0.0", good, sign=signer.tag)
    plane.git.point(SITE, "refs/tags/v1.0.0^{}", site(plane, "evil"))
    plane.push(verifying("Tag", signer, {"tag": "v1.0.0"}))
    plane.settle(seconds=30)
    assert conditions(plane)["Ready"].startswith(
        "False InvalidTagSignature: tag 'v1.0.0' is signed, but is not of commit"
    )
    assert git_status(plane).artifact == ""


@pytest.mark.parametrize(
    "ref", [{"branch": "main"}, {"name": "refs/heads/main"}, {"commit": "a" * 40, "tag": "v1.0.0"}, {}]
)
def test_a_tag_signature_without_a_tag_is_an_error_of_the_document(ref):
    plane = MemoryPlane()
    site(plane, "1")
    plane.push(verifying("Tag", Ssh(), ref))
    plane.settle(seconds=30)
    assert conditions(plane)["Ready"].startswith("False InvalidVerificationMode: spec.verify.mode: asks for a tag")
    assert "Stalled" in conditions(plane)


def test_only_the_directories_of_a_sparse_checkout_are_part_of_the_artifact():
    plane = MemoryPlane()
    files = {f"{name}/a.yaml": blob(config_map(name)) for name in ("deploy", "deploy2", "docs")}
    plane.git.commit(SITE, {**files, "deploy2/a.yaml": blob(b"not: a manifest\n"), "x.yaml": blob(b"no: manifest\n")})
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, sparseCheckout=["./deploy/"])))
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "deploy"}
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, sparseCheckout=["deploy", "gone"])))
    plane.settle(seconds=30)
    assert "sparse checkout dir 'gone' does not exist in repository" in conditions(plane)["Ready"]
    assert URL != SITE
    assert json.loads(json.dumps(git_status(plane).artifact))
