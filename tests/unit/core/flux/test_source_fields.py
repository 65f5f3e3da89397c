"""Every field of Flux 2.9's sources, as its CustomResourceDefinitions publish them (source-controller 1.9), is acted upon.

The names are written down here from the CRDs' schemas of v1; what a document sets must change what the parser gives.
"""

import re
from pathlib import Path

import pytest

from penstock.core.flux.bucket import parse_bucket
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.ocirepository import parse_oci_repository

NAME = {"name": "other"}
DIGEST = "sha256:" + "a" * 64
COMMON = {"interval": "1m", "timeout": "5s", "suspend": True, "ignore": "x", "secretRef": NAME, "proxySecretRef": NAME}
FIELDS = {
    "GitRepository": {
        **COMMON,
        "url": "https://other.example.com/r",
        "provider": "azure",
        "serviceAccountName": ("a", {"provider": "azure"}),
        "ref.branch": "b",
        "ref.tag": "t",
        "ref.semver": "1.x",
        "ref.name": "refs/heads/x",
        "ref.commit": "a" * 40,
        "verify.mode": ("Tag", {"verify": {"secretRef": NAME}}),
        "verify.secretRef": NAME,
        "recurseSubmodules": True,
        "include[].repository": NAME,
        "include[].fromPath": ("a", {"include": [{"repository": NAME}]}),
        "include[].toPath": ("a", {"include": [{"repository": NAME}]}),
        "sparseCheckout": ["a"],
    },
    "OCIRepository": {
        **COMMON,
        "url": "oci://other.example.com/r",
        "provider": "azure",
        "serviceAccountName": "a",
        "certSecretRef": NAME,
        "insecure": True,
        "ref.digest": DIGEST,
        "ref.semver": "1.x",
        "ref.semverFilter": "a",
        "ref.tag": "t",
        "layerSelector.mediaType": "a/b",
        "layerSelector.operation": "copy",
        "verify.provider": ("notation", {"verify": {"secretRef": NAME}}),
        "verify.secretRef": NAME,
        "verify.trustedRootSecretRef": NAME,
        "verify.matchOIDCIdentity[].issuer": (
            "a",
            {"verify": {"matchOIDCIdentity": [{"issuer": "x", "subject": "x"}]}},
        ),
        "verify.matchOIDCIdentity[].subject": (
            "a",
            {"verify": {"matchOIDCIdentity": [{"issuer": "x", "subject": "x"}]}},
        ),
    },
    "Bucket": {
        **COMMON,
        "bucketName": "other",
        "endpoint": "other.example.com",
        "provider": "gcp",
        "region": "eu",
        "prefix": "a/",
        "insecure": True,
        "certSecretRef": NAME,
        "serviceAccountName": ("a", {"provider": "gcp"}),
        "sts.provider": ("ldap", {"sts": {"endpoint": "https://a"}}),
        "sts.endpoint": ("https://b", {"sts": {"provider": "ldap", "endpoint": "https://a"}}),
        "sts.secretRef": (NAME, {"sts": {"provider": "ldap", "endpoint": "https://a"}}),
        "sts.certSecretRef": (NAME, {"sts": {"provider": "ldap", "endpoint": "https://a"}}),
    },
}
BASES = {
    "GitRepository": ({"interval": "5m", "url": "https://git.example.com/r"}, parse_git_repository),
    "OCIRepository": ({"interval": "5m", "url": "oci://registry.example.com/r"}, parse_oci_repository),
    "Bucket": ({"interval": "5m", "bucketName": "fleet", "endpoint": "s3.example.com"}, parse_bucket),
}
NEEDS_OTHERS = {"sts.provider"}
"""Of a group whose fields are all required: the parser refuses the group without it."""

SOURCES_PAGE = Path(__file__).parents[4] / "docs" / "sources.md"


def parsed(kind, spec):
    base, parse = BASES[kind]
    document = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": "flux-system"},
        "spec": {**base, **spec},
    }
    return parse(document)


def with_field(spec, path, value):
    """A spec with the value at a dotted path; ``[]``: of the first entry of a list."""
    name, _, rest = path.partition(".")
    if not rest:
        return {**spec, name: value}
    if name.endswith("[]"):
        entries = spec.get(name[:-2]) or [{}]
        return {**spec, name[:-2]: [with_field(entries[0], rest, value), *entries[1:]]}
    return {**spec, name: with_field(spec.get(name) or {}, rest, value)}


CASES = [(kind, path) for kind, fields in FIELDS.items() for path in fields]


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[f"{kind}-{path}" for kind, path in CASES])
def test_a_field_changes_what_is_done(kind, path):
    given = FIELDS[kind][path]
    value, around = given if isinstance(given, tuple) else (given, {})
    changed = parsed(kind, with_field(around, path, value))
    if path in NEEDS_OTHERS:
        assert changed.sts.provider == value
    else:
        assert changed != parsed(kind, around)


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[f"{kind}-{path}" for kind, path in CASES])
def test_the_page_tells_of_the_field(kind, path):
    section = SOURCES_PAGE.read_text().split(f"<!-- fields of {kind} -->", 1)[1].split("<!-- end -->", 1)[0]
    told = set(
        re.findall(r"`([A-Za-z\[\].]+)`", "\n".join(line.split("|")[1] for line in section.splitlines() if "|" in line))
    )
    assert path in told or path.partition(".")[0].removesuffix("[]") in told, f"docs/sources.md: {kind} {path}"


def test_the_page_names_no_field_as_not_served():
    assert "not served yet: the source is `Stalled`" not in SOURCES_PAGE.read_text()
