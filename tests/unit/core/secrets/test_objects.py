import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.errors import BuildFailed
from penstock.core.secrets.errors import MacMismatch, SopsError
from penstock.core.secrets.formats import Format
from penstock.core.secrets.key_ring import key_ring
from penstock.core.secrets.objects import Decryptor
from penstock.core.secrets.sources import encrypted_inputs
from penstock.core.tree import Inputs, memory_tree

CIPHERTEXT = b"ENC[AES256_GCM,data:Zg==,iv:Zg==,tag:Zg==,type:str]"
VECTORS = Path(__file__).parent / "vectors"


def read(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def decryptor(*, configured: bool = True, verify_mac: bool = True, key: str = "first") -> Decryptor:
    keys = {"age.agekey": read(f"{key}.agekey")} if key else {}
    return Decryptor(key_ring(keys), configured=configured, verify_mac=verify_mac)


def encrypted() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(read("secret.yaml"))
    return found


def secret(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "ns"}, **fields}


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_an_encrypted_secret_is_opened_after_the_build_has_changed_it() -> None:
    built = encrypted()
    built["metadata"].update(namespace="other", labels={"added": "1"})
    given = decryptor()
    given.verify_sources(memory_tree({"secret.yaml": read("secret.yaml")}), Inputs(files=("secret.yaml",)))
    found = given.open_object(built)
    assert found["stringData"]["token"] == "canary-one"
    assert found["metadata"]["namespace"] == "other"


def test_what_no_file_could_be_verified_for_is_verified_as_it_stands() -> None:
    assert decryptor().open_object(encrypted())["stringData"]["token"] == "canary-one"
    changed = encrypted()
    changed["metadata"]["namespace"] = "other"
    with pytest.raises(MacMismatch, match="decryption failed for 'Secret/other/webhook-token': MAC mismatch"):
        decryptor().open_object(changed)
    assert decryptor(verify_mac=False).open_object(changed)["stringData"]["token"] == "canary-one"


def test_objects_in_a_list_are_verified_apart() -> None:
    items = [encrypted(), secret(data={"a": coded(b"plain")})]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}, sort_keys=False, width=10_000)
    given = decryptor()
    given.verify_sources(memory_tree({"list.yaml": text}), Inputs(files=("list.yaml",)))
    moved = encrypted()
    moved["metadata"]["namespace"] = "other"
    assert given.open_object(moved)["stringData"]["token"] == "canary-one"
    tree = memory_tree({"list.yaml": text.replace("name: webhook-token", "name: other")})
    with pytest.raises(MacMismatch, match=r"^list\.yaml: MAC mismatch"):
        decryptor().verify_sources(tree, Inputs(files=("list.yaml",)))


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ({**encrypted(), "sops": {"age": []}}, "its `sops` block has no MAC"),
        ({**secret(data={"a": coded(b"plain")}), "sops": {}}, "its `sops` block has no MAC"),
        (
            {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "x"}, "sops": {"version": "3"},
             "spec": {"list": [{"token": "ENC[AES256_GCM,data:x]"}]}},
            "its `sops` block has no MAC",
        ),
        (
            {**encrypted(), "spec": {"list": [{"token": "ENC[AES256_GCM,data:x]"}]}},
            "spec.list[0].token is still ciphertext after decryption",
        ),
    ],
)  # fmt: skip
def test_ciphertext_that_nothing_would_open_is_refused_in_any_kind_and_field(
    manifest: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SopsError) as caught:
        decryptor(verify_mac=False).open_object(manifest)
    assert problem in str(caught.value)
    assert "data:x" not in str(caught.value)


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("block", [True, False], ids=["data of a file", "a whole document"])
@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("v1", "Secret"), ("v1", "ConfigMap"), ("example.com/v1", "Thing"), ("apps/v1", "Deployment")],
)
def test_ciphertext_that_nothing_would_decrypt_is_refused(
    api_version: str, kind: str, block: bool, configured: bool
) -> None:
    found = {**encrypted(), "apiVersion": api_version, "kind": kind}
    if not block:
        del found["sops"]
    with pytest.raises(SopsError) as caught:
        decryptor(configured=configured, key="").open_object(found)
    assert str(caught.value).startswith(f"decryption failed for '{kind}/flux-system/webhook-token': ")
    expected = "is SOPS ciphertext, but the object has no `sops` block"
    if block:
        expected = "no key opens it" if configured else "is SOPS encrypted: configuring spec.decryption is required"
    assert expected in str(caught.value)
    assert "ENC[" not in str(caught.value)


@pytest.mark.parametrize("configured", [True, False])
def test_what_a_generator_made_of_an_encrypted_file_is_refused(configured: bool) -> None:
    """Each line of a dotenv file became an entry, base64-encoded."""
    found = secret(data={"plain": coded(b"x"), "TOKEN": coded(CIPHERTEXT)})
    with pytest.raises(SopsError, match=r"data\.TOKEN is SOPS ciphertext") as caught:
        decryptor(configured=configured).open_object(found)
    assert "ENC[" not in str(caught.value)


