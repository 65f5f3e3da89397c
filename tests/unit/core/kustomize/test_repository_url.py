"""URLs of repositories: where the repository ends and the directory in it begins (kustomize 5.8's repospec)."""

import itertools

import pytest

from penstock.core.kustomize.remote_paths import is_remote, without_login
from penstock.core.kustomize.repository_url import (
    DEFAULT_TIMEOUT,
    NotARepository,
    holds_password,
    names_repository,
    parse_repository_url,
)

# text: what is cloned, the directory in it, the ref
TABLE = [
    ("github.com/acme/fleet", "https://github.com/acme/fleet", "", ""),
    ("GitHub.com/acme/fleet/apps/web?ref=v1", "https://github.com/acme/fleet", "apps/web", "v1"),
    ("github.com:acme/fleet", "https://github.com/acme/fleet", "", ""),
    ("http://github.com/acme/fleet/apps", "https://github.com/acme/fleet", "apps", ""),
    ("hTTps://github.com/acme/fleet//a/b/?ref=main", "https://github.com/acme/fleet", "a/b/", "main"),
    ("https://github.com/acme/fleet.git/apps?ref=x/y", "https://github.com/acme/fleet.git", "apps", "x/y"),
    ("git@github.com:acme/fleet.git//apps", "git@github.com:acme/fleet.git", "apps", ""),
    ("git@github.com/acme/fleet/apps", "git@github.com:acme/fleet", "apps", ""),
    ("ssh://git@github.com/acme/fleet//apps?ref=v1", "git@github.com:acme/fleet", "apps", "v1"),
    ("org-1@github.com:acme/fleet", "org-1@github.com:acme/fleet", "", ""),
    ("ssh://git@ssh.github.com:443/acme/fleet.git", "ssh://git@ssh.github.com:443/acme/fleet.git", "", ""),
    ("ssh://git.example.com:7999/acme/fleet/apps", "ssh://git.example.com:7999/acme/fleet", "apps", ""),
    ("git@git.example.com:a/b/fleet.git?ref=v1", "git@git.example.com:a/b/fleet.git", "", "v1"),
    ("git@git.example.com/acme/fleet.git//apps", "git@git.example.com/acme/fleet.git", "apps", ""),
    ("git@git.example.com/me:you/fleet.git/apps", "git@git.example.com/me:you/fleet.git", "apps", ""),
    ("https://git.example.com/a/b/c/fleet//apps", "https://git.example.com/a/b/c/fleet", "apps", ""),
    ("https://git.example.com/a/b/fleet.git", "https://git.example.com/a/b/fleet.git", "", ""),
    ("https://git.example.com/acme/fleet/apps/web", "https://git.example.com/acme/fleet", "apps/web", ""),
    ("https://git.example.com/acme/fleet/?ref=x.git/y", "https://git.example.com/acme/fleet", "", "x.git/y"),
    ("https://me@git.example.com/acme/fleet.git", "https://me@git.example.com/acme/fleet.git", "", ""),
    ("git::https://git.example.com/acme/fleet//apps", "https://git.example.com/acme/fleet", "apps", ""),
    ("GIT::git@github.com:acme/fleet", "git@github.com:acme/fleet", "", ""),
    ("https://me@dev.azure.com/o/p/_git/fleet/apps", "https://me@dev.azure.com/o/p/_git/fleet", "apps", ""),
    ("https://o.visualstudio.com/p/_git/fleet?version=v1", "https://o.visualstudio.com/p/_git/fleet", "", "v1"),
    ("https://gist.github.com/0123abcd.git", "https://gist.github.com/0123abcd.git", "", ""),
    ("file:///srv/git/fleet", "file:///srv/git/fleet", "", ""),
    ("file:///srv/git/fleet//apps?ref=v1", "file:///srv/git/fleet", "apps", "v1"),
    ("file://srv/git@x/fleet.git/apps", "file://srv/git@x/fleet.git", "apps", ""),
    ("https://git.example.com/acme/fleet/%-no-escape", "https://git.example.com/acme/fleet", "%-no-escape", ""),
]


