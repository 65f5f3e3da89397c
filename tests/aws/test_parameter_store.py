"""Secrets in Parameter Store, beyond the contract: SecureStrings, tiers, pages, other people's parameters."""

import dataclasses
import json

import pytest
from tests.aws.plane import ENVIRONMENT, NAMES, in_process

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.adapters.secrets.parameterstore import OWNER, ParameterStoreSecrets
from penstock.core.errors import Refused, Terminal, Transient
from penstock.wiring import Runtime, settings_from

NAME = "webhook_prod_flux--system_webhook--token"
PATH = dataclasses.replace(NAMES, secrets_store=PARAMETER_STORE).secret_path


@pytest.fixture
def clients():
    with in_process() as made:
        yield made


@pytest.fixture
def ssm(clients):
    return clients.client("ssm")


@pytest.fixture
def secrets(clients):
    return ParameterStoreSecrets(clients, PATH, SimulatedClock())


def test_a_copy_is_a_secure_string_with_the_planes_mark(secrets, ssm):
    secrets.put(NAME, {"token": b"t"}, owner="uid-1")
    found = ssm.get_parameter(Name=f"/plane-1/{NAME}", WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    assert json.loads(found["Value"]) == {"data": {"token": "dA=="}}
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=f"/plane-1/{NAME}")["TagList"]
    assert tags == [{"Key": OWNER, "Value": "uid-1"}]


def test_a_changed_copy_keeps_its_mark(secrets, ssm):
    secrets.put(NAME, {"token": b"1"}, owner="uid-1")
    secrets.put(NAME, {"token": b"2"}, owner="uid-1")
    secrets.put(NAME, {"token": b"3"}, owner="uid-1")
    with pytest.raises(Refused):
        secrets.put(NAME, {"token": b"4"}, owner="uid-2")
    assert ssm.get_parameter(Name=f"/plane-1/{NAME}")["Parameter"]["Version"] == 3


@pytest.mark.parametrize("kind", ["String", "StringList"])
def test_a_parameter_that_is_not_encrypted_is_refused(secrets, ssm, kind):
    ssm.put_parameter(Name=f"/plane-1/{NAME}", Value='{"stringData": {"token": "canary"}}', Type=kind)
    with pytest.raises(Terminal, match="make it a SecureString") as raised:
        secrets.get(NAME)
    assert "canary" not in str(raised.value)


def test_what_is_larger_than_a_parameter_is_refused_by_its_size(secrets):
    with pytest.raises(Terminal, match="its store keeps at most 8192"):
        secrets.put(NAME, {"token": b"x" * 8_192}, owner="uid-1")


def test_one_that_somebody_makes_at_the_same_moment_is_looked_at_again(secrets, ssm, monkeypatch):
    ssm.put_parameter(Name=f"/plane-1/{NAME}", Value='{"stringData": {"token": "t"}}', Type="SecureString")
    monkeypatch.setattr(secrets, "_owner", lambda name: None)
    with pytest.raises(Transient, match="somebody else was faster"):
        secrets.put(NAME, {"token": b"another"}, owner="uid-1")


def test_a_list_goes_on_over_pages_and_stays_below_the_prefix(secrets, ssm):
    for number in range(23):
        ssm.put_parameter(Name=f"/plane-1/n{number:02}", Value="{}", Type="SecureString")
    for name in ("/plane-10/x", "/plane-1/deeper/x", "plane-1"):
        ssm.put_parameter(Name=name, Value="{}", Type="SecureString")
    assert secrets.names() == tuple(f"n{number:02}" for number in range(23))


def test_the_setting_leads_there(clients):
    runtime = Runtime(settings_from({**ENVIRONMENT, "PENSTOCK_AWS_SECRETS": "parameter-store"}))
    found = runtime.port("secrets")
    assert isinstance(found, EnvironmentSecrets)
    found.put(NAME, {"token": b"t"}, owner="uid-1")
    assert clients.client("ssm").get_parameter(Name=f"/plane-1/{NAME}")["Parameter"]["Version"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PENSTOCK_AWS_SECRETS": "ssm"}, "needs secrets-manager or parameter-store"),
        ({"PENSTOCK_AWS_SECRETS": "parameter-store", "PENSTOCK_AWS_PREFIX": "awsome"}, "may not start with aws or ssm"),
    ],
)
def test_a_setting_that_cannot_be_is_named(given, said):
    with pytest.raises(Terminal, match=said):
        settings_from({**ENVIRONMENT, **given})
