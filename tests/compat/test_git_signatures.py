"""Commits and tags that real Git signed with real keys, of GnuPG and OpenSSH, fetched from a real server and verified."""

import os
import shutil
import subprocess

import pytest
from tests.contract.git_remotes import ServedRemote, remote_of

from penstock.adapters.git.server import GitServer
from penstock.core.errors import Refused
from penstock.core.signatures.git_objects import Signers, signed_commit, signed_tag, signers, verify_object
from penstock.ports.git import GitRef, Limits

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        any(shutil.which(each) is None for each in ("git", "gpg", "ssh-keygen")),
        reason="git, gpg or ssh-keygen is not installed: install them",
    ),
]
SSH_KINDS = (("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521"))


def run(*arguments, **more):
    return subprocess.run(arguments, check=True, capture_output=True, timeout=60, **more).stdout


@pytest.fixture(scope="module")
def gpg(tmp_path_factory):
    """make(kind): (settings of Git that sign with a new PGP key, the key's id, its armored public key)."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    program = home / "gpg.sh"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {home} "$@"\n')
    program.chmod(0o700)

    def make(kind):
        name = f"{kind.lower()}-{len(list(home.glob('private-keys-v1.d/*')))}@example.com"
        run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", name, kind, "sign", "never", env=environment)
        listed = run("gpg", "--batch", "--with-colons", "--list-keys", name, env=environment).decode()
        key = next(line.split(":")[4] for line in listed.splitlines() if line.startswith("pub"))
        return (
            ("-c", f"gpg.program={program}", "-c", f"user.signingkey={key}"),
            key,
            run("gpg", "--armor", "--export", name, env=environment),
        )

    yield make
    run("gpgconf", "--kill", "all", env=environment)


def ssh(folder, kind):
    """Settings of Git that sign with a new SSH key, its fingerprint, its public key."""
    file = folder / f"id_{'_'.join(kind)}"
    run("ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "dev@example.com", "-f", str(file))
    public = file.with_suffix(".pub")
    shown = run("ssh-keygen", "-l", "-f", str(public)).decode().split()[1]
    return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={file}"), shown, public.read_bytes()


@pytest.fixture
def served(tmp_path):
    with GitServer(tmp_path) as server:
        yield ServedRemote(server)


def signed(served, settings):
    """A signed commit and a signed tag of it, as they come over HTTP."""
    served.commit({"a.yaml": b"a: 1\n"})
    who = ("-c", "user.name=a", "-c", "user.email=a@b", *settings)
    served._run(*who, "commit", "--quiet", "--allow-empty", "-S", "--message", "signed\n\nwith a body\n")
    served._run(*who, "tag", "--sign", "--message", "one\n\nmore of it", "v1.0.0", "HEAD")
    head = served.git.resolve(remote_of(served), GitRef(tag="v1.0.0"))
    return head, served.git.checkout(remote_of(served), head, Limits())


def check(tree, trusted):
    commit = verify_object(signed_commit(tree.commit), trusted, what="commit", reason="InvalidCommitSignature")
    return commit, verify_object(signed_tag(tree.tag), trusted, what="tag", reason="InvalidTagSignature")


@pytest.mark.parametrize("kind", SSH_KINDS, ids="-".join)
def test_ssh_signatures(served, tmp_path, kind):
    settings, shown, public = ssh(tmp_path, kind)
    _, tree = signed(served, settings)
    _, _, other = ssh(tmp_path, ("ed25519", "-a", "1"))
    trusted = signers({"a.sshpub": b"# people\n" + other, "b.sshpub": b'namespaces="git" ' + public})
    assert check(tree, trusted) == (shown, shown)
    refuses(tree, signers({"a.sshpub": other}))
    refuses(tree, Signers())


@pytest.mark.parametrize("kind", ["rsa2048", "ed25519", "nistp256"])
def test_pgp_signatures(served, gpg, tmp_path, kind):
    settings, key, public = gpg(kind)
    _, tree = signed(served, settings)
    trusted = signers({"dev.asc": public, "legacy name": b"no key at all"})
    assert check(tree, trusted) == (key, key)
    refuses(tree, signers({"dev.asc": gpg("brainpoolP256r1")[2]}))
    refuses(tree, signers({"dev.asc": b"no key"}))
    refuses(tree, signers({"dev.sshpub": public}))


def refuses(tree, trusted):
    """Neither the commit nor its tag, and neither a commit nor a tag that was changed afterwards."""
    for reason, found in (
        ("InvalidCommitSignature", signed_commit(tree.commit)),
        ("InvalidTagSignature", signed_tag(tree.tag)),
    ):
        with pytest.raises(Refused, match="signature verification of it failed") as caught:
            verify_object(found, trusted, what="it", reason=reason)
        assert caught.value.reason == reason


def test_what_was_changed_after_signing_does_not_count(served, gpg, tmp_path):
    for settings, _, public in (gpg("nistp384"), ssh(tmp_path, ("ed25519",))):
        _, tree = signed(served, settings)
        trusted = Signers(pgp=(public,), ssh=(public,))
        check(tree, trusted)
        for raw, read in ((tree.commit, signed_commit), (tree.tag, signed_tag)):
            for changed in (
                raw.replace(b"author", b"auth0r"),
                raw.replace(b"tagger", b"tagg3r"),
                raw.replace(b"a@b", b"c@d"),
            ):
                if changed != raw:
                    with pytest.raises(Refused):
                        verify_object(read(changed), trusted, what="it", reason="x")
        served._run("tag", "--delete", "v1.0.0")


def test_what_is_not_signed_does_not_count(served, tmp_path):
    _, _, public = ssh(tmp_path, ("ed25519",))
    commit = served.commit({"a.yaml": b"a: 1\n"})
    served.annotate("v1.0.0", commit)
    head = served.git.resolve(remote_of(served), GitRef(tag="v1.0.0"))
    tree = served.git.checkout(remote_of(served), head, Limits())
    for found in (signed_commit(tree.commit), signed_tag(tree.tag)):
        with pytest.raises(Refused, match="it is not signed"):
            verify_object(found, Signers(ssh=(public,)), what="it", reason="x")


def test_a_signature_that_was_made_for_another_purpose_does_not_count(served, tmp_path):
    settings, _, public = ssh(tmp_path, ("ed25519",))
    _, tree = signed(served, settings)
    payload = signed_commit(tree.commit).payload
    made = run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", settings[-1].partition("=")[2], input=payload)
    good = run("ssh-keygen", "-Y", "sign", "-n", "git", "-f", settings[-1].partition("=")[2], input=payload)
    verify_object(signed_commit(_with(payload, good)), Signers(ssh=(public,)), what="it", reason="x")
    with pytest.raises(Refused, match="another purpose"):
        verify_object(signed_commit(_with(payload, made)), Signers(ssh=(public,)), what="it", reason="x")


def _with(payload, signature):
    header, blank, message = payload.partition(b"\n\n")
    return header + b"\ngpgsig " + signature.strip().replace(b"\n", b"\n ") + blank + message
