import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest
import yaml

from penstock.devcluster import DevCluster
from penstock.devcluster.exchange import MAX_BODY, Target, parse_path

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in ("ab", "bc", "cd", "de", "ef")
)
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer wrong"}, {"Authorization": ""}])
def test_without_the_token_there_is_nothing(call, headers):
    code, status = call("GET", "/version", headers=headers)
    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_it_is_well(call, path):
    assert call("GET", path) == (200, "ok")


def test_it_says_which_kubernetes_it_follows(call):
    _, version = call("GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "36")


@pytest.mark.parametrize(
    "path", ["/", "/foo", "/apis/unknown.io", "/apis/unknown.io/v1", "/apis/apps/v9", "/api/v1/a/b/c/d/e/f"]
)
def test_other_paths_are_no_api(call, path):
    assert call("GET", path) == (404, "404 page not found\n")


def test_plain_discovery(call):
    assert call("GET", "/api")[1]["versions"] == ["v1"]
    groups = [group["name"] for group in call("GET", "/apis")[1]["groups"]]
    assert {"apps", "batch", "apiextensions.k8s.io"} <= set(groups)
    assert call("GET", "/apis/apps")[1]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    _, core = call("GET", "/api/v1")
    entry = next(entry for entry in core["resources"] if entry["name"] == "configmaps")
    assert (entry["kind"], entry["namespaced"], entry["shortNames"]) == ("ConfigMap", True, ["cm"])
    _, apps = call("GET", "/apis/apps/v1")
    scale = next(entry for entry in apps["resources"] if entry["name"] == "deployments/scale")
    assert (scale["kind"], scale["group"], scale["version"]) == ("Scale", "autoscaling", "v1")


@pytest.mark.parametrize("accept", [AGGREGATED, f"{AGGREGATED},application/json"])
def test_aggregated_discovery(call, accept):
    _, core = call("GET", "/api", headers={"Accept": accept})
    assert call.headers["Content-Type"] == AGGREGATED
    assert (core["kind"], [group["metadata"].get("name") for group in core["items"]]) == (
        "APIGroupDiscoveryList",
        [None],
    )
    _, others = call("GET", "/apis", headers={"Accept": accept})
    apps = next(group for group in others["items"] if group["metadata"]["name"] == "apps")
    assert [resource["resource"] for resource in apps["versions"][0]["resources"]] == [
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "replicasets",
        "statefulsets",
    ]


def test_the_kubeconfig_names_address_and_token():
    with DevCluster(False) as cluster:
        config = yaml.safe_load(cluster.kubeconfig())
        assert config["clusters"][0]["cluster"]["server"] == cluster.url
        assert config["users"][0]["user"] == {"token": cluster.token}
        assert config["current-context"] == config["contexts"][0]["name"]
        other = DevCluster(False)
        assert other.token != cluster.token


def test_requests_are_counted_and_audited(call):
    call("GET", "/version?x=1")
    call("GET", "/nothing")
    requests = call.cluster.requests
    assert (requests.total, requests.by_method["GET"]) == (2, 2)
    assert [(entry.method, entry.path, entry.user_agent, entry.code) for entry in requests.log] == [
        ("GET", "/version?x=1", "tests/1", 200),
        ("GET", "/nothing", "tests/1", 404),
    ]
    requests.clear()
    assert (requests.total, list(requests.log)) == (0, [])


def test_connections_are_kept(call):
    call("GET", "/version")
    socket = call.connection.sock
    call("GET", "/version")
    assert call.connection.sock is socket


def raw(call, *lines):
    connection = http.client.HTTPConnection(urlsplit(call.cluster.url).netloc, timeout=5)
    connection.connect()
    connection.sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


@pytest.mark.parametrize(
    ("header", "code"),
    [(f"Content-Length: {MAX_BODY + 1}", 413), ("Transfer-Encoding: chunked", 400), ("Content-Length: x", 400)],
)
def test_bodies_are_bounded_before_they_are_read(call, header, code):
    got, status = raw(call, "POST /api/v1/namespaces HTTP/1.1", "Host: x", header)
    assert (got, status["code"]) == (code, code)


@pytest.mark.parametrize(
    "body",
    ["[" * 200 + "]" * 200, '{"a": ' * 200 + "1" + "}" * 200, "[" * 100_000],
)
def test_bodies_that_nest_too_deep(call, body):
    assert call("POST", "/api/v1/namespaces", body)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS,
        "a: &a\n  b: *a\n",
        "a: [",
        "\t",
    ],
)
def test_yaml_that_repeats_itself_without_end(call, body):
    assert call.apply("/api/v1/namespaces/x", body)[0] == 400


def test_a_client_that_goes_away_does_no_harm(call, capfd):
    connection = http.client.HTTPConnection(urlsplit(call.cluster.url).netloc, timeout=5)
    connection.request("GET", "/api/v1/namespaces?watch=1", headers={"Authorization": f"Bearer {call.cluster.token}"})
    connection.sock.close()
    connection.close()
    call("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    assert call("GET", "/api/v1/namespaces/n")[0] == 200
    assert capfd.readouterr().err == ""


def test_many_writers_lose_nothing(call):
    def write(number):
        connection = http.client.HTTPConnection(urlsplit(call.cluster.url).netloc, timeout=10)
        for step in range(10):
            body = json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "shared"},
                    "data": {f"k{number}": str(step)},
                }
            )
            headers = {"Authorization": f"Bearer {call.cluster.token}", "Content-Type": "application/apply-patch+yaml"}
            connection.request(
                "PATCH", f"/api/v1/namespaces/default/configmaps/shared?fieldManager=m{number}", body, headers
            )
            answer = connection.getresponse()
            assert answer.status in {200, 201}, answer.read()
            answer.read()
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _, stored = call("GET", "/api/v1/namespaces/default/configmaps/shared")
    assert stored["data"] == {f"k{number}": "9" for number in range(8)}
    assert len(stored["metadata"]["managedFields"]) == 8


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1", Target(group="", version="v1")),
        ("/api/v1/namespaces/n", Target(group="", version="v1", plural="namespaces", name="n")),
        (
            "/api/v1/namespaces/n/status",
            Target(group="", version="v1", plural="namespaces", name="n", subresource="status"),
        ),
        ("/api/v1/namespaces/n/pods", Target(group="", version="v1", namespace="n", plural="pods")),
        (
            "/apis/a.b/v2/namespaces/n/xs/y/status",
            Target(group="a.b", version="v2", namespace="n", plural="xs", name="y", subresource="status"),
        ),
        ("/apis/a.b/v2/xs/a%3Ab", Target(group="a.b", version="v2", plural="xs", name="a:b")),
        ("/api", None),
        ("/apis/a.b", None),
        ("/other/v1/x", None),
    ],
)
def test_paths(path, expected):
    assert parse_path(path) == expected
