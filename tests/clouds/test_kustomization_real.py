"""A Kustomization with ``kubeConfig.configMapRef`` and a Plane with a provider, on the real API server, end to end."""

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.controlplane.fixtures import ControlPlane
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApplyOptions
from penstock.wiring.clusters import identity_connections, kube_clusters
from penstock.wiring.settings import Settings

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("penstock-system")]

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


class Remote:
    """A control plane with an administrator's ServiceAccount ``deployer`` in a namespace of the test's own."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane, self.namespace = control_plane, namespace
        server = yaml.safe_load(control_plane.read_kubeconfig())["clusters"][0]["cluster"]
        self.address = server["server"]
        self.authority = base64.b64decode(server["certificate-authority-data"]).decode()
        self.make_account()
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "deployer"}],
        }
        assert control_plane.call("POST", ROLES, body)[0] == 201

    def make_account(self) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        self.control_plane.call("DELETE", f"{path}/deployer")
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer"}}
        assert self.control_plane.call("POST", path, body)[0] == 201

    def describe(self, **data: str) -> None:
        """Write the ConfigMap that says how the cluster is reached."""
        given = {
            "provider": "generic",
            "address": self.address,
            "ca.crt": self.authority,
            "serviceAccountName": "deployer",
        }
        given["audiences"] = "https://kubernetes.default.svc"
        body = yaml.safe_load(config_map("remote", self.namespace, **(given | data)))
        assert self.control_plane.call("POST", f"/api/v1/namespaces/{self.namespace}/configmaps", body)[0] == 201

    def data(self, name: str) -> dict[str, str] | None:
        status, found = self.control_plane.call("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")
        return found["data"] if status == 200 else None


@pytest.fixture
def remote(control_plane: ControlPlane, real_namespace: str) -> Iterator[Remote]:
    yield Remote(control_plane, real_namespace)
    control_plane.call("DELETE", f"{ROLES}/{real_namespace}")
    for path in (
        "/api/v1/namespaces/penstock-system/configmaps",
        "/apis/coordination.k8s.io/v1/namespaces/penstock-system/leases",
    ):
        control_plane.call("DELETE", path)


@pytest.fixture
def plane(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[MemoryPlane]:
    """Everything in memory but the clusters."""
    made = MemoryPlane(policy=getattr(request, "param", {"allowedHosts": ["127.0.0.0/8"]}))
    data = control_plane.read_kubeconfig()
    by_identity = identity_connections(Settings(data_dir=Path()))
    clusters = KubeClusters(lambda _name: Kubeconfig(data=data), by_identity=by_identity)
    made.deps = replace(made.deps, clusters=clusters)
    yield made
    clusters.close()


def settled(plane: MemoryPlane, namespace: str, ends: str) -> str:
    for _ in range(40):  # simulated seconds pass at once, a busy API server's don't
        plane.settle(seconds=20)
        if ends in (ready := plane.ready("shop", namespace=namespace)):
            return ready
        time.sleep(0.5)
    return ready


def push(plane: MemoryPlane, namespace: str, value: str) -> str:
    spec = {"kubeConfig": {"configMapRef": {"name": "remote"}}, "interval": "1m", "retryInterval": "10s"}
    return plane.push(
        {
            "clusters/prod/shop.yaml": kustomization("shop", "shop", namespace=namespace, **spec),
            "shop/a.yaml": config_map("applied", namespace, key=value),
        }
    )


def test_it_is_applied_by_the_accounts_token(plane: MemoryPlane, remote: Remote) -> None:
    remote.describe()
    revision = push(plane, remote.namespace, "1")
    assert settled(plane, remote.namespace, revision).startswith("True ReconciliationSucceeded")
    assert remote.data("applied") == {"key": "1"}
    remote.make_account()  # its old tokens end
    revision = push(plane, remote.namespace, "2")
    assert settled(plane, remote.namespace, revision).startswith("True ReconciliationSucceeded")
    assert remote.data("applied") == {"key": "2"}


@pytest.mark.parametrize("plane", [{}], indirect=True)
def test_a_private_address_needs_the_operators_word(plane: MemoryPlane, remote: Remote) -> None:
    remote.describe()
    push(plane, remote.namespace, "1")
    ready = settled(plane, remote.namespace, "can allow it in policy.allowedHosts")
    assert ready.startswith("False")
    assert "is a loopback, link-local, private or reserved address" in ready
    assert remote.data("applied") is None


def test_the_plane_reaches_a_cluster_by_another_ones_account(
    control_plane: ControlPlane, remote: Remote, tmp_path
) -> None:
    """And by a token in a file."""
    (tmp_path / "hub.kubeconfig").write_bytes(control_plane.read_kubeconfig())
    account = {"cluster": "hub", "namespace": remote.namespace, "name": "deployer"}
    by_identity = {
        "provider": "generic",
        "address": remote.address,
        "caData": remote.authority,
        "audiences": ["https://kubernetes.default.svc"],
    }
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": "https://git.example.com/fleet"},
            "clusters": [
                {"name": "hub", "path": "hub", "kubeConfig": {"path": str(tmp_path / "hub.kubeconfig")}},
                {"name": CLUSTER, "path": "prod", "kubeConfig": {**by_identity, "serviceAccount": account}},
                {"name": "by-file", "path": "x", "kubeConfig": {**by_identity, "tokenPath": str(tmp_path / "token")}},
            ],
        },
    }
    state = MemoryState()
    for key, value in plane_records(parse_plane(document), document, "u" * 32, {}).writes.items():
        state.put(key, value, expected=None)
    clusters = kube_clusters(Settings(data_dir=Path()), state, MemorySecrets())
    manifest = yaml.safe_load(config_map("from-plane", remote.namespace, key="1"))
    cluster = clusters.connect(CLUSTER)
    cluster.apply(manifest, ApplyOptions())
    assert remote.data("from-plane") == {"key": "1"}
    assert "deployer (generic)" in cluster.identity
    assert clusters.connect(CLUSTER) is cluster, "kept connected"
    given = clusters.connect("hub").request_token(remote.namespace, "deployer")
    (tmp_path / "token").write_text(given.token)
    assert clusters.connect("by-file").get(CONFIG_MAP, remote.namespace, "from-plane") is not None
