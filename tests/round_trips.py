"""What a plane in a cloud asks its stores for one story, request by request, and how many of them wait for each other.

Counts, never times: a ``Journey`` runs a plane in memory, and every call of the ports that are a provider's takes one
unit. What a stage gives to threads begins together (as far as the pool has threads) and the longest counts, so that
``waits`` is the longest chain of requests of which each waited for the one before: what latency multiplies.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from tests.memory_plane import CLUSTER, URL, MemoryPlane, config_map, kustomization

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.state.together import AT_ONCE
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE, SourceChanged
from penstock.core.records import ReceiverRecord, receiver_key
from penstock.core.resources import Gvk
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.tree import blob
from penstock.ports.bus import Delivery
from penstock.stages.fetch import opened
from penstock.stages.reconcile import source
from penstock.wiring.http import answer

TOKEN = b"bench-token"
BODY = json.dumps({"ref": "refs/heads/main"}).encode()
PORTS = ("state", "storage")
"""And the bus, which a plane in memory needs as it is. Secrets are not among them: a warm function has them in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """``run``: which run of a stage made it, counted from 1; ``at``: after how many that waited for each other."""

    stage: str
    run: int
    call: str
    what: str
    at: int


class Trips:
    """Requests in order, and the time that each takes where one takes one unit."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.stage, self.run, self.now = "", 0, 0

    def add(self, call: str, *together: str) -> None:
        """Requests that wait for all before them in their thread, not for each other."""
        if self.stage:
            at = self.now
            for number, what in enumerate(together):
                self.now = at + number // AT_ONCE
                self.requests.append(Request(stage=self.stage, run=self.run, call=call, what=what, at=self.now))
            self.now += bool(together)

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Pools run their work at once, in order, in the time that their threads would have taken."""

        def submit(pool: Any, work: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
            slots = pool.__dict__.setdefault("slots", [0] * pool._max_workers)
            given, first = self.now, min(range(len(slots)), key=slots.__getitem__)
            self.now = max(given, slots[first])
            future: Future[Any] = Future()
            try:
                future.set_result(work(*arguments, **more))
            except BaseException as error:
                future.set_exception(error)
            slots[first] = future.__dict__["ended"] = self.now
            self.now = given
            return future

        def shutdown(pool: Any, **_how: Any) -> None:
            self.now = max(self.now, *pool.__dict__.get("slots", (0,)))

        result = Future.result

        def waited(future: Any, timeout: float | None = None) -> Any:
            self.now = max(self.now, future.__dict__.get("ended", 0))
            return result(future, timeout)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ThreadPoolExecutor, "submit", submit)
            patch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
            patch.setattr(Future, "result", waited)
            yield


class Counted:
    """A port whose calls are counted."""

    def __init__(self, port: Any, name: str, trips: Trips) -> None:
        self.port, self.name, self.trips = port, name, trips

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.port, name)
        if name not in CALLS[self.name]:
            return call

        def counting(*arguments: Any, **more: Any) -> Any:
            if name == "read":
                given = (*arguments, *(more.get(each, ()) for each in ("keys", "prefixes")[len(arguments) :]))
                keys, prefixes = (list(dict.fromkeys(each)) for each in given)
                batches = [", ".join(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)]
                self.trips.add("state.read", *batches, *(f"{prefix}*" for prefix in prefixes))
            else:
                self.trips.add(f"{self.name}.{name}", str(arguments[0]))
            return call(*arguments, **more)

        return counting


CALLS = {
    "state": frozenset({"get", "read", "list", "put", "delete", "due"}),
    "storage": frozenset({"get", "put", "has", "delete", "digests"}),
}
BATCH = 100
"""Records that one request of either provider reads."""


class Journey(MemoryPlane):
    """A plane in memory whose requests are told."""

    def __init__(self) -> None:
        opened.kept.clear()  # or what another plane of this process has read would not be read
        source.kept.clear()
        self.trips, self.runs = Trips(), 0
        self.sent: dict[str, int] = {}
        super().__init__()
        for name in PORTS:
            setattr(self, name, Counted(getattr(self, name), name, self.trips))
        self.deps = replace(self.deps, state=self.state, storage=self.storage)  # type: ignore[arg-type]
        publish = self.bus.publish

        def sending(messages: Sequence[Any]) -> None:
            publish(messages)
            for topic in dict.fromkeys(each.envelope.message.topic for each in messages):
                mine = [each.envelope.id for each in messages if each.envelope.message.topic == topic]
                self.trips.add("bus.publish", topic)
                self.sent |= dict.fromkeys(mine, self.trips.now)

        self.bus.publish = sending  # type: ignore[method-assign]

    def deliver(self, delivery: Delivery) -> None:
        with self.running(delivery.stage, at=self.sent.get(delivery.envelope.id, self.trips.now)):
            super().deliver(delivery)

    @contextmanager
    def running(self, stage: str, *, at: int) -> Iterator[None]:
        """A run of a stage that begins when so many requests have been waited for."""
        self.runs += 1
        self.trips.stage, self.trips.run, self.trips.now = stage, self.runs, at
        try:
            with self.trips.threads():
                yield
        finally:
            self.trips.stage = ""

    def begin(self) -> None:
        """Forget what was asked so far."""
        self.trips.requests.clear()
        self.sent.clear()
        self.runs = 0

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the webhook's answer."""
        request = HttpRequest(method="POST", path=path, query="", headers=headers, body=body)
        with self.running("webhook", at=0):
            return answer(self.pipeline.stage("webhook"), request, self.deps, self.bus).status

    def commit(self, files: Mapping[str, str]) -> None:
        """A commit of which nobody has told the plane."""
        self.files.update(files)
        self.git.commit(URL, {path: blob(text.encode()) for path, text in self.files.items()}, subject="change")


