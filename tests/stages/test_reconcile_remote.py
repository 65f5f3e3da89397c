"""``spec.kubeConfig.configMapRef``: where it leads, whose identity it takes, and what a tenant cannot make of it."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import Grant
from penstock.core.clusters.access import ClusterAccess
from penstock.core.resources import Gvk

EKS = "arn:aws:eks:eu-central-1:111122223333:cluster/production"
GKE = "projects/acme/locations/europe-west1/clusters/production"
AKS = (
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg/providers"
    "/Microsoft.ContainerService/managedClusters/production"
)
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
BY_ACCOUNT = {"provider": "aws", "cluster": EKS, "serviceAccountName": "deployer"}
GENERIC = {"provider": "generic", "address": "https://remote.example:6443", "serviceAccountName": "deployer"}
PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"


def reconciled(*, policy: dict | None = None, flags: str = "", account: str = "", **data: str) -> MemoryPlane:
    """A plane whose Kustomization ``team/shop`` applies one ConfigMap by what ``data`` says."""
    plane = MemoryPlane(policy=policy)
    spec = {"kubeConfig": {"configMapRef": {"name": "remote"}}}
    if account:
        spec["serviceAccountName"] = account
        plane.clusters.remote.grants.append(Grant(user=f"system:serviceaccount:team:{account}", namespace="shop"))
    plane.cluster.create(yaml.safe_load(namespace("team")))
    plane.clusters.remote.create(yaml.safe_load(namespace("shop")))
    if data:
        plane.cluster.create(yaml.safe_load(config_map("remote", "team", **data)))
    files = {
        "clusters/prod/shop.yaml": kustomization("shop", "shop", namespace="team", **spec),
        "shop/settings.yaml": config_map("settings", "shop", key="1"),
    }
    if flags:
        files["clusters/prod/flux.yaml"] = flags
    plane.push(files)
    plane.settle()
    return plane


def applied(plane: MemoryPlane) -> bool:
    return plane.clusters.remote.get(CONFIG_MAP, "shop", "settings") is not None


def test_it_is_applied_where_the_config_map_leads() -> None:
    plane = reconciled(**BY_ACCOUNT)
    assert plane.ready("shop", namespace="team").startswith("True ReconciliationSucceeded")
    assert applied(plane)
    assert plane.config_map("settings", "shop") is None, "not at home"
    assert plane.clusters.remote.list(CONFIG_MAP, namespace="penstock-system").items, "its inventory is where it is"
    remote = plane.clusters.remotes[0]
    assert remote.access == ClusterAccess(provider="aws", cluster=EKS, service_account="deployer")
    assert remote.account is not None
    assert (remote.account.cluster, remote.account.namespace, remote.account.name) == ("prod", "team", "deployer")
    assert remote.account.home() is plane.cluster
    assert remote.allowed_hosts == ()


def test_a_service_account_name_is_impersonated_there() -> None:
    plane = reconciled(account="builder", **BY_ACCOUNT)
    assert plane.ready("shop", namespace="team").startswith("True")
    assert applied(plane)
    plane.clusters.remote.grants[:] = [each for each in plane.clusters.remote.grants if each.user == "admin"]
    plane.push({"shop/settings.yaml": config_map("settings", "shop", key="2")})
    plane.settle()
    assert 'User "system:serviceaccount:team:builder" cannot' in plane.ready("shop", namespace="team")


def test_the_policys_hosts_are_what_it_may_reach() -> None:
    plane = reconciled(policy={"allowedHosts": ["10.0.0.0/8"]}, **GENERIC)
    assert plane.clusters.remotes[0].allowed_hosts == ("10.0.0.0/8",)
    assert plane.clusters.remotes[0].account.audiences == ("https://remote.example:6443",)


def test_they_are_so_for_the_kubeconfig_of_a_secret() -> None:
    plane = MemoryPlane(policy={"allowedHosts": ["10.0.0.0/8"]})
    plane.cluster.create(yaml.safe_load(namespace("team")))
    plane.cluster.create(yaml.safe_load(namespace("shop")))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "remote", "namespace": "team"}}
    plane.cluster.create({**secret, "stringData": {"value": "a kubeconfig"}})
    spec = {"kubeConfig": {"secretRef": {"name": "remote"}}}
    plane.push(
        {
            "clusters/prod/shop.yaml": kustomization("shop", "shop", namespace="team", **spec),
            "shop/settings.yaml": config_map("settings", "shop", key="1"),
        }
    )
    plane.settle()
    assert plane.ready("shop", namespace="team").startswith("True")
    assert plane.clusters.allowed_hosts == ("10.0.0.0/8",)


def test_a_config_map_that_is_not_there_is_named() -> None:
    plane = reconciled()
    said = "False ReconciliationFailed: kubeConfig ConfigMap 'team/remote' not found"
    assert plane.ready("shop", namespace="team") == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({**BY_ACCOUNT, "provider": "ibm"}, "data.provider: is 'ibm', must be one of aws, azure, gcp, generic"),
        ({**BY_ACCOUNT, "cluster": "production"}, "data.cluster: is 'production', must be arn:aws:eks:"),
        ({**BY_ACCOUNT, "cluster": EKS.replace("eu-central-1", "evil.example/")}, "data.cluster: is "),
        ({**BY_ACCOUNT, "proxy-url": "http://x"}, "data.proxy-url: is not a field here"),
        ({**BY_ACCOUNT, "insecure-skip-tls-verify": "true"}, "data.insecure-skip-tls-verify: is not a field here"),
        ({**BY_ACCOUNT, "stsEndpoint": "https://x"}, "data.stsEndpoint: is not a field here"),
        ({**BY_ACCOUNT, "serviceAccountName": "../x"}, "data.serviceAccountName: is '../x', must be a Kubernetes name"),
        ({**BY_ACCOUNT, "ca.crt": "/etc/passwd"}, "data.ca.crt: must be certificates in PEM"),
        ({**BY_ACCOUNT, "ca.crt": PEM + "-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----"}, "in PEM"),
        ({**GENERIC, "address": "http://remote.example"}, "data.address: must be an https URL"),
        ({**GENERIC, "address": "https://me:pw@remote.example"}, "data.address: must be an https URL without userinfo"),
        ({**GENERIC, "address": "https://remote.example?x=1"}, "data.address: must be an https URL without userinfo"),
        ({**GENERIC, "address": ""}, "data.address: is required for provider generic"),
        ({**GENERIC, "audiences": "\n".join("abcdefghijklmnopq")}, "data.audiences: has 17 entries, at most 16"),
    ],
)
def test_what_is_wrong_in_it_is_named(data: dict[str, str], said: str) -> None:
    plane = reconciled(**data)
    ready = plane.ready("shop", namespace="team")
    assert ready.startswith("False ReconciliationFailed: ConfigMap/team/remote, data.")
    assert said in ready
    assert "pw@" not in ready
    assert not plane.clusters.remotes
    assert not applied(plane)


OWN = [
    ({"provider": "aws", "cluster": EKS}, EKS),
    ({"provider": "gcp", "cluster": GKE}, GKE),
    ({"provider": "azure", "cluster": AKS}, AKS),
]


@pytest.mark.parametrize(("data", "cluster"), OWN)
def test_the_planes_own_identity_is_not_for_every_config_map(data: dict[str, str], cluster: str) -> None:
    plane = reconciled(policy={"ownIdentityClusters": [f"{cluster}-2", f"{cluster[:-3]}x*"]}, **data)
    ready = plane.ready("shop", namespace="team")
    assert ready.startswith("False AccessDenied: ConfigMap/team/remote: without data.serviceAccountName")
    assert f"policy.ownIdentityClusters does not allow for {cluster}" in ready
    assert not plane.clusters.remotes


@pytest.mark.parametrize("pattern", ["{0}", "{1}*"])
@pytest.mark.parametrize(("data", "cluster"), OWN)
def test_it_is_where_the_operator_says_so(data: dict[str, str], cluster: str, pattern: str) -> None:
    plane = reconciled(policy={"ownIdentityClusters": [pattern.format(cluster, cluster[:-5])]}, **data)
    assert plane.ready("shop", namespace="team").startswith("True")
    assert plane.clusters.remotes[0].account is None


def test_without_a_resource_name_it_never_is() -> None:
    data = {"provider": "gcp", "address": "https://evil.example", "ca.crt": PEM}
    plane = reconciled(policy={"ownIdentityClusters": ["projects/*"]}, **data)
    assert plane.ready("shop", namespace="team").startswith("False AccessDenied")


FLAG = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: kustomize-controller
  namespace: flux-system
  labels: {app.kubernetes.io/part-of: flux, app.kubernetes.io/component: kustomize-controller}
spec:
  template:
    spec:
      containers:
        - name: manager
          args: [--default-kubeconfig-service-account=locked]
"""


