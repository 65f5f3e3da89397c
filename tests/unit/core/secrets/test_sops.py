import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.secrets.errors import MacMismatch, NoKey, SopsError
from penstock.core.secrets.formats import Format, detect, format_of, load
from penstock.core.secrets.key_ring import KeyRing, key_ring
from penstock.core.secrets.sops import decrypt_file, decrypt_object, is_encrypted, verify_file

VECTORS = Path(__file__).parent / "vectors"
SECRETS = ("canary", "AGE-SECRET-KEY")
PLAIN = {"token": "canary-one", "multi": "canary-two\nsecond line\n", "empty": ""}


def read(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def keys(*names: str) -> KeyRing:
    return key_ring({f"{name}.agekey": read(f"{name}.agekey") for name in names or ("first",)})


@pytest.mark.parametrize("name", ["config.json", "settings.env", "settings.ini", "raw.bin", "several.yaml"])
def test_a_file_comes_out_as_sops_itself_writes_it(name: str) -> None:
    assert decrypt_file(read(name), format_of(name), keys()) == read(f"plain-{name}")


def test_yaml_comes_out_as_sops_writes_it_but_without_comments() -> None:
    expected = re.sub(r"(?m)^ *#.*\n", "", read("plain-typed.yaml").decode())
    assert decrypt_file(read("typed.yaml"), Format.YAML, keys()).decode() == expected


@pytest.mark.parametrize("name", ["secret.yaml", "two-recipients.yaml", "mac-only.yaml"])
def test_an_object_is_plaintext_without_the_sops_block(name: str) -> None:
    document = yaml.safe_load(read(name))
    assert is_encrypted(document)
    found = decrypt_object(document, keys(), verify_mac=True)
    assert found["stringData"] == PLAIN
    assert found["metadata"]["name"] == "webhook-token"
    assert "sops" not in found
    assert "sops" in document, "the argument stays as it was"


def test_an_object_without_sops_stays() -> None:
    document = {"kind": "Secret", "sops": {"note": "no mac"}}
    assert decrypt_object(document, keys(), verify_mac=True) is document


@pytest.mark.parametrize(
    "name",
    [
        *("typed.yaml", "encrypted-suffix.yaml", "unencrypted-suffix.yaml", "unencrypted-regex.yaml"),
        *("secret.yaml", "mac-only.yaml", "two-recipients.yaml", "several.yaml"),
        *("config.json", "settings.env", "settings.ini", "raw.bin"),
    ],
)
def test_the_mac_holds_as_sops_wrote_it(name: str) -> None:
    verify_file(read(name), format_of(name), keys())


def test_any_recipient_s_key_will_do() -> None:
    document = yaml.safe_load(read("two-recipients.yaml"))
    assert decrypt_object(document, keys("second"), verify_mac=True)["stringData"] == PLAIN
    assert decrypt_object(document, keys("second", "first"), verify_mac=True)["stringData"] == PLAIN


def test_documents_encrypted_apart_are_verified_apart() -> None:
    joined = read("secret.yaml") + b"---\nplain: document\n---\n" + read("several.yaml")
    verify_file(joined, Format.YAML, keys())
    with pytest.raises(MacMismatch):
        verify_file(joined.replace(b"name: two", b"name: three"), Format.YAML, keys())


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("secret.yaml", swap("name: webhook-token", "name: other")),
        ("secret.yaml", swap("type: Opaque\n", "type: Opaque\nadded: 1\n")),
        ("typed.yaml", swap("password_unencrypted: 5.5", "password_unencrypted: 6")),
        ("config.json", lambda data: re.sub(rb'(?m)^\t"yes": .*\n', b"", data)),
        ("settings.env", lambda data: re.sub(rb"(?m)^USER=.*\n", b"", data)),
        ("mac-only.yaml", lambda data: re.sub(rb"(?m)^    token: .*\n", b"", data)),
        ("secret.yaml", lambda data: re.sub(rb'lastmodified: "20', b'lastmodified: "19', data)),
        ("secret.yaml", lambda data: re.sub(rb"(?m)^    mac: ENC.*$", b"    mac: ENC[x]", data)),
    ],
)
def test_a_changed_file_fails_its_mac(name: str, change: Callable[[bytes], bytes]) -> None:
    changed = change(read(name))
    assert changed != read(name)
    with pytest.raises(MacMismatch):
        verify_file(changed, format_of(name), keys())
    decrypt_file(changed, format_of(name), keys(), verify_mac=False)


