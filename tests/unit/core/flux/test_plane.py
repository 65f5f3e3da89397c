import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from penstock.core.errors import InvalidDocument, NotFound
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.flux.plane import Policy, parse_plane, plane_source_document, root_kustomization
from penstock.core.flux.plane_diff import diff_planes
from penstock.core.flux.plane_kubeconfig import ClusterKubeConfig
from penstock.core.flux.plane_schema import plane_schema

SCHEMA_FILE = Path(__file__).parents[4] / "docs" / "plane.schema.json"
SOURCE = {"url": "https://git.example.com/fleet.git"}

EKS = "arn:aws:eks:eu-central-1:111122223333:cluster/production"
GKE = "projects/acme/locations/europe-west1"
PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
GENERIC = {"provider": "generic", "address": "https://api.example.com:6443"}
ACCOUNT = {"cluster": "production", "namespace": "flux-system", "name": "penstock"}
REMOTE: dict[str, Any] = {"name": "remote", "kubeConfig": {**GENERIC, "serviceAccount": ACCOUNT}}


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "main"},
        "spec": {"source": SOURCE, **spec},
    }


def cluster(**fields: Any) -> dict[str, Any]:
    return {"name": "production", "path": "clusters/production", **fields}


def test_the_smallest_plane() -> None:
    plane = parse_plane(document())
    assert plane.source.ref == {"branch": "main"}
    assert plane.source.interval == timedelta(minutes=5)
    assert plane.clusters == ()
    assert plane.policy == Policy()


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({}, "kube_config", ClusterKubeConfig()),
        (
            {"kubeConfig": {"path": "/k", "context": "c"}},
            "kube_config",
            ClusterKubeConfig(path="/k", context="c"),
        ),
        (
            {"kubeConfig": {"secretRef": {"name": "s"}}},
            "kube_config",
            ClusterKubeConfig(secret="s", key="value"),
        ),
        ({"path": "./clusters//a/"}, "path", "clusters/a"),
        ({"path": "./"}, "path", ""),
        ({"region": "eu-1", "labels": {"tier": "gold"}}, "labels", {"tier": "gold"}),
    ],
)
def test_fields_of_a_cluster(fields: dict[str, Any], attribute: str, expected: object) -> None:
    (found,) = parse_plane(document(clusters=[cluster(**fields)])).clusters
    assert getattr(found, attribute) == expected


def test_a_cluster_overrides_the_policy_field_by_field() -> None:
    plane = parse_plane(
        document(
            policy={"noCrossNamespaceRefs": True, "allowedHosts": ["10.0.0.0/8"], "prune": {"objects": 3}},
            clusters=[cluster(policy={"sopsMac": "warn", "prune": {"percent": 90}}), cluster(name="staging")],
        )
    )
    assert plane.policy_for("staging") == plane.policy_for("unknown") == plane.policy
    found = plane.policy_for("production")
    assert (found.sops_mac, found.prune_objects, found.prune_percent) == ("warn", 3, 90)
    assert found.no_cross_namespace_refs
    assert found.allowed_hosts == ("10.0.0.0/8",)


def test_a_cluster_is_found_by_name() -> None:
    plane = parse_plane(document(clusters=[cluster()]))
    assert plane.cluster("production").path == "clusters/production"
    with pytest.raises(NotFound, match="no cluster staging"):
        plane.cluster("staging")


