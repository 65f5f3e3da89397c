"""notify: who is told, how often, and what becomes of those who cannot be."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.google import plane as google
from tests.google.secret_manager import secret_manager

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.notifier.memory import MemoryNotifier
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.stored import NEWEST_SECONDS
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import Conflict, Refused, Transient
from penstock.core.http import HttpResponse
from penstock.core.messages import PLANE, Event
from penstock.core.notify import ledger
from penstock.core.records import PLANE_KEY, DeliveryRecord, ObjectRecord, PlaneRecord, object_key
from penstock.core.secrets.names import NOTIFY, secret_name
from penstock.ports.deps import Deps
from penstock.stages import notify

API = "notification.toolkit.fluxcd.io/v1beta3"
CANARY = "c4nary"
EVENT = Event(
    id="e-1",
    cluster="production",
    api_version="kustomize.toolkit.fluxcd.io/v1",
    kind="Kustomization",
    namespace="flux-system",
    name="apps",
    severity="error",
    reason="BuildFailed",
    message="apps/production: images[0].newTag: is not a string",
    timestamp="2026-01-01T00:00:00Z",
    metadata={"revision": "main@sha1:" + "a" * 40},
)
ALL = ({"kind": "Kustomization", "name": "*"}, {"kind": "GitRepository", "name": "*"})


class World:
    """The ports that notify may touch, and shorthands."""

    def __init__(self):
        self.state, self.secrets, self.telemetry = MemoryState(), MemorySecrets(), MemoryTelemetry()
        self.clock, self.notifier = SimulatedClock(), MemoryNotifier()
        unused = None
        self.deps = Deps(
            buckets=unused,
            registry=unused,
            clock=self.clock,
            clusters=unused,
            downloads=unused,
            git=unused,
            keys=unused,
            notifier=self.notifier,
            secrets=self.secrets,
            state=self.state,
            storage=unused,
            telemetry=self.telemetry,
            trace="0af7651916cd43dd8448eb211c80319c",
        )

    def object(self, kind, name, spec=None, *, cluster="production", namespace="flux-system", metadata=None, **record):
        document = {
            "apiVersion": API,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, **(metadata or {})},
            "spec": spec or {},
        }
        value = ObjectRecord(document=document, **record).to_value()
        self.state.put(object_key(cluster, kind, namespace, name), value, expected=None)

    def alert(self, name="on-call", *, provider="chat", cluster="production", namespace="flux-system", **spec):
        spec = {"providerRef": {"name": provider}, "eventSources": list(ALL)} | spec
        self.object("Alert", name, spec, cluster=cluster, namespace=namespace)

    def provider(self, name="chat", *, cluster="production", namespace="flux-system", **spec):
        spec = {"type": "generic", "address": f"https://{name}.example.com/{CANARY}"} | spec
        self.object("Provider", name, spec, cluster=cluster, namespace=namespace)

    def secret(self, name="chat", *, cluster="production", namespace="flux-system", **data):
        self.secrets.put(secret_name(NOTIFY, cluster, namespace, name), data, owner="plane")

    def plane(self, **spec):
        value = PlaneRecord(uid="0" * 32, document={"spec": spec}).to_value()
        self.state.put(PLANE_KEY, value, expected=None)

    def answers(self, by_host):
        """``by_host``: first label of the host -> what happens to a request for it."""

        def answer(request):
            found = by_host.get(request.url.split("//")[1].split(".")[0], 200)
            if isinstance(found, Exception):
                raise found
            return HttpResponse(status=found, body=CANARY.encode())

        self.notifier.answer = answer

    def run(self, event=EVENT):
        assert notify.run(event, self.deps) == []

    def hosts(self):
        return sorted(request.url.split("//")[1].split(".")[0] for request in self.notifier.requests)

    def status(self, alert="on-call"):
        record = self.state.get(f"status/production/Alert/flux-system/{alert}")
        return DeliveryRecord.from_value(record.value) if record else None


@pytest.fixture
def world():
    return World()


def test_an_event_is_told_as_flux_tells_it(world):
    world.plane()
    world.object(
        "Kustomization", "apps", metadata={"annotations": {"event.toolkit.fluxcd.io/team": "red"}, "labels": {"a": "b"}}
    )
    world.alert(eventSources=[{"kind": "Kustomization", "name": "*", "matchLabels": {"a": "b"}}], summary="ring Ann")
    world.provider(secretRef={"name": "chat"}, address="https://wrong.example.com")
    world.secret(address=f"https://right.example.com/{CANARY}".encode(), headers=b"x-team: red")
    world.run()
    (request,) = world.notifier.requests
    body = json.loads(request.body)
    assert request.url == f"https://right.example.com/{CANARY}"
    assert request.headers["x-team"] == "red"
    assert body["message"] == EVENT.message
    assert body["metadata"] == {"revision": "main@sha1:" + "a" * 40, "summary": "ring Ann", "team": "red"}
    assert world.status() == DeliveryRecord(delivered_at="2026-01-01T00:00:00Z", delivered_event="BuildFailed")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"kind": "GitRepository", "name": "web"},
        {"message": "other"},
    ],
)
def test_slack_pagerduty_and_generic_are_told_of_the_same_event(world, event):
    for kind in ("slack", "pagerduty", "generic"):
        world.alert(kind, provider=kind)
        world.provider(kind, type=kind)
    world.run(replace(EVENT, **event))
    assert world.hosts() == ["generic", "pagerduty", "slack"]


@pytest.mark.parametrize(
    ("alert", "provider", "event"),
    [
        ({"suspend": True}, {}, {}),
        ({}, {"suspend": True}, {}),
        ({"eventSeverity": "error"}, {}, {"severity": "info"}),
        ({"eventSources": [{"kind": "Kustomization", "name": "web"}]}, {}, {}),
        ({"eventSources": [{"kind": "Kustomization", "name": "*", "matchLabels": {"a": "b"}}]}, {}, {}),
        ({"exclusionList": ["newTag"]}, {}, {}),
        ({"inclusionList": ["nothing like it"]}, {}, {}),
        ({}, {}, {"cluster": "staging"}),
        ({}, {"type": "slack"}, {"metadata": {"commit_status": "update"}}),
        ({}, {}, {"kind": "Stage", "namespace": "", "name": "notify"}),
    ],
)
def test_who_did_not_ask_is_not_told(world, alert, provider, event):
    world.alert(**alert)
    world.provider(**provider)
    world.run(replace(EVENT, **event))
    assert world.notifier.requests == ()
    assert world.status() is None


def test_what_left_its_parents_render_is_not_told(world):
    world.alert()
    world.provider()
    record = world.state.get("object/production/Alert/flux-system/on-call")
    world.state.put(record.key, {**record.value, "tombstone": True}, expected=None)
    world.run()
    assert world.notifier.requests == ()


def test_a_second_delivery_tells_nobody_twice(world):
    world.alert()
    world.provider()
    for _ in range(3):
        world.run()
        world.clock.advance(1000)
    assert len(world.notifier.requests) == 1


def test_equal_words_within_five_minutes_are_told_once(world):
    world.alert()
    world.provider()
    for number, seconds in enumerate((0, 299, 2)):
        world.clock.advance(seconds)
        world.run(replace(EVENT, id=f"e-{number}"))
    assert len(world.notifier.requests) == 2
    assert [fact["reason"] for fact in world.telemetry.named("event not told")] == ["Repeated"]


def test_words_that_reached_nobody_do_not_silence_the_next_ones(world):
    world.alert()
    world.run(replace(EVENT, id="e-0"))
    world.provider()
    world.run(replace(EVENT, id="e-1"))
    world.run(replace(EVENT, id="e-2"))
    assert len(world.notifier.requests) == 1
    assert [fact["reason"] for fact in world.telemetry.named("event not told")] == ["Repeated"]


def test_a_second_delivery_of_words_that_reached_nobody_silences_nobody_either(world):
    world.alert()
    for _ in range(2):
        world.run(replace(EVENT, id="e-0"))
    world.provider()
    world.run(replace(EVENT, id="e-1"))
    assert len(world.notifier.requests) == 1
    assert not world.telemetry.named("event not told")


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (404, "failed", "NotificationDispatchFailed: the provider answered 404"),
        (302, "failed", "NotificationDispatchFailed: the provider answered 302: redirects are not followed"),
        (Refused("bad.example.com:443 is a loopback address"), "failed", "AccessDenied: bad.example.com:443 is"),
        (429, "retry", "NotificationDispatchFailed: the provider answered 429"),
        (503, "retry", "NotificationDispatchFailed: the provider answered 503"),
        (Transient("bad.example.com:443: TimeoutError", reason="NotificationDispatchFailed"), "retry", "Notific"),
    ],
)
def test_one_bad_provider_never_stops_the_others(world, answer, outcome, reason):
    for name in ("bad", "good", "better"):
        world.alert(name, provider=name)
        world.provider(name)
    world.answers({"bad": answer})
    if outcome == "retry":
        with pytest.raises(Transient, match="1 of 3 notifications could not be sent"):
            notify.run(EVENT, world.deps)
    else:
        world.run()
    assert world.hosts() == ["bad", "better", "good"]
    (failed,) = world.telemetry.named("notification failed")
    assert (failed["name"], failed["outcome"]) == ("bad", outcome)
    assert world.status("bad").refused_reason.startswith(reason)
    # a redelivery tries those again that may work now, and nobody else
    world.answers({})
    world.run()
    again = ["bad"] if outcome == "retry" else []
    assert world.hosts() == sorted(["bad", "better", "good", *again])
    told = world.status("bad").delivered_event
    assert told == ("BuildFailed" if again else "")


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_provider_that_refuses_what_is_cached_is_told_with_the_newest(world, status):
    """Two processes of a plane: `reconcile` copies the new address, `notify` has the old one in its cache."""
    name = secret_name(NOTIFY, "production", "flux-system", "chat")
    old, new = ({"address": f"https://{which}.example.com/{CANARY}".encode()} for which in ("old", "new"))
    with secret_manager() as server:
        reconcile, warm = (
            SecretManagerSecrets(google.client(), google.names(secrets=server.base), world.clock) for _ in range(2)
        )
        world.deps = replace(world.deps, secrets=warm)
        world.provider(secretRef={"name": "chat"})
        world.alert()
        reconcile.put(name, old, owner="uid")
        world.run()
        reconcile.put(name, new, owner="uid")
        world.answers({"old": status})
        world.clock.advance(NEWEST_SECONDS)
        world.run(replace(EVENT, id="2", message="another"))
        assert world.hosts() == ["new", "old", "old"]
        assert world.telemetry.named("notification failed") == ()
        world.answers({"old": status, "new": status})
        world.clock.advance(NEWEST_SECONDS)
        world.run(replace(EVENT, id="3", message="a third"))
        assert world.hosts() == ["new", "new", "old", "old"], "what is the newest already is not tried again"
    assert CANARY not in repr(world.telemetry.facts)


def test_the_longest_wait_that_a_provider_asked_for_is_kept(world):
    for name in ("a", "b"):
        world.alert(name, provider=name)
        world.provider(name)

    def answer(request):
        wait = "30" if "//b." in request.url else "7"
        return HttpResponse(status=429, headers={"retry-after": wait})

    world.notifier.answer = answer
    with pytest.raises(Transient) as caught:
        notify.run(EVENT, world.deps)
    assert caught.value.retry_after == 30.0


@pytest.mark.parametrize(
    ("provider", "alert", "reason"),
    [
        ({"type": "discord"}, {}, "UnsupportedType: Providers of type discord are not served yet"),
        ({"proxy": f"http://u:{CANARY}@proxy"}, {}, "UnsupportedField: spec.proxy is not served yet"),
        ({"typo": 1}, {}, "BuildFailed: Provider/flux-system/chat, spec.typo: is not a field here"),
        ({"address": ""}, {}, "InvalidConfig: spec.address is empty"),
        ({}, {"provider": "absent"}, "NotFound: spec.providerRef.name: there is no Provider flux-system/absent"),
        ({}, {"exclusionList": ["(?=x)"]}, "InvalidConfig: spec.exclusionList[0] is no RE2 expression"),
    ],
)
def test_what_is_wrong_with_a_document_is_recorded_and_not_tried_again(world, provider, alert, reason):
    world.alert(**alert)
    world.provider(**provider)
    world.run()
    assert world.status().refused_reason.startswith(reason)
    (failed, *_) = world.telemetry.named("notification failed")
    assert failed["outcome"] == "failed"


def test_an_alert_that_cannot_be_read_stops_no_other(world):
    world.alert("broken", eventSources=[])
    world.state.put("object/production/Alert/flux-system/newer", {"format": 2}, expected=None)
    world.alert("good")
    world.provider()
    world.run()
    assert len(world.notifier.requests) == 1
    broken, newer = (str(fact["detail"]) for fact in world.telemetry.named("alert not usable"))
    assert broken.startswith("Alert/flux-system/broken, spec.eventSources: is required")
    assert newer.startswith("a record of format 2")


def test_a_secret_that_the_store_does_not_have_yet_is_waited_for(world):
    """The embedded plane's copies live in memory: after a restart they come with the first sync."""
    world.alert()
    world.provider(secretRef={"name": "chat"})
    with pytest.raises(Transient, match=r"not in the plane's store \(notify_production_flux--system_chat") as caught:
        notify.run(EVENT, world.deps)
    assert caught.value.retry_after == 10.0
    world.secret(token=b"t")
    world.run()
    assert len(world.notifier.requests) == 1


