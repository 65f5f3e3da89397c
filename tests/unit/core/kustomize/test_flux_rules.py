"""What Flux does before kustomize: a missing file is made, the Kustomization's spec is merged in."""

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, build


def cm(name):
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


def rendered(files, overlay=None, path="app", **options):
    built = build(memory_tree(files), path, BuildOptions.flux(overlay or {}, **options))
    return [(one.id.namespace, one.id.name) for one in built.resources]


def test_a_missing_kustomization_lists_manifests_and_kustomizations():
    files = {
        "app/b.yaml": cm("b"),
        "app/a.yml": cm("a"),
        "app/notes.txt": "no",
        "app/data.json": "{}",
        "app/empty.yaml": "# nothing\n",
        "app/.hidden/h.yaml": cm("h"),
        "app/sub/s.yaml": cm("s"),
        "app/with/kustomization.yaml": "namePrefix: with-\nresources: [w.yaml]\n",
        "app/with/w.yaml": cm("w"),
        "app/with/not-listed.yaml": cm("x"),
    }
    names = [name for _, name in rendered(files)]
    assert names == ["h", "a", "b", "s", "with-w"]


def test_a_file_that_is_no_manifest_fails_the_build():
    with pytest.raises(BuildFailed, match=r"failed to decode Kubernetes YAML from app/values.yaml: .*missing kind"):
        rendered({"app/values.yaml": "replicas: 1\n"})


def test_a_directory_without_manifests_gives_nothing():
    assert rendered({"app/readme.md": ""}) == []


def test_without_the_rules_a_missing_file_is_an_error():
    with pytest.raises(BuildFailed, match="unable to find one of"):
        build(memory_tree({"app/a.yaml": cm("a")}), "app")


@pytest.mark.parametrize(
    ("kustomization", "overlay", "expected"),
    [
        ("", {"namespace": "n"}, [("n", "a")]),
        ("namespace: own\n", {"namespace": "n"}, [("n", "a")]),
        ("namePrefix: own-\n", {"namePrefix": "p-", "nameSuffix": "-s"}, [("", "p-a-s")]),
        ("components: [../one]\n", {"components": ["../two"]}, [("", "two-one-a")]),
        ("misspelt: x\nlabels: [{pair: {}, pairs: {a: b}, fields: [{path: x, odd: y}]}]\n", {}, [("", "a")]),
        ("namePrefix: 12\nnameSuffix: 1.50\nnamespace: yes\n", {}, [("true", "12a1.5")]),
    ],
)
def test_the_spec_is_merged_in(kustomization, overlay, expected):
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    files = {
        "app/kustomization.yaml": f"resources: [a.yaml]\n{kustomization}",
        "app/a.yaml": cm("a"),
        "one/kustomization.yaml": f"{component}namePrefix: one-\n",
        "two/kustomization.yaml": f"{component}namePrefix: two-\n",
    }
    assert rendered(files, overlay) == expected


def test_patches_are_appended():
    files = {
        "app/kustomization.yaml": "resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n"
        '  patch: \'[{"op": "add", "path": "/data", "value": {"by": "file"}}]\'\n',
        "app/a.yaml": cm("a"),
    }
    patch = {"target": {"kind": "ConfigMap"}, "patch": '[{"op": "replace", "path": "/data/by", "value": "spec"}]'}
    built = build(memory_tree(files), "app", BuildOptions.flux({"patches": [patch]}))
    assert built.manifests[0]["data"] == {"by": "spec"}


@pytest.mark.parametrize(
    ("own", "added", "image"),
    [
        ("{name: a, newTag: '1'}", {"name": "a", "newName": "b"}, "b:1"),
        ("{name: a, newTag: '1'}", {"name": "a", "digest": "sha256:1"}, "a@sha256:1"),
        ("{name: a, digest: 'sha256:1'}", {"name": "a", "newTag": "2"}, "a:2"),
        ("{name: x, newTag: '1'}", {"name": "a", "newTag": "2"}, "a:2"),
    ],
)
def test_images_are_merged_by_name(own, added, image):
    files = {
        "app/kustomization.yaml": f"resources: [p.yaml]\nimages: [{own}]\n",
        "app/p.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: a}]}\n",
    }
    built = build(memory_tree(files), "app", BuildOptions.flux({"images": [added]}))
    assert built.manifests[0]["spec"]["containers"][0]["image"] == image


def test_missing_components_may_be_left_out():
    files = {"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a")}
    assert rendered(files, {"components": ["../none"]}, ignore_missing_components=True) == [("", "a")]
    with pytest.raises(BuildFailed, match="not a valid directory"):
        rendered(files, {"components": ["../none"]})
    with pytest.raises(BuildFailed, match="must be local and relative"):
        rendered(files, {"components": ["https://example.com/x"]})


def test_a_file_without_resources_tells_where_things_come_from():
    files = {"app/kustomization.yaml": "configMapGenerator: [{name: g, literals: [a=b]}]\n"}
    built = build(memory_tree(files), "app", BuildOptions.flux({}))
    assert "config.kubernetes.io/origin" in built.manifests[0]["metadata"]["annotations"]


def test_the_order_is_as_read_and_files_beside_may_be_read():
    files = {
        "app/kustomization.yaml": "resources: [../shared.yaml, n.yaml]\n",
        "shared.yaml": cm("first"),
        "app/n.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: second}\n",
    }
    assert [name for _, name in rendered(files)] == ["first", "second"]


def test_the_listing_is_an_input():
    built = build(memory_tree({"app/a.yaml": cm("a")}), "app", BuildOptions.flux({}))
    assert "app" in built.inputs.listings
