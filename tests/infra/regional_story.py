"""What happens between two regions of a plane, on whatever cloud: for tests of who needs which rights there.

``cloud``: how functions are called there: ``settle(plane)``, ``tick(plane)``, ``tell_of_lost(plane, stage, data)``.
"""

import hashlib
import hmac
import json
from dataclasses import replace

import yaml
from tests.memory_plane import config_map
from tests.regional_plane import document, woken

from penstock.cli.plane import change_plane
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE, Envelope, ReconcileDue, SourceChanged, encode
from penstock.core.records import ReceiverRecord, status_key
from penstock.core.secrets.names import API_TOKEN
from penstock.stages.fetch import opened
from penstock.stages.reconcile import source

FLEET = status_key(PLANE, "GitRepository", "flux-system", "flux-system")
LOST = Envelope(
    message=ReconcileDue(cluster="prod", namespace="flux-system", name="base"),
    id="lost",
    traceparent=f"00-{'ab' * 16}-{'c' * 16}-01",
)


def flux(group, kind, name, **spec):
    metadata = {"name": name, "namespace": "flux-system"}
    version = "v1beta3" if kind in {"Alert", "Provider"} else "v1"
    return {"apiVersion": f"{group}.toolkit.fluxcd.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def manifests(*documents):
    return yaml.safe_dump_all(documents)


GENERATOR = {
    "apiVersion": "source.extensions.fluxcd.io/v1beta1",
    "kind": "ArtifactGenerator",
    "metadata": {"name": "split", "namespace": "flux-system"},
    "spec": {
        "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
        "artifacts": [{"name": "apps", "copy": [{"from": "@repo/base/**", "to": "@artifact/"}]}],
    },
}

APPS = {
    **GENERATOR,
    "spec": {
        **GENERATOR["spec"],
        "artifacts": [{"name": "apps", "copy": [{"from": "@repo/app/**", "to": "@artifact/"}]}],
    },
}
INCLUDING = flux(
    "source",
    "GitRepository",
    "including",
    url="https://git.example.com/far",
    ref={"branch": "main"},
    interval="1h",
    include=[{"repository": {"name": "flux-system"}}],
)
FAR_APP = {"cluster": "far", "namespace": "flux-system", "name": "app", "kind": "Kustomization"}
HOOK = flux(
    "notification",
    "Receiver",
    "both",
    type="github",
    events=["push"],
    secretRef={"name": "hook"},
    resources=[
        {"kind": "GitRepository", "name": "own"},
        {"kind": "Kustomization", "name": "own"},
        {"kind": "Kustomization", "name": "*", "matchLabels": {"team": "web"}},
    ],
)


def wake(plane, cloud):
    """What a push to the fleet repository comes to."""
    plane.runtimes[plane.home].publish([woken()])
    cloud.settle(plane)


def lose_artifacts(plane):
    """The buckets of both regions, emptied, and what functions had in memory of it."""
    storage = plane.runtimes[plane.home].port("storage")
    for digest in storage.digests():
        storage.delete(digest)
    source.kept.clear()
    opened.kept.clear()


def fleet_record(plane):
    """What the home region knows of the fleet repository."""
    return plane.runtimes[plane.home].port("state").get(FLEET).value


def restore(plane, value):
    """An older one, as a backup has it: clusters know a newer revision."""
    plane.runtimes[plane.home].port("state").put(FLEET, value, expected=None)


def answered(plane, stage, method, path, headers, body=b""):
    """The answer of a function of home, when what it keeps of secrets is too old."""
    plane.clock.advance(61)
    path, _, query = path.partition("?")
    request = HttpRequest(method=method, path=path, query=query, headers=headers, body=body)
    return plane.runtimes[plane.home].answer_http(stage, request)


def ask(plane, path, value=None):
    """The api's answer."""
    plane.runtimes[plane.home].port("secrets").put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    body = b"" if value is None else json.dumps(value).encode()
    return answered(plane, "api", "GET" if value is None else "POST", path, headers, body)


def push(plane, token):
    """The statuses of the webhook's answers to a push, for each Receiver: all are of the far cluster."""
    index = plane.runtimes[plane.home].port("state").list("receiver/")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": "sha256=" + hmac.new(token, b"{}", hashlib.sha256).hexdigest(),
    }
    paths = [f"/hook/{ReceiverRecord.from_value(each.value).digest}" for each in index]
    return {answered(plane, "webhook", "POST", path, headers, b"{}").status for path in paths}


def regional_story(plane, cloud):
    """What crosses regions: the first sync, deliveries, requests, sweeps, lost messages and artifacts, a cluster that goes."""
    change_plane(plane.runtimes[plane.home], document(plane.far))
    plane.commit(**{"clusters/far/more.yaml": manifests(HOOK, APPS, INCLUDING)})
    wake(plane, cloud)
    assert plane.config_map("far", "b") == {"x": "1"}
    assert plane.config_map("near", "a") == plane.config_map("far", "a") == {"x": "1"}
    assert [push(plane, token) for token in (b"hook-token", b"other")] == [{202}, {401}]
    cloud.settle(plane)
    ask_of_far(plane, cloud)
    for _ in range(5):  # see whole_story
        before = fleet_record(plane)
        plane.clock.advance(4 * 86_400)
        cloud.tick(plane)
        plane.own["b.yaml"] = config_map("b", "default", x=plane.clock.new_id())
        plane.commit(**{"app/a.yaml": config_map("a", "default", x=plane.clock.new_id())})
        wake(plane, cloud)
    lost = replace(LOST, message=replace(LOST.message, cluster="far", name="app"))
    restore(plane, before)
    plane.runtimes[plane.home].publish([lost.message])
    cloud.settle(plane)
    for cluster in ("near", "far"):
        lose_artifacts(plane)
        assert ask(plane, "/reconcile", {**FAR_APP, "cluster": cluster}).status == 202
        cloud.settle(plane)
        wake(plane, cloud)
    for stage in plane.pipeline.queues():
        cloud.tell_of_lost(plane, stage.name, encode(lost))
    plane.files.pop("clusters/far/more.yaml")
    plane.commit()
    wake(plane, cloud)
    without = document(plane.far)
    del without["spec"]["clusters"][1]
    change_plane(plane.runtimes[plane.home], without)
    gone = replace(lost.message, cluster="gone")
    plane.runtimes[plane.home].publish([gone, SourceChanged(cluster="gone", namespace="flux-system", name="own")])
    cloud.settle(plane)


def ask_of_far(plane, cloud):
    """What people ask the api of a cluster in another region."""
    far = {**FAR_APP}
    del far["kind"]
    assert ask(plane, "/status").status == 200
    for path in ("/reconcile", "/reconcile?plan=1"):
        asked = ask(plane, path, FAR_APP)
        assert asked.status == 202
        cloud.settle(plane)
        assert ask(plane, asked.headers["location"]).status == 200
    assert ask(plane, "/reconcile", {**far, "name": "own", "kind": "GitRepository"}).status == 202
    assert ask(plane, "/suspend", {**far, "who": "ada", "why": "a test"}).status == 200
    assert ask(plane, "/resume", {**far, "who": "ada"}).status == 200
    cloud.settle(plane)
