import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.bucket import parse_bucket, unserved


def document(**spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "Bucket",
        "metadata": {"name": "fleet", "namespace": "flux-system"},
        "spec": {"interval": "5m", "bucketName": "fleet", "endpoint": "minio.example.com:9000", **spec},
    }


def test_defaults_and_fields():
    found = parse_bucket(document())
    assert (found.bucket, found.endpoint, found.provider) == ("fleet", "https://minio.example.com:9000", "generic")
    assert unserved(found) == ()
    more = parse_bucket(document(insecure=True, prefix="apps/", region="eu-central-1", secretRef={"name": "keys"}))
    assert (more.endpoint, more.prefix, more.region, more.secret) == (
        "http://minio.example.com:9000", "apps/", "eu-central-1", "keys",
    )  # fmt: skip
    assert parse_bucket(document(endpoint="https://s3.amazonaws.com/")).endpoint == "https://s3.amazonaws.com"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"provider": "azure"}, "spec.provider (azure)"),
        ({"provider": "aws"}, "spec.secretRef (missing: the plane's own identity is not used for Buckets)"),
        ({"serviceAccountName": "a"}, "spec.serviceAccountName"),
        ({"proxySecretRef": {"name": "a"}}, "spec.proxySecretRef"),
        ({"sts": {"provider": "aws", "endpoint": "https://sts.amazonaws.com"}}, "spec.sts"),
    ],
)
def test_what_nothing_acts_on_is_listed(spec, field):
    assert unserved(parse_bucket(document(**spec))) == (field,)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"endpoint": "user:pw@host"}, r"spec\.endpoint: must be a host"),
        ({"endpoint": "host:port"}, r"spec\.endpoint"),
        ({"endpoint": ""}, r"spec\.endpoint"),
        ({"bucketName": "../x"}, r"spec\.bucketName"),
        ({"provider": "ftp"}, r"spec\.provider"),
        ({"secret": "x"}, r"spec\.secret: is not a field here"),
    ],
)
def test_mistakes_are_named(spec, told):
    with pytest.raises(InvalidDocument, match=told):
        parse_bucket(document(**spec))
