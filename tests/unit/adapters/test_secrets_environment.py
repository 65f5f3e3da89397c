import base64
import json

import pytest

from penstock.adapters.secrets.environment import EnvironmentSecrets, secrets_of
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.core.errors import Terminal
from penstock.core.secrets.names import FETCH, OWN, READERS, secret_name


def variable(**value):
    return json.dumps({"cluster": "production", "namespace": "flux-system", "name": "webhook-token", **value})


def test_a_variable_holds_one_secret_as_kubernetes_writes_it():
    data = {"binary": base64.b64encode(b"\x00\xff").decode()}
    found = secrets_of(
        {
            "PENSTOCK_SECRET_WEBHOOK": variable(data=data, stringData={"token": "größer"}),
            "PENSTOCK_SECRET_SOURCE": variable(cluster="-", name="git.auth", stringData={"password": "x"}),
            "PATH": "/bin",
        }
    )
    assert found == {
        secret_name(OWN, "production", "flux-system", "webhook-token"): {
            "binary": b"\x00\xff",
            "token": "größer".encode(),
        },
        secret_name(OWN, "-", "flux-system", "git.auth"): {"password": b"x"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        '"canary"',
        '{"name": "canary"}',
        variable(data={"token": "canary!"}),
        variable(stringData={"token": ["canary"]}),
        variable(stringData="canary"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_is_not_shown(text):
    with pytest.raises(Terminal, match="PENSTOCK_SECRET_X must hold a JSON object") as caught:
        secrets_of({"PENSTOCK_SECRET_X": text})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_two_variables_for_one_secret_are_an_error():
    with pytest.raises(Terminal, match="PENSTOCK_SECRET_B names a Secret that an earlier variable gives"):
        secrets_of({"PENSTOCK_SECRET_A": variable(), "PENSTOCK_SECRET_B": variable()})


def test_the_environment_stands_in_front_of_the_store():
    name = secret_name(OWN, "c", "n", "s")
    base = MemorySecrets({name: {"token": b"store's"}, secret_name(FETCH, "c", "n", "s"): {"token": b"store's"}})
    secrets = EnvironmentSecrets({name: {"token": b"environment's"}}, base)
    seen = [secrets.get(secret_name(reader, "c", "n", "s")) for reader in READERS]
    assert seen == [{"token": b"environment's"}] * len(READERS)
    assert secrets.names() == (secret_name(FETCH, "c", "n", "s"), name)
