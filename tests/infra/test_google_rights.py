"""Least privilege on Google Cloud, tried: whole stories on the emulators, and each call that a stage makes against the
rights that the module gives that stage, in both directions. There is no emulator of IAM: what a call needs is a table of
Google's documentation (google_iam.py), and conditions are evaluated as CEL.
"""

import base64
import hashlib
import hmac
import json

import pytest
from tests.aws.test_flow import story
from tests.google import flow
from tests.infra import google_iam, google_regions, terraform
from tests.infra.google_iam import NUMBER
from tests.infra.google_regions import FAR
from tests.infra.regional_story import GENERATOR, LOST, flux, manifests, regional_story
from tests.infra.stages import Calls, handled, watch
from tests.memory_plane import UID, URL, config_map, kustomization, namespace

from penstock.adapters.google.client import GoogleClient
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.messages import encode
from penstock.core.secrets.names import API_TOKEN, OWN, secret_name
from penstock.core.tree import blob
from penstock.wiring import functions, load_pipeline
from penstock.wiring.lazy import Once

PROJECT = {"project": "penstock-test", "number": NUMBER, "region": "europe-west3", "prefix": "plane-1"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return terraform.outputs("google/model", tmp_path_factory.mktemp("model"), bucket="acme-penstock", **PROJECT)


@pytest.fixture(scope="module")
def services():
    with flow.services() as found:
        yield found


@pytest.fixture
def calls(monkeypatch):
    """Each is (stage, need)."""
    found = Calls()
    send = GoogleClient.send

    def spied(self, method, url, act, body=b"", headers=None):
        if found.stage:
            needed = google_iam.needs(method, url, body)
            assert act.permission in {each.permission for each in needed}, "what an error would name"
            found.made += [(found.stage, need) for need in needed]
            found.made += [(f"tasks{found.at}", need) for need in google_iam.later(url, body)]
        return send(self, method, url, act, body, headers)

    monkeypatch.setattr(GoogleClient, "send", spied)
    watch(found, monkeypatch)
    for name in ("topic_function", "schedule_function"):
        monkeypatch.setattr(functions, name, handled(found, getattr(functions, name)))
    return found


@pytest.fixture
def plane(services, calls, monkeypatch):
    with flow.emptied(services):
        made = flow.GooglePlane(services)
        monkeypatch.setattr(functions, "runtime", Once(lambda: made.runtime))
        yield made


def refused(calls, model):
    return sorted({f"{stage}: {need}" for stage, need in calls.made if not google_iam.giving(model, stage, need)})


def idle(calls, model):
    """Permissions of a stage's grants that none of its calls needed, with what they are on."""
    used = {(name, need.permission) for stage, need in calls.made for name in google_iam.giving(model, stage, need)}
    return sorted(
        f"{name}: {permission}"
        for name, grant in model["grants"].items()
        if grant["who"].partition("@")[0] in load_pipeline().stages
        for permission in model["permissions"][grant["role"]]
        if (name, permission) not in used
    )


def secret(name, **data):
    metadata = {"name": name, "namespace": "flux-system"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


EVERYTHING = [{"kind": kind, "name": "*"} for kind in ("Kustomization", "GitRepository")]
PRIVATE = "https://git.example.com/private"
HOOKED = [{"kind": "GitRepository", "name": "flux-system"}, {"kind": "Kustomization", "name": "base"}]
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "slow", "namespace": "default"},
    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}},
}


def answered(plane, stage, method, path, headers, body):
    """The status of an HTTP stage's answer, when what it keeps of secrets is too old."""
    plane.clock.advance(61)
    request = HttpRequest(method=method, path=path, url=f"https://x{path}", headers=headers, body=body)
    return plane.runtime.answer_http(stage, request).status


def post(plane, token):
    """The webhook's answer to a push, for the Receiver that stands in Git."""
    digest = webhook_digest(b"token", "fleet", "flux-system")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": "1",
        "x-hub-signature-256": "sha256=" + hmac.new(token, b"{}", hashlib.sha256).hexdigest(),
    }
    return answered(plane, "webhook", "POST", f"/hook/{digest}", headers, b"{}")


def ask(plane, path, value=None):
    """The api's answer."""
    plane.secrets.put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    body = b"" if value is None else json.dumps(value).encode()
    return answered(plane, "api", "GET" if value is None else "POST", path, headers, body)


def telling(token="chat", *, login=True):
    """Who is told of what, and with which Secrets; sources that follow one another; a workload that takes its time."""
    provider = {"type": "generic", "address": "https://chat.example.com", "secretRef": {"name": "chat"}}
    receiver = {"type": "github", "events": ["push"], "secretRef": {"name": "hook"}, "resources": HOOKED}
    private = {"url": PRIVATE, "interval": "1m", "ref": {"branch": "main"}, "secretRef": {"name": "git"}}
    including = {
        "url": URL,
        "interval": "1h",
        "ref": {"branch": "main"},
        "include": [{"repository": {"name": "private"}}],
    }
    return {
        "clusters/prod/home.yaml": namespace("flux-system"),
        "clusters/prod/telling.yaml": manifests(
            secret("chat", token=token),
            secret("hook", token="token"),
            *([secret("git", username="git", password="p")] if login else []),
            flux("notification", "Provider", "chat", **provider),
            flux("notification", "Alert", "all", providerRef={"name": "chat"}, eventSources=EVERYTHING),
            flux("notification", "Receiver", "fleet", **receiver),
            flux("source", "GitRepository", "private", **private),
            flux("source", "GitRepository", "both", **including),
            GENERATOR,
        ),
        "clusters/prod/slow.yaml": kustomization("slow", "./slow", wait=True, timeout="20s"),
        "slow/deployment.yaml": manifests(DEPLOYMENT),
    }


