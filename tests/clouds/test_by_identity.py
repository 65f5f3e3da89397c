"""Where clusters of each cloud are found, and which token is presented: up to the request, in recorded shapes."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.clouds.world import Asked, World, b64, serving

from penstock.adapters.cluster.by_identity import ByIdentity
from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.identity.clouds import CloudIdentities
from penstock.core.clusters.access import ClusterAccess
from penstock.core.errors import InvalidDocument, NotFound, Refused
from penstock.core.identity import azure
from penstock.core.identity.sigv4 import AwsKeys
from penstock.ports.cluster import RemoteCluster
from penstock.ports.identity import Account

ROLE = "arn:aws:iam::123456789012:role/deployer"
EKS = "arn:aws:eks:eu-central-1:123456789012:cluster/production"
GKE = "projects/acme/locations/europe-west1/clusters/production"
FLEET = "projects/acme/locations/global/memberships/edge"
TENANT, CLIENT = "66666666-7777-4888-9999-000000000000", "11111111-2222-4333-8444-555555555555"
AKS = (
    "/subscriptions/22222222-2222-4333-8444-555555555555/resourceGroups/rg/providers"
    "/Microsoft.ContainerService/managedClusters/production"
)
PEM = "-----BEGIN CERTIFICATE-----\nTUlJQ2F1dGhvcml0eQ==\n-----END CERTIFICATE-----\n"
OTHER_PEM = PEM.replace("TUlJ", "QUFB")
ANNOTATIONS = {
    "eks.amazonaws.com/role-arn": ROLE,
    "gcp.auth.fluxcd.io/workload-identity-provider": "projects/4/locations/global/workloadIdentityPools/p/providers/h",
    "azure.workload.identity/client-id": CLIENT,
    "azure.workload.identity/tenant-id": TENANT,
}
TOKEN = {"access_token": "canary-token", "token_type": "Bearer", "expires_in": 3599}
DNS = "gke-0123456789abcdef-42.europe-west1.gke.goog"
GKE_ANSWER = {
    "name": "production",
    "endpoint": "34.90.1.2",
    "masterAuth": {"clusterCaCertificate": b64(PEM.encode())},
    "privateClusterConfig": {"privateEndpoint": "10.1.2.3", "publicEndpoint": "34.90.1.2"},
    "controlPlaneEndpointsConfig": {
        "dnsEndpointConfig": {"endpoint": DNS, "allowExternalTraffic": True},
        "ipEndpointsConfig": {"enabled": True, "publicEndpoint": "34.90.1.2", "privateEndpoint": "10.1.2.3"},
    },
}
BY_DNS = {
    **GKE_ANSWER,
    "controlPlaneEndpointsConfig": {
        "dnsEndpointConfig": {"endpoint": DNS, "allowExternalTraffic": True},
        "ipEndpointsConfig": {"enabled": False},
    },
}
GATEWAY = "https://connectgateway.googleapis.com/v1/projects/42/locations/global/gkeMemberships/edge"


def aks_kubeconfig(server: str, **user: Any) -> str:
    user = user or {"exec": {"command": "kubelogin", "args": ["get-token", "--server-id", azure.AKS_SCOPE[:36]]}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "production",
        "contexts": [{"name": "production", "context": {"cluster": "production", "user": "clusterUser_rg_production"}}],
        "clusters": [
            {"name": "production", "cluster": {"server": server, "certificate-authority-data": b64(PEM.encode())}}
        ],
        "users": [{"name": "clusterUser_rg_production", "user": user}],
    }
    return b64(json.dumps(document).encode())


AKS_ANSWER = {
    "kubeconfigs": [
        {"name": "clusterUser", "value": aks_kubeconfig("https://production-x1.hcp.westeurope.azmk8s.io:443")},
        {"name": "clusterUser", "value": aks_kubeconfig("https://production-y2.privatelink.westeurope.azmk8s.io:443")},
    ]
}


@dataclass
class Clouds:
    world: World
    home: MemoryCluster
    by_identity: ByIdentity
    identities: CloudIdentities
    account: Account

    def connection(self, *, own: bool = False, manifest: bool = True, **access: Any):
        remote = RemoteCluster(
            access=ClusterAccess(**access),
            name="ConfigMap/apps/remote",
            account=None if own else self.account,
            allowed_hosts=() if manifest else None,
        )
        return self.by_identity.connection(remote)


@pytest.fixture
def clouds(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clouds]:
    """A home cluster with an account; the plane's own identity is what the environment says."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAOWN",
        "AWS_SECRET_ACCESS_KEY": "own-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    home = MemoryCluster()
    home.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    metadata = {"name": "deployer", "namespace": "apps", "annotations": ANNOTATIONS}
    home.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    answers: dict = {
        ("sts.googleapis.com", "/v1/token"): (200, TOKEN),
        ("login.microsoftonline.com", f"/{TENANT}/oauth2/v2.0/token"): (200, TOKEN),
        ("container.googleapis.com", f"/v1/{GKE}"): (200, GKE_ANSWER),
        ("connectgateway.googleapis.com", f"/v1/{FLEET}:generateCredentials"): (200, {"endpoint": GATEWAY}),
        ("management.azure.com", f"{AKS}/listClusterUserCredential"): (200, AKS_ANSWER),
    }
    with serving(World(answers=answers, moto=moto)) as world:
        own = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": "canary-secret"}
        identities = CloudIdentities(world.send, own)
        made = ByIdentity(identities, world.send, azure_cloud=lambda: identities.azure_cloud)
        account = Account(home=lambda: home, cluster="hub", namespace="apps", name="deployer")
        yield Clouds(world, home, made, identities, account)


