"""What every adapter of the secrets port promises."""

import base64
import json
import threading
from dataclasses import replace

import pytest
from tests.aws.plane import NAMES, in_process
from tests.google import plane as google
from tests.google.secret_manager import secret_manager

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets import stored
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.secretsmanager import SecretsManagerSecrets
from penstock.adapters.secrets.stored import CACHE_SECONDS, NEWEST_SECONDS, CachedSecrets
from penstock.adapters.secrets.tokenfile import TokenFileSecrets
from penstock.core.errors import PenstockError, Refused, Transient
from penstock.core.secrets.names import OWN, READERS, for_reader

OPERATORS = {"penstock_--_apps_given": {"token": b"operator's"}}


OWNERS = ("plane-1", "plane-2")
STORES = (
    "memory",
    "environment over memory",
    "token file over memory",
    "secrets manager",
    "parameter store",
    "secret manager",
)


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture(params=STORES)
def view(request, clock, tmp_path):
    """view(): the store as one more process sees it."""
    if request.param == "memory":
        kept = MemorySecrets(OPERATORS)
        yield lambda: kept
    elif request.param == "secret manager":
        with secret_manager() as server:
            for name, data in OPERATORS.items():
                text = json.dumps({"stringData": {key: item.decode() for key, item in data.items()}})
                payload = base64.b64encode(text.encode()).decode()
                server.kept[f"plane-1-{name}"] = {"labels": {}, "versions": [payload]}
            server.kept["another-planes"] = {"labels": {}, "versions": []}
            yield lambda: SecretManagerSecrets(google.client(), google.names(secrets=server.base), clock)
    elif request.param == "secrets manager":
        with in_process() as clients:
            for name, data in OPERATORS.items():
                clients.client("secretsmanager").create_secret(
                    Name=NAMES.secret_path + name,
                    SecretString=json.dumps({"stringData": {key: item.decode() for key, item in data.items()}}),
                )
            yield lambda: SecretsManagerSecrets(clients, NAMES.secret_path, clock)
    elif request.param == "parameter store":
        with in_process() as clients:
            path = replace(NAMES, secrets_store=PARAMETER_STORE).secret_path
            for name, data in OPERATORS.items():
                text = json.dumps({"stringData": {key: item.decode() for key, item in data.items()}})
                clients.client("ssm").put_parameter(Name=path + name, Value=text, Type="SecureString")
            clients.client("ssm").put_parameter(Name="/plane-2/other", Value="{}", Type="SecureString")
            yield lambda: ParameterStoreSecrets(clients, path, clock)
    elif request.param == "token file over memory":
        ((name, data),) = OPERATORS.items()
        (tmp_path / "token").write_bytes(data["token"] + b"\n")
        base = MemorySecrets()
        yield lambda: TokenFileSecrets(tmp_path / "token", name, base)
    else:
        base = MemorySecrets()
        yield lambda: EnvironmentSecrets(OPERATORS, base)


@pytest.fixture
def secrets(view):
    return view()


def test_a_copy_comes_back(secrets):
    data = {"token": b"\x00\xff", "address": b"x"}
    assert secrets.put("penstock_a_b_c", data, owner="plane-1") is True
    assert secrets.get("penstock_a_b_c") == data


def test_an_equal_copy_is_no_write_and_a_changed_one_is(secrets):
    secrets.put("n", {"token": b"1"}, owner="plane-1")
    assert secrets.put("n", {"token": b"1"}, owner="plane-1") is False
    assert secrets.put("n", {"token": b"2"}, owner="plane-1") is True
    assert secrets.get("n") == {"token": b"2"}


def test_what_is_missing_is_none(secrets):
    assert secrets.get("n") is None


def test_what_an_operator_gave_is_read_but_never_overwritten_or_deleted(secrets):
    (name,) = OPERATORS
    with pytest.raises(Refused, match="stays as it is"):
        secrets.put(name, {"token": b"ours"}, owner="plane-1")
    secrets.delete(name, owner="plane-1")
    assert secrets.get(name) == OPERATORS[name]


def test_an_equal_value_is_no_write_whoever_made_it(secrets):
    (name,) = OPERATORS
    assert secrets.put(name, OPERATORS[name], owner="plane-1") is False
    secrets.delete(name, owner="plane-1")
    assert secrets.get(name) == OPERATORS[name]


def test_another_planes_copy_stays(secrets):
    secrets.put("n", {"token": b"1"}, owner="plane-1")
    with pytest.raises(Refused):
        secrets.put("n", {"token": b"2"}, owner="plane-2")
    secrets.delete("n", owner="plane-2")
    assert secrets.get("n") == {"token": b"1"}


