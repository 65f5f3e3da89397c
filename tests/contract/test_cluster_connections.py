"""Connections to a real API server: certificates, plugins, counts, threads, and what a connection may import."""

import json
import select
import socket
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from tests.controlplane.fixtures import ControlPlane

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.core.errors import Refused, Terminal
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApplyOptions, Cluster

pytestmark = pytest.mark.real

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
Connect = Callable[..., Cluster]


@pytest.fixture
def connect(control_plane: ControlPlane) -> Iterator[Connect]:
    """Connects with the control plane's kubeconfig, its cluster and user fields changed."""
    made: list[KubeClusters] = []

    def change(*, user: dict | None = None, cluster: dict | None = None, impersonate: str = "") -> Cluster:
        config = yaml.safe_load(control_plane.read_kubeconfig())
        config["clusters"][0]["cluster"] |= cluster or {}
        if user is not None:
            config["users"][0]["user"] = user
        made.append(KubeClusters(lambda _: Kubeconfig(data=json.dumps(config).encode())))
        return made[-1].connect("real", impersonate=impersonate)

    yield change
    for each in made:
        each.close()


def test_a_client_certificate_logs_in(control_plane: ControlPlane, connect: Connect) -> None:
    user = yaml.safe_load(control_plane.kubeconfig_for("jane"))["users"][0]["user"]
    assert connect(user=user).can_i("delete", Gvk(version="v1", kind="Namespace"))


def test_an_exec_plugin_logs_in(control_plane: ControlPlane, connect: Connect, tmp_path) -> None:
    token = yaml.safe_load(control_plane.read_kubeconfig())["users"][0]["user"]["token"]
    api = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": api, "kind": "ExecCredential", "status": {"token": token}}
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    cluster = connect(user={"exec": {"apiVersion": api, "command": str(script)}})
    assert cluster.can_i("delete", Gvk(version="v1", kind="Namespace"))


def test_a_server_of_another_authority_is_not_trusted(connect: Connect) -> None:
    cluster = connect(cluster={"certificate-authority-data": ""})
    with pytest.raises(Terminal, match="certificate is not trusted"):
        cluster.resource_type("", "ConfigMap")
    assert cluster.requests == 1


def test_a_server_of_another_name_is_not_trusted(connect: Connect) -> None:
    with pytest.raises(Terminal, match="certificate is not trusted"):
        connect(cluster={"tls-server-name": "another.example"}).resource_type("", "ConfigMap")
    assert connect(cluster={"tls-server-name": "localhost"}).resource_type("", "ConfigMap")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that tunnels (CONNECT), and the targets that it was asked for."""
    asked: list[str] = []

    class Tunnel(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.request.recv(4096)
            asked.append(head.split()[1].decode())
            host, port = asked[-1].rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                ends = {self.request: server, server: self.request}
                while True:
                    for ready in select.select(list(ends), [], [])[0]:
                        data = ready.recv(1 << 16)
                        if not data:
                            return
                        ends[ready].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_a_proxy_of_the_operator_is_used(control_plane: ControlPlane, connect: Connect, proxy) -> None:
    url, asked = proxy
    assert connect(cluster={"proxy-url": url}).resource_type("", "ConfigMap")
    server = yaml.safe_load(control_plane.read_kubeconfig())["clusters"][0]["cluster"]["server"]
    assert asked == [server.removeprefix("https://")]


def test_a_token_that_nobody_knows_is_refused(connect: Connect) -> None:
    with pytest.raises(Refused, match="does not know") as refused:
        connect(user={"token": "unknown-token"}).resource_type("", "ConfigMap")
    assert "unknown-token" not in str(refused.value)


def test_every_request_is_counted(control_plane: ControlPlane, real_namespace: str) -> None:
    """The API server's own audit log sees what ``requests`` says: two for discovery, then one each."""
    user = f"counted-{real_namespace}"
    kubeconfig = Kubeconfig(data=control_plane.kubeconfig_for(user))
    clusters = KubeClusters(lambda _: kubeconfig)
    cluster = clusters.connect("real")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": real_namespace}}
    with control_plane.audited(user) as counted:
        for _ in range(3):
            cluster.apply(manifest, ApplyOptions())
        cluster.list(CONFIG_MAP, namespace=real_namespace)
        cluster.get(CONFIG_MAP, real_namespace, "nobody")
        cluster.delete(manifest)
    clusters.close()
    assert counted == {"get": 3, "patch": 3, "list": 1, "delete": 1}
    assert cluster.requests == counted.total()


def test_several_threads_share_a_connection(connect: Connect, real_namespace: str) -> None:
    cluster = connect()

    def work(number: int) -> str:
        metadata = {"name": f"n{number}", "namespace": real_namespace, "labels": {"ours": "yes"}}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        return cluster.apply(manifest, ApplyOptions())["metadata"]["name"]

    with ThreadPoolExecutor(12) as pool:
        made = sorted(pool.map(work, range(60)))
    page = cluster.list(CONFIG_MAP, namespace=real_namespace, label_selector="ours=yes")
    assert sorted(each["metadata"]["name"] for each in page.items) == made
    assert cluster.requests == 2 + 60 + 1


def test_a_token_needs_no_kubernetes_package(control_plane: ControlPlane) -> None:
    """Importing it costs half a second: only exec plugins pay that."""
    code = (
        "import sys\n"
        "from penstock.adapters.cluster.clusters import Kubeconfig, KubeClusters\n"
        "assert 'urllib3' not in sys.modules, 'loaded before a connection is made'\n"
        "clusters = KubeClusters(lambda _: Kubeconfig(paths=(sys.argv[1],)))\n"
        "assert clusters.connect('real').resource_type('', 'ConfigMap')\n"
        "clusters.close()\n"
        "print([m for m in ('kubernetes', 'requests', 'google.auth', 'pydantic') if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(control_plane.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
