"""Provider generic on real API servers: a ServiceAccount's token of one cluster, trusted by another.

The second API server trusts the first one's issuer by its discovery document (structured authentication), and knows
nothing of its accounts: what a fleet's remote clusters are set up with.
"""

import base64
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.controlplane import process
from tests.controlplane.build import tool
from tests.controlplane.fixtures import ControlPlane, call

from penstock.adapters.cluster.by_identity import ByIdentity
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.identity.clouds import CloudIdentities
from penstock.core.clusters.access import ClusterAccess, access_from_config_map
from penstock.core.errors import Refused, Transient
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApplyOptions, Cluster, RemoteCluster
from penstock.ports.identity import Account

pytestmark = pytest.mark.real

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")
AUDIENCE = "https://remote.example"
ISSUER = "https://kubernetes.default.svc"


@dataclass
class Clock:
    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Fleet:
    """``home``: where the accounts live; ``server``, ``ca``: of the cluster to reach."""

    clusters: KubeClusters
    home: Cluster
    clock: Clock
    namespace: str
    server: str
    ca: str

    def remote(self, *, audiences: tuple[str, ...] = (), allowed: tuple[str, ...] = ("127.0.0.0/8",)) -> RemoteCluster:
        account = Account(
            home=lambda: self.home, cluster="home", namespace=self.namespace, name="deployer", audiences=audiences
        )
        access = ClusterAccess(provider="generic", address=self.server, authority=self.ca, audiences=audiences)
        return RemoteCluster(access=access, name="ConfigMap/x/remote", account=account, allowed_hosts=allowed)

    def connect(self, **more: Any) -> Cluster:
        return self.clusters.connect_remote(self.remote(**more))

    def make_account(self) -> dict:
        metadata = {"name": "deployer", "namespace": self.namespace}
        return self.home.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def config_map(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"a": "1"},
    }


