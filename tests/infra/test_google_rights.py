"""Least privilege on Google Cloud, tried: whole stories on the emulators, and each call that a stage makes against the
rights that the module gives that stage, in both directions. There is no emulator of IAM: what a call needs is a table of
Google's documentation (google_iam.py), and conditions are evaluated as CEL.
"""

import hashlib
import hmac
import json

import pytest
from tests.aws.test_flow import story
from tests.google import flow
from tests.infra import google_iam, terraform
from tests.infra.google_iam import NUMBER, Need
from tests.infra.stages import Calls, handled, watch
from tests.memory_plane import kustomization

from penstock.adapters.google.client import GoogleClient
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.messages import Envelope, ReconcileDue, SourceChanged
from penstock.core.records import ReceiverRecord, receiver_key
from penstock.core.secrets.names import API_TOKEN, secret_name
from penstock.ports.bus import Dispatch
from penstock.wiring import functions, load_pipeline
from penstock.wiring.lazy import Once

PROJECT = {"project": "penstock-test", "number": NUMBER, "region": "europe-west3", "prefix": "plane-1"}
DATABASE = "projects/penstock-test/databases/plane-1-state"


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
    used = {
        (name, need.permission) for stage, need in calls.made for name in google_iam.giving(model, stage, need)
    }
    return sorted(
        f"{name}: {permission}"
        for name, grant in model["grants"].items()
        if grant["who"] in load_pipeline().stages
        for permission in model["permissions"][grant["role"]]
        if (name, permission) not in used
    )


def post(plane, *, signed):
    """The status of the webhook's answer to a push for the plane's Receiver."""
    digest, name = webhook_digest(b"token", "fleet", "flux-system"), secret_name("prod", "flux-system", "hook")
    record = ReceiverRecord(
        cluster="prod",
        namespace="flux-system",
        name="fleet",
        type="github",
        digest=digest,
        secret=name,
        events=("push",),
        resources=({"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"},),
    )
    plane.state.put(receiver_key(digest, "prod", "flux-system", "fleet"), record.to_value(), expected=None)
    plane.secrets.put(name, {"token": b"token"}, owner="uid")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": "1",
        "x-hub-signature-256": "sha256=" + hmac.new(b"token" if signed else b"other", b"{}", hashlib.sha256).hexdigest(),
    }
    return answered(plane, "webhook", "POST", f"/hook/{digest}", headers, b"{}")


def ask(plane, method, path, value=None):
    """The status of the api's answer."""
    plane.secrets.put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    return answered(plane, "api", method, path, headers, b"" if value is None else json.dumps(value).encode())


def answered(plane, stage, method, path, headers, body):
    request = HttpRequest(method=method, path=path, url=f"https://x{path}", headers=headers, body=body)
    return plane.runtime.answer_http(stage, request).status


def whole_story(plane):
    """A change and a removal, an error, sweeps, a push, what people ask of the api, and what nobody came to an end with."""
    story(plane)
    plane.push({"clusters/prod/broken.yaml": kustomization("broken", "./nowhere"), "clusters/prod/web.yaml": None})
    plane.settle(seconds=1800)
    for _ in range(3):  # the second sweep collects what the first found unnamed
        plane.clock.advance(2 * 86_400)
        plane.tick()
        plane.settle()
    assert post(plane, signed=True) == 202
    assert post(plane, signed=False) == 401
    assert ask(plane, "GET", "/status") == 200
    body = {"cluster": "prod", "namespace": "flux-system", "name": "base"}
    assert ask(plane, "POST", "/reconcile", {**body, "kind": "Kustomization"}) == 202
    assert ask(plane, "POST", "/suspend", {**body, "who": "ada", "why": "a test"}) == 200
    plane.settle()


def test_every_call_of_a_story_is_allowed_to_its_stage(plane, calls, model):
    whole_story(plane)
    assert {stage for stage, _ in calls.made} == set(load_pipeline().stages)
    assert refused(calls, model) == []
    print("\n".join(idle(calls, model)))