@pytest.mark.parametrize(
    ("policy", "flags"),
    [({"defaultKubeConfigServiceAccount": "locked"}, ""), ({}, FLAG)],
    ids=["policy", "flux's flag"],
)
def test_a_lockdown_names_the_account(policy: dict, flags: str) -> None:
    policy = {**policy, "ownIdentityClusters": [EKS]}
    plane = reconciled(policy=policy, flags=flags, provider="aws", cluster=EKS)
    plane.reconcile("shop", namespace="team")
    account = plane.clusters.remotes[-1].account
    assert account is not None
    assert account.name == "locked"


def test_generic_has_no_identity_of_the_planes() -> None:
    plane = reconciled(provider="generic", address="https://remote.example")
    assert "data.serviceAccountName is required for provider generic" in plane.ready("shop", namespace="team")


def both(name: str, **settings: str) -> dict[str, str]:
    """Files of a Kustomization at home, and of one that applies the very same objects elsewhere."""
    return {f"{place}/{name}.yaml": config_map(name, "shop", **settings) for place in ("home", "away")}


def two_clusters() -> MemoryPlane:
    plane = MemoryPlane()
    for each in ("team", "shop"):
        plane.cluster.create(yaml.safe_load(namespace(each)))
    plane.clusters.remote.create(yaml.safe_load(namespace("shop")))
    plane.cluster.create(yaml.safe_load(config_map("remote", "team", **GENERIC)))
    elsewhere = {"kubeConfig": {"configMapRef": {"name": "remote"}}}
    plane.push(
        {
            "clusters/prod/home.yaml": kustomization("home", "home", namespace="team"),
            "clusters/prod/away.yaml": kustomization("away", "away", namespace="team", **elsewhere),
            **both("one", key="1"),
            **both("two", key="1"),
        }
    )
    plane.settle()
    assert plane.ready("home", namespace="team").startswith("True")
    assert plane.ready("away", namespace="team").startswith("True")
    return plane