def whole_story(plane):
    """Changes, removals and errors; sweeps; pushes; what people ask of the api; messages that nobody could bring to an end.

    Copies of a release whose names had no reader are there before it all.
    """
    for name in ("chat", "hook"):
        plane.secrets.put(secret_name(OWN, "prod", "flux-system", name), {"token": b"token"}, owner=UID)
    story(plane)
    plane.push(telling())  # private is not there yet
    plane.settle()
    plane.git.commit(PRIVATE, {"a.yaml": blob(b"a: 1")})
    plane.push({**telling(token="new"), "base/a.yaml": config_map("a", "default", x="3")})
    plane.settle(seconds=600)
    plane.push(telling(token="new", login=False))
    plane.settle()
    broken = {"clusters/prod/broken.yaml": kustomization("broken", "./nowhere"), "clusters/prod/web.yaml": None}
    plane.push(broken)
    plane.settle(seconds=1800)
    plane.push({"clusters/prod/broken.yaml": None, "clusters/prod/slow.yaml": None})
    plane.settle()
    assert post(plane, b"token") == 202
    assert post(plane, b"other") == 401
    base = {"cluster": "prod", "namespace": "flux-system", "name": "base"}
    assert ask(plane, "/status") == 200
    assert ask(plane, "/reconcile", {**base, "kind": "Kustomization"}) == 202
    assert ask(plane, "/reconcile", {**base, "kind": "Kustomization", "name": "flux-system"}) == 202
    assert ask(plane, "/reconcile", {**base, "kind": "GitRepository", "name": "private"}) == 202
    assert ask(plane, "/suspend", {**base, "who": "ada", "why": "a test"}) == 200
    assert ask(plane, "/resume", {**base, "who": "ada"}) == 200
    plane.settle()
    for _ in range(6):  # a collection deletes what the one before found unnamed; reports and requests are forgotten
        plane.clock.advance(4 * 86_400)
        plane.tick()
        plane.push({"base/a.yaml": config_map("a", "default", x=plane.clock.new_id())})
        plane.settle()
    assert ask(plane, "/reconcile", {**base, "kind": "Kustomization"}) == 202
    plane.push({"clusters/prod/telling.yaml": None, "base/a.yaml": config_map("a", "default", x="4")})
    plane.settle()
    for stage in plane.pipeline.queues():
        assert plane.call(stage.name, {"message": {"data": base64.b64encode(b"poison").decode()}}).status_code == 204
        plane.publish_dead(stage.name, encode(LOST))
    plane.settle()


def test_every_call_of_a_story_is_allowed_to_its_stage_and_no_right_is_idle(plane, calls, model):
    whole_story(plane)
    assert {who for who, _ in calls.made} == {*load_pipeline().stages, "tasks"}
    assert not refused(calls, model), "\n".join(refused(calls, model))
    assert not idle(calls, model), "\n".join(idle(calls, model))
    assert_that_both_can_fail(calls, model)


def assert_that_both_can_fail(calls, model):
    """One right taken away is missed, and one too many is told."""
    writer = next(name for name in model["grants"] if name.startswith("fetch: plane_1_artifact_writer"))
    poorer = {**model, "grants": {name: grant for name, grant in model["grants"].items() if name != writer}}
    missed = refused(calls, poorer)
    assert missed
    assert all(line.startswith("fetch: ") and "storage.objects.create" in line for line in missed)
    more = {**model["grants"][writer], "who": "webhook"}
    assert idle(calls, {**model, "grants": {**model["grants"], "more": more}}) == ["more: storage.objects.create"]


@pytest.fixture(scope="module")
def two_regions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    return terraform.outputs("google/model", folder, bucket="acme-penstock", regions={FAR: {}}, **PROJECT)


@pytest.fixture
def regional(services, calls, two_regions, monkeypatch):
    monkeypatch.setattr(functions, "runtime", functions.runtime)
    with google_regions.regional_plane(services, two_regions, calls) as made:
        yield made


def test_every_call_between_regions_is_allowed_and_no_right_there_is_idle(regional, calls, two_regions):
    regional_story(regional, google_regions)
    assert not refused(calls, two_regions), "\n".join(refused(calls, two_regions))
    used = {name for stage, need in calls.made for name in google_iam.giving(two_regions, stage, need)}
    crossing = {name for name, grant in two_regions["grants"].items() if crosses(grant)}
    assert crossing
    assert not crossing - used, "\n".join(sorted(crossing - used))
    poorer = {name: two_regions["grants"][name] for name in two_regions["grants"].keys() - crossing}
    assert {line.partition(":")[0] for line in refused(calls, {**two_regions, "grants": poorer})} == {
        two_regions["grants"][name]["who"] for name in crossing
    }


def crosses(grant):
    """Whether a right of a stage is on what is in another region than the stage."""
    place = grant["resource"] + grant["region"] + grant["condition"]["expression"]
    anywhere = grant["kind"] == "account" or (grant["kind"], grant["condition"]["title"]) == ("project", "")
    stage, _, region = grant["who"].partition("@")
    return stage in load_pipeline().stages and not anywhere and (FAR in place) != (region == FAR)
