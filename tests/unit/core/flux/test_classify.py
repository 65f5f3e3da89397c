from typing import Any

import pytest

from penstock.core.flux.classify import Classified, classify
from penstock.core.flux.components import ControllerFlags

FLUX = {"app.kubernetes.io/part-of": "flux"}


def thing(api_version: str, kind: str, name: str = "x", *, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}}


def kind_of_end(found: Classified) -> str:
    ends = {
        "apply": found.apply,
        "interpreted": found.interpreted,
        "unsupported": found.unsupported,
        "left out": found.left_out,
    }
    (end,) = (name for name, part in ends.items() if part)
    return end


@pytest.mark.parametrize(
    ("manifest", "end", "reason"),
    [
        (thing("kustomize.toolkit.fluxcd.io/v1", "Kustomization"), "interpreted", ""),
        (thing("kustomize.toolkit.fluxcd.io/v1", "Kustomization", labels=FLUX), "interpreted", ""),
        (thing("source.toolkit.fluxcd.io/v1", "GitRepository"), "interpreted", ""),
        (thing("source.extensions.fluxcd.io/v1beta1", "ArtifactGenerator"), "interpreted", ""),
        (thing("notification.toolkit.fluxcd.io/v1beta3", "Alert"), "interpreted", ""),
        (thing("helm.toolkit.fluxcd.io/v2", "HelmRelease"), "unsupported", "HelmRelease (helm.toolkit.fluxcd.io)"),
        (thing("source.toolkit.fluxcd.io/v1", "HelmRepository"), "unsupported", "HelmRepository"),
        (thing("source.toolkit.fluxcd.io/v1", "Bucket"), "interpreted", ""),
        (thing("source.toolkit.fluxcd.io/v1", "OCIRepository"), "interpreted", ""),
        (thing("image.toolkit.fluxcd.io/v1", "ImagePolicy"), "unsupported", "ImagePolicy"),
        (thing("kustomize.toolkit.fluxcd.io/v9", "Novelty"), "unsupported", "Novelty"),
        (thing("fluxcd.controlplane.io/v1", "FluxInstance"), "left out", "belongs to the Flux Operator"),
        (thing("fluxcd.controlplane.io/v1", "ResourceSet"), "left out", "belongs to the Flux Operator"),
        (
            thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "buckets.source.toolkit.fluxcd.io"),
            "left out",
            "a CustomResourceDefinition of Flux (source.toolkit.fluxcd.io)",
        ),
        (
            thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "fluxinstances.fluxcd.controlplane.io"),
            "left out",
            "a CustomResourceDefinition of Flux",
        ),
        (thing("apps/v1", "Deployment", "source-controller", labels=FLUX), "left out", "a component of Flux"),
        (thing("v1", "Namespace", "flux-system", labels=FLUX), "left out", "a component of Flux"),
        (thing("v1", "Namespace", "flux-system"), "apply", ""),
        (thing("v1", "Secret", "webhook-token"), "apply", ""),
        (thing("infra.contrib.fluxcd.io/v1alpha2", "Terraform"), "apply", ""),
        (
            thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "terraforms.infra.contrib.fluxcd.io"),
            "apply",
            "",
        ),
        (thing("apps/v1", "Deployment", labels={"app.kubernetes.io/part-of": "fluxion"}), "apply", ""),
    ],
)
def test_each_object_has_one_end_and_a_reason(manifest: dict[str, Any], end: str, reason: str) -> None:
    found = classify([manifest])
    assert kind_of_end(found) == end
    reasons = [each.reason for each in (*found.unsupported, *found.left_out)]
    assert all(reason in each for each in reasons)
    assert bool(reasons) == bool(reason)


def test_order_is_kept_and_left_out_namespaces_are_told_apart() -> None:
    namespace = thing("v1", "Namespace", "flux-system", labels=FLUX)
    found = classify([thing("v1", "ConfigMap", "b"), namespace, thing("v1", "ConfigMap", "a")])
    assert [each["metadata"]["name"] for each in found.apply] == ["b", "a"]
    assert found.namespaces == (namespace,)
    assert [str(each.ref) for each in found.left_out] == ["Namespace/flux-system"]


def controller(*arguments: str, name: str = "kustomize-controller") -> dict[str, Any]:
    labels = {**FLUX, "app.kubernetes.io/component": name}
    return {
        **thing("apps/v1", "Deployment", name, labels=labels),
        "spec": {"template": {"spec": {"containers": [{"name": "manager", "args": list(arguments)}]}}},
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ControllerFlags()),
        (("--log-level=info", "--watch-all-namespaces=true", "--concurrent=20"), ControllerFlags()),
        (
            ("--no-cross-namespace-refs=true", "--no-remote-bases=true", "--default-service-account=default"),
            ControllerFlags(no_cross_namespace_refs=True, no_remote_bases=True, default_service_account="default"),
        ),
        (("--no-remote-bases",), ControllerFlags(no_remote_bases=True)),
        (("--no-remote-bases=false", "--insecure-kubeconfig-exec=false"), ControllerFlags()),
        (
            ("--override-manager=rancher", "--override-manager=helm"),
            ControllerFlags(override_managers=("rancher", "helm")),
        ),
        (
            ("--custom-apply-stage-kinds=example.com/Cluster, /ConfigMap",),
            ControllerFlags(stage_kinds=("example.com/Cluster", "/ConfigMap")),
        ),
        (("--sops-age-secret=keys",), ControllerFlags(unserved=("sops-age-secret",))),
        (
            ("--feature-gates=StrictPostBuildSubstitutions=false,DisableFailFastBehavior=true,Other=true",),
            ControllerFlags(
                unserved=("feature-gates=DisableFailFastBehavior", "feature-gates=StrictPostBuildSubstitutions")
            ),
        ),
        (("--feature-gates=StrictPostBuildSubstitutions=true",), ControllerFlags()),
    ],
)
def test_the_controllers_flags_are_read(arguments: tuple[str, ...], expected: ControllerFlags) -> None:
    assert classify([controller(*arguments)]).flags == expected


def test_other_controllers_flags_are_not() -> None:
    assert classify([controller("--no-remote-bases=true", name="helm-controller")]).flags == ControllerFlags()
