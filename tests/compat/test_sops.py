"""The real `sops`: it reads what we write, we read what it writes, and the MACs agree, whatever is in the file."""

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controlplane.build import tool

from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.secrets.encrypt import Fresh, encrypt_secret
from penstock.core.secrets.formats import Format
from penstock.core.secrets.key_ring import key_ring
from penstock.core.secrets.sops import decrypt_file, verify_file

SOPS = tool("sops")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(SOPS is None, reason="no sops binary: `make tools` builds it"),
]
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
KEYS = key_ring({"a.agekey": str(IDENTITY).encode()})


def sops(*words: str, data: bytes, home: Path) -> bytes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "SOPS_AGE_KEY": str(IDENTITY)}
    done = subprocess.run(
        [str(SOPS), *words, "/dev/stdin"], input=data, capture_output=True, env=environment, cwd=home, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encrypted(data: bytes, form: str, home: Path, *words: str) -> bytes:
    return sops(
        "encrypt", "--age", RECIPIENT, "--input-type", form, "--output-type", form, *words, data=data, home=home
    )


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda number: number + 0.0),  # sops loses -0.0
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12),
)
NAMES = st.text("abcdefghij_", min_size=1, max_size=8).filter(lambda name: name != "sops")
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
    ),
    min_size=1,
    max_size=5,
)
RULES = [(), ("--encrypted-regex", "^[a-e]"), ("--unencrypted-regex", "^[a-e]"), ("--encrypted-suffix", "a")]
LOOK = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("rule", RULES)
@LOOK
@given(tree=TREES)
def test_any_json_document(tmp_path: Path, rule: tuple[str, ...], tree: dict[str, Any]) -> None:
    plain = json.dumps(tree).encode()
    sealed = encrypted(plain, "json", tmp_path, *rule)
    verify_file(sealed, Format.JSON, KEYS)
    ours = decrypt_file(sealed, Format.JSON, KEYS)
    theirs = sops("decrypt", "--input-type", "json", "--output-type", "json", data=sealed, home=tmp_path)
    assert json.loads(ours) == json.loads(theirs)


@pytest.mark.parametrize("rule", RULES)
@LOOK
@given(tree=TREES)
def test_any_yaml_document(tmp_path: Path, rule: tuple[str, ...], tree: dict[str, Any]) -> None:
    sealed = encrypted(dump_one(tree).encode(), "yaml", tmp_path, *rule)
    verify_file(sealed, Format.YAML, KEYS)
    theirs = sops("decrypt", "--input-type", "yaml", "--output-type", "yaml", data=sealed, home=tmp_path)
    assert decrypt_file(sealed, Format.YAML, KEYS) == theirs


@LOOK
@given(values=st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["C"]), max_size=12), min_size=1))
def test_any_dotenv_file(tmp_path: Path, values: dict[str, str]) -> None:
    plain = "".join(f"{name}={value}\n" for name, value in values.items() if not name.startswith("sops_"))
    sealed = encrypted(f"# comment\nx=\n{plain}".encode(), "dotenv", tmp_path)
    theirs = sops("decrypt", "--input-type", "dotenv", "--output-type", "dotenv", data=sealed, home=tmp_path)
    assert decrypt_file(sealed, Format.DOTENV, KEYS) == theirs


@LOOK
@given(data=st.binary(min_size=1))
def test_any_binary_file(tmp_path: Path, data: bytes) -> None:
    sealed = encrypted(data, "binary", tmp_path)
    theirs = sops("decrypt", "--input-type", "binary", "--output-type", "binary", data=sealed, home=tmp_path)
    assert decrypt_file(sealed, Format.BINARY, KEYS) == theirs == data


def test_sops_reads_what_we_encrypt(tmp_path: Path) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "x", "labels": {"on": "yes"}, "annotations": {"long": "word " * 40}},
        "immutable": True,
        "stringData": {"token": "a\nb", "empty": ""},
    }
    text = encrypt_secret(secret, [RECIPIENT], Fresh(random=secrets.token_bytes, now="2026-01-02T03:04:05Z"))
    plain = sops("decrypt", "--input-type", "yaml", "--output-type", "json", data=text.encode(), home=tmp_path)
    assert json.loads(plain) == secret
