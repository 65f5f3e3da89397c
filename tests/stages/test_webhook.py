"""webhook: what is answered, published and recorded for each delivery."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import Conflict, Transient
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE, ReconcileDue, SourceChanged
from penstock.core.records import DeliveryRecord, ObjectRecord, ReceiverRecord, object_key, receiver_key
from penstock.ports.deps import Deps
from penstock.stages import webhook

TOKEN = b"t0ken-canary"
COMMIT = "a" * 40
GIT = {"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"}
PUSH = json.dumps({"ref": "refs/heads/main", "after": COMMIT}).encode()


class World:
    """The ports that webhook may touch, and shorthands."""

    def __init__(self):
        self.state, self.secrets, self.telemetry = MemoryState(), MemorySecrets(), MemoryTelemetry()
        unused = None
        self.deps = Deps(
            buckets=unused,
            registry=unused,
            clock=SimulatedClock(),
            clusters=unused,
            downloads=unused,
            git=unused,
            keys=unused,
            notifier=unused,
            secrets=self.secrets,
            state=self.state,
            storage=unused,
            telemetry=self.telemetry,
            trace="0af7651916cd43dd8448eb211c80319c",
        )

    def receiver(self, cluster="production", token=TOKEN, stored=TOKEN, **fields):
        entry = ReceiverRecord(
            cluster=cluster,
            namespace="flux-system",
            name="github",
            type="github",
            digest=webhook_digest(token, "github", "flux-system"),
            secret=f"webhook_{cluster}_flux--system_token",
            resources=(GIT,),
        )
        entry = replace(entry, **fields)
        key = receiver_key(entry.digest, entry.cluster, entry.namespace, entry.name)
        self.state.put(key, entry.to_value(), expected=None)
        if stored is not None:
            self.secrets.put(entry.secret, {"token": stored}, owner="plane")
        return entry

    def object(self, cluster, kind, name, *, labels=None, **fields):
        document = {"metadata": {"name": name, "namespace": "flux-system", "labels": labels or {}}}
        value = ObjectRecord(document=document, **fields).to_value()
        self.state.put(object_key(cluster, kind, "flux-system", name), value, expected=None)

    def send(self, body=PUSH, *, token=TOKEN, event="push", method="POST", path=None, query="", **headers):
        base = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-hub-signature-256": "sha256=" + hmac.new(token, body, hashlib.sha256).hexdigest(),
        }
        path = path if path is not None else f"/hook/{webhook_digest(TOKEN, 'github', 'flux-system')}"
        merged = base | {name.replace("_", "-"): value for name, value in headers.items()}
        request = HttpRequest(
            method=method,
            path=path,
            query=query,
            headers={name: value for name, value in merged.items() if value is not None},
            body=body,
        )
        answer, outgoing = webhook.run(request, self.deps)
        answer = webhook.settle(request, answer, self.deps)
        return answer, [each.message for each in outgoing]

    def delivery(self, cluster="production"):
        record = self.state.get(f"delivery/{cluster}/flux-system/github")
        return DeliveryRecord.from_value(record.value) if record else None


@pytest.fixture
def world():
    return World()


def woken(cluster="production", **fields):
    base = {"cluster": cluster, "namespace": "flux-system", "name": "flux-system", "hint": f"main@sha1:{COMMIT}"}
    return SourceChanged(**(base | fields))


def test_a_signed_push_wakes_the_source_and_is_recorded(world):
    world.receiver(events=("push",))
    answer, messages = world.send()
    assert answer.status == 202
    assert json.loads(answer.body) == {"accepted": 1, "trace": world.deps.trace}
    assert messages == [woken()]
    assert world.delivery() == DeliveryRecord(delivered_at="2026-01-01T00:00:00Z", delivered_event="push")


def test_a_second_delivery_says_the_same(world):
    world.receiver()
    assert world.send() == world.send()


def test_a_ping_is_answered_and_wakes_nothing_even_where_it_is_not_listed(world):
    world.receiver(events=("push",))
    answer, messages = world.send(b'{"zen": "x"}', event="ping")
    assert (answer.status, messages) == (200, [])
    assert world.delivery().delivered_event == "ping"


@pytest.mark.parametrize(
    ("how", "status", "recorded"),
    [
        ({"token": b"forged"}, 401, "401: the signature does not match"),
        ({"x_hub_signature_256": None}, 401, "401: the signature is missing"),
        ({"content_type": "text/plain"}, 415, "415: content type 'text/plain'"),
        ({"event": "release"}, 400, "400: event release is not in spec.events"),
        ({"body": b"{"}, 400, "400: the body is signed, but is no JSON"),
        ({"body": b"{", "token": b"forged"}, 401, "401: the signature does not match"),
    ],
)
def test_a_refusal_publishes_nothing_and_only_the_operator_learns_why(world, how, status, recorded):
    world.receiver(events=("push",))
    answer, messages = world.send(**how)
    assert (answer.status, messages) == (status, [])
    assert world.delivery().refused_reason.startswith(recorded)
    assert world.delivery().delivered_at == ""
    title = {400: "Bad Request", 401: "Unauthorized", 415: "Unsupported Media Type"}[status]
    assert json.loads(answer.body) == {"type": "about:blank", "status": status, "title": title}


@pytest.mark.parametrize(
    ("entry", "status", "recorded"),
    [
        ({"stored": None}, 503, "no copy of the Receiver's Secret"),
        ({"stored": b""}, 401, "has no `token`"),
        ({"secret": "", "stored": None}, 401, "names no Secret"),
        ({"stored": b"rotated"}, 401, "the token has changed"),
        ({"suspended": True}, 503, "is suspended"),
        ({"type": "gitlab"}, 503, "of type gitlab are not served yet"),
        ({"resources": ()}, 503, "none of the Receiver's resources"),
    ],
)
def test_a_receiver_that_cannot_serve_refuses_even_a_signed_push(world, entry, status, recorded):
    world.receiver(**entry)
    answer, messages = world.send()
    assert (answer.status, messages) == (status, [])
    assert recorded in world.delivery().refused_reason


def test_an_empty_token_is_never_a_way_in(world):
    """Flux accepts an unsigned request where the Secret's token is empty."""
    world.receiver(token=b"", stored=b"")
    path = f"/hook/{webhook_digest(b'', 'github', 'flux-system')}"
    for headers in ({}, {"x_hub_signature_256": None}):
        answer, messages = world.send(token=b"", path=path, **headers)
        assert (answer.status, messages) == (401, [])


