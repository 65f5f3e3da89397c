"""A Receiver's token is rotated, with no redeploy: both are taken for a while, then the old one is refused.

On every store of secrets, with functions that are warm: each has a cache of its own.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
from datetime import datetime, timedelta

import pytest
import yaml
from tests.aws.plane import NAMES, in_process
from tests.google import plane as google
from tests.google.secret_manager import secret_manager
from tests.memory_plane import MemoryPlane

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.secretsmanager import SecretsManagerSecrets
from penstock.adapters.secrets.stored import CACHE_SECONDS, NEWEST_SECONDS
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.records import ReceiverRecord
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS
from penstock.stages import webhook

OLD, NEW = b"old-canary", b"new-canary"
SECRET = secret_name(WEBHOOK, "prod", "flux-system", "hook")
PUSH = json.dumps({"ref": "refs/heads/main", "after": "a" * 40}).encode()
RECEIVER = {
    "apiVersion": "notification.toolkit.fluxcd.io/v1",
    "kind": "Receiver",
    "metadata": {"name": "github", "namespace": "flux-system"},
    "spec": {
        "type": "github",
        "events": ["push"],
        "secretRef": {"name": "hook"},
        "resources": [{"kind": "GitRepository", "name": "flux-system"}],
    },
}


@pytest.fixture(params=["memory", "secrets manager", "parameter store", "secret manager"])
def store(request):
    """make(clock): the store as one more process sees it."""
    with contextlib.ExitStack() as stack:
        match request.param:
            case "memory":
                yield None
            case "secret manager":
                server = stack.enter_context(secret_manager())
                yield lambda clock: SecretManagerSecrets(google.client(), google.names(secrets=server.base), clock)
            case kind:
                clients = stack.enter_context(in_process())
                made, names = SecretsManagerSecrets, NAMES
                if kind == "parameter store":
                    made, names = ParameterStoreSecrets, dataclasses.replace(NAMES, secrets_store=PARAMETER_STORE)
                yield lambda clock: made(clients, names.secret_path, clock)


class Plane(MemoryPlane):
    """reconcile has one view of the secrets, the webhook's function another: ``hook`` is warm from the first push on."""

    def __init__(self, store, **more):
        super().__init__(**more)
        if store is not None:
            self.secrets = store(self.clock)
            self.deps = dataclasses.replace(self.deps, secrets=self.secrets)
        self.hook = dataclasses.replace(self.deps, secrets=store(self.clock) if store is not None else self.secrets)
        self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        self.cluster.create(self.secret(OLD))
        self.push({"clusters/prod/receiver.yaml": yaml.safe_dump(RECEIVER)})
        self.settle()

    def secret(self, token):
        metadata = {"name": "hook", "namespace": "flux-system"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token.decode()}}

    def rotate(self, token):
        """In the cluster, as an operator does; then the root's next look, and some seconds."""
        self.cluster.delete(self.live("v1", "Secret", "flux-system", "hook"))
        self.cluster.create(self.secret(token))
        self.reconcile("flux-system")
        self.pass_time(NEWEST_SECONDS)

    def send(self, token, *, signed_by=None):
        """The status of a push to the URL of ``token``."""
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": "sha256=" + hmac.new(signed_by or token, PUSH, hashlib.sha256).hexdigest(),
        }
        path = f"/hook/{webhook_digest(token, 'github', 'flux-system')}"
        request = HttpRequest(method="POST", path=path, headers=headers, body=PUSH)
        answer, _ = webhook.run(request, self.hook)
        return webhook.settle(request, answer, self.hook).status

    def pass_time(self, seconds):
        """By the clock alone: nothing of the plane runs."""
        self.clock.advance(seconds)


def test_both_are_taken_and_then_the_old_one_is_refused(store):
    plane = Plane(store)
    assert plane.send(OLD) == 202
    plane.rotate(NEW)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 202)  # though a warm function still has the old one in its cache
    assert plane.send(NEW, signed_by=OLD) == 401
    assert plane.send(OLD, signed_by=NEW) == 401
    plane.pass_time(600 - CACHE_SECONDS)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 202)
    plane.pass_time(2 * CACHE_SECONDS)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 401)


