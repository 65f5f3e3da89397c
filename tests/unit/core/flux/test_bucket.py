import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.bucket import LDAP, Sts, parse_bucket


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
    more = parse_bucket(document(insecure=True, prefix="apps/", region="eu-central-1", secretRef={"name": "keys"}))
    assert (more.endpoint, more.prefix, more.region, more.secret) == (
        "http://minio.example.com:9000", "apps/", "eu-central-1", "keys",
    )  # fmt: skip
    assert parse_bucket(document(endpoint="https://s3.amazonaws.com/")).endpoint == "https://s3.amazonaws.com"


def test_who_gives_temporary_keys():
    sts = {
        "provider": "ldap",
        "endpoint": "https://sts.example.com",
        "secretRef": {"name": "a"},
        "certSecretRef": {"name": "b"},
    }
    found = parse_bucket(document(sts=sts)).sts
    assert found == Sts(provider=LDAP, endpoint="https://sts.example.com", secret="a", cert_secret="b")


def test_an_endpoint_of_azure_may_have_a_path():
    azurite = document(provider="azure", endpoint="http://127.0.0.1:10000/devstoreaccount1", secretRef={"name": "a"})
    assert parse_bucket(azurite).endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    blob = document(provider="azure", endpoint="https://acme.blob.core.windows.net", secretRef={"name": "a"})
    assert parse_bucket(blob).endpoint == "https://acme.blob.core.windows.net"


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
