"""Two runs of one cluster that are at its Receivers at once: a run is interrupted at each of its calls by another's.

The webhook serves exactly what is declared, whoever came first: an entry that is missing loses pushes until the root's
next interval, and one too many takes deliveries for what somebody has removed.
"""

import itertools
from dataclasses import replace

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.flux.receiver import webhook_digest
from penstock.core.messages import ReconcileDue
from penstock.core.records import ReceiverRecord
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS, TOKEN

HOOK = secret_name(WEBHOOK, CLUSTER, "flux-system", "hook")


def receiver():
    return yaml.safe_dump(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": "github", "namespace": "flux-system"},
            "spec": {
                "type": "github",
                "secretRef": {"name": "hook"},
                "resources": [{"kind": "GitRepository", "name": "flux-system"}],
            },
        }
    )


def secret(token):
    metadata = {"name": "hook", "namespace": "flux-system"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}}


BASE = {
    "clusters/prod/keep.yaml": config_map("keep", "default"),
    "clusters/prod/hooks.yaml": kustomization("hooks", "hooks"),
    "hooks/a.yaml": config_map("a", "default", x="1"),
}
WITH = {**BASE, "hooks/receiver.yaml": receiver()}
APPLIED = {**WITH, "hooks/secret.yaml": yaml.safe_dump(secret("old"))}
ROTATED = {**APPLIED, "hooks/secret.yaml": yaml.safe_dump(secret("new"))}
CHANGES = {
    "declared": (BASE, WITH, {("token", "")}),
    "removed": (WITH, BASE, set()),
    "its token rotated in Git": (APPLIED, ROTATED, {("new", ""), ("old", "until")}),
    "its token's Secret comes with it": (BASE, APPLIED, {("old", "")}),
}


class Clusters:
    """The plane's connection, each of whose calls is a place to be interrupted, too."""

    def __init__(self, clusters, interrupted):
        self._clusters, self._interrupted = clusters, interrupted

    def connect(self, cluster, *, impersonate=""):
        return self._interrupted(self._clusters.connect(cluster, impersonate=impersonate))


class Interrupted:
    """A port before whose calls something may happen."""

    def __init__(self, port, before):
        self._port, self._before = port, before

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._before()
            return found(*args, **kwargs)

        return call


def settled(before, after, *, applied):
    """A plane that stands at one commit and has fetched the next; nobody has reconciled that yet."""
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    if not applied:
        plane.cluster.create(secret("token"))
    plane.push(before)
    plane.settle()
    plane.push({**dict.fromkeys(before.keys() - after.keys()), **after})
    while plane.step_stage("fetch"):
        pass
    return plane


def interrupted(change, first, second, at):
    """The plane after ``first``'s run, before whose call number ``at`` all of ``second`` took place; None past its end."""
    before, after, _ = CHANGES[change]
    plane = settled(before, after, applied="Secret" in change or "Git" in change)
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="flux-system", why="request"))
    deps, left, reached = plane.deps, [at], []

    def happens():
        left[0] -= 1
        if left[0] == 0:
            reached.append(at)
            plane.deps = deps
            plane.run_only(second)

    ports = {name: Interrupted(getattr(deps, name), happens) for name in ("state", "secrets")}
    clusters = Clusters(deps.clusters, lambda port: Interrupted(port, happens))
    plane.deps = replace(deps, clusters=clusters, **ports)
    plane.run_only(first)
    plane.deps = deps
    plane.settle(seconds=30)
    return plane if reached else None


@pytest.mark.parametrize(
    "order",
    [("flux-system", "hooks"), ("hooks", "flux-system")],
    ids=lambda order: f"{order[1]} in the middle of {order[0]}",
)
@pytest.mark.parametrize("change", CHANGES)
def test_the_index_is_what_is_declared(change, order):
    *_, expected = CHANGES[change]
    wanted = {(webhook_digest(token.encode(), "github", "flux-system"), bool(until)) for token, until in expected}
    for at in itertools.count(1):
        plane = interrupted(change, *order, at)
        if plane is None:
            assert at > 30, "there were calls"
            return
        found = [ReceiverRecord.from_value(each.value) for each in plane.state.list("receiver/")]
        assert {(each.digest, bool(each.until)) for each in found} == wanted, at
        held = plane.secrets.get(HOOK) or {}
        names = {item.decode(): key for key, item in held.items()}
        assert all(names.get(token) == (PREVIOUS if until else TOKEN) for token, until in expected), (at, sorted(names))
