"""What functions look for everywhere: all regions at home; in a further one only what they have rights in."""

import hashlib

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.core.errors import Refused
from penstock.core.records import receiver_key, status_key
from penstock.wiring.regions import regional

HOME, FAR, THIRD = "europe-west3", "us-central1", "asia-northeast1"
DIGEST = "sha256:" + hashlib.sha256(b"x").hexdigest()
KEY = status_key("gone", "Kustomization", "flux-system", "app")
RECEIVER = receiver_key("d", "prod", "flux-system", "github")


class Away:
    """A region in which a function has no rights."""

    def __getattr__(self, name):
        raise Refused(f"PERMISSION_DENIED to {name}")


def ports(here, **of_third):
    made = {region: {"state": MemoryState, "storage": MemoryStorage} for region in (HOME, FAR)}
    made[THIRD] = {name: lambda adapter=adapter: adapter for name, adapter in of_third.items()}
    return {
        name: make()
        for name, make in regional(made, SimulatedClock, here=here, home=HOME).items()
        if name in made[HOME]
    }


def test_a_further_regions_function_asks_no_third():
    found = ports(FAR, state=Away(), storage=Away())
    assert found["storage"].get(DIGEST) is None
    assert found["state"].get(KEY) is None
    assert found["state"].list("status/") == ()


def test_home_asks_every_region():
    state, storage = MemoryState(), MemoryStorage()
    state.put(KEY, {"a": "b"}, expected=None)
    storage.put(DIGEST, b"x")
    found = ports(HOME, state=state, storage=storage)
    assert found["storage"].get(DIGEST) == b"x"
    assert found["state"].get(KEY).value == {"a": "b"}
    with pytest.raises(Refused):
        ports(HOME, state=Away(), storage=Away())["storage"].get(DIGEST)


def test_records_of_several_regions_are_read_together():
    """Each where it stands; of a cluster that the Plane does not have any more, anywhere."""
    made = ports(HOME, state=(third := MemoryState()), storage=MemoryStorage())
    state = made["state"]
    state.put(RECEIVER, {"of": "home"}, expected=None)
    third.put(KEY, {"of": "third"}, expected=None)
    reads = state.read([RECEIVER, KEY, "lease/gone/a/b"], ["status/gone/", "receiver/"])
    assert {key: record.value for key, record in reads.records.items()} == {
        RECEIVER: {"of": "home"},
        KEY: {"of": "third"},
    }
    assert [record.key for record in reads.lists["status/gone/"]] == [KEY]
    assert [record.key for record in reads.lists["receiver/"]] == [RECEIVER]
