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


def test_versions_that_were_left_over_go_with_the_next(server):
    """A kill between the newest version and the end of the one before, or one that was added twice."""
    store = secrets(server)
    store.put("n", {"token": b"1"}, owner="p")
    versions = server.kept["plane-1-n"]["versions"]
    versions += versions * 2
    store.put("n", {"token": b"2"}, owner="p")
    assert [version is None for version in versions] == [True, True, True, False]
    server.calls.clear()
    store.put("n", {"token": b"3"}, owner="p")
    assert sum(path.endswith(":destroy") for _, path in server.calls) == 2, "no further than it must"


def test_a_writer_that_died_before_the_first_version_is_no_obstacle(server):
    server.kept["plane-1-n"] = {"labels": {"penstock-owner": "p"}, "versions": []}
    assert secrets(server).get("n") is None
    assert secrets(server).put("n", {"token": b"1"}, owner="p") is True
    assert secrets(server).get("n") == {"token": b"1"}


def test_one_whose_newest_version_was_destroyed_reads_as_missing(server):
    """As latest is that version, destroyed or not."""
    store = secrets(server)
    store.put("n", {"token": b"1"}, owner="p")
    server.kept["plane-1-n"]["versions"][-1] = None
    assert secrets(server).get("n") is None
    assert secrets(server).put("n", {"token": b"1"}, owner="p") is True


def test_a_look_at_an_equal_copy_is_one_access(server):
    """Of accesses Google answers 90,000 a minute, of looks at a secret's labels 600."""
    secrets(server).put("n", {"token": b"1"}, owner="p")
    server.calls.clear()
    assert secrets(server).put("n", {"token": b"1"}, owner="p") is False
    assert [path.rpartition(":")[2] for _, path in server.calls] == ["access"]


def test_a_name_that_is_too_long_is_told_before_google_is_asked(server):
    with pytest.raises(Terminal, match="more than 255 characters"):
        secrets(server).put("n" * 250, {"token": b"1"}, owner="p")


@pytest.mark.parametrize("payload", [b"canary", b"\xff", json.dumps({"data": {"k": "canary%"}}).encode()])
def test_what_is_no_secret_of_ours_is_refused_and_not_quoted(server, payload):
    server.kept["plane-1-n"] = {"labels": {}, "versions": [base64.b64encode(payload).decode()]}
    with pytest.raises(Terminal) as caught:
        secrets(server).get("n")
    assert "canary" not in str(caught.value)
