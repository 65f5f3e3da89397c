"""Which repositories a tree names as submodules, and where they are."""

import pytest

from penstock.core.errors import Terminal
from penstock.core.sources.submodules import Submodule, same_host, submodules

PARENT = "https://git.example.com/acme/fleet.git"
COMMIT = "a" * 40


def described(url, path="vendor/lib"):
    return (
        f'# a comment\n[core]\n\tx = y\n[submodule "lib"]\n\tpath = {path}\n\turl = {url}\n\tbranch = main\n'.encode()
    )


@pytest.mark.parametrize(
    ("url", "parent", "where"),
    [
        ("https://other.example.com/lib", PARENT, "https://other.example.com/lib"),
        ("../lib.git", PARENT, "https://git.example.com/acme/lib.git"),
        ("../../other/lib", PARENT, "https://git.example.com/other/lib"),
        ("./lib", PARENT, "https://git.example.com/acme/fleet.git/lib"),
        ("git@github.com:acme/lib.git", PARENT, "ssh://git@github.com/acme/lib.git"),
        ("github.com:acme/lib.git", PARENT, "ssh://git@github.com/acme/lib.git"),
        ("../lib", "ssh://git@git.example.com:2222/acme/fleet", "ssh://git@git.example.com:2222/acme/lib"),
    ],
)
def test_where_a_submodule_is(url, parent, where):
    found = submodules(described(url), {"vendor/lib": COMMIT}, parent)
    assert found == (Submodule(path="vendor/lib", url=where, commit=COMMIT),)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc",
        "/etc/passwd",
        "https://user:canary@host/lib",
        "https://user@host/lib",
        "ext::sh -c x",
        "https://a b/",
    ],
)
def test_a_url_that_cannot_be_fetched_is_refused_without_its_login(url):
    with pytest.raises(Terminal, match="submodule 'vendor/lib'") as caught:
        submodules(described(url), {"vendor/lib": COMMIT}, PARENT)
    assert "canary" not in str(caught.value)


def test_a_submodule_that_is_not_described_and_too_many():
    with pytest.raises(Terminal, match=r"submodule 'x' has no url in \.gitmodules"):
        submodules(described("../lib"), {"x": COMMIT}, PARENT)
    with pytest.raises(Terminal, match="at most 64"):
        submodules(b"", {str(number): COMMIT for number in range(65)}, PARENT)
    assert submodules(b"\xff[submodule", {}, PARENT) == ()


def test_whose_host_is_the_same():
    assert same_host(PARENT, "https://git.example.com/x")
    for other in ("http://git.example.com/x", "https://git.example.com:8443/x", "https://evil.example.com/x"):
        assert not same_host(PARENT, other)
