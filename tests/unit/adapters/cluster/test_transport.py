"""Requests against a scripted HTTP server: what is retried, what is not, what is counted, what is discovered."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock.adapters.cluster.answers import Call
from penstock.adapters.cluster.credentials import Login, Renewed
from penstock.adapters.cluster.discovery import AGE, Discovery
from penstock.adapters.cluster.kube import KubeCluster, account_groups, regular_plural
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.transport import Patience, Request, Transport
from penstock.core.errors import Conflict, Refused, Terminal, Transient
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApiRefused, ApplyOptions

CALL = Call(verb="get", resource="Thing", identity="we")
CUT = (0, {}, b"")
OK = (200, {}, b'{"kind": "Thing"}')


@dataclass
class Script:
    """Answers (status, headers, body) to give in turn, or by path; status 0 cuts the connection."""

    url: str
    answers: list[tuple[int, dict, bytes]] = field(default_factory=list)
    paths: dict[str, object] = field(default_factory=dict)
    seen: list[tuple[str, str, dict]] = field(default_factory=list)

    def next(self, path: str) -> tuple[int, dict, bytes]:
        if self.answers:
            return self.answers.pop(0)
        found = self.paths.get(path.partition("?")[0])
        return (404, {}, b"404 page not found") if found is None else (200, {}, json.dumps(found).encode())


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.seen.append((self.command, self.path, dict(self.headers)))
            status, headers, body = script.next(self.path)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the handler's own names

        def log_message(self, *_args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    yield script
    httpd.shutdown()
    httpd.server_close()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def transport(
    url: str, *, time: Time | None = None, login=None, impersonate: str = "", **patience
) -> Iterator[Transport]:
    time = time or Time()
    source = login or (lambda _refused: (Login(authorization="Bearer t"), float("inf")))
    connection = Connection(server=url, credentials=Renewed(source))
    waits = Patience(sleep=time.sleep, clock=lambda: time.now, jitter=lambda: 1.0, **patience)
    return Transport(connection, impersonate=impersonate, patience=waits)


@pytest.fixture
def made() -> Iterator[list[Transport]]:
    each: list[Transport] = []
    yield each
    for one in each:
        one.pools.close()


@pytest.mark.parametrize(
    ("answers", "slept"),
    [
        ([OK], []),
        ([(429, {"Retry-After": "2"}, b""), OK], [2.0]),
        ([(503, {}, b""), (502, {}, b""), OK], [0.1, 0.2]),
        ([(500, {}, b"etcd is busy"), OK], [0.1]),
        ([CUT, OK], [0.1]),
    ],
    ids=["at once", "429", "503 and 502", "500", "cut"],
)
def test_what_passes_is_tried_again(server: Script, made, answers, slept) -> None:
    server.answers, time = list(answers), Time()
    made.append(transport(server.url, time=time))
    assert made[0].send(Request(method="GET", path="/x"), CALL).status == 200
    assert time.slept == slept
    assert made[0].requests == len(server.seen) == len(answers)


def status(code: int, message: str, reason: str = "", **details: object) -> tuple[int, dict, bytes]:
    document = {"kind": "Status", "message": message, "reason": reason, "details": details, "code": code}
    return code, {}, json.dumps(document).encode()


TYPED = "failed to create typed patch object (a/b; /v1, Kind=Secret): errors:\n  .data.x: expected string, got &value.valueUnstructured{Value:hush}\n  .y: field not declared in schema"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(400, "no"), ApiRefused),
        (status(401, "Unauthorized", "Unauthorized"), Refused),
        (status(403, "x is forbidden", "Forbidden"), Refused),
        (status(403, 'things "x" is forbidden: User "u" cannot patch resource "things"', "Forbidden"), Refused),
        (status(403, 'roles "x" is forbidden: user "u" (groups=["g"]) is attempting to grant', "Forbidden"), Refused),
        (status(403, 'things "x" is forbidden: exceeded quota: few, requested: 1', "Forbidden"), ApiRefused),
        (status(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Forbidden"), ApiRefused),
        (status(403, 'admission webhook "a.b" denied the request: no', "Forbidden"), ApiRefused),
        (status(500, "etcdserver: request is too large"), ApiRefused),
        (status(422, "invalid", "Invalid"), ApiRefused),
        (status(500, TYPED), ApiRefused),
        (status(500, "resourceVersion should not be set on objects to be created"), ApiRefused),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), ApiRefused),
    ],
)
def test_what_does_not_pass_is_not_tried_again(server: Script, made, answer, error) -> None:
    server.answers = [answer]
    made.append(transport(server.url, login=None))
    made[0].connection.credentials.renew = lambda _used: False
    with pytest.raises(error, match="get Thing"):
        made[0].send(Request(method="GET", path="/x"), CALL)
    assert made[0].requests == 1


@pytest.mark.parametrize(
    ("answer", "sent"), [(CUT, 1), ((503, {}, b""), 1), ((429, {}, b""), 2)], ids=["cut", "503", "429"]
)
def test_a_create_is_not_sent_twice_where_it_may_have_worked(server: Script, made, answer, sent: int) -> None:
    server.answers = [answer, OK]
    made.append(transport(server.url))
    request = Request(method="POST", path="/x", replayable=False)
    if sent == 1:
        with pytest.raises(Transient):
            made[0].send(request, CALL)
    else:
        assert made[0].send(request, CALL).status == 200
    assert made[0].requests == sent


def test_a_wait_beyond_the_deadline_is_left_to_the_caller(server: Script, made) -> None:
    server.answers, time = [(429, {"Retry-After": "600"}, b"slow down")], Time()
    made.append(transport(server.url, time=time))
    with pytest.raises(Transient, match="slow down") as transient:
        made[0].send(Request(method="GET", path="/x"), CALL)
    assert (transient.value.retry_after, time.slept, made[0].requests) == (600.0, [], 1)


def test_attempts_are_bounded(server: Script, made) -> None:
    server.answers = [(503, {}, b"")] * 9
    made.append(transport(server.url, attempts=3))
    with pytest.raises(Transient):
        made[0].send(Request(method="GET", path="/x"), CALL)
    assert made[0].requests == 3


def test_nobody_listening_is_transient_even_for_a_create(made) -> None:
    made.append(transport("http://127.0.0.1:1", attempts=2))
    with pytest.raises(Transient, match="no connection to the API server"):
        made[0].send(Request(method="POST", path="/x", replayable=False), CALL)
    assert made[0].requests == 2


def test_a_401_asks_for_a_new_login_once(server: Script, made) -> None:
    server.answers, tokens = [status(401, "Unauthorized"), OK], iter(["old", "new"])
    made.append(transport(server.url, login=lambda _refused: (Login(authorization=next(tokens)), float("inf"))))
    assert made[0].send(Request(method="GET", path="/x"), CALL).status == 200
    assert [headers["Authorization"] for _, _, headers in server.seen] == ["old", "new"]
    server.answers = [status(401, "Unauthorized")] * 2
    tokens = iter(["newer", "newest"])
    made[0].connection.credentials.renew(made[0].connection.credentials.login())
    with pytest.raises(Refused, match="does not know we"):
        made[0].send(Request(method="GET", path="/x"), CALL)


def test_a_401_at_the_last_attempt_is_told_as_what_it_is(server: Script, made) -> None:
    server.answers = [(503, {}, b""), status(401, "Unauthorized")]
    made.append(transport(server.url, attempts=2, login=lambda _refused: (Login(authorization="any"), float("inf"))))
    with pytest.raises(Refused, match="does not know we"):
        made[0].send(Request(method="GET", path="/x"), CALL)


def test_headers_and_the_servers_own_path(server: Script, made) -> None:
    server.answers = [OK]
    made.append(transport(f"{server.url}/k8s/clusters/c-1", impersonate="system:serviceaccount:a:b"))
    made[0].send(Request(method="GET", path="/api/v1/x", query=(("labelSelector", "a in (b,c)"),)), CALL)
    method, path, headers = server.seen[0]
    assert (method, path) == ("GET", "/k8s/clusters/c-1/api/v1/x?labelSelector=a%20in%20%28b%2Cc%29")
    assert headers["Impersonate-User"] == "system:serviceaccount:a:b"
    assert headers["User-Agent"].startswith("penstock/")
    assert headers["Accept-Encoding"] == "gzip"


def test_connections_are_kept_alive(server: Script, made, monkeypatch) -> None:
    opened = []
    real = ThreadingHTTPServer.process_request
    monkeypatch.setattr(ThreadingHTTPServer, "process_request", lambda s, *a: opened.append(1) or real(s, *a))
    server.answers = [OK] * 3
    made.append(transport(server.url))
    for _ in range(3):
        made[0].send(Request(method="GET", path="/x"), CALL)
    assert len(opened) == 1


SECRET = Call(verb="patch", resource="Secret", namespace="a", name="b")


@pytest.mark.parametrize(
    "message",
    [
        TYPED,
        'Secret "b" is invalid: data[x]: Invalid value: "hush": too long',
        "x: Invalid value: hush: y",
        'Secret "b" is invalid: data[a b: hush]: Invalid value: "a b: hush": a valid config key',
    ],
)
def test_values_of_secrets_are_not_in_errors(server: Script, made, message: str) -> None:
    cause = {"field": "data[x: hush]", "message": 'Invalid value: "hush": too long'}
    server.answers = [status(422 if "typed" not in message else 500, message, causes=[cause])]
    made.append(transport(server.url))
    with pytest.raises(ApiRefused) as refused:
        made[0].send(Request(method="PATCH", path="/x"), SECRET)
    assert "hush" not in str(refused.value) + str(refused.value.causes)
    assert "Secret/a/b" in str(refused.value)


def test_schema_errors_of_an_apply_have_causes(server: Script, made) -> None:
    server.answers = [status(500, TYPED)]
    made.append(transport(server.url))
    with pytest.raises(ApiRefused) as refused:
        made[0].send(Request(method="PATCH", path="/x"), CALL)
    assert [where for where, _ in refused.value.causes] == ["data.x", "y"]


def test_a_namespace_on_its_way_out_is_transient(server: Script, made) -> None:
    cause = {"reason": "NamespaceTerminating", "message": "namespace x is being terminated"}
    server.answers = [status(403, "forbidden: being terminated", "Forbidden", causes=[cause])]
    made.append(transport(server.url))
    with pytest.raises(Transient):
        made[0].send(Request(method="POST", path="/x"), CALL)


def test_an_answer_that_is_a_page_is_transient(server: Script, made) -> None:
    server.answers = [(200, {"Content-Type": "text/html"}, b"<html>")]
    made.append(transport(server.url))
    answer = made[0].send(Request(method="GET", path="/x"), CALL)
    with pytest.raises(Transient, match="not JSON"):
        answer.json(CALL)


def test_an_answer_is_bounded(server: Script, made, monkeypatch) -> None:
    monkeypatch.setattr("penstock.adapters.cluster.transport.ANSWER_LIMIT", 10)
    server.answers = [(200, {}, b"x" * 11)]
    made.append(transport(server.url))
    with pytest.raises(Terminal, match="larger than"):
        made[0].send(Request(method="GET", path="/x"), CALL)


def group(name: str, *versions: dict) -> dict:
    return {"metadata": {"name": name}, "versions": list(versions)}


def version(name: str, *kinds: str, **more: object) -> dict:
    resources = [
        {"resource": k.lower() + "s", "responseKind": {"kind": k}, "scope": "Namespaced", "verbs": ["get"]}
        for k in kinds
    ]
    return {"version": name, "resources": resources, **more}


AGGREGATED = {
    "/api": {"kind": "APIGroupDiscoveryList", "items": [group("", version("v1", "ConfigMap"))]},
    "/apis": {
        "kind": "APIGroupDiscoveryList",
        "items": [
            group("apps", version("v1", "Deployment")),
            group("two.example", version("v2", "Thing"), version("v1", "Thing", "Old")),
            group("down.example", version("v1", freshness="Stale")),
        ],
    },
}


def discovered(server: Script, made: list[Transport], clock=None) -> tuple[KubeCluster, Transport]:
    made.append(transport(server.url))
    return KubeCluster(made[-1], Discovery(clock=clock or (lambda: 0.0))), made[-1]


def test_discovery_costs_two_requests_and_one_look_for_the_unknown(server: Script, made) -> None:
    server.paths, now = dict(AGGREGATED), [0.0]
    cluster, sent = discovered(server, made, lambda: now[0])
    for _ in range(3):
        assert cluster.resource_type("apps", "Deployment").plural == "deployments"
    assert sent.requests == 2
    for _ in range(3):
        assert cluster.resource_type("new.example", "New") is None
    assert sent.requests == 4
    cluster.refresh_discovery()
    server.paths["/apis"] = {**AGGREGATED["/apis"], "items": [group("new.example", version("v1", "New"))]}
    assert cluster.resource_type("new.example", "New").gvk == Gvk(group="new.example", version="v1", kind="New")
    assert sent.requests == 6
    assert cluster.resource_type("x", "X") is None
    assert cluster.resource_type("x", "X") is None
    assert sent.requests == 8
    now[0] = AGE + 1
    assert cluster.resource_type("x", "X") is None
    assert sent.requests == 10


def test_versions_are_found_by_preference(server: Script, made) -> None:
    server.paths = dict(AGGREGATED)
    cluster, _ = discovered(server, made)
    newest, old = cluster.resource_type("two.example", "Thing"), cluster.resource_type("two.example", "Old")
    assert (newest.gvk.version, newest.preferred) == ("v2", True)
    assert (old.gvk.version, old.preferred) == ("v1", False)
    assert cluster.resource_type("two.example", "Thing", "v1").gvk.version == "v1"


def test_a_group_whose_server_is_down_is_not_unserved(server: Script, made) -> None:
    server.paths = dict(AGGREGATED)
    cluster, _ = discovered(server, made)
    with pytest.raises(Transient, match=r"down\.example does not answer"):
        cluster.get(Gvk(group="down.example", version="v1", kind="Any"), "", "x")


def test_an_older_server_is_discovered_plainly(server: Script, made) -> None:
    things = [
        {"name": "things", "kind": "Thing", "namespaced": False, "verbs": ["get"]},
        {"name": "things/status", "kind": "Thing", "namespaced": False, "verbs": ["get"]},
    ]
    versions = [{"version": v, "groupVersion": f"two.example/{v}"} for v in ("v1", "v2")]
    server.paths = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get"]}]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [{"name": "two.example", "versions": versions, "preferredVersion": versions[1]}],
        },
        "/apis/two.example/v1": {"resources": things},
        "/apis/two.example/v2": {"resources": things},
    }
    cluster, _ = discovered(server, made)
    assert cluster.resource_type("", "Pod").namespaced
    found = cluster.resource_type("two.example", "Thing")
    assert (found.gvk.version, found.plural, found.namespaced, found.preferred) == ("v2", "things", False, True)


def test_a_list_whose_pages_expired_is_read_in_one_piece(server: Script, made) -> None:
    server.paths = dict(AGGREGATED)
    cluster, _ = discovered(server, made)
    gvk = Gvk(version="v1", kind="ConfigMap")
    assert cluster.resource_type("", "ConfigMap")
    first = {"metadata": {"resourceVersion": "7", "continue": "token"}, "items": [{"metadata": {"name": "a"}}]}
    whole = {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": n}} for n in "ab"]}
    server.answers = [
        (200, {}, json.dumps(first).encode()),
        status(410, "The provided continue parameter is too old", "Expired"),
        (200, {}, json.dumps(whole).encode()),
    ]
    page = cluster.list(gvk, namespace="x")
    assert ([i["metadata"]["name"] for i in page.items], page.resource_version) == (["a", "b"], "9")
    queries = [path.partition("?")[2] for _, path, _ in server.seen[-3:]]
    assert queries == ["limit=500", "limit=500&continue=token", ""]


@pytest.mark.parametrize(("guarded", "sent"), [(False, 3), (True, 1)])
def test_conflicts_of_an_unguarded_apply_are_tried_again(server: Script, made, guarded: bool, sent: int) -> None:
    server.paths = dict(AGGREGATED)
    cluster, counted = discovered(server, made)
    assert cluster.resource_type("", "ConfigMap")
    before = counted.requests
    server.answers = [status(409, "the object has been modified", "Conflict")] * 2 + [OK]
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}
    if guarded:
        manifest["metadata"]["resourceVersion"] = "1"
        with pytest.raises(Conflict, match="modified"):
            cluster.apply(manifest, ApplyOptions())
    else:
        assert cluster.apply(manifest, ApplyOptions()) == {"kind": "Thing"}
    assert counted.requests - before == sent


def test_the_field_of_another_manager_is_not_tried_again(server: Script, made) -> None:
    server.paths = dict(AGGREGATED)
    cluster, counted = discovered(server, made)
    assert cluster.resource_type("", "ConfigMap")
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "x"', "field": ".data.k"}
    server.answers = [status(409, "Apply failed with 1 conflict", "Conflict", causes=[cause])]
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}
    with pytest.raises(ApiRefused) as refused:
        cluster.apply(manifest, ApplyOptions(force=False))
    assert (refused.value.code, refused.value.causes) == (409, (("data.k", 'conflict with "x"'),))
    assert counted.requests == 3


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n', None),
        (b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"boom"}}\n', Transient),
        (b"nonsense\n", Transient),
    ],
)
def test_how_a_watch_ends(server: Script, made, line: bytes, error) -> None:
    server.paths = dict(AGGREGATED)
    cluster, _ = discovered(server, made)
    assert cluster.resource_type("", "ConfigMap")
    event = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'
    server.answers = [(200, {}, event + line)]
    watch = cluster.watch(Gvk(version="v1", kind="ConfigMap"), namespace="", resource_version="1", timeout=5.0)
    assert next(watch).type == "ADDED"
    if error is None:
        assert list(watch) == []
    else:
        with pytest.raises(error):
            next(watch)


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Kustomization", "kustomizations"),
        ("GitRepository", "gitrepositories"),
        ("ImagePolicy", "imagepolicies"),
        ("Ingress", "ingresses"),
        ("Bucket", "buckets"),
    ],
)
def test_regular_plurals(kind: str, plural: str) -> None:
    assert regular_plural(kind) == plural


def test_an_account_is_in_the_groups_that_the_server_gives_it() -> None:
    groups = ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]
    assert account_groups("system:serviceaccount:a:b") == groups
    assert account_groups("jane") == ["system:authenticated"]