# EKS


@pytest.fixture
def eks(clouds: Clouds, moto: str) -> dict[str, Any]:
    import botocore.session
    from moto.backends import get_backend

    client = botocore.session.Session().create_client(
        "eks", region_name="eu-central-1", endpoint_url=moto, aws_access_key_id="AKIAOWN", aws_secret_access_key="own"
    )
    with contextlib.suppress(client.exceptions.ResourceInUseException):
        client.create_cluster(
            name="production",
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]},
        )
    # moto makes up bytes that are no certificate
    get_backend("eks")["123456789012"]["eu-central-1"].clusters["production"].certificate_authority["data"] = b64(
        PEM.encode()
    )
    return client.describe_cluster(name="production")["cluster"]


def test_an_eks_cluster_is_found_by_its_arn(clouds: Clouds, eks: dict[str, Any]) -> None:
    assert eks["arn"] == EKS
    found = clouds.connection(provider="aws", cluster=EKS)
    assert found.server == f"{eks['endpoint'].rstrip('/').lower()}:443"
    assert found.ca.decode() == PEM
    assert clouds.world.hosts() == ["sts.eu-central-1.amazonaws.com", "eks.eu-central-1.amazonaws.com"]


def signature_by_botocore(url: str, keys: AwsKeys) -> str:
    """The signature that botocore puts into the same request at the same time."""
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    query = dict(parse_qsl(urlsplit(url).query))
    plain = "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest(method="GET", url=plain, headers={"x-k8s-aws-id": "production"})
    moment = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 - botocore's own form
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4QueryAuth(credentials, "sts", "eu-central-1", expires=60).add_auth(request)
    return dict(parse_qsl(urlsplit(request.url).query))["X-Amz-Signature"]