def test_an_object_that_no_key_opens_is_named_with_its_file() -> None:
    given = decryptor(key="second")
    tree = memory_tree({"a/secret.yaml": read("secret.yaml"), "a/other.yaml": read("typed.yaml")})
    given.verify_sources(tree, Inputs(files=("a/other.yaml", "a/secret.yaml")))
    with pytest.raises(SopsError, match=r"'Secret/flux-system/webhook-token' in a/secret\.yaml: no key opens it: age"):
        given.open_object(encrypted())


def test_a_field_called_sops_that_holds_nothing_of_it_stays() -> None:
    manifest = {"apiVersion": "x/v1", "kind": "Tool", "metadata": {"name": "x"}, "sops": {"enabled": True}}
    assert decryptor(configured=False, key="").open_object(manifest) is manifest


def test_any_kind_with_a_mac_is_opened() -> None:
    document = yaml.safe_load(read("mac-only.yaml"))
    assert decryptor().open_object({**document, "kind": "ConfigMap"})["stringData"]["token"] == "canary-one"


@pytest.mark.parametrize(
    ("key", "vector", "expected"),
    [
        ("config.json", "config.json", read("plain-config.json")),
        ("settings.env", "settings.env", read("plain-settings.env")),
        ("settings.ini", "settings.ini", read("plain-settings.ini")),
        ("raw", "raw.bin", read("plain-raw.bin")),
    ],
)
def test_entries_of_a_secret_are_opened_by_the_format_of_their_key(key: str, vector: str, expected: bytes) -> None:
    found = decryptor().open_object(secret(data={key: coded(read(vector)), "plain": coded(b"x")}))
    assert base64.b64decode(found["data"][key]) == expected
    assert found["data"]["plain"] == coded(b"x")


@pytest.mark.parametrize(
    "manifest",
    [
        secret(data={"a": coded(b"plain")}, stringData={"b": "text"}),
        secret(data={"a": "not base64!", "b": None}),
        secret(),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "see ENC[AES256_GCM,x]"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": coded(CIPHERTEXT)}},
        secret(data={"a": coded(CIPHERTEXT + b" and more"), "b": "RU5DW0FFUzI1Nl9HQ00s!"}),
    ],
)
def test_objects_without_ciphertext_stay(manifest: dict[str, Any]) -> None:
    assert decryptor().open_object(manifest) is manifest
    assert decryptor(configured=False, key="").open_object(manifest) is manifest


@pytest.mark.parametrize("value", ["disabled", "Disabled"])
def test_decryption_can_be_switched_off_for_an_object(value: str) -> None:
    document = encrypted()
    document["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/decrypt": value}
    assert decryptor().open_object(document) is document


@pytest.mark.parametrize(
    ("manifest", "given", "problem"),
    [
        (
            encrypted(),
            decryptor(configured=False),
            "'Secret/flux-system/webhook-token': is SOPS encrypted: configuring spec.decryption is required",
        ),
        (
            secret(data={"raw": coded(read("raw.bin"))}),
            decryptor(configured=False),
            "'Secret/ns/x': data.raw is SOPS encrypted: configuring spec.decryption is required",
        ),
        (encrypted(), decryptor(key=""), "no key opens it: age age1"),
        (encrypted(), decryptor(key="second"), "no key opens it: age age1"),
        (
            secret(stringData={"token": encrypted()["stringData"]["token"]}),
            decryptor(),
            "stringData.token is SOPS ciphertext, but the object has no `sops` block",
        ),
        (
            secret(data={"raw": coded(read("raw.bin").replace(b'"lastmodified": "20', b'"lastmodified": "19'))}),
            decryptor(),
            "data.raw: its MAC cannot be decrypted",
        ),
    ],
)
def test_what_cannot_be_opened_is_refused(manifest: dict[str, Any], given: Decryptor, problem: str) -> None:
    with pytest.raises(SopsError) as caught:
        given.open_object(manifest)
    assert str(caught.value).startswith("decryption failed for '")
    assert problem in str(caught.value)
    assert isinstance(caught.value, BuildFailed)
    assert "canary" not in str(caught.value) + repr(given)
    assert "ENC[" not in str(caught.value)


def test_an_object_that_is_encrypted_as_a_whole_is_opened_or_refused_without_its_ciphertext() -> None:
    document = yaml.safe_load(read("typed.yaml"))
    assert document["kind"].startswith("ENC[")
    opened = decryptor().open_object(document)
    assert (opened["kind"], opened["metadata"]["name"]) == ("Thing", "thing")
    with pytest.raises(SopsError) as caught:
        decryptor(key="second").open_object(document)
    assert str(caught.value).startswith("decryption failed for 'an object whose kind or name is encrypted': no key")
    assert "ENC[" not in str(caught.value)