def test_the_old_one_is_refused_from_the_second_on_at_which_its_grace_ends(store):
    plane = Plane(store)
    began = plane.clock.now()
    plane.rotate(NEW)
    untils = {ReceiverRecord.from_value(entry.value).until for entry in plane.state.list("receiver/")} - {""}
    (ends,) = map(datetime.fromisoformat, untils)
    assert timedelta(seconds=600) <= ends - began <= timedelta(seconds=602)
    plane.pass_time((ends - plane.clock.now()).total_seconds() - 0.5)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 202)
    plane.pass_time(0.5)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 401)
    for _ in range(3):
        plane.pass_time(NEWEST_SECONDS)
        assert plane.send(OLD) == 401


def test_a_process_that_still_knows_the_token_before_last_does_not_bring_it_back(store):
    """A second process of the plane, warm since before both rotations, is the one that copies the second."""
    plane = Plane(store)
    first, second = plane.deps, dataclasses.replace(plane.deps, secrets=store(plane.clock) if store else plane.secrets)
    assert second.secrets.get(SECRET)["token"] == OLD
    plane.deps = first
    plane.rotate(b"between")
    plane.deps = second
    plane.rotate(NEW)
    assert second.secrets.get(SECRET)[PREVIOUS] == b"between"
    assert plane.send(OLD) == 404


def test_the_next_look_forgets_the_old_token_and_its_path(store):
    plane = Plane(store)
    plane.rotate(NEW)
    assert plane.secrets.get(SECRET)[PREVIOUS] == OLD
    plane.pass_time(601)
    plane.reconcile("flux-system")
    assert plane.secrets.get(SECRET) == {"token": NEW}
    assert (plane.send(NEW), plane.send(OLD)) == (202, 404)
    (entry,) = plane.state.list("receiver/")
    assert ReceiverRecord.from_value(entry.value).until == ""


def test_a_second_look_does_not_prolong_the_grace(store):
    plane = Plane(store)
    plane.rotate(NEW)
    plane.pass_time(400)
    plane.reconcile("flux-system")
    plane.pass_time(201)
    assert plane.send(OLD) == 401


def test_without_a_grace_the_old_one_stops_at_once(store):
    plane = Plane(store, policy={"receiverTokenGrace": "0s"})
    assert plane.send(OLD) == 202
    plane.rotate(NEW)
    assert (plane.send(NEW), plane.send(OLD)) == (202, 404)
    assert plane.secrets.get(SECRET) == {"token": NEW}


def test_a_token_that_leaked_is_out_after_the_second_rotation(store):
    plane = Plane(store)
    plane.rotate(b"between")
    plane.pass_time(CACHE_SECONDS + 1)
    plane.rotate(NEW)
    assert plane.send(OLD) == 404
    assert (plane.send(b"between"), plane.send(NEW)) == (202, 202)


def test_going_back_to_the_old_token_makes_it_the_present_one(store):
    plane = Plane(store)
    plane.rotate(NEW)
    plane.pass_time(CACHE_SECONDS + 1)
    plane.rotate(OLD)
    plane.pass_time(601)
    assert (plane.send(OLD), plane.send(NEW)) == (202, 401)


def test_strangers_with_an_old_url_cannot_make_a_function_read_all_the_time():
    with secret_manager() as server:
        plane = Plane(lambda clock: SecretManagerSecrets(google.client(), google.names(secrets=server.base), clock))
        plane.rotate(NEW)
        plane.pass_time(601)
        server.calls.clear()
        assert {plane.send(OLD) for _ in range(20)} == {401}
        assert len(server.calls) == 1


def test_an_index_entry_that_is_there_is_not_written_again():
    plane = Plane(None)
    (entry,) = plane.state.list("receiver/")
    plane.reconcile("flux-system")
    assert plane.state.list("receiver/") == (entry,)
