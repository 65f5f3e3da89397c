"""What cannot be built: the message names file and field, and nothing outside the source is read."""

import pytest

from penstock.core.errors import BuildFailed, InvalidDocument, PenstockError, Refused
from penstock.core.kustomize.options import Bounds
from penstock.core.tree import memory_tree
from penstock.kustomize import BuildOptions, build

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"


def fails(kustomization, files=None, options=None, error=PenstockError):
    tree = memory_tree({"kustomization.yaml": kustomization, "cm.yaml": CM, **(files or {})})
    with pytest.raises(error) as caught:
        build(tree, "", options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kustomization", "message"),
    [
        ("", "kustomization.yaml: kustomization.yaml is empty"),
        ("kind: Kustomization\n", "is empty"),
        ("[]\n", "should be a mapping"),
        ("namePrefx: a\n", "kustomization.yaml, namePrefx: unknown field; known here are"),
        ("images: [{nam: a}]\n", "kustomization.yaml, images[0].nam: unknown field"),
        ("namePrefix: 1\n", "kustomization.yaml, namePrefix: should be a string (put it in quotes), not 1"),
        ("images: [{name: a, newTag: 1.0}]\n", "images[0].newTag: should be a string"),
        ("commonLabels: {a: yes}\n", "commonLabels.a: should be a string"),
        ("resources: cm.yaml\n", "resources: should be a list"),
        ("replicas: [{name: a, count: '1'}]\n", "replicas[0].count: should be a whole number"),
        ("generatorOptions: {immutable: 'no'}\n", "generatorOptions.immutable: should be true or false"),
        ("commonLabels: []\n", "commonLabels: should be a mapping, not a list"),
        ("kind: Deployment\nresources: []\n", "kind should be Kustomization or Component"),
        ("apiVersion: v1\nresources: []\n", "apiVersion for Kustomization should be"),
        ("resources: [none.yaml]\n", "none.yaml (named in .): no such file"),
        ("resources: ['']\n", "a path is empty"),
        ("resources: [/etc/passwd]\n", "absolute"),
        ("resources: [~/x]\n", "absolute"),
        ("resources: ['../x.yaml']\n", "leads out of the source"),
        ("resources: [sub/..x/y.yaml]\n", "the path is ambiguous at '..x'"),
        ("resources: ['https://example.com/x.yaml']\n", "remote bases and files are not read"),
        ("resources: ['github.com/org/repo//path?ref=v1']\n", "remote bases and files are not read"),
        ("resources: ['git@github.com:org/repo']\n", "remote bases and files are not read"),
        ("components: [cm.yaml]\n", "not a valid directory"),
        ("resources: [cm.yaml, cm.yaml]\n", "already registered id: ConfigMap.v1.[noGrp]/cm.[noNs]"),
        ("resources: [.]\n", "cycle detected"),
        ("resources: [sub]\n", "expected kind != 'Component' for path 'sub'"),
        ("components: [plain]\n", "expected kind 'Component' for path 'plain' but got 'Kustomization'"),
        ("resources: [bad.yaml]\n", "bad.yaml: MalformedYAMLError: yaml: line"),
        ("resources: [nokind.yaml]\n", "nokind.yaml, document 0: missing kind in object x"),
        ("resources: [noname.yaml]\n", "noname.yaml, document 0: missing metadata.name in object of kind X"),
        ("resources: [items.yaml]\n", "FooList.items should be a list"),
        ("resources: [scalar.yaml]\n", "not a mapping with apiVersion and kind"),
        ("configMapGenerator: [{literals: [a=b]}]\n", "a ConfigMap generator must have a name"),
        ("configMapGenerator: [{name: a, literals: [secret]}]\n", "expected key=value"),
        ("configMapGenerator: [{name: a, literals: [a=1, a=2]}]\n", "illegally repeats the key `a`"),
        ("configMapGenerator: [{name: a, files: [a=b=c]}]\n", "contains '='"),
        ("configMapGenerator: [{name: a, files: ['=b']}]\n", "missing key name"),
        ("configMapGenerator: [{name: a, files: ['b=']}]\n", "missing file path"),
        ("configMapGenerator: [{name: a, envs: [latin.env]}]\n", "latin.env: line 1 has invalid utf8 bytes"),
        ("configMapGenerator: [{name: a, behavior: merge}]\n", "does not exist; cannot merge or replace"),
        ("resources: [cm.yaml]\nconfigMapGenerator: [{name: cm}]\n", "behavior must be merge or replace"),
        ("resources: [cm.yaml]\nreplicas: [{name: none, count: 1}]\n", "resource with name none does not match"),
        ("resources: [cm.yaml]\npatches: [{}]\n", "patches[0]: must specify one of patch and path"),
        ("patches: [{path: a, patch: b}]\n", "can't be set at the same time"),
        ("patches: [{patch: 'x'}]\n", "unable to parse SM or JSON patch"),
        ("patches: [{patch: '[]', target: {kind: '('}}]\n", "patches[0].target"),
        ('patches: [{patch: \'[{"op": "remove", "path": "/a"}]\'}]\n', "must specify a target for JSON patch"),
        ("patches: [{path: two.yaml, target: {kind: X}}]\n", "in one entry are not allowed with a target"),
        ("resources: [cm.yaml]\npatches: [{path: two.yaml}]\n", "no matches for Id"),
        ("patchesStrategicMerge: ['# nothing']\n", "patch appears to be empty"),
        ("patchesJson6902: [{patch: '[]'}]\n", "must specify the target name"),
        ("patchesJson6902: [{patch: '[]', target: {name: x}}]\n", "patch appears to be empty"),
        ("replacements: [{path: r.yaml, source: {kind: X}}]\n", "cannot specify both path and inline"),
        ("replacements: [{path: scalar.yaml}]\n", "should be a replacement or a list of them"),
        ("helmCharts: [{name: x}]\n", "helmCharts[0]: charts are inflated only where that is enabled"),
        ("transformers: [ext.yaml]\n", "external plugins are disabled"),
        ("generators: [ext.yaml]\n", "external plugins are disabled"),
        ("transformers: [unknown.yaml]\n", "there is none of this name"),
        ("generators: [helm.yaml]\n", "charts are inflated only where that is enabled: build with --enable-helm"),
        ("resources: [cm.yaml]\nvalidators: [change.yaml]\n", "shouldn't modify the resource map"),
        ("configurations: [conf.yaml]\n", "conf.yaml, nope: unknown field"),
        ("openapi: {version: v1.0.0}\nresources: [cm.yaml]\n", "is not built in"),
        ("openapi: {version: v1, path: r.yaml}\nresources: [cm.yaml]\n", "cannot use both"),
        ("resources: [cm.yaml]\nsortOptions: {order: odd}\n", "must be one of [fifo, legacy]"),
        ("resources: [cm.yaml]\nsortOptions: {order: fifo, legacySortOptions: {}}\n", "not 'legacy'"),
        ("resources: [two-ns.yaml]\nnamespace: x\n", "namespace transformation produces ID conflict"),
        ("vars: [{name: A}, {name: A}]\n", "var 'A' already encountered"),
        ("configMapGenerator: [{name: a, literals: ['8080=x']}]\n", "the key `8080` is no text to YAML"),
        ("resources: [cm.yaml]\ncommonLabels: {'1': x}\n", "the label or annotation `1` is no text"),
        ("resources: [odd-annotation.yaml]\n", "the annotation `2` is no text"),
        ("vars: [null]\n", "var '' cannot be mapped"),
        ("resources: [odd-kind.yaml]\n", "missing kind in object x"),
        ("resources: [odd-spec.yaml]\n", "expected sequence or mapping node"),
        (
            "resources: [cm.yaml]\nconfigurations: [blank.yaml]\nimages: [{name: a}]\n",
            "cannot set or create an empty field name",
        ),
    ],
)
def test_the_message_says_what_and_where(kustomization, message):
    files = {
        "sub/kustomization.yaml": "kind: Component\nnamePrefix: a\n",
        "plain/kustomization.yaml": "namePrefix: a\n",
        "bad.yaml": "a: [\n",
        "nokind.yaml": "metadata: {name: x}\n",
        "noname.yaml": "kind: X\n",
        "items.yaml": "kind: FooList\nitems: {}\n",
        "scalar.yaml": "just text\n",
        "odd-kind.yaml": "kind: [x]\nmetadata: {name: x}\n",
        "odd-spec.yaml": f"{DEPLOYMENT}spec: true\n",
        "odd-annotation.yaml": CM.replace("cm}", "cm, annotations: {'2': b}}"),
        "blank.yaml": "images: [{path: ''}]\n",
        "two.yaml": f"{DEPLOYMENT}---\n{DEPLOYMENT.replace('web', 'other')}",
        "two-ns.yaml": f"{CM}---\n{CM.replace('cm}', 'cm, namespace: b}')}",
        "r.yaml": "{}\n",
        "latin.env": b"A=\xff\n",
        "ext.yaml": "apiVersion: example.com/v1\nkind: Mine\nmetadata: {name: x}\n",
        "unknown.yaml": "apiVersion: builtin\nkind: Nope\nmetadata: {name: x}\n",
        "helm.yaml": "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\n",
        "change.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: p\n"
        "fieldSpecs: [{path: metadata/name}]\n",
        "conf.yaml": "nope: []\n",
    }
    assert message in fails(kustomization, files)