def test_an_eks_token_is_a_signed_request_of_the_role(clouds: Clouds, eks: dict[str, Any], moto: str) -> None:
    """moto's server takes no presigned requests, so the signature is made again by botocore, with the role's keys."""
    import botocore.session

    authorization = clouds.connection(provider="aws", cluster=EKS).credentials.login().authorization
    token = authorization.removeprefix("Bearer k8s-aws-v1.")
    assert token != authorization
    assert "=" not in token
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    query = dict(parse_qsl(urlsplit(url).query))
    assert (urlsplit(url).scheme, urlsplit(url).hostname) == ("https", "sts.eu-central-1.amazonaws.com")
    assert (query["Action"], query["X-Amz-SignedHeaders"]) == ("GetCallerIdentity", "host;x-k8s-aws-id")
    keys = clouds.identities.aws(clouds.account, "eu-central-1").keys
    assert query["X-Amz-Signature"] == signature_by_botocore(url, keys)
    sts = botocore.session.Session().create_client(
        "sts",
        region_name="eu-central-1",
        endpoint_url=moto,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )
    assert sts.get_caller_identity()["Arn"].endswith("assumed-role/deployer/deployer.apps.eu-central-1.penstock")


def test_an_eks_cluster_that_is_not_there_is_named(clouds: Clouds) -> None:
    with pytest.raises(NotFound, match=r"AWS eks:DescribeCluster for .*cluster/nowhere: .*\(404\)"):
        clouds.connection(provider="aws", cluster=EKS.replace("production", "nowhere"))


def test_without_aws_credentials_of_its_own_it_says_so(
    clouds: Clouds, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Refused, match="the plane has no AWS credentials of its own"):
        clouds.connection(own=True, manifest=False, provider="aws", cluster=EKS)


# GKE


@pytest.mark.parametrize(
    ("answer", "address", "server", "authority"),
    [
        (GKE_ANSWER, "", "https://34.90.1.2:443", PEM),
        (GKE_ANSWER, "https://10.1.2.3:443", "https://10.1.2.3:443", PEM),
        (GKE_ANSWER, f"https://{DNS}:443", f"https://{DNS}:443", ""),
        (BY_DNS, "", f"https://{DNS}:443", ""),
    ],
    ids=["its first address", "its private one", "its DNS name", "a cluster with no other"],
)
def test_a_gke_cluster_is_found_by_its_name(clouds: Clouds, answer, address, server, authority) -> None:
    clouds.world.answers["container.googleapis.com", f"/v1/{GKE}"] = (200, answer)
    found = clouds.connection(provider="gcp", cluster=GKE, address=address)
    assert (found.server, found.ca.decode()) == (server, authority)
    assert found.credentials.login().authorization == "Bearer canary-token"


def test_a_fleet_member_is_reached_by_connect_gateway(clouds: Clouds) -> None:
    found = clouds.connection(provider="gcp", cluster=FLEET)
    assert (found.server, found.ca) == (GATEWAY.replace(".com/", ".com:443/"), b"")
    regional = FLEET.replace("global", "europe-west1")
    answer = (200, {"endpoint": GATEWAY.replace("https://", "https://europe-west1-")})
    clouds.world.answers["europe-west1-connectgateway.googleapis.com", f"/v1/{regional}:generateCredentials"] = answer
    assert "europe-west1-connectgateway" in clouds.connection(provider="gcp", cluster=regional).server


def test_a_gateway_elsewhere_is_not_believed(clouds: Clouds) -> None:
    answer = (200, {"endpoint": "https://connectgateway.googleapis.com.evil.example/v1/x"})
    clouds.world.answers["connectgateway.googleapis.com", f"/v1/{FLEET}:generateCredentials"] = answer
    with pytest.raises(Exception, match="not what is documented"):
        clouds.connection(provider="gcp", cluster=FLEET)


# AKS


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("", "https://production-x1.hcp.westeurope.azmk8s.io:443"),
        (
            "https://production-y2.privatelink.westeurope.azmk8s.io:443",
            "https://production-y2.privatelink.westeurope.azmk8s.io:443",
        ),
    ],
)
def test_an_aks_cluster_is_found_by_its_id(clouds: Clouds, address: str, server: str) -> None:
    found = clouds.connection(provider="azure", cluster=AKS, address=address)
    assert (found.server, found.ca.decode()) == (server, PEM)
    assert found.credentials.login().authorization == "Bearer canary-token"
    asked = {each.host: each for each in clouds.world.asked}
    manager = asked["management.azure.com"]
    assert (manager.method, manager.query) == ("POST", {"api-version": "2025-04-01"})
    assert manager.headers["authorization"] == "Bearer canary-token"
    scopes = [each.form["scope"] for each in clouds.world.asked if each.host.startswith("login")]
    assert scopes == ["https://management.azure.com/.default", "6dae42f8-4368-4678-94ff-3960e28e3630/.default"]


