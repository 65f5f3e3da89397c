"""Flux objects that move in one commit: handed over as they are, with their status, artifact and webhook; never buried."""

import pytest
import yaml
from tests.memory_plane import CLUSTER, config_map, kustomization
from tests.stages.test_reconcile_moves import KEPT, alerts, deletions, run_in_order

from penstock.core.flux.receiver import webhook_digest
from penstock.core.records import ObjectRecord, SourceStatus, Suspension, object_key, receiver_key, status_key
from penstock.core.tree import blob
from penstock.stages.api.actions import set_switch
from tests.memory_plane import MemoryPlane

URL = "https://git.example.com/extra"
TOKEN = b"token"
HOOK = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "hook", "namespace": "flux-system"}}
OWN = [{"kind": "GitRepository", "name": "flux-system"}]
SPECS = {
    "Alert": ("notification", "v1beta3", {"providerRef": {"name": "chat"}, "eventSources": OWN}),
    "ArtifactGenerator": (
        "source.extensions",
        "v1beta1",
        {
            "sources": [{"alias": "repo", **OWN[0]}],
            "artifacts": [{"name": "thing", "copy": [{"from": "@repo/base/**", "to": "@artifact/"}]}],
        },
    ),
    "Bucket": ("source", "v1", {"bucketName": "fleet", "endpoint": "s3.example.com", "interval": "5m"}),
    "GitRepository": ("source", "v1", {"url": URL, "interval": "5m", "ref": {"branch": "main"}}),
    "OCIRepository": ("source", "v1", {"url": "oci://ghcr.io/acme/fleet", "interval": "5m"}),
    "Provider": ("notification", "v1beta3", {"type": "generic", "address": "https://chat.example.com"}),
    "Receiver": ("notification", "v1", {"type": "github", "secretRef": {"name": "hook"}, "resources": OWN}),
}
KINDS = sorted(SPECS)
OBSERVED = ("ArtifactGenerator", "Bucket", "GitRepository", "OCIRepository")


def thing(kind):
    group, version, spec = SPECS[kind]
    group = "source.extensions.fluxcd.io" if "." in group else f"{group}.toolkit.fluxcd.io"
    metadata = {"name": "thing", "namespace": "flux-system"}
    return yaml.safe_dump({"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec})


BASE = {
    **KEPT,
    "base/a.yaml": config_map("of-base", "default"),
    "a/stays.yaml": config_map("stays-a", "default"),
    "b/stays.yaml": config_map("stays-b", "default"),
    "c/stays.yaml": config_map("stays-c", "default"),
}
A, B, C = ({f"clusters/prod/{name}.yaml": kustomization(name, name)} for name in "abc")
BELOW_A = {"a/c.yaml": kustomization("c", "c")}


def fleet(files):
    """A plane that has reconciled these; ``plane.gone``: the keys of all records that were deleted since."""
    plane = MemoryPlane()
    plane.git.commit(URL, {"README.md": blob(b"extra")})
    plane.buckets.put("fleet", "a.yaml", b"x: 1")
    plane.registry.push("ghcr.io/acme/fleet", "latest", {"a.yaml": b"x: 1"})
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    plane.cluster.create({**HOOK, "stringData": {"token": TOKEN.decode()}})
    plane.push({**BASE, **files})
    plane.settle()
    plane.cluster.calls.clear()
    plane.events.clear()
    plane.gone, delete = [], plane.state.delete

    def noted(key, *, expected):
        plane.gone.append(key)
        delete(key, expected=expected)

    plane.state.delete = noted
    return plane


def own_keys(kind):
    """What stands for it in the store: its document, what its stage has found, and where the webhook looks."""
    keys = [family(CLUSTER, kind, "flux-system", "thing") for family in (object_key, status_key)]
    if kind == "Receiver":
        keys.append(receiver_key(webhook_digest(TOKEN, "thing", "flux-system"), CLUSTER, "flux-system", "thing"))
    return keys


def found(plane, kind):
    record = plane.state.get(object_key(CLUSTER, kind, "flux-system", "thing"))
    return record and ObjectRecord.from_value(record.value)


def observed(plane, kind):
    """(observation number, artifact) of a source; () of what is none."""
    if kind not in OBSERVED:
        return ()
    name = ("ExternalArtifact" if kind == "ArtifactGenerator" else kind, "flux-system", "thing")
    status = SourceStatus.from_value(plane.state.get(status_key(CLUSTER, *name)).value)
    assert plane.storage.has(status.artifact)
    return status.observation, status.artifact


def check_kept(plane, kind, parent, *, generation=1):
    assert [key for key in own_keys(kind) if key in plane.gone] == []
    assert [key for key in plane.gone if "ExternalArtifact" in key] == []
    record = found(plane, kind)
    assert (record.parent, record.generation) == (f"flux-system/{parent}", generation)
    assert [key for key in own_keys(kind)[2:] if plane.state.get(key) is None] == []
    children = {record.key for record in plane.state.list("child/") if record.key.endswith(f"/{kind}/flux-system/thing")}
    assert children == {f"child/{CLUSTER}/flux-system/{parent}/{kind}/flux-system/thing"}
    assert [what for what in deletions(plane) if "stays" not in what] == []
    assert alerts(plane) == []


def check_gone(plane, kind):
    assert [key for key in own_keys(kind) if plane.state.get(key) is not None] == []
    assert [r.key for r in plane.state.list("child/") if r.key.endswith(f"/{kind}/flux-system/thing")] == []
    if kind == "ArtifactGenerator":
        assert plane.state.get(status_key(CLUSTER, "ExternalArtifact", "flux-system", "thing")) is None


ROOT = "clusters/prod"
MOVES = {
    "to a new child": (ROOT, {}, "a", A),
    "to a child that is there": (ROOT, A, "a", {}),
    "to a child's new path": (ROOT, A, "b", {f"{ROOT}/a.yaml": kustomization("a", "b")}),
    "to a new child of a child": ("a", A, "c", BELOW_A),
    "to a new grandchild": (ROOT, {}, "c", {**A, **BELOW_A}),
    "to a new child of a child that is there": (ROOT, A, "c", BELOW_A),
    "to the parent": ("a", A, ROOT, {}),
    "to a sibling": ("a", {**A, **B}, "b", {}),
    "to a new sibling": ("a", A, "b", B),
    "from one that is removed": ("a", {**A, **B}, "b", {f"{ROOT}/a.yaml": None}),
    "from one that is removed to a new one": ("a", A, "b", {f"{ROOT}/a.yaml": None, **B}),
}
OWNERS = {ROOT: "flux-system", "a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("order", [(), ("flux-system", "a", "b"), ("b", "a")], ids=lambda o: "-".join(o) or "as it comes")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", MOVES)
def test_what_moves_is_handed_over(move, kind, order):
    source, before, to, more = MOVES[move]
    plane = fleet({**before, f"{source}/thing.yaml": thing(kind)})
    stood = observed(plane, kind)
    plane.push({f"{source}/thing.yaml": None, f"{to}/thing.yaml": thing(kind), **more})
    run_in_order(plane, order)
    new = "a" if "new path" in move else OWNERS[to]
    check_kept(plane, kind, new)
    assert observed(plane, kind) == stood
    for name in ("flux-system", new):
        assert plane.ready(name).startswith("True"), plane.ready(name)
        assert "thing" not in plane.ready(name), plane.ready(name)
        assert plane.status(name).waiting_for == ()