def test_mac_only_encrypted_lets_other_fields_change() -> None:
    verify_file(read("mac-only.yaml").replace(b"name: webhook-token", b"name: other"), Format.YAML, keys())


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        (
            "secret.yaml",
            swap("\n    token: ENC", "\n    tokens: ENC"),
            "stringData:tokens: a value cannot be decrypted",
        ),
        ("secret.yaml", swap("    token: ENC[AES256_GCM,data:", "    token: ENC[AES256_GCM,data:!"), "is damaged"),
        ("secret.yaml", swap("    token: ENC[", "    token: plain #["), "stringData:token: a value that should be"),
        ("secret.yaml", swap('    empty: ""', "    empty: 5"), "stringData:empty: should be encrypted, and is not"),
        ("secret.yaml", swap("^(data|stringData)$", "^(data"), "its regular expression is malformed"),
        (
            "secret.yaml",
            swap("    age:\n", "    pgp:\n"),
            "no key opens it: PGP : the decryption Secret has no PGP key",
        ),
        ("secret.yaml", swap("    age:\n", "    ages:\n"), "it is encrypted to no key at all"),
        ("secret.yaml", swap("    age:\n", "    age: none\n    ages:\n"), "sops.age: must be a list of mappings"),
        ("secret.yaml", swap("sops:\n", "sops: none\nother:\n"), "sops: must be a mapping"),
        ("secret.yaml", swap("sops:\n", "other:\n"), "sops metadata not found"),
        ("secret.yaml", swap("kind: Secret", "kind: [Secret"), "is not YAML at line"),
        ("secret.yaml", swap("kind: Secret", "kind: Secret\nkind: Secret"), "a key that stands there twice"),
        ("secret.yaml", swap("kind: Secret", "1: Secret"), "holds a key that is not a string"),
        (
            "secret.yaml",
            swap("    version:", "    encrypted_suffix: x\n    version:"),
            "cannot use encrypted_suffix and",
        ),
        ("secret.yaml", swap("apiVersion: v1", "- a\n---\nx: y"), "that are no mappings"),
        ("secret.yaml", swap("kind: Secret", "kind: " + "[" * 101), "nested deeper than 100 levels"),
        ("config.json", swap('"name"', "name"), "is not JSON"),
        ("settings.env", swap("EMPTY=", "EMPTY"), "is no NAME=value"),
        ("settings.env", swap("list_0", "list_x"), "is no place in a list"),
        ("settings.env", swap("list_0", "list_1"), "a list with missing places"),
        ("settings.ini", swap("[other]", "[other"), "a section that is not closed"),
        ("settings.ini", swap("[other]\n", "[other]\nnonsense\n"), "is no key with a value"),
        ("secret.yaml", lambda data: data + b"\xff", "is not UTF-8"),
        ("secret.yaml", lambda data: data + b" " * (5 << 20), "is larger than"),
    ],
)
def test_what_cannot_be_decrypted_is_named(name: str, change: Callable[[bytes], bytes], problem: str) -> None:
    with pytest.raises(SopsError) as caught:
        decrypt_file(change(read(name)), format_of(name), keys(), verify_mac=False)
    assert problem in str(caught.value)
    assert not any(word in str(caught.value) for word in SECRETS)


