"""As whom sources of clouds are fetched: a ServiceAccount of their namespace, or the plane itself where it is listed."""

import base64
import json
import time
from types import SimpleNamespace

import pytest
import yaml
from tests.memory_plane import MemoryPlane
from tests.stages.test_fetch_sources import REPOSITORY, bucket, config_map, fleet, later, oci, ready
from tests.stages.test_fetch_verified import SITE, conditions, git, secret, site

from penstock.adapters.identity.clouds import read_account
from penstock.ports.identity import CloudIdentity

PROVIDERS = [
    ("OCIRepository", oci(provider="aws"), "registry"),
    ("Bucket", bucket(provider="gcp"), "buckets"),
    ("Bucket", bucket(provider="azure"), "buckets"),
    ("GitRepository", git(provider="azure", ref={"branch": "main"}), "git"),
]


class Seen:
    """Remembers the remotes that an adapter of the plane was asked for."""

    def __init__(self, plane, port):
        self.remotes, adapter = [], getattr(plane, port)
        method = {"registry": "digest", "buckets": "objects", "git": "resolve"}[port]
        original = getattr(adapter, method)

        def watched(remote, *arguments, **named):
            if getattr(remote, "url", SITE) == SITE:
                self.remotes.append(remote)
            return original(remote, *arguments, **named)

        setattr(adapter, method, watched)


def world(policy=None):
    plane = MemoryPlane(policy=policy)
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.buckets.put("fleet", "a.yaml", config_map("1"))
    site(plane, "1")
    return plane


def told(plane, kind):
    return conditions(plane)["Ready"] if kind == "GitRepository" else ready(plane, kind)


@pytest.mark.parametrize(("kind", "document", "port"), PROVIDERS)
def test_the_planes_own_identity_is_for_listed_sources_only(kind, document, port):
    plane = world({"ownIdentitySources": [f"{kind}/flux-system/other", f"{kind}/other/apps"]})
    seen = Seen(plane, port)
    plane.push(fleet(kind, document))
    plane.settle(seconds=30)
    assert told(plane, kind).startswith("False AuthenticationFailed: provider ")
    assert f"the operator lists {kind}/flux-system/apps in policy.ownIdentitySources" in told(plane, kind)
    assert seen.remotes == []
    plane.apply_plane(policy={"ownIdentitySources": [f"{kind}/flux-system/apps"]})
    later(plane)
    assert plane.config_map("a", "default") == {"key": "1"}
    provider = yaml.safe_load(document)["spec"]["provider"]
    assert seen.remotes[0].identity == CloudIdentity(provider=provider)


ANNOTATIONS = {
    "gcp.auth.fluxcd.io/workload-identity-provider": "projects/1/locations/global/workloadIdentityPools/p/providers/x"
}
AUDIENCES = {
    "aws": "sts.amazonaws.com",
    "azure": "api://AzureADTokenExchange",
    "gcp": f"//iam.googleapis.com/{ANNOTATIONS['gcp.auth.fluxcd.io/workload-identity-provider']}",
}


def reader(**annotations):
    metadata = {"name": "reader", "namespace": "flux-system", "annotations": {**ANNOTATIONS, **annotations}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    return yaml.safe_dump_all([namespace, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}])


@pytest.mark.parametrize(("kind", "document", "port"), PROVIDERS)
def test_a_service_account_of_the_sources_own_namespace_is_taken_where_it_names_one(kind, document, port):
    plane = world()
    seen = Seen(plane, port)
    changed = yaml.safe_load(document)
    changed["spec"]["serviceAccountName"] = "reader"
    plane.push(fleet(kind, yaml.safe_dump(changed)))
    plane.settle(seconds=30)
    assert "there is no token of ServiceAccount flux-system/reader" in told(plane, kind)
    plane.push({"clusters/prod/reader.yaml": reader(a="1")})
    plane.settle(seconds=60)
    later(plane)
    assert plane.config_map("a", "default") == {"key": "1"}
    who = seen.remotes[-1].identity.who
    assert (who.cluster, who.namespace, who.name) == ("prod", "flux-system", "reader")
    assert read_account(who)["metadata"]["annotations"]["a"] == "1"
    given = who.home().request_token("flux-system", "reader", audiences=(), seconds=600)
    assert AUDIENCES[changed["spec"]["provider"]] in given.token
    assert given.expires > plane.clock.now().timestamp()
    plane.push({"clusters/prod/reader.yaml": reader(a="2")})
    plane.settle(seconds=60)
    later(plane)
    later(plane)
    assert read_account(seen.remotes[-1].identity.who)["metadata"]["annotations"]["a"] == "2"


def test_a_token_is_brought_anew_before_it_ends(monkeypatch):
    plane = world()
    monkeypatch.setattr(
        "penstock.adapters.cluster.memory.time",
        SimpleNamespace(time=lambda: plane.clock.now().timestamp(), monotonic=time.monotonic),
    )
    seen = Seen(plane, "registry")
    plane.push(
        {
            **fleet("OCIRepository", oci(provider="aws", serviceAccountName="reader")),
            "clusters/prod/reader.yaml": reader(),
        }
    )
    plane.settle(seconds=60)
    first = seen.remotes[-1].identity.who.home().request_token("flux-system", "reader", audiences=(), seconds=600)
    for _ in range(3):
        plane.clock.advance(5 * 3600)
        plane.tick()
        plane.settle(seconds=60)
        later(plane)
        later(plane)
        held = seen.remotes[-1].identity.who.home().request_token("flux-system", "reader", audiences=(), seconds=600)
        assert held.expires > plane.clock.now().timestamp()
    assert held.expires > first.expires