VALID = [
    document(),
    document(source={**SOURCE, "ref": {"branch": "trunk"}, "interval": "1h30m", "secretRef": {"name": "git"}}),
    document(source={"url": "ssh://git@git.example.com:2222/acme/fleet.git"}),
    document(policy={"ownIdentitySources": ["OCIRepository/flux-system/fleet", "Bucket/a/b.c"]}),
    document(clusters=[cluster(), cluster(name="b", path="./")]),
    document(clusters=[cluster(kubeConfig={"path": "a", "context": "b"}, region="x", labels={"a": "b"})]),
    document(clusters=[cluster(kubeConfig={"secretRef": {"name": "s", "key": "k"}})]),
    document(policy={"noRemoteBases": True, "defaultServiceAccount": "default", "allowedHosts": ["*.example.com"]}),
    document(policy={"prune": {"objects": 0, "percent": 100}, "sopsMac": "warn"}),
    document(clusters=[cluster(kubeConfig={"provider": "aws", "cluster": EKS})]),
    document(clusters=[cluster(kubeConfig={"provider": "azure", "address": "https://aks.example.com", "caData": PEM})]),
    document(clusters=[cluster(kubeConfig={"provider": "gcp", "cluster": f"{GKE}/memberships/edge"})]),
    document(clusters=[cluster(kubeConfig={"provider": "gcp", "cluster": f"{GKE}/clusters/a"}), cluster(**REMOTE)]),
    document(clusters=[cluster(kubeConfig={**GENERIC, "tokenPath": "/var/run/token", "audiences": ["a", "b"]})]),
    document(
        policy={"defaultDecryptionServiceAccount": "sops", "ownIdentityDecryption": ["flux-system/apps", "a/b.c"]}
    ),
    document(policy={"defaultKubeConfigServiceAccount": "tenant", "ownIdentityClusters": [EKS, "arn:aws:eks:*"]}),
]
INVALID = [
    ({**document(), "apiVersion": "v1"}, "apiVersion: is 'v1', must be one of penstock.dev/v1alpha1"),
    ({**document(), "kind": "Fleet"}, "kind: is 'Fleet', must be one of Plane"),
    ({**document(), "metadata": {}}, "metadata.name: is required"),
    ({**document(), "metadata": {"name": "a", "uid": "b"}}, "metadata.uid: is not a field here"),
    ({**document(), "status": {}}, "status: is not a field here"),
    ({"apiVersion": "penstock.dev/v1alpha1", "kind": "Plane", "metadata": {"name": "a"}}, "spec: is required"),
    (document(source=None), "spec.source: is required"),
    (document(source={}), "spec.source.url: is required"),
    (document(source={"url": "git@x:y"}), "spec.source.url: is 'git@x:y', must be an http, https or ssh"),
    (document(source={"url": "ssh://me:pw@x/y"}), "spec.source.url: holds credentials"),
    (document(source={"url": "https://me:pw@x/y"}), "spec.source.url: holds credentials"),
    (document(source={**SOURCE, "ref": {"tags": "v1"}}), "spec.source.ref.tags: is not a field here"),
    (document(source={**SOURCE, "interval": "often"}), "spec.source.interval: 'often' is not a duration"),
    (document(clusters=[{"path": "a"}]), "spec.clusters[0].name: is required"),
    (document(clusters=[{"name": "a"}]), "spec.clusters[0].path: is required"),
    (document(clusters=[cluster(name="-")]), "spec.clusters[0].name: is '-', must match"),
    (document(clusters=[cluster(name="A")]), "spec.clusters[0].name: is 'A', must match"),
    (document(clusters=[cluster(path="../x")]), "spec.clusters[0].path: is '../x', must be a path inside"),
    (document(clusters=[cluster(path="/x")]), "spec.clusters[0].path: is '/x', must be a path inside"),
    (
        document(clusters=[cluster(kubeConfig={"path": "a", "secretRef": {"name": "b"}})]),
        "spec.clusters[0].kubeConfig: has a path and a secretRef",
    ),
    (document(policy={"noRemoteBases": "no"}), "spec.policy.noRemoteBases: must be true or false"),
    (document(policy={"sopsMac": "off"}), "spec.policy.sopsMac: is 'off', must be one of enforce, warn"),
    (document(policy={"allowedHosts": ["a b"]}), "spec.policy.allowedHosts[0]: is 'a b', must be a host"),
    (document(policy={"prune": {"percent": 101}}), "spec.policy.prune.percent: is 101, must be between 0 and 100"),
    (document(policy={"takeover": True}), "spec.policy.takeover: is not a field here"),
    (
        document(policy={"ownIdentityDecryption": ["apps"]}),
        "spec.policy.ownIdentityDecryption[0]: is 'apps', must be a Kustomization's NAMESPACE/NAME",
    ),
    (
        document(policy={"ownIdentitySources": ["flux-system/fleet"]}),
        "spec.policy.ownIdentitySources[0]: is 'flux-system/fleet', must be KIND/NAMESPACE/NAME",
    ),
    (
        document(policy={"ownIdentityClusters": ["*"]}),
        "spec.policy.ownIdentityClusters[0]: is '*', must be a cluster's",
    ),
    *(
        (document(clusters=[cluster(kubeConfig=given)]), f"spec.clusters[0].kubeConfig{message}")
        for given, message in (
            ({"provider": "ibm"}, ".provider: is 'ibm', must be one of aws, azure, gcp, generic"),
            ({"cluster": EKS}, ".cluster: needs a provider"),
            ({"serviceAccount": ACCOUNT}, ".serviceAccount: needs a provider"),
            ({"provider": "aws", "cluster": EKS, "path": "/k"}, ".path: stands beside a provider"),
            ({"provider": "aws", "cluster": EKS, "context": "c"}, ".context: stands beside a provider"),
            ({"provider": "aws", "cluster": EKS, "secretRef": {"name": "s"}}, ".secretRef: stands beside a provider"),
            ({"provider": "aws", "cluster": EKS, "tokenPath": "/t"}, ".tokenPath: is for provider generic"),
            ({"provider": "aws", "address": "a.example", "caData": PEM}, ".cluster: is required for provider aws"),
            ({"provider": "gcp", "address": "https://a.example"}, ".cluster: is required where address or caData"),
            ({"provider": "azure"}, ".cluster: is required where address or caData is not set"),
            ({"provider": "generic", "tokenPath": "/t"}, ".address: is required for provider generic"),
            (GENERIC, ": needs a serviceAccount or a tokenPath"),
            ({**GENERIC, "tokenPath": "/t", "serviceAccount": ACCOUNT}, ": has a serviceAccount and a tokenPath"),
            ({**GENERIC, "serviceAccount": {"name": "a"}}, ".serviceAccount.cluster: is required"),
        )
    ),
]
ONLY_THE_PARSER = [
    (
        document(clusters=[cluster(kubeConfig={"provider": "aws", "cluster": "production"})]),
        "spec.clusters[0].kubeConfig.cluster: is 'production', must be arn:aws:eks:REGION:ACCOUNT:cluster/NAME",
    ),
    (
        document(clusters=[cluster(**REMOTE)]),
        "spec.clusters[0].kubeConfig.serviceAccount.cluster: is 'production', which is no cluster of this Plane",
    ),
    (
        document(clusters=[cluster(kubeConfig=REMOTE["kubeConfig"])]),
        "spec.clusters[0].kubeConfig.serviceAccount.cluster: is 'production', which is itself reached by",
    ),
    (document(clusters=[cluster(), cluster()]), "spec.clusters[1].name: is 'production', which another"),
]