@pytest.mark.parametrize(
    ("path", "query", "method", "status"),
    [
        ("/hook/" + "f" * 64, "", "POST", 404),
        ("/hook/" + "f" * 63, "", "POST", 404),
        ("/hook/" + "F" * 64, "", "POST", 404),
        ("/hook/" + "f" * 64 + "/", "", "POST", 404),
        ("/hook/" + "f" * 64 + "\n", "", "POST", 404),
        ("/hook/../receiver", "", "POST", 404),
        ("/", "", "POST", 404),
        (None, "a=b", "POST", 404),
        (None, "", "GET", 405),
        (None, "", "PUT", 405),
    ],
)
def test_other_paths_and_methods_write_nothing(world, path, query, method, status):
    world.receiver()
    before = world.state.list("")
    answer, messages = world.send(path=path, query=query, method=method)
    assert (answer.status, messages) == (status, [])
    assert world.state.list("") == before
    assert world.telemetry.facts == ()
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_receivers_of_several_clusters_share_a_path_and_each_decides_for_itself(world):
    world.receiver(cluster="eu")
    world.receiver(cluster="us", suspended=True)
    world.receiver(cluster="ap", stored=None)
    answer, messages = world.send()
    assert answer.status == 202
    assert messages == [woken("eu")]
    assert world.delivery("eu").delivered_event == "push"
    assert world.delivery("us").refused_reason == "503: the Receiver is suspended"
    assert world.delivery("ap").refused_reason.startswith("503: the plane holds no copy of the Receiver's Secret")


