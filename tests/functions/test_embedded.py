"""A whole plane in one process: started, spoken to over HTTP, stopped. The stages are the tests' own."""

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.http import HttpResponse
from penstock.core.messages import Envelope, Event, Outgoing, SourceChanged
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.secrets.names import API_TOKEN
from penstock.core.secrets.rotation import PREVIOUS
from penstock.ports.bus import Dispatch
from penstock.wiring import Settings, load_pipeline, open_state
from penstock.wiring.embedded import EmbeddedPlane, Options
from penstock.wiring.reach import reach

DOCUMENT = {
    "apiVersion": "penstock.dev/v1alpha1",
    "kind": "Plane",
    "metadata": {"name": "test"},
    "spec": {
        "source": {"url": "https://git.example/fleet.git", "interval": "1m"},
        "clusters": [{"name": "production", "path": "clusters/production"}],
    },
}
PUSH = SourceChanged(cluster="production", namespace="flux-system", name="web")

EVENT = Event(
    id="e",
    cluster="production",
    api_version="v1",
    kind="Kustomization",
    namespace="n",
    name="x",
    severity="info",
    reason="R",
    message="m",
    timestamp="t",
)


@pytest.fixture
def data_dir(tmp_path):
    state = open_state(tmp_path / "data")
    state.put(PLANE_KEY, PlaneRecord(uid="ab" * 16, document=DOCUMENT).to_value(), expected=None)
    state.close()
    return tmp_path / "data"


@pytest.fixture
def stages(as_stage):
    """Stages that do nothing; (stage, message) of each run stands in the list."""
    ran = []

    def quiet(name):
        return lambda message, deps: ran.append((name, message)) or []

    for name in ("fetch", "reconcile", "notify"):
        as_stage(name, quiet(name))
    as_stage("tick", lambda deps: [])
    as_stage("webhook", lambda request, deps: (HttpResponse(status=202), [Outgoing(message=PUSH)]))
    as_stage("api", lambda request, deps: (HttpResponse(status=200, body=request.path.encode()), []))
    return ran


def options(data_dir, **more):
    instead = {"telemetry": MemoryTelemetry}
    return Options(settings=Settings(data_dir=data_dir), instead=instead, **more)


