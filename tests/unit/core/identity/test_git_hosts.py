"""Credentials at Git hosts: CodeCommit, Azure DevOps, GitHub Apps."""

import base64
import json
from datetime import UTC, datetime

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from penstock.core.errors import InvalidDocument, NotFound, Refused, Terminal, Transient
from penstock.core.http import HttpResponse
from penstock.core.identity import git_hosts
from penstock.core.identity.sigv4 import AwsKeys

URL = "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/fleet"
MOMENT = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


def answer(value, status=200):
    return HttpResponse(status=status, body=json.dumps(value).encode())


@pytest.mark.parametrize("session", ["", "canary-session"])
def test_codecommit_takes_the_signature_that_awss_own_helper_makes(session):
    keys = AwsKeys(access_key_id="AKID", secret_access_key="canary", session_token=session)
    found = git_hosts.codecommit_login(URL, keys, MOMENT)
    request = botocore.awsrequest.AWSRequest(method="GIT", url=URL)
    request.context["timestamp"] = "20261127T030000"
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials("AKID", "canary"), "codecommit", "eu-central-1")
    canonical = "GIT\n/v1/repos/fleet\n\nhost:git-codecommit.eu-central-1.amazonaws.com\n\nhost\n"
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert found["password"] == f"20261127T030000Z{signature}".encode()
    assert found["username"] == (b"AKID%canary-session" if session else b"AKID")


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/r",
        URL.replace("https", "http"),
        URL.replace(".amazonaws.com", ".amazonaws.com.evil.example.com"),
        "https://evil.example.com/git-codecommit.eu-central-1.amazonaws.com",
    ],
)
def test_no_credential_goes_to_a_host_of_somebody_else(url):
    for check in (git_hosts.codecommit_region, git_hosts.check_devops):
        with pytest.raises(InvalidDocument, match=r"spec\.url: is no URL for provider"):
            check(url)
    git_hosts.check_devops("https://dev.azure.com/acme/fleet/_git/fleet")
    git_hosts.check_devops("https://acme.visualstudio.com/fleet/_git/fleet")


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    form, encryption = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def secret(key, **more):
    found = {"githubAppID": b"42", "githubAppInstallationID": b"7", "githubAppPrivateKey": pem(key), **more}
    return {name: value for name, value in found.items() if value}


def test_an_app_asks_for_a_token_of_its_installation_and_signs_who_it_is(key):
    app = git_hosts.github_app(secret(key))
    assert git_hosts.ask_installations(app, 1000.0) == ()
    asked = git_hosts.ask_token(app, app.installation, 1000.0)
    assert (asked.method, asked.url) == ("POST", "https://api.github.com/app/installations/7/access_tokens")
    signed, _, signature = asked.headers["authorization"].removeprefix("Bearer ").rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    key.public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = signed.partition(".")[2]
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"iat": 940, "exp": 1540, "iss": "42"}
    login, end = git_hosts.app_login(answer({"token": "canary", "expires_at": "2026-11-27T04:00:00Z"}, 201))
    assert login == {"username": b"x-access-token", "password": b"canary"}
    assert end == datetime(2026, 11, 27, 4, tzinfo=UTC).timestamp()


def test_an_owner_is_looked_up_as_an_organization_and_then_as_a_person(key):
    app = git_hosts.github_app(secret(key, githubAppInstallationID=b"", githubAppInstallationOwner=b"ac/me"))
    asked = [each.url for each in git_hosts.ask_installations(app, 0.0)]
    assert asked == [f"https://api.github.com/{kind}/ac%2Fme/installation" for kind in ("orgs", "users")]
    assert git_hosts.installation(answer({"id": 9})) == "9"
    assert git_hosts.installation(answer({"message": "Not Found"}, 404)) == ""
    with pytest.raises(Transient):
        git_hosts.installation(answer({"id": "x"}))
    with pytest.raises(Refused, match="Bad credentials"):
        git_hosts.installation(answer({"message": "Bad credentials"}, 401))
    assert isinstance(git_hosts.not_installed(app), NotFound)


@pytest.mark.parametrize(
    ("base", "api"),
    [
        (b"", "https://api.github.com"),
        (b"https://ghe.example.com", "https://ghe.example.com/api/v3"),
        (b"https://ghe.example.com/api/v3/", "https://ghe.example.com/api/v3"),
        (b"https://api.github.com/", "https://api.github.com"),
    ],
)
def test_an_enterprise_server_has_its_api_below_its_own_host(key, base, api):
    assert git_hosts.github_app(secret(key, githubAppBaseURL=base)).api == api


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"githubAppID": b""}, "secretRef with github app data must be specified"),
        ({"githubAppPrivateKey": b""}, "secretRef with github app data must be specified"),
        ({"githubAppInstallationOwner": b"acme"}, "needs either"),
        ({"githubAppInstallationID": b""}, "needs either"),
        ({"githubAppInstallationID": b"../7"}, "is no id"),
        ({"githubAppID": b"4/2"}, "is no id"),
        ({"githubAppBaseURL": b"http://ghe.example.com"}, "must be an https URL"),
    ],
)
def test_what_an_app_needs_is_said(key, more, told):
    with pytest.raises(Terminal, match=told) as caught:
        git_hosts.github_app(secret(key, **more))
    assert caught.value.reason == "InvalidProviderConfiguration"


def test_a_key_that_is_none_is_refused_without_being_shown(key):
    for wrong in (b"canary", pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(Terminal, match="no RSA private key") as caught:
            git_hosts.ask_token(git_hosts.github_app(secret(key, githubAppPrivateKey=wrong)), "7", 0.0)
        assert "canary" not in str(caught.value)
    for wrong in ({}, {"token": "x"}, {"token": "x", "expires_at": "no"}):
        with pytest.raises(Transient):
            git_hosts.app_login(answer(wrong, 201))
    with pytest.raises(Refused, match="suspended"):
        git_hosts.app_login(answer({"message": "This installation has been suspended"}, 403))
