from datetime import timedelta
from typing import Any

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.kustomization import (
    Dependency,
    KubeConfigRef,
    Kustomization,
    SourceRef,
    SubstituteFrom,
    parse_kustomization,
)
from penstock.core.resources import ObjectRef

REQUIRED: dict[str, Any] = {
    "interval": "10m",
    "prune": True,
    "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
}


def document(*, api_version: str = "kustomize.toolkit.fluxcd.io/v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "team"},
        "spec": {name: value for name, value in {**REQUIRED, **spec}.items() if value is not ...},
    }


def parsed(**spec: Any) -> Kustomization:
    return parse_kustomization(document(**spec))


def test_a_document_with_the_required_fields_alone_gets_flux_s_defaults() -> None:
    found = parsed()
    assert found.source == SourceRef(kind="GitRepository", namespace="team", name="flux-system")
    assert (found.deletion_policy, found.wait, found.directory) == ("MirrorPrune", False, "")
    assert found.overlay() == {}
    assert found.owner_labels == {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "team",
    }
    assert str(found.ref) == "Kustomization/team/apps"


@pytest.mark.parametrize(
    ("spec", "attribute", "expected"),
    [
        ({"dependsOn": [{"name": "a"}]}, "depends_on", (Dependency(namespace="team", name="a"),)),
        (
            {"dependsOn": [{"name": "a", "namespace": "b"}]},
            "depends_on",
            (Dependency(namespace="b", name="a"),),
        ),
        (
            {"sourceRef": {"kind": "OCIRepository", "name": "x", "namespace": "y"}},
            "source",
            SourceRef(kind="OCIRepository", namespace="y", name="x"),
        ),
        (
            {"healthChecks": [{"kind": "Deployment", "name": "web", "namespace": "prod"}]},
            "health_checks",
            (ObjectRef(group="apps", kind="Deployment", namespace="prod", name="web"),),
        ),
        (
            {"healthChecks": [{"apiVersion": "v1", "kind": "Pod", "name": "web"}]},
            "health_checks",
            (ObjectRef(kind="Pod", name="web"),),
        ),
        ({"kubeConfig": {"secretRef": {"name": "kc"}}}, "kube_config", KubeConfigRef(secret="kc")),
        ({"commonMetadata": {"labels": {"a": "b"}}}, "common_labels", {"a": "b"}),
        ({"images": [{"name": "a", "newTag": "1"}]}, "images", ({"name": "a", "newTag": "1"},)),
    ],
)
def test_fields_become_values(spec: dict[str, Any], attribute: str, expected: object) -> None:
    assert getattr(parsed(**spec), attribute) == expected


def test_post_build_and_decryption() -> None:
    found = parsed(
        postBuild={"substitute": {"a": "1"}, "substituteFrom": [{"kind": "Secret", "name": "vars", "optional": True}]},
        decryption={"provider": "sops", "secretRef": {"name": "age"}},
    )
    assert found.post_build is not None
    assert found.post_build.substitute_from == (SubstituteFrom(kind="Secret", name="vars", optional=True),)
    assert found.decryption is not None
    assert found.decryption.secret == "age"


@pytest.mark.parametrize(
    ("timeout", "interval", "expected"),
    [(None, "10m", 570), (None, "45s", 30), ("5s", "10m", 30), ("2m", "10m", 120)],
)
def test_timeout_has_a_floor_of_thirty_seconds(timeout: str | None, interval: str, expected: int) -> None:
    assert parsed(timeout=timeout, interval=interval).effective_timeout == timedelta(seconds=expected)


@pytest.mark.parametrize(("retry", "expected"), [(None, 600), ("1m", 60)])
def test_retry_interval_defaults_to_the_interval(retry: str | None, expected: int) -> None:
    assert parsed(retryInterval=retry).effective_retry_interval == timedelta(seconds=expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("./apps/", "apps"), ("/a//b/./c", "a/b/c"), ("../../etc", "etc"), ("a/../..", ""), ("", "")],
)
def test_a_path_stays_inside_its_source(path: str, expected: str) -> None:
    assert parsed(path=path).directory == expected


