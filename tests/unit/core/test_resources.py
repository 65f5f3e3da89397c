import pytest

from penstock.core.resources import Gvk, ObjectRef, gvk_of, ref_of


@pytest.mark.parametrize(
    ("api_version", "gvk"),
    [
        ("v1", Gvk(version="v1", kind="Thing")),
        ("apps/v1", Gvk(group="apps", version="v1", kind="Thing")),
        ("kustomize.toolkit.fluxcd.io/v1", Gvk(group="kustomize.toolkit.fluxcd.io", version="v1", kind="Thing")),
    ],
)
def test_gvk_of_a_manifest_and_back(api_version, gvk):
    assert gvk_of({"apiVersion": api_version, "kind": "Thing"}) == gvk
    assert gvk.api_version == api_version


@pytest.mark.parametrize(
    ("metadata", "ref", "text"),
    [
        ({"name": "x"}, ObjectRef(group="apps", kind="Thing", name="x"), "Thing/x"),
        ({"name": "x", "namespace": None}, ObjectRef(group="apps", kind="Thing", name="x"), "Thing/x"),
        (
            {"name": "x", "namespace": "n"},
            ObjectRef(group="apps", kind="Thing", namespace="n", name="x"),
            "Thing/n/x",
        ),
    ],
)
def test_ref_of_a_manifest_and_its_text(metadata, ref, text):
    found = ref_of({"apiVersion": "apps/v1", "kind": "Thing", "metadata": metadata})
    assert found == ref
    assert str(found) == text


def test_refs_sort_by_group_kind_namespace_name():
    refs = [
        ObjectRef(kind="A", namespace="b", name="a"),
        ObjectRef(kind="A", namespace="a", name="b"),
        ObjectRef(group="apps", kind="A", name="a"),
    ]
    assert sorted(refs) == [refs[1], refs[0], refs[2]]
