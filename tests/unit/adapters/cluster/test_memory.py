"""What the memory adapter offers to tests of stages beyond the port: faults, rights, statuses, a log of calls."""

import pytest

from penstock.adapters.cluster.memory import Grant, MemoryCluster, MemoryClusters
from penstock.core.clusters.access import ClusterAccess
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.resources import Gvk, ObjectRef
from penstock.ports.cluster import ApplyOptions, RemoteCluster

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")
ACCOUNT = "system:serviceaccount:default:deployer"


def config_map(**metadata) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default", **metadata}}


def test_faults_happen_as_often_as_planned() -> None:
    cluster = MemoryCluster()
    cluster.fail(lambda: Transient("busy"), verb="patch", kind="ConfigMap", times=2)
    for _ in range(2):
        with pytest.raises(Transient, match="busy"):
            cluster.apply(config_map(), ApplyOptions())
    assert cluster.get(CONFIG_MAP, "default", "a") is None
    assert cluster.apply(config_map(), ApplyOptions())["metadata"]["uid"]
    assert cluster.requests == 4


def test_calls_of_all_identities_are_logged() -> None:
    cluster = MemoryCluster()
    cluster.grants.append(Grant(user=ACCOUNT, verbs=frozenset({"list"}), namespace="default"))
    account = cluster.as_user(ACCOUNT)
    cluster.apply(config_map(), ApplyOptions())
    assert len(account.list(CONFIG_MAP, namespace="default").items) == 1
    with pytest.raises(Refused, match="cannot list ConfigMap at the cluster scope"):
        account.list(CONFIG_MAP)
    with pytest.raises(Refused, match='cannot delete ConfigMap in the namespace "default"'):
        account.delete(config_map())
    assert cluster.calls == [
        ("patch", "ConfigMap/default/a"),
        ("list", "ConfigMap/default/"),
        ("list", "ConfigMap/"),
        ("delete", "ConfigMap/default/a"),
    ]
    assert (cluster.requests, account.requests) == (1, 3)


def test_a_status_is_written_without_touching_the_spec() -> None:
    cluster = MemoryCluster()
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}}
    metadata = {"name": "web", "namespace": "default"}
    made = cluster.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}, ApplyOptions()
    )
    ref = ObjectRef(group="apps", kind="Deployment", namespace="default", name="web")
    cluster.set_status(ref, {"readyReplicas": 1})
    live = cluster.get(DEPLOYMENT, "default", "web")
    assert (live["spec"], live["status"], live["metadata"]["generation"]) == (spec, {"readyReplicas": 1}, 1)
    assert live["metadata"]["uid"] == made["metadata"]["uid"]
    assert ("controller", "Update") in {(m["manager"], m["operation"]) for m in live["metadata"]["managedFields"]}
    with pytest.raises(NotFound):
        cluster.set_status(ObjectRef(kind="Pod", namespace="default", name="x"), {})


def test_what_comes_out_is_a_copy() -> None:
    cluster = MemoryCluster()
    sent = config_map(labels={"x": "1"})
    cluster.apply(sent, ApplyOptions())["metadata"]["labels"]["x"] = "changed"
    sent["metadata"]["labels"]["x"] = "changed"
    cluster.list(CONFIG_MAP).items[0]["metadata"]["labels"]["x"] = "changed"
    assert cluster.get(CONFIG_MAP, "default", "a")["metadata"]["labels"] == {"x": "1"}


def test_clusters_by_name_and_by_kubeconfig() -> None:
    cluster = MemoryCluster()
    clusters = MemoryClusters({"prod": cluster})
    assert clusters.connect("prod") is cluster
    assert clusters.connect_kubeconfig(b"prod", name="Secret/a/b", impersonate=ACCOUNT).identity == ACCOUNT
    with pytest.raises(NotFound):
        clusters.connect("dev")
    with pytest.raises(Refused, match="Secret/a/b"):
        clusters.connect_kubeconfig(b"dev", name="Secret/a/b")


def test_a_remote_cluster_is_found_by_its_resource_name_or_its_address() -> None:
    eks = "arn:aws:eks:eu-central-1:111122223333:cluster/production"
    clusters = MemoryClusters({eks: MemoryCluster(), "https://api.example:443": MemoryCluster()})
    for access in (
        ClusterAccess(provider="aws", cluster=eks),
        ClusterAccess(provider="generic", address="https://api.example:443"),
    ):
        remote = RemoteCluster(access=access, name="ConfigMap/a/b")
        assert clusters.connect_remote(remote, impersonate=ACCOUNT).identity == ACCOUNT
    unknown = RemoteCluster(access=ClusterAccess(provider="aws", cluster="x"), name="ConfigMap/a/b")
    with pytest.raises(NotFound, match="ConfigMap/a/b: there is no cluster x"):
        clusters.connect_remote(unknown)
