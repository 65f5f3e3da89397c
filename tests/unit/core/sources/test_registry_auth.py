import base64
import json

import pytest

from penstock.core.errors import Terminal
from penstock.core.sources.registry_auth import challenge, login_for

BASIC = base64.b64encode(b"user:canary").decode()


def config(**auths):
    return {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("docker.io", "index.docker.io"),
        ("localhost:5000", "localhost:5000"),
        ("GHCR.io", "ghcr.io"),
    ],
)
def test_the_login_of_a_registry(key, registry):
    assert login_for(config(**{key: {"auth": BASIC}}), registry).basic == BASIC
    assert login_for(config(**{key: {"username": "user", "password": "canary"}}), registry).basic == BASIC
    assert login_for(config(**{"other.io": {"auth": BASIC}}), registry).basic == ""


def test_an_identity_token():
    assert login_for(config(**{"a.io": {"identitytoken": "canary"}}), "a.io").identity_token == "canary"


@pytest.mark.parametrize(
    "secret",
    [
        {"password": b"canary"},
        {".dockerconfigjson": b"canary"},
        {".dockerconfigjson": b"[]"},
        {".dockerconfigjson": b'{"auths": []}x'},
        config(**{"a.io": "canary"}),
        config(**{"a.io": {"auth": "canary!"}}),
    ],
)
def test_what_is_no_login_is_refused_without_telling_it(secret):
    with pytest.raises(Terminal) as caught:
        login_for(secret, "a.io")
    assert "canary" not in str(caught.value)
    assert caught.value.reason == "AuthenticationFailed"


def test_no_secret_is_no_login():
    assert login_for({}, "a.io").basic == ""


def test_challenges():
    found = challenge('Bearer realm="https://auth.example.com/token",service="a, b",scope="repository:a/b:pull"')
    assert found.scheme == "bearer"
    assert found.parameters == {
        "realm": "https://auth.example.com/token",
        "service": "a, b",
        "scope": "repository:a/b:pull",
    }
    assert challenge("BASIC realm=x").scheme == "basic"
    assert challenge("").parameters == {}
