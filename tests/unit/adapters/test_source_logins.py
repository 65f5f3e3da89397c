"""Logins of sources: whose identity is asked, where its token goes, how long it is kept, and what errors say."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from penstock.adapters.buckets.gcs import GcsBuckets
from penstock.adapters.buckets.s3 import S3Buckets
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.identity.logins import SourceLogins
from penstock.adapters.identity.memory import MemoryIdentities
from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.core.errors import InvalidDocument, NotFound, Refused, Terminal
from penstock.core.http import HttpResponse
from penstock.core.identity import azure
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.oci import ImageName
from penstock.ports.buckets import LdapSts, RemoteBucket
from penstock.ports.git import GitRef, Remote
from penstock.ports.identity import CloudIdentity
from penstock.ports.registry import RemoteImage

ECR = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"


class World:
    """``answers``: by the URL that is asked; ``asked``: the requests; ``guards``: what guarded senders may reach."""

    def __init__(self, answers=()):
        self.now, self.asked, self.guards, self.answers = 1000.0, [], [], dict(answers)
        self.identities = MemoryIdentities()
        self.logins = SourceLogins(lambda: self.identities, self.send, self.guarded, clock=lambda: self.now)

    def send(self, request):
        self.asked.append(request)
        status, value = self.answers[request.url]
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return HttpResponse(status=status, body=body)

    def guarded(self, allowed_hosts, certificates):
        self.guards.append((allowed_hosts, dict(certificates)))
        return self.send


def image(registry):
    return RemoteImage(name=ImageName(registry=registry, repository="fleet"))


def own(provider):
    return CloudIdentity(provider=provider)


def ecr(world):
    token = base64.b64encode(b"AWS:canary").decode()
    url = "https://api.ecr.eu-central-1.amazonaws.com/"
    world.answers[url] = 200, {"authorizationData": [{"authorizationToken": token, "expiresAt": world.now + 43200}]}


def test_a_login_is_kept_for_some_minutes_and_then_asked_for_anew():
    world = World()
    ecr(world)
    first = world.logins.registry(image(ECR), own("aws"))
    assert base64.b64decode(first.basic) == b"AWS:canary"
    world.logins.registry(image(ECR), own("aws"))
    assert len(world.asked) == 1
    world.now += 700
    world.logins.registry(image(ECR), own("aws"))
    assert len(world.asked) == 2


def test_azure_and_google_log_in_with_tokens_of_their_own():
    world = World({"https://acme.azurecr.io/oauth2/exchange": (200, {"refresh_token": "canary"})})
    assert base64.b64decode(world.logins.registry(image("acme.azurecr.io"), own("azure")).basic).endswith(b":canary")
    assert b"access_token=azure" in world.asked[0].body
    login = world.logins.registry(image("europe-docker.pkg.dev"), own("gcp"))
    assert base64.b64decode(login.basic) == b"oauth2accesstoken:gcp own #1"


@pytest.mark.parametrize("provider", ["aws", "azure", "gcp"])
def test_no_identity_is_even_asked_for_a_registry_of_somebody_else(provider):
    world = World()
    with pytest.raises(InvalidDocument, match="no registry of provider") as caught:
        world.logins.registry(image("ghcr.io"), own(provider))
    assert (world.asked, dict(world.identities.asked)) == ([], {})
    assert "asked as the plane's own identity" in str(caught.value)


def test_git_hosts_take_what_an_identity_stands_for():
    world = World()
    aws = Remote(url="https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/r", identity=own("aws"))
    assert world.logins.git(aws).credentials["username"] == b"AKIDMEMORY"
    devops = Remote(url="https://dev.azure.com/a/b/_git/c", identity=own("azure"))
    assert world.logins.git(devops).credentials["bearerToken"].startswith(b"azure 499b84ac")
    plain = Remote(url="https://git.example.com/r")
    assert world.logins.git(plain) is plain
    for remote in (Remote(url=plain.url, identity=own("aws")), Remote(url=plain.url, identity=own("azure"))):
        with pytest.raises(InvalidDocument):
            world.logins.git(remote)


def app_secret(**more):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, encryption)
    return {"githubAppID": b"42", "githubAppInstallationOwner": b"acme", "githubAppPrivateKey": pem, **more}


def test_a_github_app_is_looked_up_and_asked_for_a_token_only_where_the_policy_allows():
    api = "https://ghe.example.com/api/v3"
    world = World(
        {
            f"{api}/orgs/acme/installation": (404, {"message": "Not Found"}),
            f"{api}/users/acme/installation": (200, {"id": 7}),
            f"{api}/app/installations/7/access_tokens": (
                201,
                {"token": "canary", "expires_at": "2030-01-01T00:00:00Z"},
            ),
        }
    )
    url = GuardedUrl("https://ghe.example.com/acme/fleet", ("10.0.0.0/8",))
    secret = app_secret(githubAppBaseURL=b"https://ghe.example.com", **{"ca.crt": b"authority"})
    remote = Remote(url=url, credentials=secret, github_app=True)
    found = world.logins.git(remote)
    assert found.credentials == {"username": b"x-access-token", "password": b"canary", "ca.crt": b"authority"}
    assert world.guards[0][0] == ("10.0.0.0/8",)
    assert [each.url.rpartition("/")[2] for each in world.asked] == ["installation", "installation", "access_tokens"]
    world.logins.git(remote)
    assert len(world.asked) == 3
    world.answers[f"{api}/users/acme/installation"] = (404, {})
    with pytest.raises(NotFound, match="GitHub App 43 is not installed at acme") as caught:
        world.logins.git(Remote(url=url, credentials={**secret, "githubAppID": b"43"}, github_app=True))
    assert caught.value.reason == "AuthenticationFailed"
    with pytest.raises(Terminal) as caught:
        world.logins.git(Remote(url=url, credentials={"githubAppID": b"43"}, github_app=True))
    assert caught.value.reason == "InvalidProviderConfiguration"


def test_an_sts_of_a_directory_gives_keys_for_its_bucket():
    xml = b"""<AssumeRoleWithLDAPIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
    <AssumeRoleWithLDAPIdentityResult><Credentials><AccessKeyId>K</AccessKeyId><SecretAccessKey>canary</SecretAccessKey>
    <Expiration>2030-01-01T00:00:00Z</Expiration><SessionToken>T</SessionToken></Credentials>
    </AssumeRoleWithLDAPIdentityResult></AssumeRoleWithLDAPIdentityResponse>"""
    world = World({"https://sts.example.com": (200, xml)})
    sts = LdapSts(
        endpoint="https://sts.example.com",
        credentials={"username": b"dev", "password": b"canary&"},
        certificates={"ca.crt": b"authority"},
    )
    bucket = RemoteBucket(name="fleet", endpoint="https://s3.example.com", sts=sts, allowed_hosts=("10.0.0.0/8",))
    keys = world.logins.ldap_keys(bucket)
    assert (keys.access_key_id, keys.secret_access_key, keys.session_token) == ("K", "canary", "T")
    assert world.guards == [(("10.0.0.0/8",), {"ca.crt": b"authority"})]
    assert world.asked[0].body == (
        b"Action=AssumeRoleWithLDAPIdentity&Version=2011-06-15&LDAPUsername=dev&LDAPPassword=canary%26"
    )
    world.answers["https://sts.example.com"] = (
        403,
        b"<ErrorResponse><Error><Message>no such user</Message></Error></ErrorResponse>",
    )
    world.now += 700
    with pytest.raises(Refused, match="no such user") as caught:
        world.logins.ldap_keys(bucket)
    assert "canary" not in str(caught.value)
    for wrong in ({}, {"username": b"dev"}):
        broken = LdapSts(endpoint="https://sts.example.com", credentials=wrong)
        with pytest.raises(Terminal, match="'username' and 'password'"):
            world.logins.ldap_keys(RemoteBucket(name="fleet", endpoint="https://s3.example.com", sts=broken))


def test_an_application_asks_entra_id_by_its_secret():
    url = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    world = World({url: (200, {"access_token": "canary", "expires_in": 3600})})
    application = azure.Application(tenant="tenant", client="client", cloud=azure.PUBLIC)
    assert world.logins.application_token(application, "scope", "secret") == "canary"
    assert world.logins.token(own("azure"), "scope") == "azure scope own #1"
    assert world.logins.aws_keys(own("aws"), "eu-central-1").access_key_id == "AKIDMEMORY"


def test_an_adapter_without_logins_refuses_an_identity():
    refused = [
        lambda: DistributionRegistry().tags(
            RemoteImage(name=ImageName(registry=ECR, repository="r"), identity=own("aws"))
        ),
        lambda: DulwichGit().resolve(
            Remote(url="https://dev.azure.com/a/b", identity=own("azure")), GitRef(branch="x")
        ),
        lambda: S3Buckets().objects(RemoteBucket(name="b", endpoint="https://s3", identity=own("aws")), "", most=1),
        lambda: GcsBuckets().objects(RemoteBucket(name="b", endpoint="https://gcs", identity=own("gcp")), "", most=1),
    ]
    for ask in refused:
        with pytest.raises(Refused, match="identities are set up here"):
            ask()