def test_a_delivery_that_comes_once_more_after_all_are_told_silences_nobody(world):
    """Ten minutes later the same words are news again, whatever is delivered twice."""
    world.alert()
    world.provider()
    world.run()
    world.clock.advance(600)
    world.run()
    world.run(replace(EVENT, id="e-2"))
    assert len(world.notifier.requests) == 2


def test_a_delivery_that_comes_once_more_after_it_was_refused_silences_nobody(world, monkeypatch):
    world.alert()
    world.provider()
    world.answers({"chat": 404})
    world.run()
    monkeypatch.setattr(world.state, "delete", unreachable)
    world.run()
    world.answers({})
    world.run(replace(EVENT, id="e-2"))
    assert world.hosts() == ["chat", "chat"]


def test_words_that_reached_nobody_are_taken_back_by_the_next_delivery_where_the_store_fails(world, monkeypatch):
    world.alert()
    world.provider()
    world.answers({"chat": 404})
    with monkeypatch.context() as patch:
        patch.setattr(world.state, "delete", unreachable)
        with pytest.raises(Transient):
            notify.run(EVENT, world.deps)
    world.run()
    world.answers({})
    world.run(replace(EVENT, id="e-2"))
    assert [fact["reason"] for fact in world.telemetry.named("event not told")] == []


