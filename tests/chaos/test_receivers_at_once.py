"""Two runs of one cluster that are at its Receivers at once: a run is interrupted at each of its calls by another's.

The webhook serves exactly what is declared, whoever came first: an entry that is missing loses pushes until the root's
next interval, and one too many takes deliveries for what somebody has removed.
"""

import pytest
import yaml
from tests.chaos.interrupted import at_each_call, fetched, reconciles
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.flux.receiver import webhook_digest
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


def settled(before, after, *, applied):
    """A plane that stands at one commit and has fetched the next; nobody has reconciled that yet."""
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    if not applied:
        plane.cluster.create(secret("token"))
    plane.push(before)
    plane.settle()
    fetched(plane, after)
    return plane


def reconciling(change, first, second):
    """Planes after ``first``'s run, before one of whose calls all of ``second`` took place; and which call that was."""
    before, after, _ = CHANGES[change]

    def made():
        return settled(before, after, applied="Secret" in change or "Git" in change)

    for at, plane in at_each_call(made, reconciles(first, why="request"), reconciles(second), least=30):
        plane.settle(seconds=30)
        yield at, plane


@pytest.mark.parametrize(
    "order",
    [("flux-system", "hooks"), ("hooks", "flux-system")],
    ids=lambda order: f"{order[1]} in the middle of {order[0]}",
)
@pytest.mark.parametrize("change", CHANGES)
def test_the_index_is_what_is_declared(change, order):
    *_, expected = CHANGES[change]
    wanted = {(webhook_digest(token.encode(), "github", "flux-system"), bool(until)) for token, until in expected}
    for at, plane in reconciling(change, *order):
        found = [ReceiverRecord.from_value(each.value) for each in plane.state.list("receiver/")]
        assert {(each.digest, bool(each.until)) for each in found} == wanted, at
        held = plane.secrets.get(HOOK) or {}
        names = {item.decode(): key for key, item in held.items()}
        assert all(names.get(token) == (PREVIOUS if until else TOKEN) for token, until in expected), (at, sorted(names))