@pytest.mark.parametrize("place", ["home", "away"])
def test_what_leaves_one_cluster_is_not_kept_because_another_one_has_its_like(place: str) -> None:
    plane = two_clusters()
    plane.push({f"{place}/one.yaml": None})
    plane.settle()
    found = [cluster.get(CONFIG_MAP, "shop", "one") for cluster in (plane.cluster, plane.clusters.remote)]
    assert [each is not None for each in found] == ([False, True] if place == "home" else [True, False])
    assert plane.ready(place, namespace="team").startswith("True")
    assert "one" not in str(plane.status(place, namespace="team").inventory)


@pytest.mark.parametrize("first", ["home", "away"])
def test_what_moves_to_one_whose_kubeconfig_leads_to_the_same_cluster_is_handed_over(first: str) -> None:
    plane = two_clusters()
    plane.clusters.remote = plane.cluster  # another name for home
    plane.push({"away/one.yaml": None, "away/two.yaml": None, "away/three.yaml": config_map("three", "shop", key="1")})
    plane.settle()
    plane.push({"home/one.yaml": None, "away/one.yaml": config_map("one", "shop", key="1")})
    plane.cluster.calls.clear()
    while plane.step_stage("fetch"):
        pass
    plane.run_only(first)
    plane.settle()
    assert plane.ready("home", namespace="team").startswith("True"), plane.ready("home", namespace="team")
    assert plane.ready("away", namespace="team").startswith("True"), plane.ready("away", namespace="team")
    assert [call for call in plane.writes() if call[0] == "delete" and call[1].endswith("/one")] == []
    found = plane.live("v1", "ConfigMap", "shop", "one")
    assert found is not None
    assert found["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "away"
