"""OCIRepositories and Buckets from their document to the cluster, on in-memory ports."""

import base64
import json

import pytest
import yaml
from tests.memory_plane import MemoryPlane

from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import SourceStatus, status_key

REPOSITORY = "ghcr.io/acme/fleet"


def source(kind, **spec):
    return yaml.safe_dump(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "5m", **spec},
        }
    )


def oci(**spec):
    return source("OCIRepository", **{"url": f"oci://{REPOSITORY}", **spec})


def bucket(**spec):
    return source("Bucket", **{"bucketName": "fleet", "endpoint": "s3.example.com", **spec})


def kustomization(kind):
    return yaml.safe_dump(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "5m", "path": "./", "prune": True, "sourceRef": {"kind": kind, "name": "apps"}},
        }
    )


def config_map(value):
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "default"},
            "data": {"key": value},
        }
    ).encode()


def fleet(kind, document):
    return {"clusters/prod/source.yaml": document, "clusters/prod/apps.yaml": kustomization(kind)}


def status(plane, kind):
    return SourceStatus.from_value(plane.state.get(status_key("prod", kind, "flux-system", "apps")).value)


def ready(plane, kind):
    found = next(each for each in status(plane, kind).conditions if each.type == "Ready")
    return f"{found.status} {found.reason}: {found.message}"


def later(plane):
    """Longer than the interval."""
    plane.clock.advance(330)
    plane.tick()
    plane.settle()


def test_an_artifact_of_a_registry_reaches_the_cluster_and_its_next_tag_too():
    plane = MemoryPlane()
    first = plane.registry.push(REPOSITORY, "1.0.0", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci(ref={"semver": "1.x"})))
    plane.settle(seconds=10)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert ready(plane, "OCIRepository") == f"True Succeeded: stored artifact for digest '1.0.0@{first}'"
    assert plane.ready("apps") == f"True ReconciliationSucceeded: Applied revision: 1.0.0@{first}"
    origin = {"org.opencontainers.image.revision": "main@sha1:abc"}
    second = plane.registry.push(REPOSITORY, "1.1.0", {"a.yaml": config_map("2")}, annotations=origin)
    plane.registry.push(REPOSITORY, "2.0.0", {"a.yaml": config_map("3")})
    later(plane)
    assert plane.config_map("a", "default") == {"key": "2"}
    assert status(plane, "OCIRepository").revision == f"1.1.0@{second}"
    assert any("origin revision 'main@sha1:abc'" in each.message for each in plane.events)


def test_an_unchanged_tag_is_not_pulled_again():
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci()))
    plane.settle(seconds=10)
    before = plane.registry.requests
    later(plane)
    assert plane.registry.requests == before + 1
    assert status(plane, "OCIRepository").observation == 1


def test_a_digest_is_its_own_revision_and_copy_leaves_the_ignore_rules_out():
    plane = MemoryPlane()
    files = {"a.yaml": config_map("1"), "b.yaml": b"not: a manifest\n", ".sourceignore": b"b.yaml\n"}
    digest = plane.registry.push(REPOSITORY, "1.0.0", files)
    plane.push(fleet("OCIRepository", oci(ref={"digest": digest})))
    plane.settle(seconds=10)
    assert plane.ready("apps") == f"True ReconciliationSucceeded: Applied revision: {digest}"
    plane.push(fleet("OCIRepository", oci(ref={"digest": digest}, layerSelector={"operation": "copy"})))
    plane.settle(seconds=10)
    assert plane.ready("apps").startswith("False BuildFailed")


def test_a_login_that_several_sources_share_wakes_each_of_them():
    plane = MemoryPlane()
    named = [yaml.safe_load(oci(secretRef={"name": "login"})) for _ in range(3)]
    for number, document in enumerate(named):
        document["metadata"]["name"] = f"apps-{number}"
    plane.push({"clusters/prod/sources.yaml": yaml.safe_dump_all(named)})
    plane.settle(seconds=1)
    woken, deliver = [], plane.deliver

    def delivered(delivery):
        message = delivery.envelope.message
        woken.extend([message.name] if isinstance(message, SourceChanged) and message.kind == "OCIRepository" else [])
        deliver(delivery)

    plane.deliver = delivered
    for kind, name, data in (("Namespace", "flux-system", {}), ("Secret", "login", {"stringData": {"key": "value"}})):
        place = {} if kind == "Namespace" else {"namespace": "flux-system"}
        plane.cluster.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place}, **data})
    plane.publish(ReconcileDue(cluster="prod", namespace="flux-system", name="flux-system", why="interval"))
    while plane.step():
        pass
    assert sorted(woken) == ["apps-0", "apps-1", "apps-2"]


