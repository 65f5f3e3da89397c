"""Where the API server of a kubeconfig from a manifest may be: the check is made on the connection itself."""

import json
import socket
from pathlib import Path

import pytest
from tests.contract import http_faults as faults
from tests.contract.http_faults import FaultServer

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.cluster.transport import Patience
from penstock.adapters.http.addresses import Guard
from penstock.adapters.http.deadline import TimedSocket
from penstock.core.errors import PenstockError, Refused
from penstock.core.resources import Gvk
from penstock.wiring.clusters import manifest_guard
from penstock.wiring.settings import Settings

SECRETS = Gvk(version="v1", kind="Secret")
ON_ITS_OWN = manifest_guard(Settings(data_dir=Path()))
IN_A_CLOUD = manifest_guard(Settings(data_dir=Path(), backend="aws"))


def kubeconfig(server):
    return json.dumps(
        {
            "clusters": [{"name": "x", "cluster": {"server": server}}],
            "users": [{"name": "x", "user": {"token": "canary"}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
    ).encode()


def clusters(manifests, *, own="https://x.example", **more):
    return KubeClusters(
        lambda _: Kubeconfig(data=kubeconfig(own)),
        manifests=manifests,
        patience=Patience(total=2, attempts=1),
        **more,
    )


@pytest.fixture
def tried(monkeypatch):
    """The addresses that connections are tried to; none is made."""
    seen = []

    def connect(_socket, where):
        seen.append(where[0])
        raise OSError("nobody there")

    monkeypatch.setattr(TimedSocket, "connect", connect)
    return seen


def asked(found):
    with pytest.raises(PenstockError) as caught:
        found.get(SECRETS, "apps", "x")
    assert "canary" not in str(caught.value)
    return caught.value


NEVER = [
    *("127.0.0.1", "169.254.169.254", "0.0.0.0", "100.100.100.200", "168.63.129.16", "224.0.0.1"),
    *("[::1]", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]"),
]


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("guard", [ON_ITS_OWN, IN_A_CLOUD], ids=["on its own", "in a cloud"])
def test_it_is_never_the_planes_machine_nor_its_clouds(guard, host, tried):
    error = asked(clusters(guard).connect_kubeconfig(kubeconfig(f"https://{host}:6443"), name="Secret/apps/x"))
    assert isinstance(error, Refused)
    assert error.reason == "AccessDenied"
    assert "policy.allowedHosts" in str(error)
    assert tried == []


@pytest.mark.parametrize("host", ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.1.1", "[fd12::1]"])
def test_a_private_network_is_the_operators_own_unless_the_plane_runs_in_functions(host, tried):
    server = kubeconfig(f"https://{host}:6443")
    assert isinstance(asked(clusters(IN_A_CLOUD).connect_kubeconfig(server, name="Secret/apps/x")), Refused)
    assert tried == []
    assert not isinstance(asked(clusters(ON_ITS_OWN).connect_kubeconfig(server, name="Secret/apps/x")), Refused)
    assert tried == [host.strip("[]")]


def test_a_public_one_is_reached(tried):
    found = clusters(IN_A_CLOUD).connect_kubeconfig(kubeconfig("https://93.184.215.14:6443"), name="Secret/apps/x")
    assert not isinstance(asked(found), Refused)
    assert tried == ["93.184.215.14"]


@pytest.mark.parametrize("by", ["environment", "policy"])
def test_the_operator_allows_private_ones_by_environment_or_policy(by, tried):
    hosts = ("10.0.0.0/8",)
    settings = Settings(data_dir=Path(), backend="google", allowed_hosts=hosts if by == "environment" else ())
    policy = hosts if by == "policy" else ()
    found = clusters(manifest_guard(settings))
    server = kubeconfig("https://10.0.0.1:6443")
    asked(found.connect_kubeconfig(server, name="Secret/apps/x", allowed_hosts=policy))
    assert tried == ["10.0.0.1"]


def test_a_policy_that_changes_holds_for_connections_that_are_kept(tried):
    found, server = clusters(IN_A_CLOUD), kubeconfig("https://10.0.0.1:6443")
    asked(found.connect_kubeconfig(server, name="Secret/apps/x", allowed_hosts=("10.0.0.1",)))
    assert tried == ["10.0.0.1"]
    assert isinstance(asked(found.connect_kubeconfig(server, name="Secret/apps/x")), Refused)
    assert tried == ["10.0.0.1"]


def test_the_operators_own_kubeconfig_leads_anywhere(tried):
    asked(clusters(IN_A_CLOUD, own="https://127.0.0.1:6443").connect("production"))
    assert tried == ["127.0.0.1"]


def test_a_command_on_the_operators_machine_reaches_what_it_names(tried):
    asked(clusters(None).connect_kubeconfig(kubeconfig("https://127.0.0.1:6443"), name="Secret/apps/x"))
    assert tried == ["127.0.0.1"]


def test_nothing_is_sent_to_what_is_refused():
    with FaultServer(faults.silent, at_once=True) as server:
        url = server.url.replace("http:", "https:")
        refused = asked(clusters(ON_ITS_OWN).connect_kubeconfig(kubeconfig(url), name="Secret/apps/x"))
        assert isinstance(refused, Refused)
        assert server.connections == []
        found = clusters(Guard(allowed_hosts=(f"127.0.0.1:{server.port}",)))
        asked(found.connect_kubeconfig(kubeconfig(url), name="Secret/apps/x"))
        assert len(server.connections) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "metadata.example"])
def test_a_proxy_is_not_asked_for_what_is_refused(host, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", resolving({"metadata.example": "169.254.169.254"}))
    with FaultServer(faults.says(b"HTTP/1.1 403 No\r\n\r\n")) as proxy:
        found = clusters(ON_ITS_OWN, proxy_for=lambda _url: proxy.url)
        refused = asked(found.connect_kubeconfig(kubeconfig(f"https://{host}:6443"), name="Secret/apps/x"))
        assert isinstance(refused, Refused)
        assert proxy.connections == []


def test_a_name_that_only_the_proxy_knows_is_left_to_it(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", resolving({}))
    with FaultServer(faults.says(b"HTTP/1.1 403 No\r\n\r\n")) as proxy:
        found = clusters(IN_A_CLOUD, proxy_for=lambda _url: proxy.url)
        asked(found.connect_kubeconfig(kubeconfig("https://inside.corp:6443"), name="Secret/apps/x"))
        assert proxy.requests[0].startswith(b"CONNECT inside.corp:6443 ")


def resolving(names, real=socket.getaddrinfo):
    def look_up(host, port, *arguments, **options):
        if host.endswith((".example", ".corp")) and host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(names.get(host, host), port, *arguments, **options)

    return look_up
