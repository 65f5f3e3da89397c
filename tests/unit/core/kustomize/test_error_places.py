"""Errors of plugins, replacements and transformers name the file, document and field that somebody has to change."""

import pytest

from penstock.core.errors import PenstockError
from penstock.core.tree import memory_tree
from penstock.kustomize import build

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: [x]}\n"
SPEC = "fieldSpecs: [{path: data/a/b, create: true}]"
PLUGINS = {
    "AnnotationsTransformer": (f"annotations: {{a: b}}\n{SPEC}", "considering field 'data/a/b' of object ConfigMap"),
    "ImageTagTransformer": ("imageTag: [x]", "imageTag: should be a mapping"),
    "LabelTransformer": ("labels: {a: b}\nfieldSpecs: [{path: [x]}]", "fieldSpecs[0].path: should be a string"),
    "NamespaceTransformer": ("setRoleBindingSubjects: some", "setRoleBindingSubjects: invalid value 'some'"),
    "PatchJson6902Transformer": ("jsonOp: '[]'", "target.name: must specify the target name"),
    "PatchStrategicMergeTransformer": ("paths: [none.yaml]", "no such file"),
    "PatchTransformer": ("patch: '[]'\ntarget: {kind: '('}", "target"),
    "PrefixTransformer": ("prefix: a", "fieldSpecs: fieldSpecs is not expected to be nil"),
    "ReplacementTransformer": (
        "replacements: [{source: {kind: X}, targets: []}]",
        "replacements[0].source: nothing selected by X",
    ),
    "ReplicaCountTransformer": (f"replica: {{name: cm, count: 1}}\n{SPEC}", "considering field 'data/a/b'"),
    "ValueAddTransformer": ("value: x\ntargets: [{}]", "targets[0].fieldPath: fieldPath cannot be empty"),
}


def failure(files):
    tree = memory_tree({"cm.yaml": CM, **files})
    with pytest.raises(PenstockError) as caught:
        build(tree, "")
    return str(caught.value)


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_plugin_in_a_file_of_its_own(kind):
    body, words = PLUGINS[kind]
    head = "apiVersion: builtin\nkind: {}\nmetadata: {{name: {}}}\n"
    fine = head.format("HashTransformer", "fine")
    text = failure(
        {
            "kustomization.yaml": "resources: [cm.yaml]\ntransformers: [sub/many.yaml]\n",
            "sub/many.yaml": f"{fine}---\n{head.format(kind, 'odd')}{body}\n",
        }
    )
    where = "none.yaml" if "none.yaml" in body else f"sub/many.yaml, {kind} odd"
    assert text.startswith(where)
    assert words in text
    assert "kustomization.yaml" not in text


def test_a_plugin_that_a_base_renames_is_named_as_it_is_written():
    text = failure(
        {
            "kustomization.yaml": "resources: [cm.yaml]\ntransformers: [plugins]\n",
            "plugins/kustomization.yaml": "resources: [p.yaml]\nnamePrefix: x-\n",
            "plugins/p.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: odd}\nprefix: a\n",
        }
    )
    assert text.startswith("plugins/p.yaml, PrefixTransformer odd, fieldSpecs: ")


def test_a_plugin_within_the_kustomization_file():
    inline = "resources: [cm.yaml]\ntransformers:\n- |\n  {apiVersion: builtin, kind: PrefixTransformer, metadata: {name: odd}}\n"
    assert failure({"kustomization.yaml": inline}).startswith("kustomization.yaml, PrefixTransformer odd, fieldSpecs: ")


@pytest.mark.parametrize("field", ["generators", "transformers", "validators", "patchesStrategicMerge"])
def test_a_broken_document_in_place_is_not_taken_for_a_path(field):
    text = failure({"kustomization.yaml": f"resources: [cm.yaml]\n{field}:\n- |\n  kind: X\n  a: [hunter2\n"})
    assert text.startswith(f"kustomization.yaml: {field}[0]: MalformedYAMLError")
    assert "hunter2" not in text


def test_generators_and_unknown_plugins():
    head = "apiVersion: builtin\nkind: {}\nmetadata: {{name: odd}}\n"
    for kind, body, words in [
        ("ConfigMapGenerator", "literals: [x]\n", "expected key=value"),
        ("IAMPolicyGenerator", "cloud: aws\n", "cloud: cloud provider aws not supported yet"),
        ("Nope", "", "there is none of this name"),
    ]:
        text = failure({"kustomization.yaml": "generators: [g.yaml]\n", "g.yaml": head.format(kind) + body})
        assert text.startswith(f"g.yaml, {kind} odd")
        assert words in text


REPLACEMENT = "{source: {kind: ConfigMap, fieldPath: data.none}, targets: [{select: {kind: X}}]}"


def test_replacements_in_place_and_in_files():
    fine = "{sourceValue: a, targets: [{select: {kind: X}}]}"
    for kustomization, file, where in [
        (f"replacements: [{REPLACEMENT}]", "", "kustomization.yaml: replacements[0].source: "),
        ("replacements: [{path: r.yaml}]", f"[{fine}, {REPLACEMENT}]", "r.yaml: [1].source: "),
        ("replacements: [{path: r.yaml}]", REPLACEMENT, "r.yaml: source: "),
        ("replacements: [{path: r.yaml}]", f"[{fine}, {{source: [x]}}]", "r.yaml, [1].source: should be a mapping"),
    ]:
        text = failure({"kustomization.yaml": f"resources: [cm.yaml]\n{kustomization}\n", "r.yaml": file})
        assert text.startswith(where)


@pytest.mark.parametrize(
    "field",
    [
        "commonAnnotations: {a: b}",
        "commonLabels: {a: b}",
        "images: [{name: a, newTag: b}]",
        "labels: [{pairs: {a: b}, includeSelectors: true}]",
        "namePrefix: a-",
        "nameSuffix: -a",
        "namespace: a",
        "replicas: [{name: cm, count: 2}]",
    ],
)
def test_a_field_of_the_kustomization(field):
    config = "".join(
        f"{name}: [{{path: data/a/b, create: true}}]\n"
        for name in ("commonAnnotations", "commonLabels", "images", "namePrefix", "nameSuffix", "namespace", "replicas")
    )
    name = field.partition(":")[0]
    text = failure(
        {
            "kustomization.yaml": f"resources: [cm.yaml]\nconfigurations: [c.yaml]\n{field}\n",
            "c.yaml": config,
            "cm.yaml": CM.replace("[x]", "hunter2"),
        }
    )
    assert text.startswith(f"kustomization.yaml: {name}")
    assert "considering field 'data/a/b' of object ConfigMap.v1.[noGrp]/" in text
    assert "hunter2" not in text