def test_the_login_comes_from_the_secret_that_the_document_names():
    plane = MemoryPlane()
    basic = base64.b64encode(b"robot:canary").decode()
    plane.registry.logins[REPOSITORY] = basic
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci(secretRef={"name": "login"})))
    plane.settle(seconds=10)
    assert ready(plane, "OCIRepository").startswith("False AuthenticationFailed: failed to get secret")
    config = json.dumps({"auths": {"ghcr.io": {"auth": basic}}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "flux-system"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    plane.push({"clusters/prod/login.yaml": yaml.safe_dump_all([namespace, secret])})
    plane.settle(seconds=10)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert "canary" not in str(plane.events)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"ref": {"tag": "none"}}, "False OCIArtifactPullFailed: failed to determine artifact digest"),
        ({"ref": {"semver": "9.x"}}, "False ReadOperationFailed: failed to determine artifact digest: no match found"),
        (
            {"ref": {"semver": "1.x", "semverFilter": "("}},
            "False BuildFailed: spec.ref.semverFilter: is no regular expression",
        ),
        ({"layerSelector": {"mediaType": "a/b"}}, "False OCIArtifactLayerOperationFailed: failed to pull artifact"),
        ({"verify": {"matchOIDCIdentity": [{"issuer": "(", "subject": "."}]}}, "issuer: is no regular expression"),
    ],
)
def test_what_is_wrong_is_said_and_the_last_artifact_stays(spec, told):
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci()))
    plane.settle(seconds=10)
    plane.push(fleet("OCIRepository", oci(**spec)))
    plane.settle(seconds=10)
    assert told in ready(plane, "OCIRepository")
    assert plane.config_map("a", "default") == {"key": "1"}
    assert status(plane, "OCIRepository").artifact


def test_a_document_that_no_api_server_would_take_is_refused_by_its_parent_and_the_last_artifact_stays():
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    plane.push(fleet("OCIRepository", oci()))
    plane.settle(seconds=10)
    plane.push(fleet("OCIRepository", oci(verify={"provider": "notation"})))
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("2")})
    plane.settle(seconds=10)
    assert "spec.verify.secretRef: is required for provider notation" in plane.ready("flux-system")
    assert plane.config_map("a", "default") == {"key": "1"}


def test_a_bucket_reaches_the_cluster_and_its_next_object_too():
    plane = MemoryPlane()
    plane.buckets.put("fleet", "a.yaml", config_map("1"))
    plane.buckets.put("fleet", "notes.md", b"x")
    plane.push(fleet("Bucket", bucket()))
    plane.settle(seconds=10)
    assert plane.config_map("a", "default") == {"key": "1"}
    revision = status(plane, "Bucket").revision
    assert ready(plane, "Bucket") == f"True Succeeded: stored artifact: revision '{revision}'"
    reads = plane.buckets.reads
    later(plane)
    assert plane.buckets.reads == reads
    plane.buckets.put("fleet", "a.yaml", config_map("2"))
    later(plane)
    assert plane.config_map("a", "default") == {"key": "2"}
    assert status(plane, "Bucket").revision != revision


@pytest.mark.parametrize(
    ("key", "spec", "told"),
    [
        ("../a.yaml", {}, "has no name that a file can have"),
        ("a.yaml", {"bucketName": "none"}, "bucket 'none' not found"),
        ("a.yaml", {"prefix": "apps/"}, "no object begins with prefix 'apps/'"),
        ("a.yaml", {"provider": "aws"}, "policy.ownIdentitySources"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_said(key, spec, told):
    plane = MemoryPlane()
    plane.buckets.put("fleet", key, config_map("1"))
    plane.push(fleet("Bucket", bucket(**spec)))
    plane.settle(seconds=10)
    assert told in ready(plane, "Bucket")
    assert status(plane, "Bucket").artifact == ""


def waiting(document):
    """A fleet whose Kustomization ``infra`` renders a source, and waits for its health."""
    made = yaml.safe_load(kustomization("GitRepository"))
    made["metadata"]["name"] = "infra"
    made["spec"] |= {"path": "./infra", "wait": True, "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}
    return {"clusters/prod/infra.yaml": yaml.safe_dump(made), "infra/source.yaml": document}


def test_who_waits_for_a_source_waits_for_its_artifact():
    plane = MemoryPlane()
    plane.push(waiting(oci()))
    plane.settle(seconds=5)
    assert plane.ready("infra").startswith("Unknown Progressing: Running health checks")
    plane.registry.push(REPOSITORY, "latest", {"a.yaml": config_map("1")})
    later(plane)
    assert plane.ready("infra").startswith("True")


def test_a_source_that_nothing_mends_fails_who_waits_for_it():
    plane = MemoryPlane()
    plane.registry.push(REPOSITORY, "1.0.0", {"a.yaml": config_map("1")})
    plane.push(waiting(oci(ref={"semver": "no range"})))
    plane.settle(seconds=60)
    assert plane.ready("infra").startswith("False HealthCheckFailed")
    assert "OCIRepository/flux-system/apps" in plane.ready("infra")
