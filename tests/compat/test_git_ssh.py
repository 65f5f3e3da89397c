"""Git over SSH, from a real SSH server that runs the real git, in both of its protocols."""

import dataclasses
import shutil
import subprocess

import asyncssh
import pytest
from tests.contract.git_remotes import ServedRemote
from tests.contract.git_ssh import SshServer

from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.server import GitServer
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.ports.git import GitRef, Limits

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it"),
]
FILES = {"a.yaml": b"a: 1\n", "apps/b.yaml": b"b: 1\n" * 20_000, "run.sh": b"#!/bin/sh\n"}


@pytest.fixture
def repository(tmp_path):
    with GitServer(tmp_path) as server:
        yield ServedRemote(server)


@pytest.fixture(params=["v2", "v0"])
def ssh(request, tmp_path, repository):
    with SshServer(tmp_path, v2=request.param == "v2") as server:
        yield server


def files(tree):
    return {path: found.data for path, found in tree.items()}


def test_a_branch_is_resolved_and_fetched(repository, ssh):
    repository.commit({"a.yaml": b"a: 0\n"})
    commit = repository.commit(FILES, executable=("run.sh",), subject="second")
    git, remote = DulwichGit(), ssh.remote("fleet")
    head = git.resolve(remote, GitRef(branch="main"))
    assert (head.commit, head.revision) == (commit, f"main@sha1:{commit}")
    tree = git.checkout(remote, head, Limits())
    assert files(tree) == FILES
    assert (tree.subject, dict(tree.items())["run.sh"].executable) == ("second", True)
    assert {user for user, _ in ssh.commands} == {"git"}


def test_tags_and_other_refs(repository, ssh):
    commit = repository.commit(FILES)
    tag = repository.annotate("v1.2.0", commit)
    repository.point("refs/pull/1/head", commit)
    repository.commit({"a.yaml": b"a: 2\n"})
    git, remote = DulwichGit(), ssh.remote("fleet")
    for ref in (GitRef(tag="v1.2.0"), GitRef(semver="1.x"), GitRef(name="refs/tags/v1.2.0")):
        head = git.resolve(remote, ref)
        assert (head.commit, head.tag) == (commit, tag)
        tree = git.checkout(remote, head, Limits())
        assert (files(tree), tree.tag.startswith(f"object {commit}".encode())) == (FILES, True)
    assert git.resolve(remote, GitRef(name="refs/pull/1/head")).commit == commit
    with pytest.raises(NotFound, match="couldn't find remote ref"):
        git.resolve(remote, GitRef(branch="gone"))


def test_what_is_not_there_is_said(repository, ssh):
    git = DulwichGit()
    with pytest.raises(NotFound, match="git repository is empty") as caught:
        git.resolve(ssh.remote("fleet"), GitRef(branch="main"))
    assert caught.value.reason == "EmptyGitRepository"
    with pytest.raises(NotFound, match="repository not found") as caught:
        git.resolve(ssh.remote("none"), GitRef(branch="main"))
    assert caught.value.reason == "GitOperationFailed"


def test_a_clone_over_the_limit_is_refused(repository, ssh):
    repository.commit({"a": b"x" * 400_000})
    git, remote = DulwichGit(), ssh.remote("fleet")
    head = git.resolve(remote, GitRef(branch="main"))
    with pytest.raises(Refused):
        git.checkout(remote, head, Limits(bytes=100_000))
    with pytest.raises(Refused, match="over the limit"):
        git.checkout(remote, head, Limits(bytes=200))


@pytest.fixture
def server(tmp_path, repository):
    repository.commit(FILES)
    with SshServer(tmp_path) as running:
        yield running


def refused(server, kind, told, **more):
    with pytest.raises(kind, match=told) as caught:
        DulwichGit().resolve(server.remote("fleet", **more), GitRef(branch="main"))
    assert "PRIVATE" not in str(caught.value)
    return caught.value


def test_only_known_hosts_and_accepted_keys(server):
    other = asyncssh.generate_private_key("ssh-ed25519")
    strange = f"[127.0.0.1]:{server.port} ".encode() + other.export_public_key()
    for known in (strange, b"example.com " + server.host.export_public_key()):
        error = refused(
            server, Refused, "not among the Secret's known_hosts", credentials={**server.secret, "known_hosts": known}
        )
        assert error.reason == "AuthenticationFailed"
    assert server.commands == []
    error = refused(
        server,
        Refused,
        "does not accept the Secret's identity",
        credentials={**server.secret, "identity": other.export_private_key()},
    )
    assert error.reason == "AuthenticationFailed"


def test_a_key_with_a_passphrase(server):
    locked = server.client.export_private_key(passphrase="canary")
    opened = {**server.secret, "identity": locked, "password": b"canary\n"}
    assert DulwichGit().resolve(server.remote("fleet", credentials=opened), GitRef(branch="main")).commit
    refused(
        server,
        Terminal,
        "is encrypted, and the Secret has no password",
        credentials={**server.secret, "identity": locked},
    )
    error = refused(server, Terminal, "does not open", credentials={**opened, "password": b"wrong"})
    assert "wrong" not in str(error)


@pytest.mark.parametrize("missing", [("identity",), ("known_hosts",), ("identity", "known_hosts")])
def test_a_secret_that_lacks_a_key_is_named(server, missing):
    held = {name: value for name, value in server.secret.items() if name not in missing}
    refused(server, Terminal, f"the Secret has no {' and no '.join(missing)}", credentials=held)


def test_a_secret_that_holds_no_key_is_refused(server):
    refused(server, Terminal, "is no private key", credentials={**server.secret, "identity": b"canary"})


def test_private_addresses_and_closed_ports(server):
    refused(server, Refused, r"policy\.allowedHosts", allowed=())
    remote = dataclasses.replace(server.remote("fleet"), url="ssh://git@127.0.0.1:1/fleet.git")
    with pytest.raises(Transient, match="unreachable"):
        DulwichGit().resolve(remote, GitRef(branch="main"))


def test_a_path_is_one_word_of_the_command(server):
    remote = dataclasses.replace(
        server.remote("fleet"), url=f"ssh://git@127.0.0.1:{server.port}/a%20b;touch%20x/$(c).git"
    )
    with pytest.raises((NotFound, Transient)):
        DulwichGit().resolve(remote, GitRef(branch="main"))
    assert server.commands[-1][1] == "git-upload-pack '/a b;touch x/$(c).git'"


@pytest.mark.parametrize("kind", [("ssh-rsa", "ssh-rsa"), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256")])
def test_other_kinds_of_keys(tmp_path, repository, kind):
    commit = repository.commit(FILES)
    with SshServer(tmp_path, key_type=kind[0], host_key=kind[1]) as server:
        assert DulwichGit().resolve(server.remote("fleet"), GitRef(branch="main")).commit == commit


def test_a_real_scanned_known_hosts_file_is_read(server):
    if shutil.which("ssh-keyscan") is None:
        pytest.skip("ssh-keyscan is not installed: install openssh-client")
    found = subprocess.run(
        ["ssh-keyscan", "-H", "-p", str(server.port), "127.0.0.1"], capture_output=True, check=True, timeout=30
    ).stdout
    assert found.startswith(b"|1|"), "hashed names"
    remote = server.remote("fleet", credentials={**server.secret, "known_hosts": found})
    assert DulwichGit().resolve(remote, GitRef(branch="main")).commit
