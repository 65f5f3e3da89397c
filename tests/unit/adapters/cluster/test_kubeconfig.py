"""Kubeconfigs: what the operator's may hold, what one from a manifest may not."""

import base64
import json

import pytest

from penstock.adapters.cluster import kubeconfig
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.core.errors import InvalidDocument, NotFound, Refused

TOKEN = "hush-hush"


def document(*, cluster: dict | None = None, user: dict | None = None, name: str = "x", **more) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": "https://api.example:6443", **(cluster or {})}}],
        "users": [{"name": name, "user": {"token": TOKEN} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        **more,
    }


def data(*args, **fields) -> bytes:
    return json.dumps(document(*args, **fields)).encode()


def untrusted(content: bytes) -> kubeconfig.Connection:
    return kubeconfig.untrusted(content, name="Secret/apps/prod")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("part", "fields", "named"),
    [
        ("user", {"exec": {"command": "/bin/sh"}}, "users[0].user.exec"),
        ("user", {"auth-provider": {"name": "gcp"}}, "users[0].user.auth-provider"),
        ("user", {"tokenFile": "/etc/passwd"}, "users[0].user.tokenFile"),
        ("user", {"client-certificate": "/x", "client-key-data": "eA=="}, "users[0].user.client-certificate"),
        ("user", {"client-key": "/x", "client-certificate-data": "eA=="}, "users[0].user.client-key"),
        ("cluster", {"certificate-authority": "/x"}, "clusters[0].cluster.certificate-authority"),
        ("cluster", {"proxy-url": "http://inside.example"}, "clusters[0].cluster.proxy-url"),
        ("cluster", {"insecure-skip-tls-verify": True}, "clusters[0].cluster.insecure-skip-tls-verify"),
        ("cluster", {"server": "http://169.254.169.254"}, "clusters[].cluster.server"),
    ],
)
def test_an_untrusted_one_is_refused_by_field(part: str, fields: dict, named: str) -> None:
    with pytest.raises(Refused) as refused:
        untrusted(data(**{part: fields}))
    assert named in str(refused.value)
    assert refused.value.reason == "AccessDenied"


def test_an_untrusted_one_is_refused_for_entries_that_it_does_not_use() -> None:
    content = document()
    content["users"].append({"name": "unused", "user": {"exec": {"command": "sh"}}})
    with pytest.raises(Refused, match=r"users\[1\]\.user\.exec"):
        untrusted(json.dumps(content).encode())


def test_an_untrusted_one_may_hold_inline_credentials() -> None:
    made = untrusted(data(cluster={"certificate-authority-data": b64("PEM"), "tls-server-name": "kube"}))
    assert (made.server, made.ca, made.tls_server_name) == ("https://api.example:6443", b"PEM", "kube")
    assert made.credentials.login().authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not YAML"),
        (b"a: " + b"[" * 200_000, "is not YAML"),  # the parser, in C, would take the whole process along
        (b"\xff\xfe\xfd", "is not YAML"),
        (b"[]", "is a mapping"),
        (b"x" * (kubeconfig.SIZE_LIMIT + 1), "at most"),
        (data(**{"current-context": ""}), "current-context: set it"),
        (data(**{"current-context": "y"}), "contexts: there is no entry 'y' (there is: x)"),
        (data(clusters=[]), "clusters: there is no entry 'x' (there is: none)"),
        (data(users=[{"user": {}}]), "users: must be a list of entries with a name"),
        (data(users=[{"name": "x", "user": "y"}]), "users[0].user: must be a mapping"),
        (data(cluster={"server": "api.example"}), "clusters[].cluster.server: must be an http(s) URL"),
        (
            data(cluster={"certificate-authority-data": "&"}),
            "clusters[].cluster.certificate-authority-data: is not base64",
        ),
        (data(user={"client-certificate-data": "eA=="}), "client-certificate and client-key go together"),
        (data(user={"auth-provider": {"name": "oidc"}}), "users[].user.auth-provider: auth-provider is not supported"),
        (data(user={"client-key": "/nowhere"}), "users[].user.client-key: /nowhere: No such file"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, message: str) -> None:
    with pytest.raises(InvalidDocument) as invalid:
        kubeconfig.from_bytes(content, name="prod")
    assert str(invalid.value).startswith("prod")
    assert message in str(invalid.value)