def binding(subject: dict[str, str], namespace: str) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    metadata = {"name": "deployer", "namespace": namespace}
    api = "rbac.authorization.k8s.io/v1"
    return {"apiVersion": api, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": [subject]}


@pytest.fixture
def fleet(control_plane: ControlPlane, real_namespace: str) -> Iterator[Fleet]:
    """The cluster to reach is the home cluster itself: its API server checks its own tokens, and their accounts."""
    clock = Clock()
    identities = CloudIdentities(clock=clock)
    by_identity = ByIdentity(
        identities, lambda _request: pytest.fail("nothing to look up"), azure_cloud=lambda: None, clock=clock
    )
    data = control_plane.read_kubeconfig()
    clusters = KubeClusters(lambda _name: Kubeconfig(data=data), by_identity=by_identity)
    server = yaml.safe_load(data)["clusters"][0]["cluster"]
    home = clusters.connect("home")
    made = Fleet(clusters, home, clock, real_namespace, server["server"], pem_of(server))
    made.make_account()
    home.create(binding({"kind": "ServiceAccount", "namespace": real_namespace, "name": "deployer"}, real_namespace))
    yield made
    clusters.close()


def pem_of(server: dict[str, str]) -> str:
    return base64.b64decode(server["certificate-authority-data"]).decode()


def eventually(what: Any, *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.1)


def token_of(cluster: Any) -> str:
    return cluster._transport.connection.credentials.login().authorization.removeprefix("Bearer ")


def is_taken(fleet: Fleet, token: str) -> bool:
    """Whether the API server still knows a token (it caches its answers for ten seconds)."""
    document = {
        "clusters": [{"name": "x", "cluster": {"server": fleet.server, "certificate-authority-data": b64(fleet.ca)}}],
        "users": [{"name": "x", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    status, _ = call(json.dumps(document).encode(), "GET", f"/api/v1/namespaces/{fleet.namespace}/configmaps")
    return status != 401


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_account_applies_where_its_token_is_trusted(fleet: Fleet) -> None:
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    remote.apply(config_map(fleet.namespace, "a"), ApplyOptions())
    assert fleet.home.get(CONFIG_MAP, fleet.namespace, "a") is not None
    with pytest.raises(Refused, match=r"as ServiceAccount .*/deployer \(generic\)"):
        remote.get(CONFIG_MAP, "kube-system", "a")


def may(cluster: Cluster, namespace: str) -> bool:
    try:
        cluster.get(CONFIG_MAP, namespace, "a")
    except Refused:
        return False
    return True


def test_a_token_for_another_audience_is_not_trusted(fleet: Fleet) -> None:
    with pytest.raises(Refused, match="does not know"):
        fleet.connect(audiences=("https://elsewhere.example",)).get(CONFIG_MAP, fleet.namespace, "a")


def test_a_private_address_is_reached_only_where_the_policy_says_so(fleet: Fleet) -> None:
    """Before anything is sent: the address is checked on the connection that is about to be made."""
    for allowed in ((), ("10.0.0.0/8",), ("*.example.com",)):
        with pytest.raises(Refused, match=r"can allow it in policy\.allowedHosts"):
            fleet.connect(allowed=allowed).get(CONFIG_MAP, fleet.namespace, "a")


def test_a_token_is_renewed_before_it_ends(fleet: Fleet) -> None:
    """The API server answers every request: no 401 tells that a token was too old."""
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    first, before = token_of(remote), remote.requests
    fleet.clock.ahead = 3000
    assert token_of(remote) == first
    fleet.clock.ahead = 3500
    remote.apply(config_map(fleet.namespace, "a"), ApplyOptions())
    assert token_of(remote) != first
    assert remote.requests == before + 1


def test_a_token_that_ends_in_the_middle_of_an_apply_is_renewed_once(fleet: Fleet) -> None:
    """An account that is made anew ends the tokens of the old one: the API server answers 401 to them."""
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    remote.apply(config_map(fleet.namespace, "first"), ApplyOptions())
    old = token_of(remote)
    fleet.home.delete(fleet.home.get(SERVICE_ACCOUNT, fleet.namespace, "deployer"))
    fleet.make_account()
    eventually(lambda: not is_taken(fleet, old))
    before = remote.requests
    remote.apply(config_map(fleet.namespace, "second"), ApplyOptions())
    assert remote.requests == before + 2, "the refused one, and the same again"
    assert token_of(remote) != old
    remote.apply(config_map(fleet.namespace, "third"), ApplyOptions())
    assert remote.requests == before + 3


def test_many_threads_that_meet_its_end_ask_for_one_new_token(fleet: Fleet) -> None:
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    old = token_of(remote)
    fleet.home.delete(fleet.home.get(SERVICE_ACCOUNT, fleet.namespace, "deployer"))
    fleet.make_account()
    eventually(lambda: not is_taken(fleet, old))
    before = fleet.home.requests
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: remote.apply(config_map(fleet.namespace, f"c{n}"), ApplyOptions()), range(8)))
    assert fleet.home.requests - before == 2, "the account is read, and one token asked for"


def test_a_watch_renews_it_too(fleet: Fleet) -> None:
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    old = token_of(remote)
    start = remote.list(CONFIG_MAP, namespace=fleet.namespace).resource_version
    fleet.home.delete(fleet.home.get(SERVICE_ACCOUNT, fleet.namespace, "deployer"))
    fleet.make_account()
    eventually(lambda: not is_taken(fleet, old))
    fleet.home.create(config_map(fleet.namespace, "seen"))
    watch = remote.watch(CONFIG_MAP, namespace=fleet.namespace, resource_version=start, timeout=10)
    assert "seen" in (event.object["metadata"]["name"] for event in watch), "others' may come before it"


def test_an_account_that_is_gone_is_refused(fleet: Fleet) -> None:
    remote = fleet.connect()
    eventually(lambda: may(remote, fleet.namespace))
    old = token_of(remote)
    fleet.home.delete(fleet.home.get(SERVICE_ACCOUNT, fleet.namespace, "deployer"))
    eventually(lambda: not is_taken(fleet, old))
    with pytest.raises(Exception, match=f"ServiceAccount {fleet.namespace}/deployer not found in cluster home"):
        remote.apply(config_map(fleet.namespace, "late"), ApplyOptions())


# Two clusters


class Trusting(process.ControlPlane):
    """An API server with its own etcd and keys that trusts another one's tokens for AUDIENCE."""

    def __init__(self, folder: Path, *, controlplane: Path, issuer: dict[str, str]) -> None:
        super().__init__(folder, controlplane=controlplane, kwok=None)
        self.issuer = issuer

    def begin(self) -> None:
        self._write_files()
        jwt = {
            "issuer": {
                "url": ISSUER,
                "discoveryURL": f"{self.issuer['server']}/.well-known/openid-configuration",
                "certificateAuthority": self.issuer["ca"],
                "audiences": [AUDIENCE],
            },
            "claimMappings": {"username": {"claim": "sub", "prefix": "hub:"}},
        }
        config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [jwt]}
        (self.folder / "authentication.json").write_text(json.dumps(config))
        self._run("etcd", self._etcd())
        own = [each if each != ISSUER else "https://remote.internal" for each in self._apiserver()]
        self._run("apiserver", [*own, "--authentication-config", "authentication.json"])
        self._wait("/readyz", 60)


@pytest.fixture(scope="module")
def other(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    binary = tool("controlplane")
    if binary is None or control_plane.folder is None:
        pytest.skip("a second control plane needs the built one: run `make tools`")
    reader = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"issuer-discovery-{os.getpid()}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:service-account-issuer-discovery",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert control_plane.call("POST", path, reader)[0] == 201
    server = yaml.safe_load(control_plane.read_kubeconfig())["clusters"][0]["cluster"]
    issuer = {"server": server["server"], "ca": pem_of(server)}
    plane = Trusting(tmp_path_factory.mktemp("other"), controlplane=binary, issuer=issuer)
    try:
        plane.begin()
        yield plane
    finally:
        plane.stop()
        control_plane.call("DELETE", f"{path}/{reader['metadata']['name']}")


def test_one_clusters_account_works_in_another(fleet: Fleet, other: Trusting) -> None:
    """As a ConfigMap says it; and nothing that the home cluster's own audience would let in."""
    admin = (other.folder / "kubeconfig").read_bytes()
    server = yaml.safe_load(admin)["clusters"][0]["cluster"]
    for path, body in (
        ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fleet.namespace}}),
        (
            f"/apis/rbac.authorization.k8s.io/v1/namespaces/{fleet.namespace}/rolebindings",
            binding(
                {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "User",
                    "name": f"hub:system:serviceaccount:{fleet.namespace}:deployer",
                },
                fleet.namespace,
            ),
        ),
    ):
        assert call(admin, "POST", path, body)[0] == 201
    data = {"provider": "generic", "address": server["server"], "ca.crt": pem_of(server), "audiences": f"{AUDIENCE}\n"}
    access = access_from_config_map({**data, "serviceAccountName": "deployer"}, "ConfigMap/x/remote")
    account = Account(
        home=lambda: fleet.home,
        cluster="home",
        namespace=fleet.namespace,
        name=access.service_account,
        audiences=access.audiences,
    )
    remote = RemoteCluster(access=access, name="ConfigMap/x/remote", account=account, allowed_hosts=("127.0.0.1",))
    cluster = fleet.clusters.connect_remote(remote)
    eventually(lambda: trusted(cluster, fleet.namespace))
    cluster.apply(config_map(fleet.namespace, "a"), ApplyOptions())
    status, stored = call(admin, "GET", f"/api/v1/namespaces/{fleet.namespace}/configmaps/a")
    assert (status, stored["data"]) == (200, {"a": "1"})
    assert fleet.home.get(CONFIG_MAP, fleet.namespace, "a") is None
    default = RemoteCluster(
        access=ClusterAccess(provider="generic", address=access.address, authority=access.authority),
        name="ConfigMap/x/remote",
        account=Account(home=lambda: fleet.home, cluster="home", namespace=fleet.namespace, name="deployer"),
        allowed_hosts=("127.0.0.1",),
    )
    with pytest.raises(Refused, match="does not know"):
        fleet.clusters.connect_remote(default).get(CONFIG_MAP, fleet.namespace, "a")


def trusted(cluster: Cluster, namespace: str) -> bool:
    try:
        cluster.get(CONFIG_MAP, namespace, "a")
    except (Refused, Transient):  # its keys are fetched a moment after it is ready
        return False
    return True