def call(plane, method, path, body=b"", length=None, token=""):
    parts = urlsplit(plane.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        headers = {"content-length": str(length or len(body)), "authorization": f"Bearer {token}"}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def eventually(check, seconds=20.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)


def test_a_start_syncs_the_source_and_each_root_before_deliveries_are_taken(data_dir, stages):
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        assert [(stage, message.cluster, message.name) for stage, message in sorted(stages, key=str)] == [
            ("fetch", "-", "flux-system"),
            ("reconcile", "production", "flux-system"),
        ]
        status, body = call(plane, "GET", "/healthz")
        assert (status, json.loads(body)) == (200, {"status": "ok"})


def test_the_api_cannot_take_every_thread_from_deliveries(data_dir, stages, as_stage, monkeypatch):
    monkeypatch.setattr("penstock.wiring.web.API_THREADS", 1)
    waiting, go = threading.Event(), threading.Event()
    as_stage("api", lambda request, deps: waiting.set() or (go.wait(30) and (HttpResponse(status=200), [])))
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        first = threading.Thread(target=call, args=(plane, "GET", "/status"))
        first.start()
        assert waiting.wait(20)
        assert call(plane, "GET", "/status")[0] == 503
        assert call(plane, "POST", "/hook/abc")[0] == 202
        go.set()
        first.join()
        assert call(plane, "GET", "/status")[0] == 200


def test_paths_lead_to_their_stages_and_a_push_to_the_work(data_dir, stages):
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        assert call(plane, "POST", "/hook/abc", b"{}")[0] == 202
        assert call(plane, "GET", "/status") == (200, b"/status")
        assert call(plane, "POST", "/reconcile") == (200, b"/reconcile")
        eventually(lambda: ("fetch", PUSH) in stages)


@pytest.mark.parametrize("length", [3 * 1024 * 1024 + 1, 10**12])
def test_a_body_that_is_too_large_is_refused(data_dir, stages, length):
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        assert call(plane, "POST", "/hook/abc", b"x" * length if length < 10**9 else b"", length)[0] == 413


@pytest.mark.parametrize("refusal", [401, 404])
def test_a_start_refuses_nothing_for_want_of_secrets_that_it_has_not_read_yet(data_dir, stages, as_stage, refusal):
    go = threading.Event()
    as_stage("fetch", lambda message, deps: go.wait(30) and [])
    as_stage("webhook", lambda request, deps: (HttpResponse(status=202 if request.path == "/hook/a" else refusal), []))
    with EmbeddedPlane(options(data_dir)) as plane:
        assert call(plane, "POST", "/hook/a")[0] == 202
        assert call(plane, "POST", "/hook/b")[0] == 503
        assert json.loads(call(plane, "GET", "/healthz")[1])["status"] == "syncing"
        assert call(plane, "GET", "/status")[0] == 200
        go.set()
        assert plane.wait_synced(20)
        assert call(plane, "POST", "/hook/b")[0] == refusal


def test_a_sync_that_does_not_end_is_waited_for_a_bounded_time(data_dir, stages, as_stage):
    go = threading.Event()
    as_stage("fetch", lambda message, deps: go.wait(30) and [])
    as_stage("webhook", lambda request, deps: (HttpResponse(status=401), []))
    with EmbeddedPlane(options(data_dir, sync_seconds=0.2)) as plane:
        assert plane.wait_synced(20)
        assert call(plane, "POST", "/hook/abc")[0] == 401
        go.set()


def test_a_message_that_fails_is_tried_again_and_a_dead_letter_is_announced(data_dir, stages, as_stage, monkeypatch):
    monkeypatch.setattr("penstock.wiring.outcome.BACKOFF_SECONDS", 0.001)
    attempts = []

    def failing(message, deps):
        if message.name == "web":
            attempts.append(message)
            raise Transient("no answer", reason="GitOperationFailed")
        return []

    as_stage("fetch", failing)
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        call(plane, "POST", "/hook/abc")
        eventually(lambda: any(stage == "notify" for stage, _ in stages))
        (event,) = [message for stage, message in stages if stage == "notify"]
        assert (event.kind, event.name, event.reason) == ("Stage", "fetch", "DeadLetter")
        assert event.message.endswith("GitOperationFailed: no answer")
        assert len(attempts) == load_pipeline().stage("fetch").attempts


def test_stopping_gives_back_what_does_not_finish(data_dir, stages, as_stage):
    started, go = threading.Event(), threading.Event()

    def slow(message, deps):
        started.set()
        go.wait(30)
        return []

    as_stage("reconcile", slow)
    with EmbeddedPlane(options(data_dir)) as plane:
        assert started.wait(20)
        assert plane.workers.stop(patience=1.5) == 1
        bus = SqliteBus(data_dir / "bus.db", load_pipeline(), SystemClock())
        again = bus.receive("reconcile", wait=0)
        assert again.envelope.attempt == 2
        bus.close()
        go.set()


def test_the_heartbeat_keeps_what_is_in_hand(data_dir, stages, as_stage):
    started, go = threading.Event(), threading.Event()

    def slow(message, deps):
        started.set()
        go.wait(30)
        return []

    as_stage("reconcile", slow)
    with EmbeddedPlane(options(data_dir)) as plane:
        assert started.wait(20)
        (delivery,) = [held for held, _ in plane.workers._held.values() if held.stage == "reconcile"]
        plane.runtime.bus.extend(delivery, 1)
        plane.workers.beat()
        time.sleep(1.1)
        assert plane.runtime.bus.receive("reconcile", wait=0) is None
        go.set()


def test_what_a_killed_process_had_in_hand_is_done_at_the_next_start(data_dir, stages):
    bus = SqliteBus(data_dir / "bus.db", load_pipeline(), SystemClock())
    bus.publish([Dispatch(envelope=Envelope(message=PUSH, id="1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))])
    bus.receive("fetch", wait=0)  # and here it was killed
    bus.close()
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.given_back == 1
        eventually(lambda: ("fetch", PUSH) in stages)


def test_one_plane_a_directory(data_dir, stages):
    with (
        EmbeddedPlane(options(data_dir)),
        pytest.raises(Refused, match="another `penstock serve` works on"),
        EmbeddedPlane(options(data_dir)),
    ):
        pass
    with EmbeddedPlane(options(data_dir)) as plane:  # and the first let go of it
        assert call(plane, "GET", "/healthz")[0] == 200


def test_a_port_that_is_taken_is_named(data_dir, stages, tmp_path):
    with EmbeddedPlane(options(data_dir)) as plane:
        port = urlsplit(plane.url).port
        other = tmp_path / "other"
        other.mkdir()
        (other / "state.db").write_bytes(b"")
        state = open_state(other)
        state.put(PLANE_KEY, PlaneRecord(uid="cd" * 16, document=DOCUMENT).to_value(), expected=None)
        state.close()
        with (
            pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"),
            EmbeddedPlane(options(other, port=port)),
        ):
            pass


def test_a_directory_without_a_plane_says_what_to_do(tmp_path, stages):
    with pytest.raises(NotFound, match="penstock plane apply"), EmbeddedPlane(options(tmp_path / "new")):
        pass


def test_the_api_token_is_made_once_readable_by_its_owner_alone_and_given_to_the_api(data_dir, stages):
    tokens = []
    for _ in range(2):
        with EmbeddedPlane(options(data_dir)) as plane:
            tokens.append(plane.runtime.port("secrets").get(API_TOKEN)["token"].decode())
    path = data_dir / "api-token"
    assert tokens == [path.read_text().strip()] * 2
    assert len(tokens[0]) >= 43
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_api_token_of_one_machine_is_rotated_without_a_start(data_dir):
    """The project's own api stage: as docs/operations.md says it is done, by the file."""
    path = data_dir / "api-token"
    data_dir.mkdir(exist_ok=True)

    def write(text):
        new = data_dir / "api-token.new"
        new.write_text(text)
        new.rename(path)

    write("first\n")
    with EmbeddedPlane(options(data_dir, sync_seconds=0)) as plane:

        def statuses(*tokens):
            return [call(plane, "GET", "/status", token=token)[0] for token in tokens]

        assert statuses("first", "second", "") == [200, 401, 401]
        write("second\nfirst\n")
        assert statuses("first", "second", "second first") == [200, 200, 401]
        assert reach(Settings(data_dir=data_dir)).token == "second"
        write("second\n")
        assert statuses("first", "second") == [401, 200]
        path.write_text("")  # an editor that truncates the file first
        assert statuses("first", "second", "") == [401, 200, 401]
        path.unlink()
        assert statuses("first", "second", "") == [401, 200, 401]
        path.write_text("third")
        assert statuses("second", "third") == [401, 200]


def test_connections_that_say_nothing_keep_no_delivery_waiting(data_dir, stages):
    with ExitStack() as stack:
        plane = stack.enter_context(EmbeddedPlane(options(data_dir)))
        parts = urlsplit(plane.url)
        for _ in range(150):
            idle = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
            idle.sendall(b"POST /hook/")
        assert call(plane, "GET", "/healthz")[0] == 200


def test_a_token_in_the_environment_wins_over_the_file(data_dir):
    data_dir.mkdir(exist_ok=True)
    (data_dir / "api-token").write_text("file\n")
    both = {API_TOKEN: {"token": b"third", PREVIOUS: b"second"}}
    settings = Settings(data_dir=data_dir, secrets=both)
    with EmbeddedPlane(Options(settings=settings, instead={"telemetry": MemoryTelemetry}, sync_seconds=0)) as plane:
        found = [call(plane, "GET", "/status", token=token)[0] for token in ("file", "second", "third")]
    assert found == [401, 200, 200]


def test_a_run_that_hangs_far_beyond_its_timeout_loses_its_message(data_dir, stages, as_stage, monkeypatch):
    monkeypatch.setattr("penstock.wiring.workers.OVERTIME", 0.0)
    started, go = threading.Event(), threading.Event()
    as_stage("notify", lambda message, deps: started.set() or (go.wait(30) and []))
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        plane.runtime.bus.publish([Dispatch(envelope=Envelope(message=EVENT, id="1", traceparent=""))])
        assert started.wait(20)
        ((delivery, _),) = plane.workers._held.values()
        extended = []
        monkeypatch.setattr(plane.runtime.bus, "extend", lambda held, seconds: extended.append(held))
        plane.workers.beat()
        assert extended == []
        monkeypatch.setattr("penstock.wiring.workers.OVERTIME", 2.0)
        plane.workers.beat()
        assert extended == [delivery]
        go.set()


@pytest.mark.parametrize("error", [Transient("database is locked"), RecursionError("canary")])
def test_workers_outlive_a_bus_that_cannot_be_reached_for_a_while(data_dir, stages, monkeypatch, error):
    monkeypatch.setattr("penstock.wiring.workers.COMPLAINT_SECONDS", 0.01)
    with EmbeddedPlane(options(data_dir)) as plane:
        assert plane.wait_synced(20)
        bus, down = plane.runtime.bus, threading.Event()
        receive, dead_letters = bus.receive, bus.dead_letters

        def fail(*arguments, **named):
            if down.is_set():
                raise error
            return (dead_letters if "limit" in named else receive)(*arguments, **named)

        monkeypatch.setattr(bus, "receive", fail)
        monkeypatch.setattr(bus, "dead_letters", fail)
        down.set()
        plane.workers._nudge.set()
        told = plane.runtime.port("telemetry")
        complaints = {"fetch", "reconcile", "notify", "schedule"}
        eventually(lambda: {fact["stage"] for fact in told.named("bus unavailable")} == complaints)
        assert "canary" not in str(told.named("bus unavailable"))
        down.clear()
        assert call(plane, "POST", "/hook/abc")[0] == 202
        eventually(lambda: ("fetch", PUSH) in stages)
