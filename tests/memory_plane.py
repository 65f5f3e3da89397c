"""A whole plane on in-memory ports and a simulated clock: real stages, real cores, no process, no network.

``push`` commits a tree, ``settle`` runs every message until nothing is due, moving the clock on to what comes next.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from penstock.adapters.buckets.memory import MemoryBuckets
from penstock.adapters.bus.memory import MemoryBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.downloads.memory import MemoryDownloads
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.keys.memory import MemoryKeys
from penstock.adapters.notifier.memory import MemoryNotifier
from penstock.adapters.registry.memory import MemoryRegistry
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import NotFound
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.messages import Envelope, Event, Message, ReconcileDue
from penstock.core.records import KustomizationStatus, object_key, status_key
from penstock.core.resources import Gvk
from penstock.core.tree import blob
from penstock.ports.bus import Delivery, Dispatch
from penstock.ports.cluster import Cluster, RemoteCluster
from penstock.ports.deps import Deps
from penstock.ports.git import GitRef, Remote
from penstock.ports.state import MAX_VALUE_BYTES
from penstock.wiring.run import run_message, run_tick
from penstock.wiring.topology import load_pipeline

URL = "https://git.example.com/fleet"
CLUSTER = "prod"
UID = "f" * 32


class OneCluster:
    """Clusters of a plane that all are the same MemoryCluster, but for ``remote``: every one reached by an identity.

    ``remotes``: as which ones it was asked for.
    """

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster
        self.remote, self.remotes = MemoryCluster(), list[RemoteCluster]()

    def connect(self, cluster: str, *, impersonate: str = "") -> Cluster:
        if cluster != CLUSTER:
            raise NotFound(f"no cluster {cluster}")
        return self.cluster.as_user(impersonate) if impersonate else self.cluster

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> Cluster:
        self.allowed_hosts = allowed_hosts
        return self.cluster.as_user(impersonate) if impersonate else self.cluster

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> Cluster:
        self.remotes.append(remote)
        return self.remote.as_user(impersonate) if impersonate else self.remote


class MemoryPlane:
    """Deps over memory adapters. ``events``: every Event that was published."""

    def __init__(
        self,
        *,
        policy: Mapping[str, Any] | None = None,
        path: str = "clusters/prod",
        clock: SimulatedClock | None = None,
    ) -> None:
        self.pipeline = load_pipeline()
        self.clock = clock or SimulatedClock()
        self.bus = MemoryBus(self.pipeline, self.clock)
        self.git, self.cluster = MemoryGit(), MemoryCluster(longest_watch=0.0)
        self.clusters = OneCluster(self.cluster)
        self.downloads = MemoryDownloads()
        self.state, self.storage, self.secrets = MemoryState(), MemoryStorage(), MemorySecrets()
        self.notifier, self.telemetry, self.keys = MemoryNotifier(), MemoryTelemetry(), MemoryKeys()
        self.events: list[Event] = []
        self.deliveries = 1
        self.registry, self.buckets = MemoryRegistry(), MemoryBuckets()
        self.deps = Deps(
            buckets=self.buckets,
            clock=self.clock,
            clusters=self.clusters,
            downloads=self.downloads,
            git=self.git,
            keys=self.keys,
            notifier=self.notifier,
            registry=self.registry,
            secrets=self.secrets,
            state=self.state,
            storage=self.storage,
            telemetry=self.telemetry,
        )
        self.files: dict[str, str] = {}
        self.apply_plane(policy=policy, path=path)

    def apply_plane(
        self, *, policy: Mapping[str, Any] | None = None, path: str = "clusters/prod", uid: str = UID
    ) -> None:
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "test"},
            "spec": {
                "source": {"url": URL, "ref": {"branch": "main"}, "interval": "5m"},
                "clusters": [{"name": CLUSTER, "path": path}],
                "policy": dict(policy or {}),
            },
        }
        existing = {record.key: record.value for record in self.state.list("")}
        change = plane_records(parse_plane(document), document, uid, existing)
        for key, value in change.writes.items():
            self.state.put(key, value, expected=None)
        for key in change.deletes:
            self.state.delete(key, expected=None)
        for message in change.wake:
            self.publish(message)

    def publish(self, message: Message, *, delay: float = 0.0) -> None:
        trace = f"00-{self.clock.new_id()}-{self.clock.new_id()[:16]}-01"
        envelope = Envelope(message=message, id=self.clock.new_id(), traceparent=trace)
        self.bus.publish([Dispatch(envelope=envelope, delay=delay)])

    def push(self, files: Mapping[str, str | None], *, subject: str = "change") -> str:
        """Change files (None removes one), commit, and tell the plane as a webhook would; the revision."""
        for path, text in files.items():
            if text is None:
                del self.files[path]
            else:
                self.files[path] = text
        blobs = {path: blob(text.encode()) for path, text in self.files.items()}
        commit = self.git.commit(URL, blobs, subject=subject)
        from penstock.core.messages import PLANE, SourceChanged

        self.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
        return f"main@sha1:{commit}"

    def head(self) -> tuple[Remote, GitRef]:
        return Remote(url=URL), GitRef(branch="main")

    def step(self) -> bool:
        """Run one message of any stage that is due; whether there was one."""
        return any(self.step_stage(stage.name) for stage in self.pipeline.stages.values() if stage.trigger == "topic")

    def step_stage(self, name: str) -> bool:
        """Run one message of this stage that is due; whether there was one."""
        delivery = self.bus.receive(name, wait=0)
        if delivery is None:
            return False
        self.deliver(delivery)
        return True

    def deliver(self, delivery: Delivery) -> None:
        """Run a message that was received, as often as ``deliveries`` says."""
        stage = self.pipeline.stage(delivery.stage)
        if isinstance(delivery.envelope.message, Event):
            self.events.append(delivery.envelope.message)
        for _ in range(self.deliveries - 1):
            run_message(stage, delivery.envelope, self.deps, self.bus)
        outcome = run_message(stage, delivery.envelope, self.deps, self.bus)
        if outcome.kind == "retry":
            self.bus.retry(delivery, delay=outcome.delay, error=outcome.error)
        else:
            self.bus.ack(delivery)

    def run_only(self, name: str) -> None:
        """Run what is due for one Kustomization, ahead of everybody else's."""
        others = []
        while (delivery := self.bus.receive("reconcile", wait=0)) is not None:
            if getattr(delivery.envelope.message, "name", "") == name:
                self.deliver(delivery)
            else:
                others.append(delivery)
        for delivery in others:
            self.bus.publish([Dispatch(envelope=delivery.envelope)])
            self.bus.ack(delivery)

    def settle(self, *, seconds: float = 120.0, most: int = 2000) -> None:
        """Run until nothing is due within ``seconds``; workloads become ready as time goes by."""
        end = self.clock.now().timestamp() + seconds
        for _ in range(most):
            if self.step():
                continue
            if not any(self.bus.depth().values()) or self.clock.now().timestamp() >= end:
                return
            self.clock.advance(0.5)
        raise AssertionError(f"does not settle: {self.bus.depth()}")

    def tick(self) -> None:
        """Run the schedule once."""
        run_tick(self.pipeline.stage("tick"), self.deps, self.bus)

    def reconcile(self, name: str, *, namespace: str = "flux-system", why: str = "request", request: str = "") -> None:
        self.publish(ReconcileDue(cluster=CLUSTER, namespace=namespace, name=name, why=why, request=request))
        self.settle()

    def status(self, name: str, *, namespace: str = "flux-system") -> KustomizationStatus:
        found = self.state.get(status_key(CLUSTER, "Kustomization", namespace, name))
        return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()

    def known(self, kind: str, name: str, *, namespace: str = "flux-system") -> bool:
        return self.state.get(object_key(CLUSTER, kind, namespace, name)) is not None

    def ready(self, name: str, *, namespace: str = "flux-system") -> str:
        """``status reason: message`` of Ready."""
        found = self.status(name, namespace=namespace).condition("Ready")
        return f"{found.status} {found.reason}: {found.message}" if found else "unknown"

    def live(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        group, _, version = api_version.rpartition("/")
        return self.cluster.get(Gvk(group=group, version=version, kind=kind), namespace, name)

    def config_map(self, name: str, namespace: str = "apps") -> dict[str, str] | None:
        found = self.live("v1", "ConfigMap", namespace, name)
        return None if found is None else found["data"]

    def writes(self) -> list[tuple[str, str]]:
        """Requests that changed something."""
        return [call for call in self.cluster.calls if call[0] in ("create", "delete", "patch", "update")]


def fill(plane: MemoryPlane, name: str, *, free: int = 50) -> None:
    """Leave so many bytes free in a Kustomization's status record, which has no events then."""
    known = plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", name))
    assert known is not None
    value = {**known.value, "outbox": [], "drift": {"filler": ""}}
    size = len(json.dumps(value, separators=(",", ":")))
    value["drift"] = {"filler": "x" * (MAX_VALUE_BYTES - size - free)}
    plane.state.put(known.key, value, expected=None, due=known.due)


def kustomization(name: str, path: str, **spec: Any) -> str:
    """A Flux Kustomization of the plane's own source, as YAML."""
    namespace = spec.pop("namespace", "flux-system")
    document = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": name,
            "namespace": namespace,
            **({"annotations": spec.pop("annotations")} if "annotations" in spec else {}),
        },
        "spec": {
            "interval": "10m",
            "retryInterval": "1m",
            "prune": True,
            "path": path,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"},
            **spec,
        },
    }
    return yaml.safe_dump(document)


def config_map(name: str, namespace: str = "apps", **data: str) -> str:
    """A ConfigMap as YAML."""
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
    )


def namespace(name: str) -> str:
    """A Namespace as YAML."""
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
