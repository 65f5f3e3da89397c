"""Settings from the environment, adapters from settings, kubeconfigs and allowed hosts from the Plane."""

import threading
from pathlib import Path

import pytest

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.core.errors import Refused, Terminal, Transient
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.secrets.names import OWN, secret_name
from penstock.ports.deps import OF_MESSAGE, Deps
from penstock.wiring import Runtime, Settings, load_pipeline, open_runtime, open_state, settings_from
from penstock.wiring.clusters import finder, kube_clusters
from penstock.wiring.lazy import LazyPort, Once, WithheldPort
from penstock.wiring.notifier import PolicyNotifier
from penstock.wiring.stored_plane import StoredPlane


def plane(*clusters, **policy):
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": "https://git.example/fleet.git"},
            "clusters": [{"name": name, "path": f"clusters/{name}", "kubeConfig": config} for name, config in clusters],
            "policy": policy,
        },
    }
    state = MemoryState()
    state.put(PLANE_KEY, PlaneRecord(uid="ab" * 16, document=document).to_value(), expected=None)
    return state


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (({}, "given", True), "given"),
        (({"PENSTOCK_DATA_DIR": "env"}, "given", True), "given"),
        (({"PENSTOCK_DATA_DIR": "env"}, "", True), "env"),
        (({}, "", True), ".penstock"),
        (({"XDG_STATE_HOME": "/state"}, "", True), ".penstock"),
        (({"XDG_STATE_HOME": "/state"}, "", False), "/state/penstock"),
        (({}, "", False), "~/.local/state/penstock"),
    ],
)
def test_the_data_directory(case, expected, tmp_path, monkeypatch):
    environment, flag, there = case
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / ".penstock").mkdir()
    assert settings_from(environment, data_dir=flag).data_dir == Path(expected).expanduser()


def test_the_environment_is_read_into_settings():
    settings = settings_from(
        {
            "PENSTOCK_DATA_DIR": "/data",
            "KUBECONFIG": "/a::/b",
            "KUBERNETES_SERVICE_HOST": "10.0.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "HTTPS_PROXY": "http://user:canary@proxy",
            "no_proxy": "",
            "PENSTOCK_ALLOWED_HOSTS": "git.internal, 10.0.0.0/8 ,",
            "PENSTOCK_SECRET_A": '{"cluster":"c","namespace":"n","name":"x","stringData":{"token":"canary"}}',
        }
    )
    assert settings == Settings(
        data_dir=Path("/data"),
        kubeconfig=("/a", "/b"),
        service_host="10.0.0.1",
        service_port="443",
        allowed_hosts=("git.internal", "10.0.0.0/8"),
        proxies={"HTTPS_PROXY": "http://user:canary@proxy"},
        secrets={"penstock_c_n_x": {"token": b"canary"}},
    )
    assert "canary" not in repr(settings)


def test_an_unknown_backend_is_named():
    with pytest.raises(Terminal, match="PENSTOCK_BACKEND is 'abacus'; this release has embedded"):
        settings_from({"PENSTOCK_BACKEND": "abacus"})


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        ({"path": "/k", "context": "x"}, {}, {"paths": ("/k",), "context": "x"}),
        ({"path": "~/k"}, {"kubeconfig": ("/env",)}, {"paths": (str(Path("~/k").expanduser()),)}),
        ({"context": "x"}, {"kubeconfig": ("/a", "/b")}, {"paths": ("/a", "/b"), "context": "x"}),
        ({}, {"service_host": "h", "service_port": "443"}, {"service_host": "h", "service_port": "443"}),
        (
            {"context": "x"},
            {"service_host": "h"},
            {"paths": (str(Path("~/.kube/config").expanduser()),), "context": "x"},
        ),
        ({}, {}, {"paths": (str(Path("~/.kube/config").expanduser()),)}),
        ({"secretRef": {"name": "kube"}}, {"kubeconfig": ("/env",)}, {"data": b"from the store"}),
    ],
)
def test_a_clusters_kubeconfig(config, settings, expected):
    from penstock.adapters.cluster.clusters import Kubeconfig

    secrets = MemorySecrets({secret_name(OWN, PLANE, "flux-system", "kube"): {"value": b"from the store"}})
    find = finder(Settings(data_dir=Path(), **settings), StoredPlane(plane(("prod", config))), secrets)
    assert find("prod") == Kubeconfig(**expected)
    assert find("other") is None