def test_a_token_in_what_is_not_yaml_is_not_shown() -> None:
    with pytest.raises(InvalidDocument) as invalid:
        kubeconfig.from_bytes(f"token: {TOKEN}\n  - broken: [".encode(), name="prod")
    assert TOKEN not in str(invalid.value)
    assert TOKEN not in repr(kubeconfig.from_bytes(data(), name="prod"))
    assert TOKEN not in repr(Kubeconfig(data=data()))


@pytest.mark.parametrize(
    ("user", "authorization"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "u", "password": "p"}, "Basic " + b64("u:p")),
        ({}, ""),
    ],
)
def test_static_credentials(user: dict, authorization: str) -> None:
    assert kubeconfig.from_bytes(data(user=user), name="x").credentials.login().authorization == authorization


def test_who_it_acts_as() -> None:
    made = kubeconfig.from_bytes(data(user={"token": "t", "as": "jane", "as-groups": ["a", "b"]}), name="x")
    assert made.acting_as == (("Impersonate-User", "jane"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))


def test_files_merge_as_kubectl_does(tmp_path) -> None:
    first, second = tmp_path / "a" / "config", tmp_path / "b" / "config"
    for path, content in (
        (first, document(name="one", user={"tokenFile": "token"}, **{"current-context": ""})),
        (
            second,
            {
                **document(name="two"),
                "clusters": [*document(name="one")["clusters"], *document(name="two")["clusters"]],
            },
        ),
    ):
        path.parent.mkdir()
        path.write_text(json.dumps(content))
    (first.parent / "token").write_text("from-file\n")
    paths = [str(tmp_path / "missing"), str(first), str(second)]
    assert kubeconfig.from_files(paths).user == "user 'two' of context 'two'"
    one = kubeconfig.from_files(paths, context="one")
    assert one.credentials.login().authorization == "Bearer from-file"


def test_no_file_at_all_is_not_found(tmp_path) -> None:
    with pytest.raises(NotFound, match="no kubeconfig at"):
        kubeconfig.from_files([str(tmp_path / "missing")])


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_in_a_pod_the_service_account_is_used(tmp_path, host: str, url: str) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("PEM")
    made = kubeconfig.in_cluster(host, "443", folder=tmp_path)
    assert (made.server, made.ca, made.credentials.login().authorization) == (url, b"PEM", "Bearer t")
    with pytest.raises(NotFound, match="not in a cluster"):
        kubeconfig.in_cluster("", "", folder=tmp_path)


def test_connections_are_kept_until_the_kubeconfig_changes() -> None:
    records = {"prod": Kubeconfig(data=data())}
    clusters = KubeClusters(records.get)
    first = clusters.connect("prod")
    assert clusters.connect("prod") is first
    assert clusters.connect("prod", impersonate="system:serviceaccount:a:b") is not first
    assert clusters.connect("prod", impersonate="system:serviceaccount:a:b").identity == "system:serviceaccount:a:b"
    records["prod"] = Kubeconfig(data=data(user={"token": "new"}))
    assert clusters.connect("prod") is not first
    with pytest.raises(NotFound, match="the plane has no cluster dev"):
        clusters.connect("dev")


def test_an_untrusted_connection_is_kept_by_its_content() -> None:
    clusters = KubeClusters(lambda _: None)
    first = clusters.connect_kubeconfig(data(), name="Secret/a/b")
    assert clusters.connect_kubeconfig(data(), name="Secret/a/b") is first
    assert clusters.connect_kubeconfig(data(user={"token": "new"}), name="Secret/a/b") is not first
    with pytest.raises(Refused, match=r"Secret/a/b: users\[0\]\.user\.exec"):
        clusters.connect_kubeconfig(data(user={"exec": {"command": "sh"}}), name="Secret/a/b")