def unreachable(*_arguments, **_options):
    raise Transient("unreachable")


def test_of_two_events_that_say_the_same_at_once_one_is_told(world, monkeypatch):
    """The other one wrote its words between our look and our own."""
    world.alert()
    world.provider()
    put = world.state.put

    def overtaken(key, value, **options):
        if "/repeats/" in key and value["event"] == EVENT.id:
            put(key, {**value, "event": "another"}, expected=None)
        return put(key, value, **options)

    monkeypatch.setattr(world.state, "put", overtaken)
    world.run()
    assert world.notifier.requests == ()


def test_a_sweep_that_fails_is_made_up_for_another_time(world, monkeypatch):
    world.alert()
    world.provider()

    monkeypatch.setattr(world.state, "scan", unreachable)
    world.run()
    assert len(world.notifier.requests) == 1
    assert [fact["detail"] for fact in world.telemetry.named("notifications not swept")] == ["unreachable"]
    assert world.state.get("sent/swept") is None


def test_an_old_day_goes_a_part_with_each_run(world, monkeypatch):
    monkeypatch.setattr(sys.modules["penstock.stages.notify.run"], "MOST_SWEPT", 10)
    world.alert()
    world.provider()
    old = (world.clock.now() - timedelta(days=ledger.KEPT_DAYS)).date().isoformat()
    for number in range(25):
        world.state.put(f"sent/{old}/{number}", {"format": 1}, expected=None)
    left = []
    for number in range(4):
        world.run(replace(EVENT, id=f"e-{number}", message=f"m{number}"))
        left.append((len(world.state.list(f"sent/{old}/")), world.state.get("sent/swept") is not None))
    assert left == [(15, False), (5, False), (0, True), (0, True)]