def test_clusters_that_share_the_planes_own_source_wake_it_once(world):
    for cluster in ("eu", "us"):
        world.receiver(cluster=cluster)
        world.object(cluster, "GitRepository", "flux-system", implicit=True)
    world.receiver(cluster="ap")
    world.object("ap", "GitRepository", "flux-system")
    assert world.send()[1] == [woken("ap"), woken(PLANE)]


def test_other_sources_are_each_clusters_own(world):
    own = {"kind": "GitRepository", "namespace": "apps", "name": "web"}
    for cluster in ("eu", "us"):
        world.receiver(cluster=cluster, resources=(own,))
    assert [(each.cluster, each.name) for each in world.send()[1]] == [("eu", "web"), ("us", "web")]


def test_a_wildcard_is_resolved_by_labels_among_what_the_cluster_has(world):
    wildcard = {"kind": "Kustomization", "namespace": "flux-system", "name": "*", "selector": "team=a"}
    world.receiver(resources=(GIT, wildcard))
    world.object("production", "Kustomization", "web", labels={"team": "a"})
    world.object("production", "Kustomization", "gone", labels={"team": "a"}, tombstone=True)
    world.object("production", "Kustomization", "other", labels={"team": "b"})
    world.object("staging", "Kustomization", "web2", labels={"team": "a"})
    reconcile = ReconcileDue(cluster="production", namespace="flux-system", name="web", why="request")
    assert world.send()[1] == [woken(), reconcile]


@pytest.mark.parametrize("error", [Conflict("lost"), Transient("unreachable")])
def test_a_delivery_that_cannot_be_recorded_is_served_all_the_same(world, error, monkeypatch):
    world.receiver()

    def put(*args, **kwargs):
        raise error

    monkeypatch.setattr(world.state, "put", put)
    answer, messages = world.send()
    assert (answer.status, len(messages)) == (202, 1)
    assert [fact["detail"] for fact in world.telemetry.named("delivery not recorded")] == [str(error)]


def test_an_index_that_cannot_be_read_is_an_error_that_the_sender_tries_again(world, monkeypatch):
    def fail(prefix):
        raise Transient("unreachable")

    monkeypatch.setattr(world.state, "list", fail)
    with pytest.raises(Transient):
        world.send()


def test_neither_the_token_nor_the_path_is_told_to_anyone(world):
    world.receiver()
    answers = [world.send()[0], world.send(token=b"forged")[0]]
    told = repr((answers, world.telemetry.facts, world.state.list("delivery/")))
    assert "canary" not in told
    assert webhook_digest(TOKEN, "github", "flux-system") not in told


@pytest.mark.parametrize(
    ("resource", "woken"),
    [
        ({"name": "web", "filter": "res.metadata.name == 'web' && req.ref == 'refs/heads/main'"}, ["web"]),
        ({"name": "web", "filter": "req.ref == 'refs/heads/dev'"}, []),
        ({"name": "web", "filter": "true", "receiverFilter": "req.after.startsWith('b')"}, []),
        ({"name": "nobody", "filter": "true"}, []),
        ({"name": "*", "selector": "team=a", "filter": "res.metadata.name != 'web'"}, ["api"]),
        ({"name": "web", "filter": "req.nothing == 1"}, []),
    ],
)
def test_filters_decide_what_is_woken(resource, woken):
    world = World()
    for name, team in (("web", "a"), ("api", "a"), ("other", "b")):
        world.object("production", "GitRepository", name, labels={"team": team})
    world.receiver(resources=({"kind": "GitRepository", "namespace": "flux-system", **resource},))
    answer, messages = world.send()
    assert answer.status == 202
    assert [each.name for each in messages] == woken
    failed = world.telemetry.named("webhook filter failed")
    assert len(failed) == ("nothing" in str(resource))