def test_a_source_whose_mac_holds_passes() -> None:
    tree = memory_tree({"a/secret.yaml": read("secret.yaml"), "b.env": read("settings.env"), "c": b"plain"})
    decryptor().verify_sources(tree, Inputs(files=("a/secret.yaml", "b.env", "c", "gone")))


def test_a_changed_source_is_named() -> None:
    tree = memory_tree({"a/secret.yaml": read("secret.yaml").replace(b"name: webhook-token", b"name: other")})
    inputs = Inputs(files=("a/secret.yaml",))
    with pytest.raises(MacMismatch, match=r"^a/secret\.yaml: MAC mismatch"):
        decryptor().verify_sources(tree, inputs)
    decryptor(configured=False).verify_sources(tree, inputs)
    lenient = decryptor(verify_mac=False)
    lenient.verify_sources(tree, inputs)
    assert [re.sub(":.*", "", each) for each in lenient.warnings] == ["a/secret.yaml"]


def test_a_source_that_no_key_opens_is_left_to_whoever_needs_it() -> None:
    tree = memory_tree({"a.yaml": read("secret.yaml")})
    decryptor(key="second").verify_sources(tree, Inputs(files=("a.yaml",)))


KUSTOMIZATION = """
resources: [../base, deployment.yaml, https://example.com/x, ../../outside]
components: [extra]
secretGenerator:
- name: s
  files: [config.json, renamed.yaml=values, /absolute]
  envs: [settings.env, plain.txt]
- name: t
  env: old.env
patches:
- path: patch.yaml
- path: https://example.com/patch.yaml
- patch: inline
"""


def test_inputs_are_found_below_a_directory() -> None:
    tree = memory_tree(
        {
            "apps/web/kustomization.yaml": KUSTOMIZATION,
            "apps/web/extra/Kustomization": "secretGenerator: [{name: u, files: [../raw]}]",
            "apps/base/kustomization.yml": "resources: [../web]\npatches: [{path: base.yml}]",
            "apps/web/deployment.yaml": "x: y",
        }
    )
    assert encrypted_inputs(tree, "apps/web") == {
        "apps/web/config.json": Format.JSON,
        "apps/web/values": Format.YAML,
        "apps/web/settings.env": Format.DOTENV,
        "apps/web/plain.txt": Format.DOTENV,
        "apps/web/old.env": Format.DOTENV,
        "apps/web/patch.yaml": Format.YAML,
        "apps/web/raw": Format.BINARY,
        "apps/base/base.yml": Format.YAML,
    }


@pytest.mark.parametrize(
    "text", ["[", "- a list", "resources: text\nsecretGenerator: {a: b}", "secretGenerator: [text]"]
)
def test_what_is_no_kustomization_file_has_no_inputs(text: str) -> None:
    assert encrypted_inputs(memory_tree({"kustomization.yaml": text}), "") == {}


def test_the_tree_to_build_from_holds_plaintext_where_it_is_an_input() -> None:
    tree = memory_tree(
        {
            "kustomization.yaml": "secretGenerator: [{name: s, files: [config.json, plain.json], envs: [settings.env]}]",
            "config.json": read("config.json"),
            "plain.json": "{}",
            "settings.env": read("settings.env"),
            "secret.yaml": read("secret.yaml"),
        }
    )
    opened = decryptor().sources(tree, "")
    found = {name: opened.read(name) for name in ("config.json", "plain.json", "settings.env", "secret.yaml")}
    assert {name: each.data for name, each in found.items() if each} == {
        "config.json": read("plain-config.json"),
        "plain.json": b"{}",
        "settings.env": read("plain-settings.env"),
        "secret.yaml": read("secret.yaml"),
    }
    assert opened.read("config.json") is found["config.json"]
    assert opened.read("gone") is None
    assert (opened.list(""), opened.is_dir("")) == (tree.list(""), True)
    assert "canary" not in repr(opened) + repr(found)


def test_without_inputs_or_configuration_the_tree_is_the_same() -> None:
    tree = memory_tree({"kustomization.yaml": "secretGenerator: [{name: s, files: [config.json]}]"})
    assert decryptor(configured=False).sources(tree, "") is tree
    assert decryptor().sources(memory_tree({}), "").list("") == ()


def test_an_input_that_cannot_be_opened_is_named() -> None:
    files = {
        "kustomization.yaml": "secretGenerator: [{name: s, files: [config.json]}]",
        "config.json": read("config.json"),
    }
    with pytest.raises(SopsError, match=r"error decrypting sources: config\.json: no key opens it"):
        decryptor(key="second").sources(memory_tree(files), "").read("config.json")
    changed = {**files, "config.json": read("config.json").replace(b'"lastmodified": "20', b'"lastmodified": "19')}
    with pytest.raises(MacMismatch, match=r"^config\.json: its MAC"):
        decryptor().sources(memory_tree(changed), "").read("config.json")
