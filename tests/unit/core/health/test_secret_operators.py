"""What brings Secrets by other ways is applied as it is, and judged by what its own controller says."""

from typing import Any

import pytest

from penstock.core.health.status import Health, assess


def health(kind: str, *conditions: tuple[str, str, str], generation: int = 1, observed: int | None = 1) -> Health:
    api_version = {"SealedSecret": "bitnami.com/v1alpha1"}.get(kind, "external-secrets.io/v1")
    names = ("type", "status", "message")
    status: dict[str, Any] = {"conditions": [dict(zip(names, each, strict=True)) for each in conditions]}
    status |= {} if observed is None else {"observedGeneration": observed}
    metadata = {"name": "login", "namespace": "apps", "generation": generation}
    return assess({"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": status})


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([("Synced", "True", "")], "Current"),
        ([("Synced", "False", "no key could decrypt secret (password)")], "Failed"),
        ([("Synced", "Unknown", "")], "InProgress"),
        ([], "InProgress"),
    ],
)
def test_a_sealed_secret_is_as_synced_says(conditions: list[tuple[str, str, str]], expected: str) -> None:
    assert health("SealedSecret", *conditions).status == expected
    if expected == "Failed":
        assert health("SealedSecret", *conditions).message == "no key could decrypt secret (password)"


@pytest.mark.parametrize("kind", ["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"])
@pytest.mark.parametrize(("status", "expected"), [("True", "Current"), ("False", "InProgress")])
def test_an_external_secret_is_as_ready_says(kind: str, status: str, expected: str) -> None:
    assert health(kind, ("Ready", status, "could not get secret data"), observed=None).status == expected


def test_an_external_secret_that_nobody_has_looked_at_is_in_progress() -> None:
    assert health("ExternalSecret", observed=None).status == "InProgress"


def test_what_has_not_been_observed_yet_is_in_progress() -> None:
    assert health("SealedSecret", ("Synced", "True", ""), generation=2).status == "InProgress"
