import dataclasses
import hashlib
import shutil

import pytest
from tests.contract.git_remotes import LOGIN, MemoryRemote, ServedRemote, remote_of

from penstock.adapters.git.server import GitServer
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.sources.commit import CommitTree
from penstock.core.tree import blob
from penstock.ports.git import GitRef, Head, Limits, Remote

FILES = {"a.yaml": b"a: 1\n", "apps/base/b.yaml": b"b: 1\n" * 500, "run.sh": b"#!/bin/sh\n", "empty": b""}


@pytest.fixture(params=["memory", "dulwich"])
def served(request, tmp_path):
    if request.param == "memory":
        yield MemoryRemote()
        return
    if shutil.which("git") is None:
        pytest.skip("git is not installed: install it")
    with GitServer(tmp_path) as server:
        yield ServedRemote(server)


def test_the_branch_points_at_its_newest_commit(served):
    served.commit(FILES)
    commit = served.commit({"a.yaml": b"a: 2\n"})
    served.commit(FILES, ref="refs/heads/main-2")
    head = served.git.resolve(remote_of(served), GitRef(branch="main"))
    assert head == Head(ref="refs/heads/main", commit=commit, revision=f"main@sha1:{commit}")


@pytest.mark.parametrize(
    ("ref", "full", "revision"),
    [
        (GitRef(), "refs/heads/master", "master@sha1:{}"),
        (GitRef(branch="a/b"), "refs/heads/a/b", "a/b@sha1:{}"),
        (GitRef(tag="v1.0.0", branch="gone"), "refs/tags/v1.0.0", "v1.0.0@sha1:{}"),
        (GitRef(tag="v2.0.0"), "refs/tags/v2.0.0", "v2.0.0@sha1:{}"),
        (GitRef(semver=">=1 <2"), "refs/tags/v1.0.0", "v1.0.0@sha1:{}"),
        (GitRef(semver="*"), "refs/tags/v1.0.0", "v1.0.0@sha1:{}"),
        (GitRef(semver=">=2"), "refs/tags/v2.0.0", "v2.0.0@sha1:{}"),
        (GitRef(tag="v1.0.0", semver=">=2"), "refs/tags/v1.0.0", "v1.0.0@sha1:{}"),
        (GitRef(name="refs/pull/1/head", tag="gone"), "refs/pull/1/head", "refs/pull/1/head@sha1:{}"),
        (GitRef(name="refs/heads/a/b"), "refs/heads/a/b", "refs/heads/a/b@sha1:{}"),
        (GitRef(name="refs/tags/v2.0.0"), "refs/tags/v2.0.0", "refs/tags/v2.0.0@sha1:{}"),
    ],
)
def test_every_way_to_name_a_head(served, ref, full, revision):
    commit = served.commit(FILES)
    for name in ("refs/heads/master", "refs/heads/a/b", "refs/tags/v1.0.0", "refs/pull/1/head"):
        served.point(name, commit)
    tag = served.annotate("v2.0.0", commit) if full.endswith("v2.0.0") else ""
    head = served.git.resolve(remote_of(served), ref)
    assert head == Head(ref=full, commit=commit, revision=revision.format(commit), tag=tag)


def test_a_checkout_brings_the_commit_and_its_tag_as_they_are(served):
    commit = served.commit(FILES)
    tag = served.annotate("v1.0.0", commit)
    head = served.git.resolve(remote_of(served), GitRef(tag="v1.0.0"))
    tree = served.git.checkout(remote_of(served), head, Limits())
    for kind, raw, name in (("commit", tree.commit, commit), ("tag", tree.tag, tag)):
        assert hashlib.sha1(f"{kind} {len(raw)}\0".encode() + raw).hexdigest() == name
    assert len(tree) == len(FILES)
    branch = served.git.checkout(remote_of(served), dataclasses.replace(head, tag=""), Limits())
    assert (branch.commit, branch.tag) == (tree.commit, b"")


