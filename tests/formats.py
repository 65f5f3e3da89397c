"""What a plane leaves behind, as one JSON file for each format: tests/fixtures/formats/<number>.json, never changed again.

``PYTHONPATH=<shared of that release> python -m tests.formats NUMBER`` writes one; it refuses where the file is there.
Records, artifacts, what is in the cluster, and messages that nobody has taken yet: an upgrade under load.
"""

import base64
import contextlib
import json
import sys
from pathlib import Path

from tests.memory_plane import CLUSTER, URL, MemoryPlane, config_map, kustomization, namespace

from penstock.core.errors import Conflict
from penstock.core.messages import decode, encode
from penstock.core.records import Adoption, Approval, DeliveryRecord, adoption_key, approval_key, delivery_key
from penstock.core.tree import blob
from penstock.ports.bus import Dispatch

FOLDER = Path(__file__).parent / "fixtures" / "formats"
RECEIVER = """
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: github, namespace: flux-system}
spec:
  type: github
  events: [push]
  secretRef: {name: hook}
  resources: [{kind: GitRepository, name: flux-system}]
"""
HOOK = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "hook", "namespace": "flux-system"},
    "data": {"token": "dG9rZW4="},
}
FIRST = {
    "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
    "clusters/prod/web.yaml": kustomization("web", "./web", dependsOn=[{"name": "apps"}]),
    "clusters/prod/receiver.yaml": RECEIVER,
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", x="1"),
    "apps/b.yaml": config_map("b", x="1"),
    "web/c.yaml": config_map("c", x="1"),
}
SECOND = {"apps/a.yaml": config_map("a", x="2"), "apps/b.yaml": None, "web/c.yaml": config_map("c", x="2")}


def start(plane):
    """What is in the cluster before the plane is."""
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    plane.cluster.create(HOOK)


def written():
    """A plane that is at rest, then one more commit whose wake-ups are on the bus."""
    plane = MemoryPlane()
    start(plane)
    plane.push(FIRST)
    plane.settle()
    when = "2026-01-01T00:00:00Z"
    for key, record in (
        (delivery_key(CLUSTER, "flux-system", "github"), DeliveryRecord(delivered_at=when, delivered_event="push")),
        (approval_key(CLUSTER, "flux-system", "web"), Approval(digest="0" * 16, who="ada", when=when)),
        (adoption_key(CLUSTER, "flux-system", "none"), Adoption(who="ada", when=when)),
    ):
        plane.state.put(key, record.to_value(), expected=None)
    plane.push(SECOND)
    plane.step_stage("fetch")
    return {
        "artifacts": {digest: base64.b64encode(plane.storage.get(digest)).decode() for digest in plane.storage.digests()},
        "cluster": [_bare(stored.object) for stored in plane.cluster.api._objects.values()],
        "messages": [encode(envelope).decode() for envelope in waiting(plane)],
        "records": [{"due": each.due, "key": each.key, "value": each.value} for each in plane.state.list("")],
    }


def waiting(plane):
    """The envelopes that nobody has taken."""
    for stage in plane.pipeline.queues():
        while (found := plane.bus.receive(stage.name, wait=0)) is not None:
            yield found.envelope


def _bare(manifest):
    """Without what an API server gives an object when it is made."""
    given = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
    metadata = {name: item for name, item in manifest["metadata"].items() if name not in given}
    return {**manifest, "metadata": metadata}


def restored(value):
    """A plane of today's code on what was written."""
    plane = MemoryPlane()
    for each in plane.state.list(""):
        plane.state.delete(each.key, expected=None)
    list(waiting(plane))
    for each in value["records"]:
        plane.state.put(each["key"], each["value"], expected=None, due=each["due"])
    for digest, data in value["artifacts"].items():
        plane.storage.put(digest, base64.b64decode(data))
    for manifest in sorted(value["cluster"], key=lambda each: each["kind"] != "Namespace"):
        with contextlib.suppress(Conflict):  # every cluster has some namespaces
            plane.cluster.create(manifest)
    plane.files = {name: text for name, text in {**FIRST, **SECOND}.items() if text is not None}
    plane.git.commit(URL, {path: blob(text.encode()) for path, text in plane.files.items()}, subject="change")
    for text in value["messages"]:
        plane.bus.publish([Dispatch(envelope=decode(text.encode()))])
    plane.cluster.calls.clear()
    return plane


def main(number):
    """Write the file."""
    path = FOLDER / f"{number}.json"
    with path.open("x") as file:
        file.write(json.dumps(written(), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
