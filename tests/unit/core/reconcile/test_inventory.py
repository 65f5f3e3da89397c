"""Inventories keep their ids in Flux's format, and say when they cannot be trusted."""

import pytest

from penstock.core.errors import Terminal
from penstock.core.reconcile.inventory import (
    Inventory,
    Owner,
    Shown,
    from_config_map,
    inventory_name,
    label_value,
    object_id,
    parse_object_id,
    short_revision,
    to_config_map,
)
from penstock.core.resources import ObjectRef

OWNER = Owner(plane="f" * 32, cluster="prod", namespace="flux-system", name="apps")
IDS = [
    (ObjectRef(kind="Namespace", name="my-ns"), "_my-ns__Namespace"),
    (ObjectRef(kind="ConfigMap", namespace="default", name="cfg"), "default_cfg__ConfigMap"),
    (ObjectRef(group="apps", kind="Deployment", namespace="a", name="b"), "a_b_apps_Deployment"),
    (
        ObjectRef(group="rbac.authorization.k8s.io", kind="ClusterRole", name="system:x:y"),
        "_system__x__y_rbac.authorization.k8s.io_ClusterRole",
    ),
]


@pytest.mark.parametrize(("ref", "text"), IDS)
def test_ids_are_flux_ids(ref, text):
    assert object_id(ref) == text
    assert parse_object_id(text) == ref


@pytest.mark.parametrize("text", ["", "x", "a_b", "a_b_c", "a__b_c_", "a___K"])
def test_other_text_is_no_id(text):
    with pytest.raises(Terminal, match="inventory id"):
        parse_object_id(text)


def inventory(count=4):
    entries = {ref: "v1" for ref, _ in IDS}
    entries |= {ObjectRef(kind="Secret", namespace="n", name=f"s{i:06}"): "v1" for i in range(count - 4)}
    return Inventory(owner=str(OWNER), entries=entries, revision="main@sha1:" + "a" * 40, observation=3)


@pytest.mark.parametrize("count", [4, 40_000])
def test_a_config_map_gives_back_what_it_was_given(count):
    held = inventory(count)
    manifest = to_config_map(held, OWNER, Shown(ready="True", message="ok"))
    assert ("binaryData" in manifest) == (count > 1000)
    manifest["metadata"] |= {"resourceVersion": "9", "uid": "u"}
    found = from_config_map(manifest)
    assert (found.entries, found.revision, found.observation) == (held.entries, held.revision, 3)
    assert (found.resource_version, found.uid) == ("9", "u")


def test_kubectl_users_see_ready_and_revision_as_labels():
    labels = to_config_map(inventory(), OWNER, Shown(ready="False", suspended=True))["metadata"]["labels"]
    assert labels["penstock.dev/ready"] == "False"
    assert labels["penstock.dev/suspended"] == "True"
    assert labels["penstock.dev/revision"] == "main-sha1-aaaaaaaa"


def tamper_format(data):
    data["format"] = "2"


def tamper_entries(data):
    data["inventory"] = '["_x__Namespace@v1"]'


def tamper_json(data):
    data["inventory"] = "{"


def tamper_owner(data):
    del data["owner"]


@pytest.mark.parametrize("tamper", [tamper_format, tamper_entries, tamper_json, tamper_owner])
def test_an_inventory_that_was_edited_is_not_believed(tamper):
    manifest = to_config_map(inventory(), OWNER, Shown())
    tamper(manifest["data"])
    with pytest.raises(Terminal) as caught:
        from_config_map(manifest)
    assert caught.value.reason == "InventoryUnreadable"


def test_compressed_nonsense_is_not_believed():
    manifest = to_config_map(inventory(40_000), OWNER, Shown())
    manifest["binaryData"]["inventory.z"] = "AAAA"
    with pytest.raises(Terminal, match="nothing is pruned"):
        from_config_map(manifest)


def test_names_fit():
    assert inventory_name("flux-system", "apps") == "kustomization.flux-system.apps"
    long = inventory_name("n" * 63, "x" * 253)
    assert len(long) == 253
    assert long != inventory_name("n" * 63, "x" * 252 + "y")


def test_labels_and_revisions_are_short():
    assert short_revision("main@sha1:" + "0123456789" * 4) == "main@sha1:01234567"
    assert label_value("-feature/x@sha1:1-") == "feature-x-sha1-1"
