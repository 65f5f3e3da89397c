from datetime import timedelta

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.ocirepository import (
    LayerSelector,
    OciReference,
    OidcIdentity,
    Verification,
    parse_oci_repository,
)


def document(**spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "podinfo", "namespace": "flux-system"},
        "spec": {"interval": "5m", "url": "oci://ghcr.io/stefanprodan/manifests/podinfo", **spec},
    }


def test_defaults():
    found = parse_oci_repository(document())
    assert str(found.image) == "ghcr.io/stefanprodan/manifests/podinfo"
    assert (found.timeout, found.layer, found.reference) == (timedelta(seconds=60), LayerSelector(), OciReference())
    assert (found.ignore, found.insecure, found.suspend, found.secret) == (None, False, False, "")


def test_every_field():
    found = parse_oci_repository(
        document(
            ref={"digest": "sha256:" + "a" * 64, "semver": "1.x", "semverFilter": ".*-rc", "tag": "latest"},
            layerSelector={"mediaType": "a/b", "operation": "copy"},
            secretRef={"name": "login"},
            certSecretRef={"name": "ca"},
            ignore="",
            insecure=True,
            suspend=True,
            timeout="10s",
        )
    )
    assert found.reference == OciReference(
        digest="sha256:" + "a" * 64, semver="1.x", semver_filter=".*-rc", tag="latest"
    )
    assert found.layer == LayerSelector(media_type="a/b", operation="copy")
    assert (found.secret, found.cert_secret, found.ignore, found.insecure, found.suspend) == (
        "login", "ca", "", True, True,
    )  # fmt: skip


def test_who_must_have_signed_it():
    asked = {
        "provider": "cosign",
        "matchOIDCIdentity": [{"issuer": "a", "subject": "b"}],
        "trustedRootSecretRef": {"name": "r"},
    }
    found = parse_oci_repository(document(verify=asked)).verification
    assert found == Verification(identities=(OidcIdentity(issuer="a", subject="b"),), trusted_root_secret="r")
    assert str(found) == "cosign keyless"
    by_key = parse_oci_repository(document(verify={"secretRef": {"name": "keys"}})).verification
    assert (by_key.secret, str(by_key)) == ("keys", "cosign")
    notation = parse_oci_repository(document(verify={"provider": "notation", "secretRef": {"name": "n"}})).verification
    assert str(notation) == "notation"
    assert parse_oci_repository(document()).verification is None


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"url": "https://ghcr.io/a"}, "spec.url: URL must be in format"),
        ({"url": "oci://ghcr.io/a:1"}, "spec.url: URL must not contain a tag; remove ':1'"),
        ({"ref": {"digest": "sha1:abc"}}, r"spec.ref.digest: is 'sha1:abc'"),
        ({"ref": {"tag": "a b"}}, "spec.ref.tag"),
        ({"ref": {"branch": "main"}}, "spec.ref.branch: is not a field here"),
        ({"layerSelector": {"operation": "move"}}, "spec.layerSelector.operation"),
        ({"interval": 5}, "spec.interval"),
        ({"url": 5}, "spec.url"),
        ({"verify": {"mode": "head"}}, "spec.verify.mode"),
    ],
)
def test_mistakes_are_named(spec, told):
    with pytest.raises(InvalidDocument, match=told):
        parse_oci_repository(document(**spec))


def test_an_unknown_version_is_refused():
    with pytest.raises(InvalidDocument, match="apiVersion"):
        parse_oci_repository({**document(), "apiVersion": "source.toolkit.fluxcd.io/v9"})
