"""A plane on Google Cloud from its environment, and what is said where that is wrong."""

import pytest

from penstock.adapters.google.names import Endpoints, GoogleNames, PushPolicy
from penstock.core.errors import Terminal
from penstock.wiring import settings_from

ENVIRONMENT = {
    "PENSTOCK_BACKEND": "google",
    "GOOGLE_CLOUD_PROJECT": "acme-prod",
    "PENSTOCK_GOOGLE_REGION": "europe-west3",
    "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
}


def test_the_environment_names_the_resources():
    names = settings_from(ENVIRONMENT).google
    assert names == GoogleNames(project="acme-prod", region="europe-west3", bucket="acme-penstock")
    assert names.topic("event") == "projects/acme-prod/topics/penstock-event"
    assert names.documents == "projects/acme-prod/databases/penstock-state/documents"
    assert names.hooks == "projects/acme-prod/databases/penstock-hooks/documents"
    assert names.index == "projects/acme-prod/databases/penstock-index/documents"
    assert names.tasks_queue == "projects/acme-prod/locations/europe-west3/queues/penstock-delay"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GOOGLE_CLOUD_PROJECT", ""),
        ("GOOGLE_CLOUD_PROJECT", "a/b"),
        ("PENSTOCK_GOOGLE_REGION", ""),
        ("PENSTOCK_GOOGLE_BUCKET", "Upper/Case"),
        ("PENSTOCK_GOOGLE_PREFIX", "a_b"),
        ("PENSTOCK_GOOGLE_DATABASE", "x/y"),
    ],
)
def test_a_variable_that_is_wrong_is_named(variable, value):
    with pytest.raises(Terminal, match=f"environment variable {variable} is '{value}'"):
        settings_from({**ENVIRONMENT, variable: value})


@pytest.mark.parametrize("value", ["x", " ", ","])
@pytest.mark.parametrize("variable", ["PENSTOCK_GOOGLE_PUSH_ACCOUNT", "PENSTOCK_GOOGLE_PUSH_AUDIENCE"])
def test_half_a_push_policy_is_none_that_anybody_meant(variable, value):
    with pytest.raises(Terminal, match="give both, or none"):
        settings_from({**ENVIRONMENT, variable: value})


def test_a_push_policy_of_nobody_is_none_that_anybody_meant():
    given = {"PENSTOCK_GOOGLE_PUSH_ACCOUNT": ",", "PENSTOCK_GOOGLE_PUSH_AUDIENCE": " "}
    with pytest.raises(Terminal, match="give both, or none"):
        settings_from({**ENVIRONMENT, **given})


def test_emulators_are_found_by_their_variables():
    given = {**ENVIRONMENT, "PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:2/"}
    assert settings_from(given).google.endpoints == Endpoints(pubsub="http://127.0.0.1:1", storage="http://127.0.0.1:2")


def test_who_may_push_is_both():
    given = {"PENSTOCK_GOOGLE_PUSH_ACCOUNT": "a@b, c@d", "PENSTOCK_GOOGLE_PUSH_AUDIENCE": "https://x"}
    expected = PushPolicy(accounts=("a@b", "c@d"), audiences=("https://x",))
    assert settings_from({**ENVIRONMENT, **given}).google.push == expected
