from datetime import timedelta

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.gitrepository import GitRepository, Include, Reference, Verification, parse_git_repository


def document(api_version="source.toolkit.fluxcd.io/v1", **spec):
    return {
        "apiVersion": api_version,
        "kind": "GitRepository",
        "metadata": {"namespace": "flux-system", "name": "site"},
        "spec": {"url": "https://git.example.com/site", "interval": "1m", **spec},
    }


def made(**more):
    given = {"url": "https://git.example.com/site", "interval": timedelta(minutes=1), **more}
    return GitRepository(namespace="flux-system", name="site", **given)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {}),
        ({"url": "http://u%40x:p%2F@h:8080/r.git"}, {"url": "http://h:8080/r.git", "username": "u@x", "password": "p/"}),
        ({"url": "https://[::1]:8443/r"}, {"url": "https://[::1]:8443/r"}),
        ({"interval": "1.5h", "timeout": "20s"}, {"interval": timedelta(minutes=90), "timeout": timedelta(seconds=20)}),
        ({"ref": {"branch": "main"}}, {"reference": Reference(branch="main")}),
        ({"ref": {"tag": "v1", "semver": ">=1", "name": "refs/pull/1/head"}}, {"reference": Reference(tag="v1", semver=">=1", name="refs/pull/1/head")}),
        ({"ref": {"commit": "a" * 40}}, {"reference": Reference(commit="a" * 40)}),
        ({"secretRef": {"name": "token"}}, {"secret": "token"}),
        ({"ignore": ""}, {"ignore": ""}),
        ({"ignore": "/*\n"}, {"ignore": "/*\n"}),
        ({"suspend": True}, {"suspend": True}),
        (
            {"include": [{"repository": {"name": "other"}, "fromPath": "a"}]},
            {"include": (Include(repository="other", from_path="a", to_path="other"),)},
        ),
    ],
)  # fmt: skip
def test_served_fields(spec, expected):
    assert parse_git_repository(document(**spec)) == made(**expected)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"url": "ssh://git@h/r"}, {"url": "ssh://git@h/r", "username": "git"}),
        ({"sparseCheckout": ["a"]}, {"sparse_checkout": ("a",)}),
        ({"recurseSubmodules": True}, {"recurse_submodules": True}),
        ({"provider": "github", "secretRef": {"name": "app"}}, {"provider": "github", "secret": "app"}),
        ({"provider": "aws", "serviceAccountName": "x"}, {"provider": "aws", "service_account": "x"}),
        ({"proxySecretRef": {"name": "p"}}, {"proxy_secret": "p"}),
        (
            {"verify": {"secretRef": {"name": "keys"}}},
            {"verification": Verification(tag=False, head=True, secret="keys")},
        ),
        (
            {"verify": {"mode": "Tag", "secretRef": {"name": "keys"}}},
            {"verification": Verification(tag=True, head=False, secret="keys")},
        ),
        (
            {"verify": {"mode": "TagAndHEAD", "secretRef": {"name": "keys"}}},
            {"verification": Verification(tag=True, head=True, secret="keys")},
        ),
    ],
)
def test_fields_that_say_as_whom_and_what_of_it(spec, expected):
    assert parse_git_repository(document(**spec)) == made(**expected)


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"api_version": "source.toolkit.fluxcd.io/v2"}, "apiVersion"),
        ({"url": "git@host:path"}, "spec.url"),
        ({"url": "file:///etc"}, "spec.url"),
        ({"url": "https://host:99999/r"}, "spec.url"),
        ({"url": "https:///r"}, "spec.url"),
        ({"url": "https://ho\nst/r"}, "spec.url"),
        ({"url": "https://[::1/r"}, "spec.url"),
        ({"interval": None}, "spec.interval"),
        ({"interval": "5"}, "spec.interval"),
        ({"ref": {"brunch": "main"}}, "spec.ref.brunch"),
        ({"ref": {"name": "/refs/heads/main"}}, "spec.ref.name"),
        ({"ref": {"commit": "abc"}}, "spec.ref.commit"),
        ({"secretRef": {}}, "spec.secretRef.name"),
        ({"provider": "gitlab"}, "spec.provider"),
        ({"verify": {"mode": "no"}}, "spec.verify.mode"),
        ({"verify": {"mode": "HEAD"}}, "spec.verify.secretRef"),
        ({"sparseCheckout": ["a/../.."]}, "spec.sparseCheckout[0]"),
        ({"serviceAccountName": "a"}, "spec.serviceAccountName"),
        ({"provider": "github"}, "spec.secretRef"),
        ({"include": [{"repository": {"name": "a", "x": 1}}]}, "spec.include[0].repository.x"),
        ({"include": [{"repository": {"name": "a"}, "toPath": "x/../.."}]}, "spec.include[0].toPath"),
        ({"gitImplementation": "go-git"}, "spec.gitImplementation"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(wrong, path):
    with pytest.raises(InvalidDocument) as error:
        parse_git_repository(document(**wrong))
    assert error.value.path == path
    assert error.value.document == "GitRepository/flux-system/site"


def test_a_password_in_a_url_is_never_shown():
    assert "hunter2" not in repr(parse_git_repository(document(url="https://me:hunter2@h/r")))
    with pytest.raises(InvalidDocument) as error:
        parse_git_repository(document(url="ftp://me:hunter2@h/r"))
    assert error.value.reason == "URLInvalid"
    assert "hunter2" not in str(error.value)
