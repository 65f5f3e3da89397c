"""Labels that one transformer created together change together; nothing else does."""

import pytest

from penstock.core.tree import memory_tree
from penstock.kustomize import build

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {}}}\n"
PATCH = "patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, labels: {app: new}}}'"
OPERATION = (
    '{target: {kind: Deployment}, patch: \'[{"op": "replace", "path": "/metadata/labels/app", "value": "new"}]\'}'
)
REPLACEMENT = (
    "replacements:\n- sourceValue: new\n  targets: [{select: {kind: Deployment}, fieldPaths: [metadata.labels.app]}]\n"
)


@pytest.mark.parametrize(
    ("overlay", "template"),
    [
        ("labels: [{pairs: {app: new}}]\n", "new"),
        (f"patches: [{{{PATCH}}}]\n", "new"),
        (REPLACEMENT, "new"),
        (f"patches: [{OPERATION}]\n", "web"),
    ],
    ids=["labels", "merge patch", "replacement", "json patch"],
)
@pytest.mark.parametrize("present", [False, True])
def test_what_changes_the_label_of_an_object(overlay, template, present):
    """A label that stood in the template before is its own; one that was created there follows, but not through JSON."""
    deployment = (
        DEPLOYMENT.replace("template: {", "template: {metadata: {labels: {app: own}}, ") if present else DEPLOYMENT
    )
    tree = memory_tree(
        {
            "over/kustomization.yaml": f"resources: [../base]\n{overlay}",
            "base/kustomization.yaml": "commonLabels: {app: web}\nresources: [d.yaml]\n",
            "base/d.yaml": deployment,
        }
    )
    manifest = build(tree, "over").manifests[0]
    assert manifest["metadata"]["labels"] == {"app": "new"}
    assert manifest["spec"]["selector"]["matchLabels"] == {"app": template}
    assert manifest["spec"]["template"]["metadata"]["labels"] == {"app": "web" if present else template}


def test_annotations_are_written_anew_by_a_rename():
    tree = memory_tree(
        {
            "over/kustomization.yaml": "resources: [../base]\npatches:\n- patch: |\n    apiVersion: apps/v1\n"
            "    kind: Deployment\n    metadata: {name: d, annotations: {note: new}}\n",
            "base/kustomization.yaml": "namePrefix: p-\ncommonAnnotations: {note: old}\nresources: [d.yaml]\n",
            "base/d.yaml": DEPLOYMENT,
        }
    )
    manifest = build(tree, "over").manifests[0]
    assert manifest["metadata"]["annotations"] == {"note": "new"}
    assert manifest["spec"]["template"]["metadata"]["annotations"] == {"note": "new"}
