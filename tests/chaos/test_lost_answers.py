"""One request after the other of every write is refused, cut, or done with its answer lost: at real servers.

Who alone writes never hears of a Conflict, what is answered is there, and one more try ends where all should end.
"""

import contextlib
import os
import random
from unittest import mock

import pytest
from tests.aws.plane import ENVIRONMENT, NAMES, make_table, on_a_server
from tests.chaos.fault_proxy import CUT_AFTER, FaultProxy
from tests.google import plane as google
from tests.google.secret_manager import secret_manager

from penstock.adapters.aws.clients import Clients
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.google.client import GoogleClient
from penstock.adapters.identity.http import HttpSender
from penstock.adapters.identity.kept import Kept
from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.secretsmanager import SecretsManagerSecrets
from penstock.adapters.state.dynamodb import DynamoState
from penstock.adapters.state.firestore import FirestoreState
from penstock.core.errors import Conflict, Transient
from penstock.ports.state import ABSENT

FAULTS = (CUT_AFTER, "503")
LARGE = {"n": random.Random(1).randbytes(360_000).hex()}
"""Of several items in DynamoDB."""


class At:
    """A plan: request ``number`` (0: the first) of those from now on meets the fault."""

    def __init__(self):
        self.what, self.number, self.seen = "", 0, 0

    def __call__(self, method, path):
        self.seen += 1
        return self.what if self.seen == self.number + 1 else ""

    def set(self, what, number):
        self.what, self.number, self.seen = what, number, 0


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """botocore waits for up to a second before it asks again."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)


def client():
    return GoogleClient(HttpSender(limit=64 << 20, sleep=lambda _seconds: None), google.no_token, Kept())


@pytest.fixture(scope="module")
def moto():
    with on_a_server() as (host, port):
        yield f"http://{host}:{port}"


@contextlib.contextmanager
def on_aws(base, plan):
    with FaultProxy(base, plan).running() as proxy, mock.patch.dict(os.environ):
        os.environ.update({**ENVIRONMENT, "AWS_ENDPOINT_URL": proxy.url})
        yield Clients(NAMES.region)


@pytest.fixture(params=["dynamodb", "firestore"])
def state(request):
    plan = At()
    if request.param == "dynamodb":
        with on_aws(request.getfixturevalue("moto"), plan) as clients:
            with contextlib.suppress(Exception):
                make_table(clients)
            yield DynamoState(clients, NAMES.table), plan
        return
    with google.firestore() as base, FaultProxy(base, plan).running() as proxy:
        yield FirestoreState(client(), google.names(firestore=proxy.url)), plan


def wanted(state, value):
    """Put over whatever is there, as a caller who tries again does; the record."""
    for _ in range(5):
        found = state.get("k")
        if found is not None and found.value == value:
            return found
        try:
            return state.put("k", value, expected=found.version if found else ABSENT)
        except Conflict:
            raise AssertionError("nobody else has written") from None
        except Transient:
            continue
    raise AssertionError("it does not come about")


def gone(state):
    for _ in range(5):
        found = state.get("k")
        if found is None:
            return
        with contextlib.suppress(Transient):  # a Conflict, too, where the first attempt was taken
            state.delete("k", expected=found.version)
    raise AssertionError("it does not go")


def story(state):
    for value in ({"n": 1}, {"n": 2}, LARGE if isinstance(state, DynamoState) else {"n": 0}, {"n": 3}):
        record = wanted(state, value)
        assert state.get("k") == record, "what is answered is there"
    gone(state)
    assert state.list("") == ()


@pytest.mark.parametrize("what", FAULTS)
def test_records_survive_a_fault_at_any_request(state, what):
    store, plan = state
    plan.set("", 0)
    story(store)
    requests = plan.seen
    assert requests > 10
    for number in range(requests):
        plan.set(what, number)
        story(store)


@pytest.fixture(params=["secrets manager", "parameter store", "secret manager"])
def secrets(request):
    """(a maker of stores with nothing in their memory, the plan)."""
    plan = At()
    if request.param == "secret manager":
        with secret_manager() as server, FaultProxy(server.base, plan).running() as proxy:
            names = google.names(secrets=proxy.url)
            yield lambda: SecretManagerSecrets(client(), names, SimulatedClock()), plan
        return
    with on_aws(request.getfixturevalue("moto"), plan) as clients:
        if request.param == "parameter store":
            yield lambda: ParameterStoreSecrets(clients, "/plane-1/", SimulatedClock()), plan
        else:
            yield lambda: SecretsManagerSecrets(clients, "plane-1/", SimulatedClock()), plan


def copies(made):
    for token in (b"old", b"new"):
        for _ in range(5):
            with contextlib.suppress(Transient):
                made().put("n", {"token": token}, owner="p")
                break
        else:
            raise AssertionError("it does not come about")
        assert made().get("n") == {"token": token}
    for _ in range(5):
        with contextlib.suppress(Transient):
            made().delete("n", owner="p")
            break
    assert made().get("n") is None


@pytest.mark.parametrize("what", FAULTS)
def test_copies_of_secrets_survive_a_fault_at_any_request(secrets, what):
    made, plan = secrets
    plan.set("", 0)
    copies(made)
    for number in range(plan.seen):
        plan.set(what, number)
        copies(made)
