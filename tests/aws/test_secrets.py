"""Secrets in Secrets Manager: the cache, rotation, other people's secrets, and that no value is ever told."""

import json
import logging

import pytest
from tests.aws.plane import NAMES, in_process

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.secretsmanager import CACHE_SECONDS, OWNER, SecretsManagerSecrets
from penstock.core.errors import Refused, Terminal, Transient

NAME = "webhook_prod_flux--system_webhook--token"


@pytest.fixture
def clients():
    with in_process() as made:
        yield made


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def secrets(clients, clock):
    return SecretsManagerSecrets(clients, NAMES.secret_path, clock)


@pytest.fixture
def calls(clients):
    sent = []
    clients.client("secretsmanager").meta.events.register(
        "before-call.secretsmanager", lambda model, **_: sent.append(model.name)
    )
    return sent


def by_hand(clients, text, name=NAME):
    clients.client("secretsmanager").create_secret(Name=NAMES.secret_path + name, SecretString=text)


def test_a_copy_carries_the_planes_mark_and_the_data_of_a_kubernetes_secret(secrets, clients):
    secrets.put(NAME, {"token": b"t"}, owner="uid-1")
    client = clients.client("secretsmanager")
    assert client.describe_secret(SecretId=f"plane-1/{NAME}")["Tags"] == [{"Key": OWNER, "Value": "uid-1"}]
    assert json.loads(client.get_secret_value(SecretId=f"plane-1/{NAME}")["SecretString"]) == {
        "data": {"token": "dA=="}
    }


def test_a_rotated_value_is_picked_up_and_the_old_one_forgotten_after_its_grace(secrets, clients, clock):
    by_hand(clients, '{"stringData": {"token": "old"}}')
    assert secrets.get(NAME) == {"token": b"old"}
    clients.client("secretsmanager").put_secret_value(
        SecretId=f"plane-1/{NAME}", SecretString='{"stringData": {"token": "new"}}'
    )
    clock.advance(CACHE_SECONDS - 1)
    assert secrets.get(NAME) == {"token": b"old"}
    clock.advance(2)
    assert secrets.get(NAME) == {"token": b"new"}


def test_within_that_time_reading_and_equal_copies_cost_no_call(secrets, calls, clock):
    secrets.put(NAME, {"token": b"t"}, owner="uid-1")
    calls.clear()
    assert secrets.get(NAME) == {"token": b"t"}
    assert secrets.put(NAME, {"token": b"t"}, owner="uid-1") is False
    assert calls == []
    clock.advance(CACHE_SECONDS + 1)
    assert secrets.put(NAME, {"token": b"t"}, owner="uid-1") is False
    assert calls == ["GetSecretValue"]


def test_a_read_alone_does_not_make_somebody_elses_secret_ours(secrets, clients):
    by_hand(clients, '{"stringData": {"token": "t"}}')
    assert secrets.get(NAME) == {"token": b"t"}
    assert secrets.put(NAME, {"token": b"t"}, owner="uid-1") is False
    with pytest.raises(Refused, match="stays as it is"):
        secrets.put(NAME, {"token": b"another"}, owner="uid-1")


def test_what_is_missing_is_asked_for_again(secrets, clients):
    assert secrets.get(NAME) is None
    by_hand(clients, '{"stringData": {"token": "t"}}')
    assert secrets.get(NAME) == {"token": b"t"}


def test_two_planes_of_an_account_do_not_see_each_others(secrets, clients, clock):
    other = SecretsManagerSecrets(clients, "plane-10/", clock)
    other.put(NAME, {"token": b"t"}, owner="uid-2")
    assert secrets.get(NAME) is None
    assert secrets.names() == ()
    assert other.names() == (NAME,)


def test_one_that_an_operator_is_deleting_is_gone_and_not_made_again(secrets, clients):
    by_hand(clients, '{"stringData": {"token": "t"}}')
    clients.client("secretsmanager").delete_secret(SecretId=f"plane-1/{NAME}", RecoveryWindowInDays=7)
    assert secrets.get(NAME) is None
    with pytest.raises(Transient, match="being deleted"):
        secrets.put(NAME, {"token": b"t"}, owner="uid-1")


def test_one_that_somebody_makes_at_the_same_moment_is_looked_at_again(secrets, clients, monkeypatch):
    by_hand(clients, '{"stringData": {"token": "t"}}')
    monkeypatch.setattr(secrets, "_owner", lambda name: None)
    with pytest.raises(Transient, match="ResourceExistsException"):
        secrets.put(NAME, {"token": b"another"}, owner="uid-1")


@pytest.mark.parametrize(
    "text", ["canary", '["canary"]', '{"data": {"token": "canary%"}}', '{"stringData": {"a": 1}}', '{"data": "canary"}']
)
def test_a_value_of_another_shape_is_described_and_not_quoted(secrets, clients, text):
    by_hand(clients, text)
    with pytest.raises(Terminal, match=f"{NAME} must be a JSON object") as raised:
        secrets.get(NAME)
    assert "canary" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_value_over_the_limit_is_refused_by_its_size(secrets):
    with pytest.raises(Terminal, match="keeps at most 65536"):
        secrets.put(NAME, {"token": b"x" * 65_536}, owner="uid-1")


def test_no_value_in_a_log_at_any_level_that_is_shown(secrets, caplog):
    caplog.set_level(logging.INFO)
    secrets.put(NAME, {"token": b"canary"}, owner="uid-1")
    secrets.get(NAME)
    assert "canary" not in caplog.text
    assert "canary" not in repr(vars(secrets))


def test_a_list_goes_on_over_pages(secrets, clients):
    for number in range(5):
        by_hand(clients, "{}", f"n{number}")
    clients.client("secretsmanager").meta.events.register(
        "provide-client-params.secretsmanager.ListSecrets", lambda params, **_: params.update(MaxResults=2)
    )
    assert secrets.names() == ("n0", "n1", "n2", "n3", "n4")