def test_a_missing_key_names_public_keys_alone() -> None:
    second = re.search(rb"age1\w+", read("second.agekey"))
    with pytest.raises(NoKey) as caught:
        decrypt_file(read("secret.yaml"), Format.YAML, keys("second"))
    assert second is not None
    assert str(caught.value).endswith(f"does not have its private key, but those of {second[0].decode()}")
    assert "AGE-SECRET" not in str(caught.value) + repr(keys())
    with pytest.raises(NoKey, match="the decryption Secret has no age key"):
        decrypt_file(read("secret.yaml"), Format.YAML, key_ring({}))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("AGE-PLUGIN-YUBIKEY-1QQ", "plugins of age run programs"),
        ("AGE-SECRET-KEY-PQ-1CANARYcanary", "is a damaged age identity"),
        ("AGE-SECRET-KEY-1CANARYcanary", "is a damaged age identity"),
        ("canary", "is no age identity"),
    ],
)
def test_identities_that_cannot_be_used_are_named_by_line(line: str, problem: str) -> None:
    with pytest.raises(SopsError) as caught:
        key_ring({"a.agekey": b"# comment\n\n" + line.encode(), "a.asc": b"ignored"})
    assert str(caught.value).startswith("a.agekey:3: ")
    assert problem in str(caught.value)
    assert "canary" not in str(caught.value)


def test_files_without_sops_s_mark_stay() -> None:
    assert decrypt_file(b"a: b\n", Format.YAML, key_ring({})) == b"a: b\n"
    verify_file(b"a: b\n", Format.YAML, key_ring({}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.yaml", Format.YAML),
        ("b.yml", Format.YAML),
        ("c.json", Format.JSON),
        (".dockerconfigjson", Format.JSON),
        ("x.env", Format.DOTENV),
        (".env", Format.DOTENV),
        ("x.ini", Format.INI),
        ("token", Format.BINARY),
    ],
)
def test_formats_by_name(name: str, expected: Format) -> None:
    assert format_of(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("config.json", Format.JSON),
        ("raw.bin", Format.JSON),
        ("settings.env", Format.DOTENV),
        ("settings.ini", Format.INI),
        ("secret.yaml", Format.YAML),
        ("plain-config.json", None),
    ],
)
def test_formats_by_mark(name: str, expected: Format | None) -> None:
    assert detect(read(name)) is expected


def test_aliases_cannot_fill_the_memory() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
    with pytest.raises(SopsError, match="holds more than"):
        load(bomb.encode(), Format.YAML)


@pytest.mark.parametrize(
    ("name", "output", "problem"),
    [
        ("config.json", Format.BINARY, "a binary file has its content under the key `data`"),
        ("config.json", Format.DOTENV, "list: a dotenv file cannot hold a list or mapping"),
        ("config.json", Format.INI, "an INI file holds sections of values alone"),
        ("several.yaml", Format.JSON, "a json file holds one document, not 2"),
    ],
)
def test_formats_that_cannot_hold_a_tree(name: str, output: Format, problem: str) -> None:
    with pytest.raises(SopsError, match=problem):
        decrypt_file(read(name), format_of(name), keys(), output=output)


def test_one_format_becomes_another() -> None:
    found = decrypt_file(read("settings.env"), Format.DOTENV, keys(), output=Format.JSON)
    assert json.loads(found) == {"USER": "admin", "PASSWORD": "canary=value", "MULTI": "a\nb", "EMPTY": ""}


@given(st.integers(0, 1300), st.binary(min_size=1, max_size=3))
def test_no_damage_tells_a_secret(place: int, junk: bytes) -> None:
    data = read("secret.yaml")
    damaged = data[:place] + junk + data[place + len(junk) :]
    message = ""
    try:
        verify_file(damaged, Format.YAML, keys())
    except SopsError as error:
        message = f"{error!r} {error.__cause__!r}"
    assert not any(word in message for word in SECRETS)