@pytest.mark.parametrize(("text", "clone", "directory", "ref"), TABLE)
def test_the_parts_of_a_url(text, clone, directory, ref):
    found = parse_repository_url(text)
    assert (found.clone_url, found.directory, found.ref, found.raw) == (clone, directory, ref, text)
    # user@host/path is a local path to git itself, and here
    assert is_remote(text) is not text.startswith("git@git.example.com/")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/tmp/fleet", "abs path"),
        ("../../base", "parse scheme"),
        ("src/github.com/acme/fleet/apps", "parse scheme"),
        ("base", "parse scheme"),
        ("", "parse scheme"),
        ("htp://git.example.com/acme/fleet", "parse scheme"),
        ("gh:acme/fleet", "parse scheme"),
        ("git::base", "parse scheme"),
        ("oci://registry.example.com/acme/fleet", "parse scheme"),
        ("github.com!acme/fleet.git//apps", "parse scheme"),
        ("ssh://git.example.com", "repo path"),
        ("https://git.example.com?ref=a/b/c", "repo path"),
        ("https://github.com/file.yaml", "repo path"),
        ("file:////srv//apps", "repo path"),
        ("me@ssh://git.example.com/acme/fleet.git", "repo path"),
        ("https://git.example.com/acme/fleet.git//a/../../b", "exits repo"),
        ("https://git.example.com/acme/fleet//../b", "exits repo"),
    ],
)
def test_what_is_no_repository(text, why):
    with pytest.raises(NotARepository, match=why):
        parse_repository_url(text)


def test_every_host_with_every_path_and_ref():
    hosts = [
        ("github.com/", "https://github.com/"),
        ("git@github.com:", "git@github.com:"),
        ("https://git.example.com/", "https://git.example.com/"),
        ("ssh://git.example.com:7999/", "ssh://git.example.com:7999/"),
        ("git::http://git.example.com/", "http://git.example.com/"),
    ]
    for (host, normal), repository, directory, ref in itertools.product(
        hosts, ["acme/fleet", "a/b"], ["", "x", "x/y.txt"], ["", "main", "a/b"]
    ):
        text = host + repository + (f"/{directory}" if directory else "") + (f"?ref={ref}" if ref else "")
        found = parse_repository_url(text)
        assert (found.host, found.path, found.directory, found.ref) == (normal, repository, directory, ref)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ref=a", ("a", DEFAULT_TIMEOUT, True)),
        ("version=a", ("a", DEFAULT_TIMEOUT, True)),
        ("version=a&ref=b", ("b", DEFAULT_TIMEOUT, True)),
        ("ref=&version=a", ("a", DEFAULT_TIMEOUT, True)),
        ("ref=a&ref=b", ("a", DEFAULT_TIMEOUT, True)),
        ("ref=a%2Fb+c", ("a/b c", DEFAULT_TIMEOUT, True)),
        ("ref=%zz", ("", DEFAULT_TIMEOUT, True)),
        ("ref=a;b", ("", DEFAULT_TIMEOUT, True)),
        ("timeout=61", ("", 61, True)),
        ("timeout=1m1s", ("", 61, True)),
        ("timeout=0", ("", DEFAULT_TIMEOUT, True)),
        ("timeout=-4", ("", DEFAULT_TIMEOUT, True)),
        ("timeout=soon", ("", DEFAULT_TIMEOUT, True)),
        ("timeout=99999999999999999999999h", ("", DEFAULT_TIMEOUT, True)),
        ("submodules=false", ("", DEFAULT_TIMEOUT, False)),
        ("submodules=0", ("", DEFAULT_TIMEOUT, False)),
        ("submodules=1", ("", DEFAULT_TIMEOUT, True)),
        ("submodules=perhaps", ("", DEFAULT_TIMEOUT, True)),
    ],
)
def test_the_query(query, expected):
    found = parse_repository_url(f"https://git.example.com/acme/fleet?{query}")
    assert (found.ref, found.timeout, found.submodules) == expected


@pytest.mark.parametrize(
    ("directory", "root"), [("", ""), ("/a", "a"), ("a/", "a"), ("a/./b/../c", "a/c"), ("a//b", "a/b"), (".", "")]
)
def test_the_directory_as_a_path_in_a_tree(directory, root):
    assert parse_repository_url(f"https://git.example.com/acme/fleet//{directory}").root == root


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://git.example.com/acme/fleet.git", True),
        ("https://git.example.com/acme/fleet//apps", True),
        ("https://dev.azure.com/o/p/_git/fleet", True),
        ("https://github.com/acme/fleet/apps?ref=v1", True),
        ("https://github.com/acme/fleet/releases/download/v1/install.yaml", False),
        ("https://raw.example.com/acme/fleet/v1/a.git.yaml", False),
    ],
)
def test_what_a_url_looks_like(url, expected):
    assert names_repository(url) is expected


def test_logins_and_tokens_are_not_shown():
    assert without_login("https://me:pw@h/a/b?ref=v1&token=t") == "https://***@h/a/b?ref=v1"
    assert without_login("https://h/x.yaml?token=t") == "https://h/x.yaml?…"
    assert without_login("a?b") == "a?b"
    assert holds_password("https://me:pw@h/a/b")
    assert not holds_password("https://me@h/a/b?x=y:z@w")
    assert not holds_password("https://h:1/a/b@c")
