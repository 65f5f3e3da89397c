"""Addresses, resource names and hosts: what may be said, and what nothing can be built from."""

import json
from importlib.resources import files

import pytest

from penstock.core.clusters.access import access_from_config_map, canonical
from penstock.core.errors import InvalidDocument
from penstock.core.identity.aws import DOMAINS, host, partition_of_role, session_name


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://api.example.com", "https://api.example.com:443"),
        ("HTTPS://API.Example.com:6443/", "https://api.example.com:6443"),
        ("api.example.com", "https://api.example.com:443"),
        ("34.90.1.2", "https://34.90.1.2:443"),
        ("https://[2001:db8::1]:6443", "https://[2001:db8::1]:6443"),
        ("https://rancher.example.com/k8s/clusters/c-1/", "https://rancher.example.com:443/k8s/clusters/c-1"),
    ],
)
def test_two_ways_to_write_an_address_are_one(address: str, expected: str) -> None:
    assert canonical(address) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://me@api.example.com",
        "https://api.example.com:notaport",
        "https://api.example.com:99999",
        "https://api.example.com/a b",
        "https://api.example.com/../x",
        "https://api.example.com\\@evil.example",
        "https://api.example.com#x",
        "https://api.example.com\r\nHost: evil.example",
        "https://api_example.com/%2e%2e",
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"https|[Pp]ort"):
        canonical(address)


@pytest.mark.parametrize(
    ("provider", "cluster"),
    [
        ("aws", "arn:aws:eks:eu-central-1:111122223333:cluster/a/../../b"),
        ("aws", "arn:aws:eks:evil.example/:111122223333:cluster/a"),
        ("aws", "arn:aws-evil:eks:eu-central-1:111122223333:cluster/a"),
        ("aws", "arn:aws:eks:eu-central-1:111122223333:cluster/a\n"),
        ("gcp", "projects/a/locations/b/clusters/c?x=1"),
        ("gcp", "projects/../locations/b/clusters/c"),
        ("gcp", "projects/a/locations/evil.example#/memberships/c"),
        ("azure", "/subscriptions/x/resourceGroups/r/providers/Microsoft.ContainerService/managedClusters/c"),
        ("azure", "@evil.example/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/r"),
    ],
)
def test_a_resource_name_leads_nowhere_else(provider: str, cluster: str) -> None:
    with pytest.raises(InvalidDocument, match=r"data\.cluster: is "):
        access_from_config_map({"provider": provider, "cluster": cluster}, "ConfigMap/a/b")


def test_the_partitions_are_awss() -> None:
    partitions = json.loads((files("botocore") / "data" / "partitions.json").read_text())["partitions"]
    assert {each["id"]: each["outputs"]["dnsSuffix"] for each in partitions} == DOMAINS
    for each in partitions:
        for region in each["regions"]:
            if not region.endswith("-global"):
                assert host("sts", region, each["id"]) == f"sts.{region}.{each['outputs']['dnsSuffix']}"


@pytest.mark.parametrize("region", ["eu-central-1.evil.example/", "", "eu-central-1\n", "../x", "EU-CENTRAL-1"])
def test_a_host_is_built_of_a_region_only(region: str) -> None:
    with pytest.raises(InvalidDocument):
        host("sts", region, "aws")


@pytest.mark.parametrize(
    "arn",
    ["", "deployer", "arn:aws:iam::1:role/x", "arn:aws:sts::111122223333:role/x", "arn:aws-x:iam::111122223333:role/x"],
)
def test_what_is_no_role(arn: str) -> None:
    with pytest.raises(InvalidDocument, match="must be the ARN of a role"):
        partition_of_role(arn)


def test_session_names_are_short_and_apart() -> None:
    assert session_name("apps", "deployer", "eu-central-1") == "deployer.apps.eu-central-1.penstock"
    long = [session_name("n" * 63, "a" * 60 + end, "eu-central-1") for end in "xy"]
    assert all(len(each) == 64 for each in long)
    assert len(set(long)) == 2


FLUX_KEYS = {
    "provider": "gcp",
    "cluster": "projects/acme/locations/europe-west1/clusters/production",
    "address": "https://34.90.1.2",
    "ca.crt": "-----BEGIN CERTIFICATE-----\nTUlJQ2F1dGhvcml0eQ==\n-----END CERTIFICATE-----\n",
    "audiences": "one\n  two  \n\nthree",
    "serviceAccountName": "deployer",
}
"""The keys of ``data`` that Flux documents for spec.kubeConfig.configMapRef (Kustomization v1), audiences one a line."""


def test_the_keys_are_fluxs() -> None:
    found = access_from_config_map(FLUX_KEYS, "ConfigMap/a/b")
    assert (found.provider, found.cluster) == ("gcp", FLUX_KEYS["cluster"])
    assert (found.address, found.authority) == ("https://34.90.1.2:443", FLUX_KEYS["ca.crt"])
    assert (found.audiences, found.service_account) == (("one", "two", "three"), "deployer")


@pytest.mark.parametrize("key", ["Provider", "server", "caData", "ca", "audience", "serviceAccount", "tokenPath"])
def test_another_key_is_refused_by_its_path(key: str) -> None:
    with pytest.raises(InvalidDocument, match=rf"data\.{key}: "):
        access_from_config_map({**FLUX_KEYS, key: "x"}, "ConfigMap/a/b")


@pytest.mark.parametrize("key", sorted(FLUX_KEYS))
def test_each_key_is_read(key: str) -> None:
    """A value that cannot be is told under its own name."""
    with pytest.raises(InvalidDocument, match=rf"data\.{key.replace('.', '[.]')}: "):
        access_from_config_map({**FLUX_KEYS, key: 7}, "ConfigMap/a/b")