def test_a_file_beside_the_kustomization_may_not_be_read():
    tree = memory_tree({"app/kustomization.yaml": "resources: [../cm.yaml]\n", "cm.yaml": CM})
    with pytest.raises(Refused, match=r"security; file 'cm.yaml' is not in or below 'app'"):
        build(tree, "app")
    assert len(build(tree, "app", BuildOptions(load_restrictions="none")).resources) == 1


def test_several_kustomization_files():
    assert "Found multiple kustomization files" in fails("namePrefix: a\n", {"kustomization.yml": "namePrefix: a\n"})


@pytest.mark.parametrize("path", ["nowhere", "cm.yaml"])
def test_the_path_must_be_a_directory(path):
    with pytest.raises(BuildFailed, match="not a directory"):
        build(memory_tree({"cm.yaml": CM}), path)


def test_bases_that_include_each_other_are_found_at_once():
    tree = memory_tree({"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"})
    with pytest.raises(BuildFailed, match="cycle detected: candidate root 'a'"):
        build(tree, "a")


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds(depth=1), "more than 1 bases deep"),
        (Bounds(bases=1), "more than 1 bases, each counted"),
        (Bounds(files=2), "reads more than 2 files"),
        (Bounds(bytes=30), "reads more than 30 bytes"),
        (Bounds(documents=1), "more than 1 objects"),
    ],
)
def test_bounds(bounds, message):
    tree = memory_tree(
        {
            "kustomization.yaml": "resources: [a]\n",
            "a/kustomization.yaml": "resources: [b]\n",
            "a/b/kustomization.yaml": "resources: [cm.yaml]\n",
            "a/b/cm.yaml": f"{CM}---\n{CM.replace('name: cm', 'name: d')}",
        }
    )
    with pytest.raises(PenstockError, match=message):
        build(tree, "", BuildOptions(bounds=bounds))


