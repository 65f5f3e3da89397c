"""A plane in two regions on a cloud's emulators: a runtime for each region's functions, and a list of all writes.

Cluster ``near`` is in the home region, ``far`` in another one. ``far`` has a source of its own, a Receiver and an Alert.
"""

import json

import yaml
from tests.memory_plane import URL, MemoryPlane, config_map, kustomization

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.core.messages import PLANE, SourceChanged
from penstock.core.resources import Gvk
from penstock.core.tree import blob
from penstock.wiring import Runtime, settings_from

OWN = "https://git.example.com/far"
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
GROUP = "notification.toolkit.fluxcd.io"
SPEC = {
    "source": {"url": URL, "ref": {"branch": "main"}, "interval": "5m"},
    "policy": {"allowedHosts": ["git.example.com"]},
}


def document(region):
    clusters = [
        {"name": "near", "path": "clusters/near"},
        {"name": "far", "path": "clusters/far", **({"region": region} if region else {})},
    ]
    metadata = {"name": "two"}
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": metadata,
        "spec": {**SPEC, "clusters": clusters},
    }


def manifest(kind, name, **spec):
    return {"kind": kind, "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec}


FILES = {
    "clusters/near/app.yaml": kustomization("app", "./app"),
    "clusters/far/app.yaml": kustomization("app", "./app"),
    "clusters/far/own.yaml": yaml.safe_dump_all(
        [
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                **manifest("GitRepository", "own", url=OWN, ref={"branch": "main"}, interval="5m"),
            },
            yaml.safe_load(kustomization("own", "./", sourceRef={"kind": "GitRepository", "name": "own"})),
            {
                "apiVersion": f"{GROUP}/v1",
                **manifest(
                    "Receiver",
                    "hook",
                    type="github",
                    events=["push"],
                    secretRef={"name": "hook"},
                    resources=[{"kind": "GitRepository", "name": "own"}],
                ),
            },
            {
                "apiVersion": f"{GROUP}/v1beta3",
                **manifest("Provider", "chat", type="generic", address="https://chat.example.com/x"),
            },
            {
                "apiVersion": f"{GROUP}/v1beta3",
                **manifest(
                    "Alert",
                    "all",
                    providerRef={"name": "chat"},
                    eventSeverity="info",
                    eventSources=[{"kind": "Kustomization", "name": "*"}],
                ),
            },
        ]
    ),
    "app/a.yaml": config_map("a", "default", x="1"),
}


class Both:
    """The clusters by name."""

    def __init__(self):
        self.by_name = {name: MemoryCluster(longest_watch=0.0) for name in ("near", "far")}
        far = self.by_name["far"]
        far.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        metadata = {"name": "hook", "namespace": "flux-system"}
        far.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "hook-token"}})

    def connect(self, cluster, *, impersonate=""):
        return self.by_name[cluster]


class RegionalPlane:
    """``environments``: by region, what its functions are given. ``hand(region, stage)``: work off one message there."""

    def __init__(self, environments, home, clock, hand):
        self.environments, self.home, self.clock, self._hand = environments, home, clock, hand
        self.far = next(region for region in environments if region != home)
        memory = MemoryPlane(clock=clock)
        self.git, self.notifier, self.telemetry, self.clusters = memory.git, memory.notifier, memory.telemetry, Both()
        instead = {
            "clock": lambda: clock,
            "clusters": lambda: self.clusters,
            "git": lambda: self.git,
            "notifier": lambda: self.notifier,
            "telemetry": lambda: self.telemetry,
        }
        self.runtimes = {
            region: Runtime(settings_from(environment), instead=instead) for region, environment in environments.items()
        }
        self.pipeline = self.runtimes[home].pipeline
        self.files, self.own = dict(FILES), {"b.yaml": config_map("b", "default", x="1")}

    def commit(self, **files):
        self.files.update(files)
        for url, texts in ((URL, self.files), (OWN, self.own)):
            self.git.commit(url, {path: blob(text.encode()) for path, text in texts.items()}, subject="change")

    def settle(self):
        """Each region's functions take their own messages, until none is left."""
        places = [(region, stage.name) for region in self.runtimes for stage in self.pipeline.queues()]
        while sum(self._hand(self, *place) for place in places):
            pass

    def config_map(self, cluster, name):
        found = self.clusters.by_name[cluster].get(CONFIG_MAP, "default", name)
        return found and found["data"]


def mentions(value, cluster):
    """Whether a request's text names a cluster, as a segment of a key or a field of a message."""
    text = value if isinstance(value, str) else json.dumps(value, default=lambda each: each.decode("latin-1"))
    return any(part in text for part in (f"/{cluster}/", f'"{cluster}"', f'\\"{cluster}\\"', f"_{cluster}_"))


def woken():
    return SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system")
