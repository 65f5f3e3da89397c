import json
import re

import pytest

from penstock.core.errors import InvalidDocument, Terminal
from penstock.core.sources.oci import (
    Descriptor,
    ImageName,
    image_name,
    newest_tag,
    parse_index,
    parse_manifest,
    select_layer,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("url", "registry", "repository"),
    [
        ("oci://ghcr.io/stefanprodan/manifests/podinfo", "ghcr.io", "stefanprodan/manifests/podinfo"),
        ("oci://localhost:5000/a", "localhost:5000", "a"),
        ("oci://[::1]:5000/a/b_c.d--e", "[::1]:5000", "a/b_c.d--e"),
        ("oci://docker.io/fluxcd/x", "index.docker.io", "fluxcd/x"),
        ("oci://docker.io/nginx", "index.docker.io", "library/nginx"),
    ],
)
def test_names(url, registry, repository):
    assert image_name(url) == ImageName(registry=registry, repository=repository)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://ghcr.io/a/b", "must be in format 'oci://<domain>/<org>/<repo>'"),
        ("oci://ghcr.io", "must be in format"),
        ("oci://ghcr.io/", "must be in format"),
        ("oci://ghcr.io/A/b", "must be in format"),
        ("oci://ghcr.io/a//b", "must be in format"),
        ("oci://ghcr.io/a/../b", "must be in format"),
        ("oci://user@ghcr.io/a", "must be in format"),
        ("oci://ghcr.io/a/b:1.0", "must not contain a tag; remove ':1.0'"),
        (f"oci://ghcr.io/a/b@{DIGEST}", "must not contain a digest"),
    ],
)
def test_what_is_no_name(url, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        image_name(url)


def test_the_newest_tag_of_a_range_and_a_filter():
    tags = ["1.0.0", "1.2.0", "v1.3.0", "2.0.0", "latest", "1.4.0-rc.1"]
    assert newest_tag(tags, "1.x", None) == "v1.3.0"
    assert newest_tag(tags, ">=1.0.0-0 <2", re.compile("-rc")) == "1.4.0-rc.1"
    with pytest.raises(Terminal, match=r"no match found for semver: 3\.x"):
        newest_tag(tags, "3.x", None)
    with pytest.raises(InvalidDocument, match=r"spec\.ref\.semver"):
        newest_tag(tags, "what?", None)


def descriptor(**more):
    return {"mediaType": "m", "digest": DIGEST, "size": 3, **more}


def test_a_manifest_and_its_layers():
    manifest = parse_manifest(json.dumps({"layers": [descriptor()], "annotations": {"a": "b"}}).encode())
    assert manifest.annotations == {"a": "b"}
    assert select_layer(manifest, "") == Descriptor(media_type="m", digest=DIGEST, size=3)
    assert parse_index(json.dumps({"layers": []}).encode()) is None
    with pytest.raises(Terminal, match="no layers found"):
        select_layer(parse_manifest(b"{}"), "")


def test_the_only_manifest_of_an_index_is_taken_whatever_its_platform():
    assert parse_index(json.dumps({"manifests": [descriptor()]}).encode()).digest == DIGEST
    arm = {"platform": {"os": "linux", "architecture": "arm64"}}
    with pytest.raises(Terminal, match="no manifest for linux/amd64"):
        parse_index(json.dumps({"manifests": [descriptor(**arm), descriptor(**arm)]}).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b"[" * 100_000,
        b'{"layers": {}}',
        b'{"layers": [1]}',
        b'{"annotations": []}',
        json.dumps({"layers": [descriptor(digest="sha512:aa")]}).encode(),
        json.dumps({"layers": [descriptor(digest="sha256:../../x")]}).encode(),
        json.dumps({"layers": [descriptor(size=-1)]}).encode(),
        json.dumps({"layers": [descriptor(size=True)]}).encode(),
    ],
)
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(Terminal):
        parse_manifest(data)