def test_a_kubeconfig_that_the_store_does_not_have_is_named():
    find = finder(
        Settings(data_dir=Path()), StoredPlane(plane(("prod", {"secretRef": {"name": "kube"}}))), MemorySecrets()
    )
    with pytest.raises(
        Terminal,
        match=r"spec\.clusters\[prod\]\.kubeConfig\.secretRef: .*flux-system/kube \(penstock_--_flux--system_kube\) with the key",
    ):
        find("prod")


def test_before_there_is_a_plane_there_are_no_clusters():
    clusters = kube_clusters(Settings(data_dir=Path()), MemoryState(), MemorySecrets())
    with pytest.raises(Terminal, match="the plane has no cluster prod"):
        clusters.connect("prod")


def test_the_plane_is_read_again_when_it_changed_and_parsed_once_when_not():
    state = plane(("a", {}))
    stored = StoredPlane(state)
    assert stored() is stored()
    record = state.get(PLANE_KEY)
    value = {**record.value, "document": {**record.value["document"], "metadata": {"name": "renamed"}}}
    state.put(PLANE_KEY, value, expected=None)
    assert stored().name == "renamed"


@pytest.mark.parametrize(
    ("always", "policy", "reached"),
    [((), {}, False), (("127.0.0.1",), {}, True), ((), {"allowedHosts": ["127.0.0.1"]}, True)],
)
def test_the_notifier_reaches_what_the_operator_allows(always, policy, reached):
    notifier = PolicyNotifier(always, plane(**policy))
    request = HttpRequest(method="POST", path="/", url="http://127.0.0.1:9/hook")
    with pytest.raises(Transient if reached else Refused):  # nobody listens there
        notifier.send(request)


def test_adapters_are_made_at_first_use_and_once(tmp_path):
    made = []
    runtime = Runtime(Settings(data_dir=tmp_path), instead={"git": lambda: made.append(1) or "git"})
    deps = runtime.deps("fetch")
    assert made == []
    assert deps.git.upper() == "GIT"
    assert deps.git.upper() == "GIT"
    assert made == [1]
    assert list(tmp_path.iterdir()) == []  # no file before somebody needs it


def test_every_stage_has_the_ports_of_pipeline_json_and_no_others(tmp_path):
    runtime = Runtime(Settings(data_dir=tmp_path))
    for stage in load_pipeline().stages.values():
        deps = runtime.deps(stage.name)
        given = {name for name in Deps.__dataclass_fields__ if isinstance(getattr(deps, name), LazyPort)}
        withheld = {name for name in Deps.__dataclass_fields__ if isinstance(getattr(deps, name), WithheldPort)}
        assert given == {*stage.ports, "clock", "telemetry"}
        assert given | withheld | OF_MESSAGE == set(Deps.__dataclass_fields__)


def test_the_embedded_adapters_fit_together(tmp_path):
    runtime = Runtime(Settings(data_dir=tmp_path / "new" / "data"))
    assert runtime.bus.depth() == {"fetch": 0, "reconcile": 0, "notify": 0}
    assert runtime.port("storage").digests() == ()
    assert runtime.port("secrets").names() == ()
    assert runtime.port("state").get("x") is None
    assert hasattr(runtime.port("git"), "resolve")
    assert hasattr(runtime.port("notifier"), "send")
    assert hasattr(runtime.port("clusters"), "connect")
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    runtime.close()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Transient, match=f"data directory {tmp_path}/file/data: Not a directory"):
        open_state(tmp_path / "file" / "data")


def test_open_state_is_the_runtimes_state(tmp_path):
    state = open_state(tmp_path)
    state.put("k", {"n": 1}, expected=None)
    runtime = open_runtime(tmp_path)
    assert runtime.port("state").get("k").value == {"n": 1}
    runtime.close()
    state.close()


def test_once_is_once_for_many_threads_and_tries_again_after_an_error():
    made, failing = [], [True]

    def make():
        if failing:
            failing.clear()
            raise ValueError
        made.append(1)
        return "made"

    once = Once(make)
    with pytest.raises(ValueError):
        once()
    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, once(), once.made()) == ([1], "made", ("made",))