def test_two_deliveries_at_once_tell_once(world):
    """The second finds the claim of the first, and is delivered again when that is settled."""
    world.alert()
    world.provider()
    errors = []

    def answer(request):
        try:
            notify.run(EVENT, world.deps)
        except Transient as error:
            errors.append(error)
        return HttpResponse(status=200)

    world.notifier.answer = answer
    world.run()
    assert len(world.notifier.requests) == 1
    assert [(error.reason, error.retry_after) for error in errors] == [("Claimed", 3.0)]


def test_a_claim_whose_holder_died_is_taken_over(world):
    world.alert()
    world.provider()

    class Killed(BaseException):
        """A process that ends between the request and the mark."""

    def answer(request):
        raise Killed

    world.notifier.answer = answer
    with pytest.raises(Killed):
        notify.run(EVENT, world.deps)
    world.notifier.answer = lambda request: HttpResponse(status=200)
    with pytest.raises(Transient):
        notify.run(EVENT, world.deps)
    world.clock.advance(60)
    world.run()
    assert len(world.notifier.requests) == 2


def test_a_mark_that_cannot_be_written_is_no_reason_to_tell_again_at_once(world, monkeypatch):
    world.alert()
    world.provider()
    put = world.state.put

    def fails(key, value, **options):
        if value.get("state") == "sent" or key.startswith("status/"):
            raise Conflict("lost")
        return put(key, value, **options)

    monkeypatch.setattr(world.state, "put", fails)
    world.run()
    assert len(world.notifier.requests) == 1
    assert len(world.telemetry.named("notification not recorded")) == 2