def test_an_aks_cluster_without_entra_id_is_refused(clouds: Clouds) -> None:
    """Its kubeconfigs hold a client certificate: a credential of everybody's, which is not what was asked for."""
    value = aks_kubeconfig("https://x.azmk8s.io", **{"client-certificate-data": "eA==", "client-key-data": "eA=="})
    answer = (200, {"kubeconfigs": [{"name": "clusterUser", "value": value}]})
    clouds.world.answers["management.azure.com", f"{AKS}/listClusterUserCredential"] = answer
    with pytest.raises(Refused, match="Microsoft Entra ID is not enabled there"):
        clouds.connection(provider="azure", cluster=AKS)


# All of them

LOOKED_UP = [
    {"provider": "gcp", "cluster": GKE},
    {"provider": "azure", "cluster": AKS},
]


@pytest.mark.parametrize("access", LOOKED_UP, ids=["gcp", "azure"])
def test_an_address_that_is_not_the_clusters_is_refused(clouds: Clouds, access: dict[str, str]) -> None:
    with pytest.raises(InvalidDocument, match=r"is https://evil\.example:443, which .* does not have") as raised:
        clouds.connection(**access, address="https://evil.example:443")
    assert raised.value.path == "data.address"
    assert "its addresses: https://" in str(raised.value)


@pytest.mark.parametrize("access", LOOKED_UP, ids=["gcp", "azure"])
def test_what_is_given_in_whole_is_not_looked_up(clouds: Clouds, access: dict[str, str]) -> None:
    found = clouds.connection(**access, address="https://api.example:6443", authority=OTHER_PEM)
    assert (found.server, found.ca.decode()) == ("https://api.example:6443", OTHER_PEM)
    assert clouds.world.asked == []


def test_for_the_planes_own_identity_it_is(clouds: Clouds) -> None:
    """In Flux the controller's token goes wherever ``address`` and ``ca.crt`` say."""
    given = {"provider": "azure", "cluster": AKS}
    with pytest.raises(InvalidDocument, match="does not have"):
        clouds.connection(own=True, **given, address="https://evil.example:443", authority=OTHER_PEM)
    right = "https://production-x1.hcp.westeurope.azmk8s.io:443"
    with pytest.raises(Refused, match=r"data\.ca\.crt is not what the cloud says of"):
        clouds.connection(own=True, **given, address=right, authority=OTHER_PEM)
    assert clouds.connection(own=True, **given, address=right, authority=PEM + "\n").ca.decode() == PEM
    assert all("evil" not in host for host in clouds.world.hosts())


def test_the_operators_word_is_taken(clouds: Clouds) -> None:
    found = clouds.connection(
        own=True, manifest=False, provider="azure", cluster=AKS, address="https://10.0.0.1:443", authority=OTHER_PEM
    )
    assert (found.server, found.guard.allowed_hosts) == ("https://10.0.0.1:443", None)


