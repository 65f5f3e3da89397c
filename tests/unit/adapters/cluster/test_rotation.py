"""An operator replaces the credential of a cluster while the plane works: the first refusal leads to the new one."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.core.errors import Refused
from penstock.core.messages import PLANE
from penstock.core.records import PlaneRecord
from penstock.core.resources import Gvk
from penstock.core.secrets.names import OWN, secret_name
from penstock.devcluster import DevCluster
from penstock.wiring import Settings
from penstock.wiring.clusters import kube_clusters

NAMESPACE = Gvk(version="v1", kind="Namespace")
NAME = secret_name(OWN, PLANE, "flux-system", "kubeconfig")


@pytest.fixture
def cluster() -> Iterator[DevCluster]:
    with DevCluster(simulate=False) as made:
        yield made


def replace_token(cluster: DevCluster, token: str = "new") -> bytes:
    """The cluster takes this one alone from now on; its kubeconfig."""
    cluster.api.tokens.admin = cluster.token = token
    return cluster.kubeconfig()


def look(clusters: KubeClusters) -> object:
    return clusters.connect("prod").get(NAMESPACE, "", "default")


def test_a_file_that_was_written_anew_is_read_once_the_old_login_is_refused(
    cluster: DevCluster, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(cluster.kubeconfig())
    clusters = KubeClusters(lambda _: Kubeconfig(paths=(str(path),)))
    assert look(clusters)
    fresh = replace_token(cluster)
    with pytest.raises(Refused, match="does not know"):
        look(clusters)  # the file still has the old one
    path.write_bytes(fresh)
    assert look(clusters)
    path.write_text("clusters: [")
    replace_token(cluster, "another")
    with pytest.raises(Refused, match="does not know"):
        look(clusters)


def test_another_current_context_leads_nowhere_else(cluster: DevCluster, tmp_path: Path) -> None:
    """`kubectl config use-context` on the plane's machine: what was connected stays where it is."""
    with DevCluster(simulate=False) as other:
        path, config = tmp_path / "kubeconfig", yaml.safe_load(cluster.kubeconfig())
        path.write_text(yaml.safe_dump(config))
        clusters = KubeClusters(lambda _: Kubeconfig(paths=(str(path),)))
        assert look(clusters)
        fresh = yaml.safe_load(replace_token(cluster))
        elsewhere = yaml.safe_load(other.kubeconfig().replace(b"devcluster", b"other").replace(b"admin", b"other"))
        for section in ("clusters", "users", "contexts"):
            fresh[section] += elsewhere[section]
        path.write_text(yaml.safe_dump({**fresh, "current-context": "other"}))
        assert look(clusters)
        assert other.requests.total == 0


def test_a_new_login_is_not_shown_to_another_server(cluster: DevCluster, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(cluster.kubeconfig())
    clusters = KubeClusters(lambda _: Kubeconfig(paths=(str(path),)))
    assert look(clusters)
    path.write_bytes(replace_token(cluster).replace(cluster.url.encode(), b"https://elsewhere.example"))
    with pytest.raises(Refused, match="does not know"):
        look(clusters)


class Cached(MemorySecrets):
    """Gives what it gave before, unless it is asked for the newest: as a store in a cloud does for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict = {}

    def get(self, name: str, *, newest: bool = False) -> dict | None:
        if newest or name not in self.kept:
            self.kept[name] = super().get(name)
        return self.kept[name]


def test_a_secret_that_was_written_anew_is_taken_at_once_by_warm_functions(cluster: DevCluster) -> None:
    """Under load: threads look all the time while it is rotated, and none of them fails."""
    secrets, state = Cached(), MemoryState()
    secrets.put(NAME, {"value": cluster.kubeconfig()}, owner="")
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": "https://git.example.com/fleet"},
            "clusters": [{"name": "prod", "path": "./", "kubeConfig": {"secretRef": {"name": "kubeconfig"}}}],
        },
    }
    state.put("plane", PlaneRecord(uid="f" * 32, document=document).to_value(), expected=None)
    clusters = kube_clusters(Settings(data_dir=Path()), state, secrets)
    assert look(clusters)
    stopping, failed, looks = threading.Event(), [], [0] * 4

    def work(number: int) -> None:
        while not stopping.is_set() and not failed:
            try:
                look(clusters)
                looks[number] += 1
            except Refused as error:
                failed.append(error)

    def settled() -> None:
        """Every thread has begun and ended a look since."""
        wanted = [count + 2 for count in looks]
        while not failed and any(count < least for count, least in zip(looks, wanted, strict=True)):
            stopping.wait(0.005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(looks))]
    for thread in threads:
        thread.start()
    for number in range(5):
        settled()
        config = yaml.safe_load(cluster.kubeconfig())
        config["users"][0]["user"]["token"] = f"token-{number}"
        secrets.put(NAME, {"value": yaml.safe_dump(config).encode()}, owner="")
        replace_token(cluster, f"token-{number}")
    settled()
    stopping.set()
    for thread in threads:
        thread.join()
    assert failed == []