def test_the_overlay_is_in_the_kustomization_file_s_own_fields() -> None:
    found = parsed(
        path="./apps",
        patches=[{"patch": "- op: remove\n  path: /a", "target": {"kind": "Deployment", "labelSelector": "a=b"}}],
        components=["../shared/a", "gone"],
        ignoreMissingComponents=True,
        images=[{"name": "nginx", "newName": "mirror/nginx"}],
        namePrefix="a-",
        nameSuffix="-z",
        targetNamespace="prod",
        buildMetadata=["originAnnotations"],
    )
    assert found.overlay(lambda path: path == "shared/a") == {
        "patches": [
            {"patch": "- op: remove\n  path: /a", "target": {"kind": "Deployment", "labelSelector": "a=b"}},
        ],
        "components": ["../shared/a"],
        "images": [{"name": "nginx", "newName": "mirror/nginx"}],
        "namePrefix": "a-",
        "nameSuffix": "-z",
        "namespace": "prod",
        "buildMetadata": ["originAnnotations"],
    }
    assert found.overlay()["components"] == ["../shared/a", "gone"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"interval": ...}, "spec.interval: is required"),
        ({"interval": "10"}, "spec.interval: '10' is not a duration"),
        ({"prune": ...}, "spec.prune: is required"),
        ({"sourceRef": ...}, "spec.sourceRef: is required"),
        ({"sourceRef": {"kind": "HelmRepository", "name": "a"}}, "spec.sourceRef.kind: is 'HelmRepository'"),
        ({"sourceRef": {"kind": "Bucket", "name": "a", "apiVersion": "v1"}}, "spec.sourceRef.apiVersion: is 'v1'"),
        ({"pathh": "x"}, "spec.pathh: is not a field here"),
        ({"dependsOn": [{"name": "a"}, {}]}, "spec.dependsOn[1].name: is required"),
        ({"deletionPolicy": "Keep"}, "spec.deletionPolicy: is 'Keep', must be one of MirrorPrune"),
        ({"targetNamespace": "n" * 64}, "spec.targetNamespace: is longer than 63"),
        ({"components": ["https://x/y"]}, "spec.components[0]: component path 'https://x/y' must be local"),
        ({"buildMetadata": ["all"]}, "spec.buildMetadata[0]: is 'all'"),
        ({"postBuild": {"substitute": {"a": 1}}}, "spec.postBuild.substitute.a: must be a string"),
        ({"decryption": {"provider": "vals"}}, "spec.decryption.provider: is 'vals', must be one of sops"),
        ({"kubeConfig": {}}, "spec.kubeConfig: needs exactly one of"),
        ({"patches": [{"patch": "a", "target": {"labels": "x"}}]}, "spec.patches[0].target.labels: is not a field"),
        (
            {"api_version": "kustomize.toolkit.fluxcd.io/v1beta1"},
            "apiVersion: is 'kustomize.toolkit.fluxcd.io/v1beta1'",
        ),
        ({"validation": "client"}, "spec.validation: is not a field here"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse_kustomization(document(**spec), file="clusters/a/apps.yaml")
    assert str(caught.value).startswith(f"clusters/a/apps.yaml, Kustomization/team/apps, {message}")


def test_a_namespace_is_required() -> None:
    manifest = document()
    del manifest["metadata"]["namespace"]
    with pytest.raises(InvalidDocument, match=r"Kustomization/apps, metadata.namespace: is required"):
        parse_kustomization(manifest)


def test_the_old_version_is_read_with_warnings() -> None:
    old = document(api_version="kustomize.toolkit.fluxcd.io/v1beta2", validation="client")
    first, second = parse_kustomization(old).warnings
    assert "v1beta2 is deprecated" in first
    assert "spec.validation has no effect" in second
    assert parse_kustomization(document()).warnings == ()
