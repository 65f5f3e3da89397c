"""Files and blocks that SOPS would not write, or writes only in rare cases."""

import base64
import hashlib
import itertools
import math
import re
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml

from penstock.core.secrets.age_keys import age_keys
from penstock.core.secrets.errors import MacMismatch, SopsError
from penstock.core.secrets.formats import Format, emit, load
from penstock.core.secrets.ini import emit_ini, load_ini
from penstock.core.secrets.key_ring import key_ring
from penstock.core.secrets.metadata import Metadata, parse_metadata
from penstock.core.secrets.sops import decrypt_file, decrypt_object
from penstock.core.secrets.sources import encrypted_inputs
from penstock.core.secrets.tree import decrypt_tree
from penstock.core.secrets.values import Comment, encrypt_value
from penstock.core.secrets.yaml_tree import load_yaml
from penstock.core.tree import memory_tree

VECTORS = Path(__file__).parent / "vectors"
KEY = bytes(range(32))
COUNTER = itertools.count(1)
SECRET = {"a.agekey": (VECTORS / "first.agekey").read_bytes()}
KEYS = key_ring(SECRET)


def sealed(text: str, path: str, kind: str = "str") -> str:
    nonce = next(COUNTER).to_bytes(32, "big")
    return encrypt_value(text, KEY, path, nonce).replace("type:str", f"type:{kind}")


def test_comments_in_a_tree_are_opened_or_left_and_are_in_no_mac() -> None:
    tree = {
        Comment(sealed(" note", ":", "comment")): None,
        Comment(sealed(" old", ":")): None,
        Comment(" plain"): None,
        "list": [sealed("one", "list:"), sealed(" gone", "list:", "comment")],
        "open_unencrypted": {Comment(" kept"): None, "x": None},
    }
    digest = hashlib.sha512(b"one").hexdigest().upper()
    metadata = Metadata(mac=sealed(digest, "now"), last_modified="now")
    (plain,) = decrypt_tree([tree], metadata, KEY, verify_mac=True)
    assert plain["list"] == ["one"]
    assert [name.text for name in plain if isinstance(name, Comment)] == [" note", " old", " plain"]
    assert [name.text for name in plain["open_unencrypted"] if isinstance(name, Comment)] == [" kept"]


def test_a_file_without_a_mac_says_so() -> None:
    with pytest.raises(MacMismatch, match="has no MAC"):
        decrypt_tree([{}], Metadata(mac="", last_modified="now"), KEY, verify_mac=True)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"mac": 5}, "sops.mac: must be a string"),
        ({"age": [5]}, "sops.age: must be a list of mappings"),
        ({"key_groups": "x"}, "sops.key_groups: must be a list of mappings"),
    ],
)
def test_blocks_that_are_malformed(block: dict[str, Any], problem: str) -> None:
    with pytest.raises(SopsError, match=problem):
        parse_metadata(block)


def test_one_key_group_is_as_good_as_none() -> None:
    found = parse_metadata({"key_groups": [{"age": [{"recipient": "age1x", "enc": "e"}], "pgp": [{"fp": "AB"}]}]})
    assert [[str(key) for key in group] for group in found.groups] == [["PGP AB", "age age1x"]]
    assert found.threshold == 1


def test_times_in_utc_are_written_with_a_z() -> None:
    assert parse_metadata({"lastmodified": "2026-01-02T03:04:05+00:00"}).last_modified == "2026-01-02T03:04:05Z"
    assert parse_metadata({"lastmodified": "2026-01-02T03:04:05+01:00"}).last_modified.endswith("+01:00")


def with_data_key(key: bytes) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((VECTORS / "secret.yaml").read_bytes())
    recipient = pyrage.x25519.Recipient.from_str(age_keys(SECRET).public[0])
    document["sops"]["age"][0]["enc"] = pyrage.encrypt(key, [recipient], armored=True).decode()
    return document


def test_a_data_key_of_another_size_is_refused() -> None:
    with pytest.raises(SopsError, match="does not have 32 bytes"):
        decrypt_object(with_data_key(b"short"), KEYS, verify_mac=False)


