"""Secret Manager beyond the contract: rotation, versions, refusals."""

import base64
import json

import pytest
from tests.google import plane
from tests.google.secret_manager import secret_manager

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.core.errors import Terminal


@pytest.fixture
def server():
    with secret_manager() as running:
        yield running


def secrets(server, clock=None):
    return SecretManagerSecrets(plane.client(), plane.names(secrets=server.base), clock or SimulatedClock())


def test_a_rotation_is_seen_when_the_cache_ends_and_not_before(server):
    clock = SimulatedClock()
    warm = secrets(server, clock)
    warm.put("n", {"token": b"old"}, owner="p")
    secrets(server).put("n", {"token": b"new"}, owner="p")
    assert warm.get("n") == {"token": b"old"}
    clock.advance(61)
    assert warm.get("n") == {"token": b"new"}


def test_of_our_own_copies_one_version_stays(server):
    store = secrets(server)
    for text in (b"1", b"2", b"3"):
        store.put("n", {"token": text}, owner="p")
    versions = server.kept["plane-1-n"]["versions"]
    assert [version is None for version in versions] == [True, True, False]


def test_a_writer_that_died_before_the_first_version_is_no_obstacle(server):
    server.kept["plane-1-n"] = {"labels": {"penstock-owner": "p"}, "versions": []}
    assert secrets(server).get("n") is None
    assert secrets(server).put("n", {"token": b"1"}, owner="p") is True
    assert secrets(server).get("n") == {"token": b"1"}


@pytest.mark.parametrize("payload", [b"canary", b"\xff", json.dumps({"data": {"k": "canary%"}}).encode()])
def test_what_is_no_secret_of_ours_is_refused_and_not_quoted(server, payload):
    server.kept["plane-1-n"] = {"labels": {}, "versions": [base64.b64encode(payload).decode()]}
    with pytest.raises(Terminal) as caught:
        secrets(server).get("n")
    assert "canary" not in str(caught.value)
