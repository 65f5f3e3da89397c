"""A plane on AWS from its environment, and what is said where that is wrong."""

import pytest
from tests.aws.plane import ENVIRONMENT, NAMES, in_process, make_bucket, make_table

from penstock.adapters.aws.names import AwsNames
from penstock.core.errors import Terminal
from penstock.core.secrets.names import OWN, secret_name
from penstock.wiring import open_runtime, open_state, settings_from


def test_the_environment_names_the_resources():
    assert settings_from(ENVIRONMENT).aws == NAMES


def test_the_prefix_and_the_scheduler_may_be_left_out():
    given = {name: ENVIRONMENT[name] for name in ("PENSTOCK_BACKEND", "PENSTOCK_AWS_ACCOUNT", "PENSTOCK_AWS_BUCKET")}
    assert settings_from({**given, "AWS_DEFAULT_REGION": "eu-west-1"}).aws == AwsNames(
        region="eu-west-1", account=NAMES.account, bucket=NAMES.bucket, prefix="penstock"
    )


def test_other_planes_have_no_names_on_aws(tmp_path):
    settings = settings_from({**ENVIRONMENT, "PENSTOCK_BACKEND": "embedded"}, data_dir=tmp_path)
    assert settings.aws is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_REGION", ""),
        ("AWS_REGION", "eu central"),
        ("PENSTOCK_AWS_ACCOUNT", ""),
        ("PENSTOCK_AWS_ACCOUNT", "12345"),
        ("PENSTOCK_AWS_BUCKET", ""),
        ("PENSTOCK_AWS_BUCKET", "Upper/Case"),
        ("PENSTOCK_AWS_PREFIX", "a/b"),
        ("PENSTOCK_AWS_PREFIX", "x" * 41),
    ],
)
def test_a_variable_that_is_wrong_is_named(variable, value):
    with pytest.raises(Terminal, match=f"environment variable {variable} is '{value}'"):
        settings_from({**ENVIRONMENT, variable: value})


def test_commands_reach_the_records_of_a_plane_on_aws(monkeypatch):
    with in_process() as clients:
        make_table(clients)
        open_state().put("plane", {"n": 1}, expected=None)
        assert open_state().get("plane").value == {"n": 1}


def test_a_secret_of_the_environment_stands_in_front_of_the_store(monkeypatch):
    monkeypatch.setenv(
        "PENSTOCK_SECRET_X", '{"cluster": "-", "namespace": "n", "name": "x", "stringData": {"token": "t"}}'
    )
    with in_process() as clients:
        make_bucket(clients)
        runtime = open_runtime()
        assert runtime.port("secrets").get(secret_name(OWN, "-", "n", "x")) == {"token": b"t"}
        assert runtime.port("storage").digests() == ()