def test_a_hanging_provider_does_not_hold_up_the_others(world):
    """Both answer only when both were asked."""
    both = threading.Barrier(2, timeout=5)
    for name in ("a", "b"):
        world.alert(name, provider=name)
        world.provider(name)

    def answer(request):
        both.wait()
        return HttpResponse(status=200)

    world.notifier.answer = answer
    world.run()
    assert world.hosts() == ["a", "b"]


@pytest.mark.parametrize("cluster", [PLANE, ""])
def test_what_concerns_the_planes_own_source_or_stages_is_told_in_every_cluster(world, cluster):
    world.plane(clusters=[{"name": "production"}, {"name": "staging"}])
    for name in ("production", "staging", "unlisted"):
        world.alert(cluster=name)
        world.provider(name, cluster=name)
        world.alert(cluster=name, provider=name)
    event = replace(EVENT, cluster=cluster, kind="GitRepository", name="flux-system")
    world.run(event)
    world.run(event)
    assert world.hosts() == ["production", "staging"]


def test_a_dead_letter_is_told_to_flux_systems_alerts(world):
    world.alert("everything")
    world.alert("stages", eventSources=[{"kind": "Stage", "name": "*"}])
    world.alert("one", eventSources=[{"kind": "Kustomization", "name": "apps"}])
    world.alert("tenant", namespace="team")
    world.provider()
    world.provider(namespace="team")
    world.run(replace(EVENT, kind="Stage", namespace="", name="reconcile", api_version="penstock.dev/v1alpha1"))
    told = sorted((fact["namespace"], fact["name"]) for fact in world.telemetry.named("notification sent"))
    assert told == [("flux-system", "everything"), ("flux-system", "stages")]


def test_the_plane_can_forbid_to_hear_of_other_namespaces(world):
    world.plane(policy={"noCrossNamespaceRefs": True})
    source = {"kind": "Kustomization", "name": "*", "namespace": "team"}
    world.alert(eventSources=[source])
    world.provider()
    world.run(replace(EVENT, namespace="team"))
    assert world.notifier.requests == ()
    assert world.status().refused_reason.startswith("AccessDenied: spec.eventSources: Kustomization team/apps")


def test_an_event_that_nobody_asked_for_writes_nothing(world):
    world.run()
    assert world.state.list("") == ()


def test_old_records_go_once_a_day(world):
    world.alert()
    world.provider()
    for day in range(10):
        world.run(replace(EVENT, id=f"e-{day}", timestamp=world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")))
        world.clock.advance(86_400)
    days = {record.key.split("/")[1] for record in world.state.list("sent/")} - {"swept"}
    assert sorted(days) == [f"2026-01-{day:02}" for day in range(4, 11)]


def test_nothing_secret_is_told_to_the_operator(world):
    for name in ("ok", "gone", "busy"):
        world.alert(name, provider=name)
        world.provider(name, secretRef={"name": name}, type="slack")
        world.secret(name, address=f"https://{name}.example.com/{CANARY}".encode(), token=CANARY.encode())
    world.answers({"ok": 200, "gone": 404, "busy": 503})
    with pytest.raises(Transient) as caught:
        notify.run(EVENT, world.deps)
    assert CANARY in repr([request.url for request in world.notifier.requests])
    told = repr((str(caught.value), world.telemetry.facts, world.state.list("sent/"), world.state.list("status/")))
    assert CANARY not in told


def test_neither_notify_nor_webhook_loads_a_heavy_client():
    """Users feel a cold start; whoever posts a webhook gives ten seconds."""
    heavy = {"kubernetes", "dulwich", "boto3", "grpc", "yaml", "re2", "requests", "urllib3", "flask", "cryptography"}
    code = (
        "import sys, penstock.stages.notify, penstock.stages.webhook, penstock.adapters.notifier.http\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)
    assert "penstock" in loaded
