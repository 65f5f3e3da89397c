"""The real `sops`: it reads what we write, we read what it writes, and the MACs agree, whatever is in the file."""

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controlplane.build import tool

from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.secrets.age_hybrid import parse_hybrid
from penstock.core.secrets.bech32 import bech32_encode
from penstock.core.secrets.encrypt import Fresh, encrypt_secret
from penstock.core.secrets.errors import NoKey
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
    to = () if "--age" in words else ("--age", RECIPIENT)
    return sops("encrypt", *to, "--input-type", form, "--output-type", form, *words, data=data, home=home)


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


ODD = {
    "yaml types": "a: 0x1F\nb: 0o17\nc: 1.5e10\nd: .5\ne: 1e400\nf: .inf\ng: -.inf\nh: .nan\ni: yes\nj: ~\nk: ''\n"
    "l: 2001-12-14\nm: 2001-12-14t21:59:43.10-05:00\nn: 12:30:45\no: 9223372036854775807\np: 99999999999999999999999\n",
    "yaml texts": "a: 'true'\nb: '1e3'\nc: '2001-12-14'\nd: '-'\ne: '- x'\nf: |\n  x\n  y\ng: |+\n  x\n\n\nh: ' x '\ni: \"\\0\\n \\n\"\n",
    "yaml empty": "a: {}\nb: []\nc: [[], {}, null, '']\nd:\n- - - x\n    - y: [1, {z: true}]\n",
    "yaml documents": "---\na: 1\n...\n---\nb: 2\n---\n",
    "yaml binary": "a: !!binary aGVsbG8=\nb: !!str 5\nc: !!int '7'\nd: !!float 3\n",
    "json numbers": '{"a":1.0,"b":1e3,"c":-0.0,"d":1e-7,"e":0.00001,"f":9007199254740993,"g":123456789012345678901234567890}',
    "json twice": '{"a":1,"a":{"b":2,"b":[]}}',
    "json texts": '{"":"<&>\\u2028","a":"\\ud83d\\ude00\\u0000"}',
    "dotenv twice": "A=1\n# comment\n\nA=2\n B = 'x' \nexport C=\\n\n",
    "ini sections": "[Interface]\nPrivateKey = a=\n[Peer]\nPublicKey = b=\n[Peer]\nPublicKey = c=\n[ d ]\nx: 1\n[DEFAULT]\nx=2\n",
    "ini texts": 'x=1\n[s]\na = \'x # y\'\nb = """l1\nl2"""\nc = `t#u`\n"a=b" = c\n`c"d` = " e "\nf = one \\\n two\ng = c:\\p\n',
    "ini comments": "; head\n[s]\n# of x\nx = 1 ; behind\n; tail\n",
}


ODD_RULES = [(name, ()) for name in ODD] + [
    (name, ("--encrypted-regex", "^[ax]$"))
    for name in ODD
    if name not in ("yaml types", "json numbers")  # of which plain ones fail their MAC in sops itself
]


@pytest.mark.parametrize(("name", "rule"), ODD_RULES)
def test_odd_files_come_out_as_sops_writes_them(tmp_path: Path, name: str, rule: tuple[str, ...]) -> None:
    """Values that a format only just holds: all encrypted, and most as they stand."""
    form, _, _ = name.partition(" ")
    sealed = encrypted(ODD[name].encode(), form, tmp_path, *rule)
    verify_file(sealed, Format(form), KEYS)
    theirs = sops("decrypt", "--input-type", form, "--output-type", form, data=sealed, home=tmp_path)
    assert decrypt_file(sealed, Format(form), KEYS) == theirs


def test_keys_of_ssh_and_post_quantum_ones(tmp_path: Path) -> None:
    """One file for each recipient; the Secret has both keys, and a third that opens neither."""
    seeds = [bytes([number]) * 32 for number in (1, 2)]
    hybrid, stranger = (bech32_encode("age-secret-key-pq-", seed).upper() for seed in seeds)
    ssh = Ed25519PrivateKey.generate()
    pem = ssh.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = ssh.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    held = {"a.agekey": f"# two\n{stranger}\n{hybrid}\n".encode(), "ssh.agekey": pem}
    for recipient in (parse_hybrid(hybrid).recipient, public):
        sealed = encrypted(b"a=canary\n", "dotenv", tmp_path, "--age", recipient)
        assert decrypt_file(sealed, Format.DOTENV, key_ring(held)) == b"a=canary\n"
        with pytest.raises(NoKey) as caught:
            decrypt_file(sealed, Format.DOTENV, key_ring({"a.agekey": stranger.encode()}))
        assert "but those of age1pq1" in str(caught.value)
        assert len(str(caught.value)) < 600
        broken = sealed.replace(b"-----END AGE", b"AAAA\\n-----END AGE")
        with pytest.raises(NoKey):
            decrypt_file(broken, Format.DOTENV, key_ring(held))


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