def test_the_planes_own_azure_identity_by_secret_file_and_machine(clouds: Clouds, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("federated-canary\n")
    names = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
    clouds.world.answers["169.254.169.254", "/metadata/identity/oauth2/token"] = (200, {**TOKEN, "expires_in": "3599"})
    cases: list[tuple[dict[str, str], Any]] = [
        ({**names, "AZURE_CLIENT_SECRET": "s"}, lambda asked: asked.form["client_secret"] == "s"),
        (
            {**names, "AZURE_FEDERATED_TOKEN_FILE": str(token)},
            lambda a: a.form["client_assertion"] == "federated-canary",
        ),
        ({}, lambda a: a.headers["metadata"] == "true" and a.query["resource"] == "https://management.azure.com"),
        ({"AZURE_CLIENT_ID": CLIENT}, lambda asked: asked.query["client_id"] == CLIENT),
    ]
    for settings, holds in cases:
        clouds.world.asked.clear()
        identities = CloudIdentities(clouds.world.send, settings)
        given = identities.azure(None, "https://management.azure.com/.default")
        assert given.expires == pytest.approx(time.time() + 3599, abs=30)
        (asked,) = clouds.world.asked
        assert holds(asked), asked


def test_the_planes_own_google_identity_is_what_googles_library_finds(clouds: Clouds, monkeypatch, tmp_path) -> None:
    """As on Cloud Run: a metadata server, and nothing else."""
    clouds.world.answers["", "/computeMetadata/v1/instance/service-accounts/default/token"] = (200, TOKEN)
    clouds.world.answers["", "/computeMetadata/v1/project/project-id"] = (200, b"acme")
    email = {"email": "plane@acme.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]}
    clouds.world.answers["", "/computeMetadata/v1/instance/service-accounts/default/"] = (200, email)
    clouds.world.answers["", "/"] = (200, {})
    host = clouds.world.origin.removeprefix("http://")
    for name, value in {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    found = clouds.connection(own=True, manifest=False, provider="gcp", cluster=GKE)
    assert found.credentials.login().authorization == "Bearer canary-token"
    assert clouds.world.asked[-1].headers["authorization"] == "Bearer canary-token"
    asked = next(each for each in clouds.world.asked if each.path.endswith("/token"))
    assert asked.headers["metadata-flavor"] == "Google"


def test_without_google_credentials_it_says_so(clouds: Clouds, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(Refused, match=r"own Google credentials: .*gcloud auth application-default login"):
        clouds.connection(own=True, manifest=False, provider="gcp", cluster=GKE)


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("https://login.microsoftonline.us/", "https://management.core.usgovcloudapi.net/.default"),
        ("https://login.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/.default"),
        ("", "https://management.azure.com/.default"),
    ],
)
def test_azures_sovereign_clouds(host: str, scope: str) -> None:
    assert azure.cloud_of(host).scope == scope


def test_an_authority_that_is_not_azures_is_refused() -> None:
    with pytest.raises(Exception, match=r"AZURE_AUTHORITY_HOST is 'https://login\.evil\.example'"):
        azure.cloud_of("https://login.evil.example")


@pytest.mark.parametrize("access", [*LOOKED_UP, {"provider": "aws", "cluster": EKS}], ids=["gcp", "azure", "aws"])
def test_after_a_401_the_cloud_is_asked_anew(clouds: Clouds, access: dict[str, str]) -> None:
    """What is kept of the exchange is no better than the token that was refused."""
    found = clouds.connection(**access, address="https://api.example:443", authority=PEM)
    used = found.credentials.login()
    asked = len(clouds.world.asked)
    assert found.credentials.login() is used
    assert found.credentials.renew(used)
    found.credentials.login()
    assert len(clouds.world.asked) == asked + 1


def test_no_secret_is_in_a_repr(clouds: Clouds) -> None:
    for access in LOOKED_UP:
        found = clouds.connection(**access)
        found.credentials.login()
        assert "canary" not in repr(found)
        assert "canary" not in repr(replace(found, user="x"))


def test_a_refusal_names_what_was_asked(clouds: Clouds) -> None:
    def denied(_asked: Asked) -> tuple[int, Any]:
        message = 'Required "container.clusters.get" permission(s) for "projects/acme".'
        return 403, {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}

    clouds.world.answers["container.googleapis.com", f"/v1/{GKE}"] = denied
    with pytest.raises(Refused) as raised:
        clouds.connection(provider="gcp", cluster=GKE)
    assert str(raised.value) == (
        f'Google container.clusters.get for {GKE}: PERMISSION_DENIED: Required "container.clusters.get"'
        ' permission(s) for "projects/acme". (403)'
    )
