"""What every adapter of the secrets port promises."""

import base64
import json
from dataclasses import replace

import pytest
from tests.aws.plane import NAMES, in_process
from tests.google import plane as google
from tests.google.secret_manager import secret_manager

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.secretsmanager import SecretsManagerSecrets
from penstock.core.errors import Refused
from penstock.core.secrets.names import OWN, READERS, for_reader

OPERATORS = {"penstock_--_apps_given": {"token": b"operator's"}}


@pytest.fixture(params=["memory", "environment over memory", "secrets manager", "parameter store", "secret manager"])
def secrets(request):
    if request.param == "memory":
        yield MemorySecrets(OPERATORS)
    elif request.param == "secret manager":
        with secret_manager() as server:
            for name, data in OPERATORS.items():
                text = json.dumps({"stringData": {key: item.decode() for key, item in data.items()}})
                payload = base64.b64encode(text.encode()).decode()
                server.kept[f"plane-1-{name}"] = {"labels": {}, "versions": [payload]}
            server.kept["another-planes"] = {"labels": {}, "versions": []}
            yield SecretManagerSecrets(google.client(), google.names(secrets=server.base), SimulatedClock())
    elif request.param == "secrets manager":
        with in_process() as clients:
            for name, data in OPERATORS.items():
                clients.client("secretsmanager").create_secret(
                    Name=NAMES.secret_path + name,
                    SecretString=json.dumps({"stringData": {key: item.decode() for key, item in data.items()}}),
                )
            yield SecretsManagerSecrets(clients, NAMES.secret_path, SimulatedClock())
    elif request.param == "parameter store":
        with in_process() as clients:
            path = replace(NAMES, secrets_store=PARAMETER_STORE).secret_path
            for name, data in OPERATORS.items():
                text = json.dumps({"stringData": {key: item.decode() for key, item in data.items()}})
                clients.client("ssm").put_parameter(Name=path + name, Value=text, Type="SecureString")
            clients.client("ssm").put_parameter(Name="/plane-2/other", Value="{}", Type="SecureString")
            yield ParameterStoreSecrets(clients, path, SimulatedClock())
    else:
        yield EnvironmentSecrets(OPERATORS, MemorySecrets())


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