@pytest.mark.parametrize(("manifest", "message"), [*INVALID, *ONLY_THE_PARSER])
def test_what_is_wrong_is_named_by_its_path(manifest: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse_plane(manifest, file="penstock.yaml")
    assert str(caught.value).startswith("penstock.yaml, Plane")
    assert f", {message}" in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("manifest", VALID)
def test_parser_and_schema_accept_the_same(manifest: dict[str, Any]) -> None:
    parse_plane(manifest)
    jsonschema.Draft202012Validator(plane_schema()).validate(manifest)


@pytest.mark.parametrize("manifest", [manifest for manifest, _ in INVALID])
def test_parser_and_schema_refuse_the_same(manifest: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(plane_schema()).is_valid(manifest)


def test_the_published_schema_is_the_present_one() -> None:
    """Write it anew: .venv/bin/python -c 'import json; from penstock.core.flux.plane_schema import plane_schema as s;
    print(json.dumps(s(), indent=2))' > docs/plane.schema.json
    """
    assert json.loads(SCHEMA_FILE.read_text()) == plane_schema()


def known_fields(manifest: dict[str, Any]) -> set[str]:
    with pytest.raises(InvalidDocument) as caught:
        parse_plane(manifest)
    return set(str(caught.value).partition("(known: ")[2].rstrip(")").split(", "))


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        (document(zzz=1), ()),
        (document(source={**SOURCE, "zzz": 1}), ("source",)),
        (document(clusters=[cluster(zzz=1)]), ("clusters", "items")),
        (document(policy={"zzz": 1}), ("policy",)),
        (document(clusters=[cluster(kubeConfig={"zzz": 1})]), ("clusters", "items", "kubeConfig")),
    ],
)
def test_parser_and_schema_know_the_same_fields(manifest: dict[str, Any], place: tuple[str, ...]) -> None:
    schema = plane_schema()["properties"]["spec"]
    for name in place:
        schema = schema["items"] if name == "items" else schema["properties"][name]
    assert known_fields(manifest) == set(schema["properties"])


def test_the_source_and_the_roots_are_flux_documents() -> None:
    source = {**SOURCE, "ref": {"tag": "v1"}, "interval": "2m", "secretRef": {"name": "git"}}
    plane = parse_plane(document(source=source, clusters=[cluster()]))
    repository = parse_git_repository(plane_source_document(plane))
    assert (repository.namespace, repository.name, repository.url) == ("flux-system", "flux-system", SOURCE["url"])
    assert repository.reference.tag == "v1"
    assert repository.secret == "git"
    root = parse_kustomization(root_kustomization(plane, plane.clusters[0]))
    assert str(root.ref) == "Kustomization/flux-system/flux-system"
    assert (root.directory, root.prune, root.interval) == ("clusters/production", True, timedelta(minutes=2))
    assert str(root.source) == "GitRepository/flux-system/flux-system"


def test_the_diff_names_clusters_and_fields() -> None:
    old = document(clusters=[cluster(), cluster(name="old")], policy={"sopsMac": "warn"})
    new = document(clusters=[cluster(name="new", labels={"a": "b"}), cluster(path="x")], policy={"noRemoteBases": True})
    assert diff_planes(old, new) == (
        "+ clusters[new].labels.a: b",
        "+ clusters[new].name: new",
        "+ clusters[new].path: clusters/production",
        "- clusters[old].name: old",
        "- clusters[old].path: clusters/production",
        "~ clusters[production].path: clusters/production -> x",
        "+ policy.noRemoteBases: true",
        "- policy.sopsMac: warn",
    )
    assert diff_planes(new, new) == ()
    assert diff_planes(None, document()) == ("+ source.url: https://git.example.com/fleet.git",)


@pytest.mark.parametrize("named", ["Widget", "example.com/widget", "example.com/", 5])
def test_a_kind_of_a_stage_is_group_and_kind(named):
    found = document(policy={"customApplyStageKinds": [named]})
    with pytest.raises(InvalidDocument, match=r"spec\.policy\.customApplyStageKinds\[0\]"):
        parse_plane(found)


@pytest.mark.parametrize("named", ["", "x" * 129, 5])
def test_a_manager_to_override_has_a_name(named):
    found = document(policy={"overrideManagers": [named]})
    with pytest.raises(InvalidDocument, match=r"spec\.policy\.overrideManagers\[0\]"):
        parse_plane(found)
