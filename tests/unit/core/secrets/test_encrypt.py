import itertools
from pathlib import Path

import pytest
import yaml

from penstock.core.secrets.age_keys import age_keys
from penstock.core.secrets.encrypt import Fresh, encrypt_secret
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.formats import Format
from penstock.core.secrets.key_ring import key_ring
from penstock.core.secrets.sops import decrypt_object, verify_file

VECTORS = Path(__file__).parent / "vectors"
SECRETS = [{"a.agekey": (VECTORS / f"{name}.agekey").read_bytes()} for name in ("first", "second")]
KEYS = [key_ring(secret) for secret in SECRETS]
RECIPIENTS = [age_keys(secret).public[0] for secret in SECRETS]
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "x", "labels": {"on": "yes", "n": "1"}, "annotations": {"long": "word " * 40}},
    "immutable": True,
    "stringData": {"token": "canary", "lines": "a\nb\n", "empty": "", "number": "12"},
    "data": {"a": "Y2FuYXJ5"},
}


def fresh() -> Fresh:
    counter = itertools.count(1)
    return Fresh(random=lambda size: next(counter).to_bytes(size, "big"), now="2026-01-02T03:04:05Z")


@pytest.mark.parametrize("key", KEYS)
def test_what_is_encrypted_decrypts_for_each_recipient(key: object) -> None:
    text = encrypt_secret(SECRET, RECIPIENTS, fresh())
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    verify_file(text.encode(), Format.YAML, key)  # type: ignore[arg-type]
    assert decrypt_object(yaml.safe_load(text), key, verify_mac=False) == SECRET  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("manifest", "recipients", "problem"),
    [
        (SECRET, [], "at least one"),
        (SECRET, ["age1nonsense"], "'age1nonsense' is no age recipient"),
        ({**SECRET, "data": {"a": 1}}, RECIPIENTS, "data.a: must be a string"),
    ],
)
def test_what_cannot_be_encrypted(manifest: dict[str, object], recipients: list[str], problem: str) -> None:
    with pytest.raises(SopsError, match=problem):
        encrypt_secret(manifest, recipients, fresh())