def fleet(objects: int = 20) -> dict[str, str]:
    """One Kustomization of so many ConfigMaps, and an Alert for it."""
    group = "notification.toolkit.fluxcd.io"
    documents = [
        {
            "apiVersion": f"{group}/v1beta3",
            "kind": "Provider",
            "metadata": {"name": "chat", "namespace": "flux-system"},
            "spec": {"type": "generic", "address": "https://chat.example.com/hook"},
        },
        {
            "apiVersion": f"{group}/v1beta3",
            "kind": "Alert",
            "metadata": {"name": "all", "namespace": "flux-system"},
            "spec": {
                "providerRef": {"name": "chat"},
                "eventSeverity": "info",
                "eventSources": [{"kind": "Kustomization", "name": "*"}],
            },
        },
    ]
    files = {f"app/o{number:03}.yaml": config_map(f"o{number:03}", "default", x="0") for number in range(objects)}
    files["clusters/prod/app.yaml"] = kustomization("app", "./app")
    files["clusters/prod/alerts.yaml"] = yaml.safe_dump_all(documents)
    return files


def receiver(plane: MemoryPlane) -> tuple[str, dict[str, str]]:
    """Path and headers of a push that its Receiver verifies."""
    digest, secret = (
        webhook_digest(TOKEN, "github", "flux-system"),
        secret_name(WEBHOOK, CLUSTER, "flux-system", "hook"),
    )
    resource = {"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"}
    record = ReceiverRecord(
        cluster=CLUSTER, namespace="flux-system", name="github", type="github", digest=digest, secret=secret,
        events=("push",), resources=(resource,),
    )  # fmt: skip
    plane.state.put(receiver_key(digest, CLUSTER, "flux-system", "github"), record.to_value(), expected=None)
    plane.secrets.put(secret, {"token": TOKEN}, owner="bench")
    signature = hmac.new(TOKEN, BODY, hashlib.sha256).hexdigest()
    return f"/hook/{digest}", {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": f"sha256={signature}",
    }


def of_a_push(objects: int = 20, *, settled: bool = True) -> list[Request]:
    """The requests of a signed push that changes one of so many objects of one Kustomization, with one Alert.

    ``settled``: the look before it was confirmed by another one, as where pushes are minutes apart.
    """
    plane = Journey()
    plane.push(fleet(objects))
    plane.settle()
    path, headers = receiver(plane)
    plane.clock.advance(90)
    plane.tick()  # the first look's announcement is confirmed
    plane.settle()
    for number in (1, 2):  # the first one finds what only a first one has to read
        if settled:
            plane.clock.advance(90)
            plane.tick()
            plane.settle()
        plane.commit({"app/o000.yaml": config_map("o000", "default", x=f"{number}")})
        plane.begin()
        assert plane.post(path, headers, BODY) == 202
        plane.settle()
        assert plane.config_map("o000", "default") == {"x": f"{number}"}
    return list(plane.trips.requests)


def waits(requests: Sequence[Request]) -> int:
    """How many of them wait for each other: the longest chain."""
    return max((each.at + 1 for each in requests), default=0) - min((each.at for each in requests), default=0)


def by_run(requests: Sequence[Request]) -> dict[tuple[str, int], list[Request]]:
    """The same by stage and run."""
    found: dict[tuple[str, int], list[Request]] = {}
    for each in requests:
        found.setdefault((each.stage, each.run), []).append(each)
    return found


def table(requests: Sequence[Request]) -> str:
    """All of them for people: by run, and in order."""
    lines = []
    for (stage, run), mine in by_run(requests).items():
        lines.append(f"{stage} (run {run}): {len(mine)} requests, {waits(mine)} wait for each other")
        lines += [f"  {each.at:4}  {each.call:<16} {each.what}" for each in mine]
    lines.append(f"in all: {len(requests)} requests, {waits(requests)} wait for each other")
    return "\n".join(lines)


class ManyClusters:
    """Clusters in memory, by name."""

    def __init__(self, count: int) -> None:
        self.clusters = {f"c{number:04}": MemoryCluster(longest_watch=0.0) for number in range(count)}

    def connect(self, cluster: str, *, impersonate: str = "") -> MemoryCluster:
        return self.clusters[cluster]


def declare(plane: MemoryPlane, clusters: Iterable[str]) -> None:
    """A Plane of these clusters, all with the same path."""
    document = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "test"},
        "spec": {
            "source": {"url": URL, "ref": {"branch": "main"}, "interval": "1h"},
            "clusters": [{"name": name, "path": "clusters/all"} for name in clusters],
        },
    }
    existing = {record.key: record.value for record in plane.state.list("")}
    change = plane_records(parse_plane(document), document, "f" * 32, existing)
    for key, value in change.writes.items():
        plane.state.put(key, value, expected=None)


def fanout(clusters: int) -> list[Request]:
    """The requests of fetch for one commit that concerns the one Kustomization of each of so many clusters."""
    many, plane = ManyClusters(clusters), Journey()
    plane.deps = replace(plane.deps, clusters=many)  # type: ignore[arg-type]
    plane.settle()
    declare(plane, many.clusters)
    for value in ("0", "1", "2"):
        plane.clock.advance(90)
        plane.tick()
        plane.settle()
        plane.commit({"clusters/all/a.yaml": config_map("a", "default", x=value)})
        plane.begin()
        plane.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
        plane.settle()
        woken = [each for each in many.clusters.values() if _value(each) == value]
        assert len(woken) == clusters
    return [each for each in plane.trips.requests if each.stage == "fetch"]


def _value(cluster: MemoryCluster) -> str:
    found = cluster.get(Gvk(version="v1", kind="ConfigMap"), "default", "a")
    return str(found["data"]["x"]) if found else ""