@pytest.mark.parametrize(("kind", "plain"), [("bytes", b"text"), ("str", "text")])
def test_bytes_in_an_object_become_text(kind: str, plain: object) -> None:
    document = with_data_key(KEY)
    document["stringData"] = {"a": sealed("text", "stringData:a:", kind)}
    assert decrypt_object(document, KEYS, verify_mac=False)["stringData"] == {"a": "text"}


def test_numbers_in_an_object_are_as_json_has_them() -> None:
    document = with_data_key(KEY)
    document.pop("stringData")
    document["data"] = [sealed(text, "data:", "float") for text in ("3.0", "0.5")]
    assert decrypt_object(document, KEYS, verify_mac=False)["data"] == [3, 0.5]
    assert type(decrypt_object(document, KEYS, verify_mac=False)["data"][0]) is int


def test_bytes_that_are_no_text_are_refused_in_an_object() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = bytes(32)
    parts = AESGCM(KEY).encrypt(nonce, b"\xff", b"stringData:a:")
    data, iv, tag = (base64.b64encode(part).decode() for part in (parts[:-16], nonce, parts[-16:]))
    document = with_data_key(KEY)
    for kind, problem in (("str", "is not UTF-8: put it into `data`"), ("int", "an encrypted int is not UTF-8")):
        document["stringData"] = {"a": f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]"}
        with pytest.raises(SopsError, match=problem):
            decrypt_object(document, KEYS, verify_mac=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!binary aGk=", {"a": b"hi"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: !!int '5'", {"a": 5}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_yaml_s_rarer_forms(text: str, expected: object) -> None:
    assert load_yaml(text) == [expected]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!binary canary!", "line 1: !!binary is not base64"),
        ("? [canary]\n: x", "line 1: a key that stands there twice, or is no scalar"),
        ("canary", "no mappings"),
    ],
)
def test_yaml_that_sops_would_not_write(text: str, problem: str) -> None:
    with pytest.raises(SopsError, match=problem) as caught:
        load_yaml(text)
    assert "canary" not in str(caught.value)


def test_json_must_hold_an_object() -> None:
    with pytest.raises(SopsError, match="must hold one object"):
        load(b"[]", Format.JSON)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"a = b', "line 1: is no key with a value"),
        ("[s\n", "line 1: a section that is not closed"),
        ("[s]\na = `canary\n", "a value in ` that is not closed"),
    ],
)
def test_ini_that_is_none(text: str, problem: str) -> None:
    with pytest.raises(SopsError, match=problem) as caught:
        load_ini(text)
    assert "canary" not in str(caught.value)


def test_ini_values_with_line_feeds_are_quoted() -> None:
    assert emit_ini({"s": {"a": "x\ny"}}) == '[s]\na = """x\ny"""\n'


def test_a_path_to_a_sibling_stays_in_the_tree() -> None:
    files = {"a/kustomization.yaml": "secretGenerator: [{name: s, files: [../b/x, ../../../c]}]"}
    assert set(encrypted_inputs(memory_tree(files), "a")) == {"b/x"}


def test_numbers_that_are_none() -> None:
    values: dict[Any, Any] = {"a": math.inf, "b": -math.inf, "c": math.nan}
    assert emit([values], Format.YAML) == b"a: .inf\nb: -.inf\nc: .nan\n"
    with pytest.raises(SopsError, match="no number for infinity"):
        emit([values], Format.JSON)


def test_numbers_and_nulls_in_flat_formats() -> None:
    text = (VECTORS / "config.json").read_bytes()
    flat = re.sub(rb'(?ms)^\t"(list|object|nested)": .*?^\t[\]}],\n|^\t"object": \{\},\n', b"", text)
    found = decrypt_file(flat, Format.JSON, KEYS, verify_mac=False, output=Format.DOTENV)
    assert b"number=42\n" in found
    assert b"fraction=1.5\n" in found
    assert b"yes=true\n" in found
    assert b"none=<nil>\n" in found
