"""api: every route, who may ask, what is written and published, and that no answer says more than is known."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.memory_plane import CLUSTER, UID, MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.core.errors import Conflict, InvalidDocument, NotFound, Refused, Terminal, Transient
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE, Envelope, Event, ReconcileDue, SourceChanged
from penstock.core.records import (
    Approval,
    ObjectRecord,
    approval_key,
    object_key,
    status_key,
)
from penstock.ports.state import Reads
from penstock.stages import api
from penstock.wiring.http import answer
from penstock.wiring.run import run_message
from penstock.wiring.topology import load_pipeline

TOKEN = "t0ken-canary"
DIGEST = "sha256:" + "a" * 64
APPS = {"cluster": CLUSTER, "name": "apps"}
SOURCE = {"kind": "GitRepository", "name": "flux-system"}
ACTIONS = ("/reconcile", "/suspend", "/resume", "/approve")


class World:
    """A plane with Kustomization apps, and its api."""

    def __init__(self):
        self.plane = MemoryPlane()
        self.secrets = MemorySecrets({api.TOKEN_SECRET: {"token": TOKEN.encode() + b"\n"}})
        self.deps = replace(self.plane.deps, secrets=self.secrets)
        self.plane.push(
            {
                "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
                "apps/namespace.yaml": namespace("apps"),
                "apps/config.yaml": config_map("web", colour="blue"),
            }
        )
        self.plane.settle()

    def request(self, method, path, body=None, *, query="", token=TOKEN, headers=None):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        found = {"authorization": f"Bearer {token}"} if headers is None else headers
        return HttpRequest(method=method, path=path, query=query, headers=found, body=data)

    def ask(self, method, path, body=None, **more):
        """(status, body, messages) of one request."""
        response, messages = api.run(self.request(method, path, body, **more), self.deps)
        return response.status, json.loads(response.body), [out.message for out in messages]

    def status(self, cluster=""):
        return self.ask("GET", "/status", query=f"cluster={cluster}" if cluster else "")[1]["objects"]

    def row(self, name, kind="Kustomization"):
        (found,) = [row for row in self.status() if (row["kind"], row["name"]) == (kind, name)]
        return found

    def publish(self, messages):
        for message in messages:
            self.plane.publish(message)
        self.plane.settle()


@pytest.fixture
def world():
    return World()


# Who may ask


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": "Bearer ünïcode"},
        {"x-authorization": f"Bearer {TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_said_or_done(world, headers):
    before = world.plane.state.list("")
    for method, path in [
        *(("POST", path) for path in ACTIONS),
        ("GET", "/status"),
        ("GET", "/requests/x"),
        ("GET", "/"),
    ]:
        response, messages = api.run(world.request(method, path, {**APPS, "who": "eve"}, headers=headers), world.deps)
        assert (response.status, messages) == (401, [])
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["content-type"] == "application/problem+json"
        assert TOKEN.encode() not in response.body
    assert world.plane.state.list("") == before


@pytest.mark.parametrize("held", [None, {}, {"token": b""}, {"token": b" \n"}, {"other": TOKEN.encode()}])
@pytest.mark.parametrize("given", ["", TOKEN, " "])
def test_a_plane_without_a_token_lets_nobody_in(world, held, given):
    secrets = MemorySecrets({} if held is None else {api.TOKEN_SECRET: held})
    response, _ = api.run(world.request("GET", "/status", token=given), replace(world.deps, secrets=secrets))
    assert response.status == 401


@pytest.mark.parametrize("error", [Refused("no right to secrets/canary"), Transient("canary"), Terminal("canary")])
def test_a_token_that_cannot_be_read_lets_nobody_in_and_tells_nobody_why(world, monkeypatch, error):
    def broken(name, *, newest=False):
        raise error

    monkeypatch.setattr(world.secrets, "get", broken)
    response, messages = api.run(world.request("GET", "/status"), world.deps)
    assert (response.status, messages) == (503, [])
    assert b"canary" not in response.body
    assert [fact["error"] for fact in world.plane.telemetry.named("token not read")] == [str(error)]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_in_any_case(world, scheme):
    response, _ = api.run(world.request("GET", "/status", headers={"authorization": f"{scheme}  {TOKEN} "}), world.deps)
    assert response.status == 200


def test_the_token_is_compared_in_constant_time_also_where_the_scheme_is_wrong(world, monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda held, given: compared.append((held, given)) or held == given)
    world.ask("GET", "/status")
    api.run(world.request("GET", "/status", headers={"authorization": "Basic nobody"}), world.deps)
    held = (TOKEN.encode(), b"")  # the token, and the one before
    right, wrong = [(each, TOKEN.encode()) for each in held], [(each, b"nobody") for each in held]
    assert compared == [*right, *wrong, *wrong], "a wrong one is compared with what is read anew, too"


# Paths, methods, bodies


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("POST", "/", 404, None),
        ("POST", "/reconcile/", 404, None),
        ("GET", "/reconcile", 405, "POST"),
        ("PUT", "/suspend", 405, "POST"),
        ("DELETE", "/approve", 405, "POST"),
        ("POST", "/status", 405, "GET"),
        ("POST", "/requests/x", 405, "GET"),
    ],
)
def test_paths_and_methods(world, method, path, status, allow):
    response, messages = api.run(world.request(method, path, APPS), world.deps)
    assert (response.status, response.headers.get("allow"), messages) == (status, allow, [])
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 100_000, b'{"cluster": 1' + b"0" * 5000 + b"}"],
    ids=["cut", "bytes", "deep", "big"],
)
def test_what_is_not_json_is_refused(world, path, body):
    with pytest.raises(InvalidDocument, match="request: is not JSON"):
        world.ask("POST", path, body)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/reconcile", [], "must be a mapping, not a list"),
        ("/reconcile", {}, "request, cluster: is required"),
        ("/reconcile", None, "request, cluster: is required"),
        ("/reconcile", {"cluster": CLUSTER}, "request, name: is required"),
        ("/reconcile", {**APPS, "cluster": "../x"}, "request, cluster: is '../x', must be a Kubernetes name"),
        ("/reconcile", {**APPS, "cluster": PLANE}, "request, cluster: is '-', must be a Kubernetes name"),
        ("/reconcile", {**APPS, "name": 3}, "request, name: must be a string, not the number 3"),
        ("/reconcile", {**APPS, "kind": "Secret"}, "request, kind: is 'Secret', must be one of Kustomization"),
        ("/reconcile", {**APPS, "plan": True}, "request, plan: is not a field here"),
        ("/suspend", APPS, "request, who: is required"),
        ("/suspend", {**APPS, "who": "a" * 257}, "request, who: is longer than 256 characters"),
        ("/suspend", {**APPS, "who": "ann", "till": "x"}, "request, till: is not a field here"),
        ("/suspend", {**APPS, "who": "ann", "until": "soon"}, "request, until: is not an RFC 3339 time"),
        ("/suspend", {**APPS, "who": "ann", "until": "2027-01-01T00:00:00"}, "request, until: needs a time zone"),
        ("/suspend", {**APPS, "who": "ann", "until": "2025-12-31T23:59:59Z"}, "request, until: has passed"),
        ("/resume", APPS, "request, who: is required"),
        ("/resume", {**APPS, "who": "ann", "why": "x"}, "request, why: is not a field here"),
        ("/approve", {**APPS, "who": "ann"}, "request, prune: is required"),
        ("/approve", {**APPS, "prune": DIGEST}, "request, who: is required"),
        ("/approve", {**APPS, "who": "ann", "prune": "all"}, "request, prune: is 'all', must match sha256:"),
        ("/approve", {**APPS, "who": "ann", "withoutRender": "yes"}, "request, withoutRender: must be true or false"),
        ("/approve", {**APPS, "withoutRender": True}, "request, who: is required"),
        (
            "/approve",
            {**APPS, "who": "ann", "withoutRender": True, "prune": DIGEST},
            "request, prune: is not a field here",
        ),
        ("/approve", {**APPS, "who": "ann", "withoutRender": False}, "request, prune: is required"),
    ],
)
def test_a_wrong_body_is_named_by_its_field_and_changes_nothing(world, path, body, says):
    before = world.plane.state.list("")
    with pytest.raises(InvalidDocument) as raised:
        world.ask("POST", path, body)
    assert str(raised.value).startswith(says) or says in str(raised.value)
    assert world.plane.state.list("") == before


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("plan=yes", "query, plan: must be 1 or 0, not 'yes'"),
        ("plan", "query, plan: must be 1 or 0, not ''"),
        ("plan=1&plan=0", "query, plan: is given twice"),
        ("dry-run=1", "query, dry-run: is not a parameter here (known: plan, wait)"),
        ("wait=30", "query, wait: must be a duration such as 30s, not '30'"),
        ("wait=" + "9" * 30 + "h", "query, wait: must be a duration"),
        ("&".join(f"a{n}=1" for n in range(20)), "query: has too many parameters"),
    ],
)
def test_a_wrong_query_never_reconciles(world, query, says):
    with pytest.raises(InvalidDocument) as raised:
        world.ask("POST", "/reconcile", APPS, query=query)
    assert says in str(raised.value)


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("unknown", [{"cluster": "other"}, {"namespace": "other"}, {"name": "other"}])
def test_an_object_that_the_plane_does_not_know_is_not_found(world, path, unknown):
    needed = {"/reconcile": {}, "/approve": {"who": "ann", "prune": DIGEST}}.get(path, {"who": "ann"})
    before = world.plane.state.list("")
    with pytest.raises(NotFound, match="is not known in cluster"):
        world.ask("POST", path, {**APPS, **needed, **unknown})
    assert world.plane.state.list("") == before


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 422, "request: is not JSON"),
        ({**APPS, "name": "other"}, 404, "Kustomization flux-system/other is not known in cluster prod"),
    ],
)
def test_errors_reach_the_caller_as_problems_that_say_what_to_do(world, body, status, says):
    stage = load_pipeline().stage("api")
    found = answer(stage, world.request("POST", "/reconcile", body), world.deps, world.plane.bus)
    assert (found.status, found.headers["content-type"]) == (status, "application/problem+json")
    assert says in json.loads(found.body)["detail"]


# reconcile


def test_a_reconcile_is_published_and_answered_where_its_outcome_will_be(world):
    response, messages = api.run(world.request("POST", "/reconcile", APPS), world.deps)
    identity = json.loads(response.body)["request"]
    assert (response.status, response.headers["location"]) == (202, f"/requests/{identity}")
    due = ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps", why="request", request=identity)
    assert [out.message for out in messages] == [due]
    assert world.ask("GET", f"/requests/{identity}")[0] == 202
    world.publish([due])
    status, body, _ = world.ask("GET", f"/requests/{identity}")
    assert (status, body["ready"], body["reason"]) == (200, "True", "ReconciliationSucceeded")
    assert body["message"] == f"Applied revision: {body['revision']}"
    assert "format" not in body


def test_a_reconcile_that_fails_says_so(world):
    world.plane.push({"apps/kustomization.yaml": "resources: [nothing.yaml]\n"})
    world.plane.settle()
    _, body, messages = world.ask("POST", "/reconcile", APPS)
    world.publish(messages)
    status, outcome, _ = world.ask("GET", f"/requests/{body['request']}")
    assert (status, outcome["ready"], outcome["reason"]) == (200, "False", "BuildFailed")
    assert "nothing.yaml" in outcome["message"]


def test_a_reconcile_that_waits_for_a_dependency_says_for_which(world):
    later = kustomization("later", "./later", dependsOn=[{"name": "broken"}])
    broken = {"clusters/prod/broken.yaml": kustomization("broken", "./nowhere")}
    world.plane.push({**broken, "clusters/prod/later.yaml": later, "later/c.yaml": config_map("later", a="b")})
    world.plane.settle()
    _, body, messages = world.ask("POST", "/reconcile", {**APPS, "name": "later"})
    world.publish(messages)
    status, outcome, _ = world.ask("GET", f"/requests/{body['request']}")
    assert (status, outcome["ready"], outcome["reason"]) == (200, "False", "DependencyNotReady")
    assert "flux-system/broken" in outcome["message"]


@pytest.mark.parametrize(
    ("cluster", "published"), [(CLUSTER, PLANE), (PLANE, PLANE)], ids=["as its cluster sees it", "as the plane's own"]
)
def test_the_planes_source_is_looked_at_once_for_all_clusters(world, cluster, published):
    status, body, messages = world.ask("POST", "/reconcile", {**SOURCE, "cluster": cluster}, query="wait=30s")
    assert messages == [SourceChanged(cluster=published, namespace="flux-system", name="flux-system")]
    assert (status, body) == (202, {"published": messages[0].key})


def test_another_source_is_looked_at_in_its_cluster(world):
    record = ObjectRecord(document={"metadata": {"name": "site"}})
    world.plane.state.put(object_key(CLUSTER, "GitRepository", "web", "site"), record.to_value(), expected=None)
    body = {"cluster": CLUSTER, "kind": "GitRepository", "namespace": "web", "name": "site"}
    assert world.ask("POST", "/reconcile", body)[2] == [SourceChanged(cluster=CLUSTER, namespace="web", name="site")]


# plan


@pytest.mark.parametrize("query", ["plan=1", "plan=true"])
def test_a_plan_writes_nothing_to_the_cluster_and_masks_secrets(world, query):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "apps"}}
    world.plane.files["apps/secret.yaml"] = json.dumps({**secret, "stringData": {"password": "hunter2-canary"}})
    world.ask("POST", "/suspend", {**APPS, "who": "ann"})  # so that only the plan sees the change
    world.plane.push({"apps/config.yaml": config_map("web", colour="red")})
    world.plane.settle()
    writes = len(world.plane.writes())
    _, body, messages = world.ask("POST", "/reconcile", APPS, query=query)
    world.publish(messages)
    status, plan, _ = world.ask("GET", f"/requests/{body['request']}")
    assert status == 200
    assert {change["object"]: change["action"] for change in plan["changes"]} == {
        "ConfigMap/apps/web": "configured",
        "Secret/apps/db": "created",
    }
    assert "hunter2-canary" not in json.dumps(plan)
    assert [call for call in world.plane.writes()[writes:] if call[0] != "patch"] == []
    assert world.plane.config_map("web") == {"colour": "blue"}


def test_a_plan_of_a_source_is_refused(world):
    with pytest.raises(InvalidDocument, match="a plan is made of a Kustomization"):
        world.ask("POST", "/reconcile", {**SOURCE, "cluster": CLUSTER}, query="plan=1")


# waiting


def settled(world, response, *, query, at=None, outcome=None):
    """What ``settle`` answers; ``outcome`` is written when the clock reaches ``at`` seconds from now."""
    clock, sleep, start = world.plane.clock, world.plane.clock.sleep, world.plane.clock.monotonic()

    def sleeping(seconds):
        sleep(seconds)
        if outcome is not None and clock.monotonic() - start >= at:
            identity = response.headers["location"].removeprefix("/requests/")
            world.plane.state.put(f"request/{identity}", {"format": 1, **outcome}, expected=None)

    clock.sleep = sleeping
    found = api.settle(world.request("POST", "/reconcile", APPS, query=query), response, world.deps)
    return found, clock.monotonic() - start


@pytest.mark.parametrize(
    ("query", "at", "outcome", "status", "seconds"),
    [
        ("wait=30s", 2.0, {"ready": "True"}, 200, (2.0, 2.6)),
        ("wait=30s", 2.0, {"ready": "False"}, 200, (2.0, 2.6)),
        ("wait=30s", 0.0, {"ready": "True"}, 200, (0.0, 0.06)),
        ("wait=30s", 2.0, {"ready": "Unknown"}, 202, (30.0, 30.01)),
        ("wait=30s", 31.0, {"ready": "True"}, 202, (30.0, 30.01)),
        ("wait=1h", None, None, 202, (50.0, 50.01)),
        ("wait=0s", 0.0, {"ready": "True"}, 202, (0.0, 0.0)),
        ("", 0.0, {"ready": "True"}, 202, (0.0, 0.0)),
        ("plan=1&wait=5s", 1.0, {"changes": []}, 200, (1.0, 1.6)),
    ],
)
def test_waiting_ends_with_the_outcome_or_with_202_never_with_a_false_200(
    world, query, at, outcome, *, status, seconds
):
    response, _ = api.run(world.request("POST", "/reconcile", APPS), world.deps)
    found, took = settled(world, response, query=query, at=at, outcome=outcome)
    assert found.status == status
    assert seconds[0] <= took <= seconds[1]
    if status == 200:
        assert json.loads(found.body) == outcome
    else:
        assert found.headers["location"] == response.headers["location"]


def test_an_outcome_that_is_known_already_is_not_waited_for(world):
    _, body, messages = world.ask("POST", "/reconcile", APPS)
    world.publish(messages)
    path, before = f"/requests/{body['request']}", world.plane.clock.monotonic()
    asked = world.request("GET", path, query="wait=30s")
    response, _ = api.run(asked, world.deps)
    assert api.settle(asked, response, world.deps).status == 200
    assert world.plane.clock.monotonic() == before


def test_a_status_reads_all_that_it_shows_at_once(world, monkeypatch):
    asked = []
    for name in ("get", "list"):
        found = getattr(world.plane.state, name)
        monkeypatch.setattr(
            world.plane.state, name, lambda key, name=name, found=found: asked.append(name) or found(key)
        )
    reads = world.plane.state.read
    monkeypatch.setattr(world.plane.state, "read", lambda *a, **o: asked.append("read") or reads(*a, **o))
    monkeypatch.setattr("penstock.adapters.state.memory.one_by_one", one_by_one(world.plane.state))
    for cluster in ("", CLUSTER):
        asked.clear()
        assert len(world.status(cluster)) > 1
        assert asked == ["get", "read", "read"]


def one_by_one(state):
    """Reads together that are not counted one by one."""
    get, listed = type(state).get, type(state).list
    return lambda _state, keys, prefixes: Reads(
        records={key: found for key in keys if (found := get(state, key)) is not None},
        lists={prefix: listed(state, prefix) for prefix in prefixes},
    )


def test_a_status_that_does_not_fit_into_an_answer_says_how_to_ask(world, monkeypatch):
    monkeypatch.setattr("penstock.stages.api.status.MOST_BYTES", 100)
    status, body, _ = world.ask("GET", "/status")
    assert status == 413
    assert "ask for one cluster (?cluster=NAME)" in body["detail"]


@pytest.mark.parametrize(
    "path", ["/requests/", "/requests/x", "/requests/" + "0" * 32, "/requests/" + "../" * 10 + "a"]
)
def test_a_request_that_nobody_made_is_not_found(world, path):
    assert world.ask("GET", path)[0] == 404


def test_outcomes_can_be_asked_for_a_day_long_and_are_forgotten_then(world):
    _, body, messages = world.ask("POST", "/reconcile", APPS)
    world.publish(messages)
    path = f"/requests/{body['request']}"
    world.plane.clock.advance(timedelta(hours=24).total_seconds())
    assert world.ask("GET", path)[0] == 200
    world.ask("POST", "/reconcile", APPS)
    assert world.ask("GET", path)[0] == 200
    world.plane.clock.advance(timedelta(hours=24).total_seconds())
    _, newest, _ = world.ask("POST", "/reconcile", APPS)
    assert world.ask("GET", path)[0] == 404
    kept = {record.key.rpartition("/")[2] for record in world.plane.state.list("asked/")}
    assert body["request"] not in kept
    assert newest["request"] in kept
    assert world.plane.state.get(f"request/{body['request']}") is None


def test_the_http_side_publishes_before_it_waits(world):
    """The whole way: the outcome comes from a reconcile that runs while the api waits."""
    clock, sleep = world.plane.clock, world.plane.clock.sleep

    def work(seconds):
        sleep(seconds)
        world.plane.step()

    clock.sleep = work
    stage = load_pipeline().stage("api")
    found = answer(stage, world.request("POST", "/reconcile", APPS, query="wait=10s"), world.deps, world.plane.bus)
    assert (found.status, json.loads(found.body)["ready"]) == (200, "True")


# suspend and resume


def test_a_suspension_says_who_why_and_until_and_holds_until_then(world):
    body = {**APPS, "who": "ann", "why": "incident 7", "until": "2026-01-01T03:00:00+01:00"}
    status, told, messages = world.ask("POST", "/suspend", body)
    assert (status, told) == (200, {"suspended": "flux-system/apps", "who": "ann", "until": "2026-01-01T02:00:00Z"})
    row = world.row("apps")
    assert row["suspended"] is True
    expected = {"who": "ann", "why": "incident 7", "until": "2026-01-01T02:00:00Z"}
    assert {name: row["suspension"][name] for name in expected} == expected
    (event,) = messages
    assert (event.severity, event.reason) == ("info", "Suspended")
    assert event.message == "suspended by ann until 2026-01-01T02:00:00Z: incident 7"
    world.plane.push({"apps/config.yaml": config_map("web", colour="red")})
    world.plane.settle()
    assert world.plane.config_map("web") == {"colour": "blue"}
    world.plane.clock.advance(2 * 3600)
    world.plane.tick()
    world.plane.settle()
    assert (world.row("apps")["suspended"], world.plane.config_map("web")) == (False, {"colour": "red"})
    assert "suspension" not in world.row("apps")


def test_what_is_suspended_is_not_reconciled_on_request_but_says_so(world):
    world.ask("POST", "/suspend", {**APPS, "who": "ann"})
    status, body, messages = world.ask("POST", "/reconcile", APPS, query="wait=30s")
    assert (status, messages) == (409, [])
    assert "is suspended: resume it first" in body["detail"]


def test_a_resume_reconciles_at_once_and_is_said_once(world):
    world.ask("POST", "/suspend", {**APPS, "who": "ann"})
    world.plane.push({"apps/config.yaml": config_map("web", colour="red")})
    world.plane.settle()
    status, body, messages = world.ask("POST", "/resume", {**APPS, "who": "bob"})
    assert (status, body) == (200, {"resumed": "flux-system/apps", "who": "bob"})
    assert [type(each) for each in messages] == [ReconcileDue, Event]
    assert (messages[1].reason, messages[1].message) == ("Resumed", "resumed by bob")
    world.publish(messages)
    assert world.plane.config_map("web") == {"colour": "red"}
    assert [type(each) for each in world.ask("POST", "/resume", {**APPS, "who": "bob"})[2]] == [ReconcileDue]


def test_what_is_suspended_in_git_is_not_said_to_be_resumed(world):
    world.plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./apps", suspend=True)})
    world.plane.settle()
    assert world.row("apps")["suspended"] is True
    status, body, messages = world.ask("POST", "/resume", {**APPS, "who": "bob"})
    assert (status, messages) == (409, [])
    assert "spec.suspend of flux-system/apps is true in its source" in body["detail"]
    assert world.ask("POST", "/reconcile", APPS)[0] == 409


def test_what_is_suspended_is_deleted_only_once_it_is_resumed(world):
    world.plane.push(
        {"clusters/prod/more.yaml": kustomization("more", "./more"), "more/c.yaml": config_map("more", a="b")}
    )
    world.plane.settle()
    more = {**APPS, "name": "more"}
    world.ask("POST", "/suspend", {**more, "who": "ann"})
    world.plane.push({"clusters/prod/more.yaml": None})
    world.plane.settle()
    world.plane.clock.advance(3600)
    world.plane.tick()
    world.plane.settle()
    assert (world.row("more")["removed"], world.plane.config_map("more")) == (True, {"a": "b"})
    world.publish(world.ask("POST", "/resume", {**more, "who": "ann"})[2])
    assert world.plane.config_map("more") is None
    assert "more" not in [row["name"] for row in world.status()]


@pytest.mark.parametrize("path", ["/suspend", "/resume"])
def test_a_switch_keeps_what_reconcile_has_written(world, path):
    key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
    before = world.plane.state.get(key)
    world.ask("POST", path, {**APPS, "who": "ann"})
    after = world.plane.state.get(key)
    assert after.due == before.due
    assert {**after.value, "suspension": None} == {**before.value, "suspension": None}


def test_a_switch_is_set_though_others_write_the_record_meanwhile(world):
    state, put, failures = world.plane.state, world.plane.state.put, iter([True] * 3)

    def contended(key, value, *, expected, due=None):
        if key.startswith("status/") and next(failures, False):
            raise Conflict("written by somebody else meanwhile")
        return put(key, value, expected=expected, due=due)

    state.put = contended
    world.ask("POST", "/suspend", {**APPS, "who": "ann"})
    assert world.row("apps")["suspended"] is True


def test_a_switch_that_cannot_be_set_is_an_error_and_no_event(world):
    def refuse(key, value, *, expected, due=None):
        raise Conflict("written by somebody else meanwhile")

    world.plane.state.put = refuse
    with pytest.raises(Transient, match="is being written all the time"):
        world.ask("POST", "/suspend", {**APPS, "who": "ann"})


# approve


def test_an_approval_is_kept_with_who_gave_it_and_reconciles(world):
    status, body, messages = world.ask("POST", "/approve", {**APPS, "prune": DIGEST, "who": "ann"})
    assert (status, body) == (200, {"approved": DIGEST, "who": "ann"})
    held = world.plane.state.get(approval_key(CLUSTER, "flux-system", "apps"))
    assert Approval.from_value(held.value) == Approval(digest=DIGEST, who="ann", when=held.value["when"])
    assert messages[0] == ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps", why="request")
    assert (messages[1].reason, messages[1].message) == ("PruneApproved", f"deletions {DIGEST} approved by ann")


def test_only_the_approved_set_is_deleted(world):
    for extra in (namespace("extra"), None):
        world.plane.push({"apps/extra.yaml": extra})
        world.plane.settle()
    message = next(c["message"] for c in world.row("apps")["conditions"] if c["type"] == "Ready")
    digest = message[message.index("sha256:") :][: len(DIGEST)]
    for approved, kept in ((DIGEST, True), (digest, False)):
        world.publish(world.ask("POST", "/approve", {**APPS, "prune": approved, "who": "ann"})[2])
        assert (world.plane.live("v1", "Namespace", "", "extra") is not None) is kept


# status


def test_status_shows_every_source_and_kustomization_once(world):
    status, body, messages = world.ask("GET", "/status")
    assert (status, body["plane"], messages) == (200, UID, [])
    names = [(row["kind"], row["cluster"], row["name"]) for row in body["objects"]]
    assert names == [
        ("GitRepository", PLANE, "flux-system"),
        ("Kustomization", CLUSTER, "apps"),
        ("Kustomization", CLUSTER, "flux-system"),
    ]
    for row in body["objects"]:
        ready = next(each for each in row["conditions"] if each["type"] == "Ready")
        assert (ready["status"], row["suspended"]) == ("True", False)
        assert row["revision"].startswith("main@sha1:")
        assert row["due"] > world.plane.clock.now().timestamp()
    assert world.row("apps")["inventory"] == 2


def test_status_of_one_cluster_shows_the_source_as_it_sees_it(world):
    rows = world.status(CLUSTER)
    assert {row["cluster"] for row in rows} == {CLUSTER}
    assert [row["revision"] for row in rows if row["kind"] == "GitRepository"] == [
        world.row("flux-system", "GitRepository")["revision"]
    ]
    assert [row["cluster"] for row in world.status(PLANE)] == [PLANE]


@pytest.mark.parametrize("cluster", ["other", "prod/Kustomization", "pro"])
def test_status_of_a_cluster_that_the_plane_does_not_have(world, cluster):
    with pytest.raises(NotFound, match="its clusters are prod"):
        world.status(cluster)


def test_status_names_what_was_never_reconciled_and_what_has_left_git(world):
    world.ask("POST", "/suspend", {**APPS, "who": "ann"})
    new = ObjectRecord(document={"metadata": {"name": "new"}})
    world.plane.state.put(object_key(CLUSTER, "Kustomization", "flux-system", "new"), new.to_value(), expected=None)
    gone = ObjectRecord(document={"metadata": {"name": "gone"}}, tombstone=True)
    world.plane.state.put(object_key(CLUSTER, "Kustomization", "flux-system", "gone"), gone.to_value(), expected=None)
    assert (world.row("new")["conditions"], world.row("new").get("removed")) == ([], None)
    assert world.row("gone")["removed"] is True


def test_a_plane_without_a_plane_document_says_so(world):
    for record in world.plane.state.list(""):
        world.plane.state.delete(record.key, expected=None)
    assert world.ask("GET", "/status")[1] == {"plane": None, "objects": []}
    with pytest.raises(NotFound, match="none yet"):
        world.status("prod")


def test_no_answer_shows_a_secret():
    """Values of substitutions, URLs with a password, Secrets in Git: none reaches any answer."""
    world, canary = World(), "hunter2-canary"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "apps"}}
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "site", "namespace": "flux-system"},
        "spec": {"url": f"https://ann:{canary}@git.example.com/none", "interval": "1h"},
    }
    world.plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "./apps", postBuild={"substitute": {"password": canary}}),
            "clusters/prod/site.yaml": json.dumps(source),
            "apps/secret.yaml": json.dumps({**secret, "stringData": {"password": canary}}),
        }
    )
    world.plane.settle()
    assert world.plane.live("v1", "Secret", "apps", "db") is not None
    assert world.row("site", "GitRepository")["conditions"][0]["status"] == "False"
    answers = [world.ask("GET", "/status")]
    for query in ("", "plan=1"):
        found = world.ask("POST", "/reconcile", APPS, query=query)
        world.publish(found[2])
        answers += [found, world.ask("GET", f"/requests/{found[1]['request']}")]
    text = repr(answers)
    assert canary not in text
    assert TOKEN not in text


# What a second delivery does


def test_a_request_that_is_delivered_twice_is_one_outcome(world):
    _, body, (message,) = world.ask("POST", "/reconcile", APPS)
    stage = load_pipeline().stage("reconcile")
    envelope = Envelope(message=message, id="a" * 32, traceparent="")
    outcomes = []
    for _ in range(2):
        assert run_message(stage, envelope, world.plane.deps, world.plane.bus).kind == "done"
        outcomes.append(world.ask("GET", f"/requests/{body['request']}")[1])
    assert outcomes[0] == outcomes[1]


def test_what_a_diff_starts_from_holds_nothing_of_others():
    world = World()
    world.plane.push(
        {
            "clusters/prod/other.yaml": kustomization(
                "other", "./other", postBuild={"substitute": {"a": "canary-variable"}}, targetNamespace="apps"
            ),
            "other/b.yaml": config_map("b", key="canary-value"),
        }
    )
    world.plane.settle()
    status, body, messages = world.ask("GET", "/kustomization", query=f"cluster={CLUSTER}&name=apps")
    assert (status, messages) == (200, [])
    records = body["records"]
    assert records[f"object/{CLUSTER}/Kustomization/flux-system/apps"]["document"]["spec"]["path"] == "./apps"
    assert "apps_b__ConfigMap@v1" in records[f"status/{CLUSTER}/Kustomization/flux-system/other"]["rendered"]
    assert set(records[f"object/{CLUSTER}/Kustomization/flux-system/other"]["document"]["spec"]) == {
        *("interval", "path", "prune", "sourceRef"),
    }
    assert "canary" not in json.dumps(body)


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        (f"cluster={CLUSTER}&name=nobody", 404, "Kustomization flux-system/nobody is not known in cluster prod"),
        ("name=apps", 404, "is not known in cluster"),
        (f"cluster={CLUSTER}&nmae=apps", 422, "nmae: is not a parameter here"),
    ],
)
def test_what_a_diff_cannot_start_from_is_named(query, status, told):
    world = World()
    response = answer(
        world.plane.pipeline.stage("api"),
        world.request("GET", "/kustomization", query=query),
        world.deps,
        world.plane.bus,
    )
    assert response.status == status
    assert told in json.loads(response.body)["detail"]