@pytest.mark.parametrize(
    ("branch", "full", "revision"), [("", "", "sha1:{}"), ("main", "refs/heads/main", "main@sha1:{}")]
)
def test_a_commit_is_its_own_head_and_may_be_an_old_one(served, branch, full, revision):
    commit = served.commit(FILES)
    served.commit({"a.yaml": b"a: 2\n"})
    head = served.git.resolve(remote_of(served), GitRef(commit=commit, branch=branch))
    assert head == Head(ref=full, commit=commit, revision=revision.format(commit))
    assert len(served.git.checkout(remote_of(served), head, Limits())) == len(FILES)


@pytest.mark.parametrize(
    ("ref", "reason", "message"),
    [
        (GitRef(branch="gone"), "GitOperationFailed", "couldn't find remote ref 'refs/heads/gone'"),
        (GitRef(tag="v9"), "GitOperationFailed", "couldn't find remote ref 'refs/tags/v9'"),
        (GitRef(semver=">9"), "GitOperationFailed", "no match found for semver: >9"),
        (GitRef(branch="main-"), "GitOperationFailed", "couldn't find remote ref"),
    ],
)
def test_a_ref_that_is_not_there(served, ref, reason, message):
    served.commit(FILES)
    with pytest.raises(NotFound, match=message) as error:
        served.git.resolve(remote_of(served), ref)
    assert error.value.reason == reason


def test_an_empty_repository_is_told_from_a_missing_branch(served):
    with pytest.raises(NotFound, match="git repository is empty") as error:
        served.git.resolve(remote_of(served), GitRef(branch="main"))
    assert error.value.reason == "EmptyGitRepository"


def test_a_missing_repository(served):
    with pytest.raises(NotFound, match="repository not found") as error:
        served.git.resolve(Remote(url=served.url.replace("fleet", "other")), GitRef(branch="main"))
    assert error.value.reason == "GitOperationFailed"


def test_a_checkout_is_exactly_that_commit(served):
    commit = served.commit(FILES, subject="Scale up", executable=("run.sh",))
    head = served.git.resolve(remote_of(served), GitRef(branch="main"))
    served.commit({"later": b""})
    tree = served.git.checkout(remote_of(served), head, Limits())
    assert head.commit == commit
    assert dict(tree.items()) == {path: blob(data, executable=path == "run.sh") for path, data in FILES.items()}
    assert isinstance(tree, CommitTree)
    assert tree.subject == "Scale up"


def test_a_commit_that_is_not_there_may_come_back(served):
    served.commit(FILES)
    with pytest.raises(Transient) as error:
        served.git.checkout(remote_of(served), Head(ref="refs/heads/main", commit="1" * 40, revision=""), Limits())
    assert error.value.reason == "GitOperationFailed"


@pytest.mark.parametrize("limits", [Limits(files=2), Limits(bytes=1000), Limits(file_bytes=1000)])
def test_what_a_clone_may_cost(served, limits):
    served.commit({**FILES, **{f"{n}.yaml": b"%d" % n for n in range(10)}})
    head = served.git.resolve(remote_of(served), GitRef(branch="main"))
    with pytest.raises(Refused, match="limit"):
        served.git.checkout(remote_of(served), head, limits)


@pytest.mark.parametrize("wrong", [{}, {**LOGIN, "password": b"swordfish"}])
def test_a_login_is_needed_where_the_remote_asks_for_one(served, wrong):
    served.commit(FILES)
    served.require_login()
    head = served.git.resolve(remote_of(served, credentials=LOGIN), GitRef(branch="main"))
    assert len(served.git.checkout(remote_of(served, credentials=LOGIN), head, Limits())) == len(FILES)
    for call in (
        lambda remote: served.git.resolve(remote, GitRef(branch="main")),
        lambda remote: served.git.checkout(remote, head, Limits()),
    ):
        with pytest.raises(Refused) as error:
            call(remote_of(served, credentials=wrong))
        assert error.value.reason == "AuthenticationFailed"
        assert "swordfish" not in repr(error.value)