def test_delete_and_names(secrets):
    secrets.put("fetch_b_b_b", {}, owner="p")
    secrets.put("fetch_a_a_a", {}, owner="p")
    secrets.delete("fetch_b_b_b", owner="p")
    secrets.delete("fetch_b_b_b", owner="p")
    assert secrets.names() == ("fetch_a_a_a", *OPERATORS)


def test_what_is_there_for_one_reader_is_there_for_no_other(secrets):
    names = [for_reader(reader, "penstock_a_b_c") for reader in READERS]
    for name in names:
        assert secrets.get(name) is None
        secrets.put(name, {"token": name.encode()}, owner="p")
    assert [secrets.get(name) for name in names] == [{"token": name.encode()} for name in names]
    secrets.delete(names[0], owner="p")
    assert [secrets.get(name) is None for name in names] == [True, False, False, False]


def test_an_operators_is_for_its_reader_and_that_of_a_processs_environment_for_every_one(secrets):
    (name,) = OPERATORS
    seen = {reader for reader in READERS if secrets.get(for_reader(reader, name)) is not None}
    assert seen == ({*READERS} if isinstance(secrets, EnvironmentSecrets) else {OWN})
    for other in seen - {OWN}:
        with pytest.raises(Refused, match="stays as it is"):
            secrets.put(for_reader(other, name), {"token": b"ours"}, owner="p")


def test_what_was_read_is_not_the_stored_value(secrets):
    secrets.put("n", {"token": b"1"}, owner="p")
    secrets.get("n")["token"] = b"2"
    assert secrets.get("n") == {"token": b"1"}


def test_no_value_in_a_repr(secrets):
    secrets.put("n", {"token": b"canary-value"}, owner="p")
    assert "canary" not in repr(secrets)


def test_what_another_process_has_replaced_is_seen_when_the_cache_ends_and_not_a_second_later(view, clock):
    writer, warm = view(), view()
    writer.put("n", {"token": b"old"}, owner="p")
    assert warm.get("n") == {"token": b"old"}
    clock.advance(1)
    assert writer.put("n", {"token": b"new"}, owner="p") is True
    clock.advance(NEWEST_SECONDS - 1)
    assert warm.get("n", newest=True) == {"token": b"new"}
    warm = view()
    warm.get("n")
    writer.put("n", {"token": b"newer"}, owner="p")
    clock.advance(CACHE_SECONDS - 0.001)
    assert warm.get("n") in ({"token": b"new"}, {"token": b"newer"})
    clock.advance(0.001)
    assert warm.get("n") == {"token": b"newer"}


def test_what_another_process_has_deleted_is_gone_when_the_cache_ends(view, clock):
    writer, warm = view(), view()
    writer.put("n", {"token": b"old"}, owner="p")
    assert warm.get("n")
    writer.delete("n", owner="p")
    clock.advance(CACHE_SECONDS)
    assert warm.get("n") is None


def test_of_two_planes_that_copy_one_secret_at_once_one_has_it_and_the_other_is_refused(view, monkeypatch):
    """Both have looked before either wrote: the store itself decides."""
    stores = [view(), view()]
    looked = threading.Barrier(2, timeout=30)

    def at_once(look):
        def owner(name):
            found = look(name)
            looked.wait()
            return found

        return owner

    for store in stores:
        if isinstance(store, CachedSecrets):
            monkeypatch.setattr(store, "_owner", at_once(store._owner))
    told = {}

    def copy(owner, store):
        try:
            told[owner] = store.put("n", {"token": owner.encode()}, owner=owner)
        except PenstockError as error:
            told[owner] = error

    threads = [threading.Thread(target=copy, args=each) for each in zip(OWNERS, stores, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    (winner,) = [owner for owner in OWNERS if told[owner] is True]
    (loser,) = set(OWNERS) - {winner}
    assert isinstance(told[loser], Transient | Refused)
    assert view().get("n") == {"token": winner.encode()}
    with pytest.raises(Refused, match="stays as it is"):
        view().put("n", {"token": loser.encode()}, owner=loser)
    view().delete("n", owner=loser)
    assert view().put("n", {"token": b"2"}, owner=winner) is True


def test_what_is_kept_in_memory_is_bounded_and_forgotten(view, clock, monkeypatch):
    monkeypatch.setattr(stored, "MOST_CACHED", 5)
    store = view()
    for number in range(8):
        store.put(f"n{number}", {"token": b"1"}, owner="p")
        clock.advance(1)
    if isinstance(store, CachedSecrets):
        assert sorted(store._cache) == [f"n{number}" for number in range(3, 8)]
        store.get("n3")
        clock.advance(CACHE_SECONDS - 2)
        store.get("n0")
        assert sorted(store._cache) == ["n0", "n7"], "what is over is not held for the day when somebody asks again"
    assert {store.get(f"n{number}")["token"] for number in range(8)} == {b"1"}
