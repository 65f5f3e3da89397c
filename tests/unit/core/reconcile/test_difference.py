"""Differences for people: field by field, as a unified diff, and after a takeover."""

from penstock.core.reconcile.difference import ABSENT, MOST_LINES, FieldChange, field_changes, field_value, unified
from penstock.core.reconcile.managers import after_takeover
from penstock.core.reconcile.masked import HIDDEN, Mask, masking_key
from penstock.core.resources import ObjectRef


def config(**data):
    noise = {"uid": "u", "resourceVersion": "1", "managedFields": [{}], "generation": 3, "creationTimestamp": "now"}
    metadata = {"name": "a", "namespace": "n", **noise}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data, "status": {"x": 1}}


def test_keys_are_sorted_and_bookkeeping_is_left_out():
    assert unified(config(b="1", a="1"), config(a="2", b="1"), Mask(), name="x") == [
        *("--- x", "+++ x", "@@ -1,6 +1,6 @@", " apiVersion: v1", " data:"),
        *('-  a: "1"', '+  a: "2"', '   b: "1"', " kind: ConfigMap", " metadata:"),
    ]
    assert unified(config(a="1"), config(a="1") | {"status": {}}, Mask(), name="x") == []


def test_what_is_new_or_gone_has_one_side():
    assert unified(None, config(), Mask(), name="x")[:2] == ["--- /dev/null", "+++ x"]
    assert unified(config(), None, Mask(), name="x")[:2] == ["--- x", "+++ /dev/null"]
    assert field_changes(None, config(a="1"), Mask())[0].old is ABSENT


def test_a_long_diff_is_cut():
    found = unified(None, config(**{f"k{number:05}": "x" for number in range(3000)}), Mask(), name="x")
    assert len(found) == MOST_LINES + 1
    assert found[-1].endswith("more lines")


def test_values_of_fields():
    assert field_value(FieldChange(path="a", new=1)) == {"path": "a", "new": 1}
    assert field_value(FieldChange(path="a", old=None, new=1)) == {"path": "a", "old": None, "new": 1}


def test_every_value_of_what_was_ciphertext_is_hidden_whatever_its_kind():
    ref = ObjectRef(kind="ConfigMap", namespace="n", name="a")
    shown = Mask(key=b"k", decrypted=frozenset({ref}))(config(a="canary", b=["canary", 7, None]))
    assert shown["metadata"]["name"] == "a"
    assert "canary" not in str(shown)
    assert shown["data"]["b"][2] is None
    assert Mask(key=b"k")(config(a="1"))["data"] == {"a": "1"}


def test_texts_out_of_secrets_are_hidden_wherever_they_stand():
    mask = Mask(key=b"k", values=("canary-1", "canary-12", "short"))
    shown = mask(config(url="https://u:canary-12@host", more=[{"x": "canary-1"}], number=5, plain="short"))
    assert "canary" not in str(shown)
    assert shown["data"]["plain"] == "short", "a short text stands in too many places"
    assert shown["data"]["url"].startswith(f"https://u:{HIDDEN} (")


def test_masks_are_equal_for_equal_values_under_one_key_alone():
    one, other = Mask(key=masking_key(b"token")), Mask(key=masking_key(b"other"))
    assert one.text("a") == one.text("a") != one.text("b")
    assert one.text("a") != other.text("a")
    assert "token" not in repr(one)
    assert Mask().text("a") == HIDDEN


def test_flux_documents_keep_their_addresses_to_themselves():
    mask = Mask(key=b"k")
    spec = {
        "address": "https://hooks/canary",
        "url": "https://canary:canary@git/x",
        "postBuild": {"substitute": {"a": "canary"}, "substituteFrom": []},
    }
    shown = mask.flux({"kind": "X", "spec": spec})
    assert "canary" not in str(shown)
    assert shown["spec"]["url"].endswith("@git/x")
    assert shown["spec"]["postBuild"]["substituteFrom"] == []
    assert mask.flux({"kind": "X"}) == {"kind": "X"}
    assert mask.flux({"spec": {"url": "https://git/x", "postBuild": {}}}) == {
        "spec": {"url": "https://git/x", "postBuild": {}}
    }


def entry(manager, fields, operation="Update"):
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def test_what_kubectl_added_leaves_with_the_takeover():
    env = {
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}, 'k:{"name":"B"}': {".": {}, "f:name": {}}}
    }
    finalizers = {"f:finalizers": {'v:"theirs"': {}, 'v:"wanted"': {}}}
    kubectl = entry(
        "kubectl-edit", {"f:data": {"f:theirs": {}, "f:shared": {}}, **env, **finalizers, "f:gone": {"f:a": {}}}
    )
    webhook = entry("webhook", {"f:data": {"f:shared": {}}})
    after = {
        "metadata": {"managedFields": [kubectl, webhook]},
        "data": {"ours": "1", "theirs": "2", "shared": "3"},
        "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "C"}],
        "finalizers": ["theirs", "wanted", "other"],
        "gone": {"a": "1"},
    }
    desired = {"data": {"ours": "1"}, "env": [{"name": "A", "value": "1"}], "finalizers": ["wanted"]}
    found = after_takeover(after, desired, after, manager="penstock")
    assert found["data"] == {"ours": "1", "shared": "3"}
    assert found["env"] == [{"name": "A", "value": "1"}, {"name": "C"}]
    assert found["finalizers"] == ["wanted", "other"]
    assert "gone" not in found
