"""A fleet with one Flux object of each kind, ``thing``, that commits move from one Kustomization to another."""

import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.flux.receiver import webhook_digest
from penstock.core.records import ObjectRecord, SourceStatus, object_key, receiver_key, status_key
from penstock.core.tree import blob

URL = "https://git.example.com/extra"
TOKEN = b"token"
HOOK = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "hook", "namespace": "flux-system"},
    "stringData": {"token": TOKEN.decode()},
}
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


def thing(kind, name="thing"):
    """One of this kind, as YAML."""
    group, version, spec = SPECS[kind]
    group = "source.extensions.fluxcd.io" if "." in group else f"{group}.toolkit.fluxcd.io"
    metadata = {"name": name, "namespace": "flux-system"}
    return yaml.safe_dump({"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec})


ROOT = "clusters/prod"
BASE = {
    f"{ROOT}/keep.yaml": config_map("keep", "default"),
    f"{ROOT}/too.yaml": config_map("too", "default"),
    "base/a.yaml": config_map("of-base", "default"),
    "a/stays.yaml": config_map("stays-a", "default"),
    "b/stays.yaml": config_map("stays-b", "default"),
    "c/stays.yaml": config_map("stays-c", "default"),
}
A, B, C = ({f"{ROOT}/{name}.yaml": kustomization(name, name)} for name in "abc")
BELOW_A = {"a/c.yaml": kustomization("c", "c")}


def fleet(files, plane=None):
    """A plane that has reconciled these; ``plane.gone``: the keys of all records that were deleted since."""
    plane = plane or MemoryPlane()
    plane.git.commit(URL, {"README.md": blob(b"extra")})
    plane.buckets.put("fleet", "a.yaml", b"x: 1")
    plane.registry.push("ghcr.io/acme/fleet", "latest", {"a.yaml": b"x: 1"})
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    plane.cluster.create(HOOK)
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


def deletions(plane):
    """What was deleted in the cluster, but for the plane's own."""
    return [what for verb, what in plane.cluster.calls if verb == "delete" and "penstock-system" not in what]


def alerts(plane):
    """(name, reason, message) of each error that people were told of."""
    return [(e.name, e.reason, e.message) for e in plane.events if e.severity == "error"]


def child_entries(plane, kind):
    """The parents (names) in whose lists of children it stands."""
    found = (record.key for record in plane.state.list("child/") if record.key.endswith(f"/{kind}/flux-system/thing"))
    return {key.split("/")[3] for key in found}


def check_kept(plane, kind, parent, *, least=False):
    """It is that one's as it was, and was never gone. ``least``: runs were killed, who may have left an index entry."""
    assert [key for key in own_keys(kind) if key in plane.gone] == []
    assert [key for key in plane.gone if "ExternalArtifact" in key] == []
    record = found(plane, kind)
    assert (record.parent, record.generation) == (f"flux-system/{parent}", 1)
    assert [key for key in own_keys(kind)[2:] if plane.state.get(key) is None] == []
    parents = child_entries(plane, kind)
    assert parents == {parent} or (least and parent in parents)
    assert [what for what in deletions(plane) if "stays" not in what] == []
    missing = "kustomization path not found"  # of one that is removed, and had its turn before its parent
    assert [told for told in alerts(plane) if missing not in told[-1]] == []


def check_gone(plane, kind):
    """Nothing stands for it any more."""
    assert [key for key in own_keys(kind) if plane.state.get(key) is not None] == []
    assert child_entries(plane, kind) == set()
    if kind == "ArtifactGenerator":
        assert plane.state.get(status_key(CLUSTER, "ExternalArtifact", "flux-system", "thing")) is None