def test_a_secret_comes_before_any_identity():
    plane = world()
    seen = Seen(plane, "registry")
    config = json.dumps({"auths": {}}).encode()
    login = secret("login", **{".dockerconfigjson": config})
    document = oci(provider="aws", secretRef={"name": "login"})
    plane.push({**fleet("OCIRepository", document), "clusters/prod/login.yaml": login})
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert seen.remotes[-1].identity is None


def test_the_pull_secrets_of_a_service_account_log_in():
    plane = world()
    basic = base64.b64encode(b"robot:canary").decode()
    plane.registry.logins[REPOSITORY] = basic
    one = json.dumps({"auths": {"ghcr.io": {"auth": basic}}}).encode()
    other = json.dumps({"auths": {"ghcr.io": {"auth": "bm9ib2R5Om5v"}, "quay.io": {"auth": basic}}}).encode()
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "puller", "namespace": "flux-system"},
        "imagePullSecrets": [{"name": "one"}, {"name": "other"}, {"name": "gone"}],
    }
    plane.push(
        {
            "clusters/prod/one.yaml": secret("one", **{".dockerconfigjson": one}),
            "clusters/prod/two.yaml": secret("other", **{".dockerconfigjson": other}).partition("---\n")[2],
            "clusters/prod/account.yaml": yaml.safe_dump(account),
        }
    )
    plane.settle(seconds=30)
    plane.push(fleet("OCIRepository", oci(serviceAccountName="puller")))
    plane.settle(seconds=30)
    assert plane.config_map("a", "default") == {"key": "1"}, ready(plane, "OCIRepository")
    assert "canary" not in str(plane.events)


def test_a_github_app_is_for_provider_github_and_no_other():
    plane = world()
    seen = Seen(plane, "git")
    app = secret("app", githubAppID=b"42", githubAppInstallationID=b"7", githubAppPrivateKey=b"canary")
    document = git(ref={"branch": "main"}, secretRef={"name": "app"})
    plane.push({**fleet("GitRepository", document), "clusters/prod/app.yaml": app})
    plane.settle(seconds=30)
    assert conditions(plane)["Ready"] == (
        "False InvalidProviderConfiguration: secretRef 'flux-system/app' has github app data but provider is not set to github"
    )
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, secretRef={"name": "app"}, provider="github")))
    plane.settle(seconds=30)
    assert seen.remotes[-1].github_app
    assert plane.config_map("a", "default") == {"key": "1"}
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, provider="github")))
    plane.settle(seconds=30)
    told = plane.ready("flux-system")
    assert "spec.secretRef: with github app data must be specified when provider is set to github" in told


def test_an_sts_of_a_directory_and_one_of_aws():
    plane = world({"ownIdentitySources": ["Bucket/flux-system/apps"]})
    seen = Seen(plane, "buckets")
    ldap = {"provider": "ldap", "endpoint": "https://minio.example.com", "secretRef": {"name": "who"}}
    people = secret("who", username=b"dev", password=b"canary")
    plane.push({**fleet("Bucket", bucket(sts=ldap)), "clusters/prod/who.yaml": people})
    plane.settle(seconds=30)
    assert seen.remotes[-1].sts.credentials == {"username": b"dev", "password": b"canary"}
    assert plane.config_map("a", "default") == {"key": "1"}
    for endpoint, region in (
        ("https://sts.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://vpce-0a-b.sts.us-east-2.vpce.amazonaws.com", "us-east-2"),
    ):
        plane.push(fleet("Bucket", bucket(provider="aws", sts={"provider": "aws", "endpoint": endpoint})))
        plane.settle(seconds=30)
        assert (seen.remotes[-1].region, seen.remotes[-1].sts) == (region, None)
    for wrong in ("https://sts.amazonaws.com.evil.example.com", "http://sts.eu-central-1.amazonaws.com"):
        plane.push(fleet("Bucket", bucket(provider="aws", sts={"provider": "aws", "endpoint": wrong})))
        plane.settle(seconds=30)
        assert "must be AWS's STS" in ready(plane, "Bucket")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"provider": "gcp", "sts": {"provider": "aws", "endpoint": "https://x"}}, "spec.sts"),
        ({"sts": {"provider": "aws", "endpoint": "https://x"}}, "spec.sts"),
        (
            {"provider": "aws", "sts": {"provider": "aws", "endpoint": "https://x", "secretRef": {"name": "a"}}},
            "spec.sts",
        ),
        ({"sts": {"provider": "ldap", "endpoint": "x"}}, "spec.sts.endpoint"),
        ({"serviceAccountName": "a"}, "spec.serviceAccountName"),
        ({"provider": "aws", "serviceAccountName": "a", "secretRef": {"name": "a"}}, "spec.serviceAccountName"),
    ],
)
def test_what_does_not_go_together_is_said(spec, path):
    plane = world()
    plane.push(fleet("Bucket", bucket(**spec)))
    plane.settle(seconds=30)
    assert f"Bucket/flux-system/apps, {path}: " in plane.ready("flux-system")
