"""SOPS files through whole reconciles: plaintext arrives and is told nowhere; what does not hold is not applied."""

import base64
import hashlib
import os

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization

from penstock.core.secrets.master_keys import GcpKmsKey
from penstock.core.secrets.values import encrypt_value

RESOURCE = "projects/a/locations/b/keyRings/c/cryptoKeys/d"
MOMENT = "2026-01-02T03:04:05Z"
CANARY = "canary-value"
SOPS = {"provider": "sops"}


def sealed(plane: MemoryPlane, *, mac: bool = True) -> str:
    """Secret apps/token that a key service's key opens, with the MAC that SOPS would give it."""
    data_key = os.urandom(32)
    enc = plane.keys.wrap(GcpKmsKey(resource=RESOURCE, enc=""), data_key)
    digest = hashlib.sha512(f"v1Secrettokenapps{CANARY}".encode()).hexdigest().upper()
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": "apps"},
        "stringData": {"token": encrypt_value(CANARY, data_key, "stringData:token:", os.urandom(32))},
        "sops": {
            "gcp_kms": [{"resource_id": RESOURCE, "enc": enc}],
            "encrypted_regex": "^(data|stringData)$",
            "lastmodified": MOMENT,
            "mac": encrypt_value(digest if mac else "0" * 128, data_key, MOMENT, os.urandom(32)),
            "version": "3.13.3",
        },
    }
    return yaml.safe_dump(document, sort_keys=False, width=100_000)


def pushed(plane: MemoryPlane, secret: str, **spec) -> MemoryPlane:
    """With a Secret and a ConfigMap in Kustomization apps/apps, settled."""
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps", namespace="apps", **spec),
            "apps/secret.yaml": secret,
            "apps/settings.yaml": config_map("settings", key="1"),
        }
    )
    plane.settle()
    return plane


def token(plane: MemoryPlane) -> str | None:
    found = plane.live("v1", "Secret", "apps", "token")
    return None if found is None else base64.b64decode(found["data"]["token"]).decode()


def everything_said(plane: MemoryPlane) -> str:
    records = [record.value for record in plane.state.list("")]
    return repr([records, plane.events, [fact.fields for fact in plane.telemetry.facts]])


def test_plaintext_arrives_and_is_told_nowhere() -> None:
    plane = MemoryPlane()
    pushed(plane, sealed(plane), decryption=SOPS)
    assert plane.ready("apps", namespace="apps").startswith("True")
    assert token(plane) == CANARY
    assert CANARY not in everything_said(plane)


def test_a_file_s_data_key_is_asked_for_once_a_run() -> None:
    plane = MemoryPlane()
    pushed(plane, sealed(plane), decryption=SOPS)
    assert len(plane.keys.asked) == 1
    plane.reconcile("apps", namespace="apps")
    assert len(plane.keys.asked) == 2


@pytest.mark.parametrize(("policy", "ready"), [({}, "False BuildFailed"), ({"sopsMac": "warn"}, "True")])
def test_a_wrong_mac_is_refused_before_anything_is_applied(policy, ready) -> None:
    plane = MemoryPlane(policy=policy)
    pushed(plane, sealed(plane, mac=False), decryption=SOPS)
    assert plane.ready("apps", namespace="apps").startswith(ready)
    assert (plane.config_map("settings") is None) == (ready != "True")
    assert CANARY not in everything_said(plane)


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_ciphertext_without_spec_decryption_is_never_applied_as_text(field) -> None:
    plane = MemoryPlane()
    pushed(plane, sealed(plane).replace("stringData:", f"{field}:"))
    assert "configuring spec.decryption is required" in plane.ready("apps", namespace="apps")
    assert token(plane) is None
    assert plane.config_map("settings") is None