def test_a_literal_is_not_shown():
    assert "hunter2" not in fails("secretGenerator: [{name: a, literals: [hunter2]}]\n")


def test_a_regular_expression_cannot_hang_the_build():
    files = {"cm.yaml": CM.replace("name: cm", f"name: {'a' * 60}")}
    tree = memory_tree(
        {
            "kustomization.yaml": "resources: [cm.yaml]\npatches:\n- target: {name: '(a*)*b'}\n"
            '  patch: \'[{"op": "remove", "path": "/data"}]\'\nimages: [{name: \'(a*)*b\', newTag: x}]\n',
            **files,
        }
    )
    assert len(build(tree).resources) == 1


def test_ambiguous_names_are_an_error():
    files = {
        "kustomization.yaml": "resources: [role.yaml]\nconfigMapGenerator:\n"
        "- {name: cm, namespace: a, literals: [a=1]}\n- {name: cm, namespace: b, literals: [a=2]}\n",
        "role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
        "rules: [{resourceNames: [cm]}]\n",
    }
    with pytest.raises(BuildFailed, match="found multiple possible referrals of 'cm'"):
        build(memory_tree(files))


def test_unknown_fields_are_invalid_documents_with_their_place():
    with pytest.raises(InvalidDocument) as caught:
        build(memory_tree({"kustomization.yaml": "labels: [{pairs: {}, includeSelector: true}]\n"}))
    assert (caught.value.file, caught.value.path) == ("kustomization.yaml", "labels[0].includeSelector")


def test_bases_that_name_two_each_end_soon():
    """Thirty levels are a billion visits, without one object that would count."""
    deep = 30
    files = {
        f"{side}{at}/kustomization.yaml": f"namePrefix: {side}\nresources: [../a{at + 1}, ../b{at + 1}]\n"
        for at in range(deep)
        for side in "ab"
    }
    files |= {f"{side}{deep}/kustomization.yaml": "namePrefix: x\n" for side in "ab"}
    with pytest.raises(Refused, match="more than 20000 bases"):
        build(memory_tree(files), "a0")
