"""Credentials of the OTLP receiver, on both clouds: in a secret that functions read, and in no variable of theirs."""

import json

import pytest
from tests.google.plane import PROJECT as GOOGLE
from tests.infra import iam, terraform
from tests.infra.google_iam import NUMBER, Need, giving
from tests.infra.test_google_model import NAMES, PROJECT
from tests.infra.test_topology import ACCOUNT, PIPELINE

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.core.secrets.names import OWN, secret_name
from penstock.wiring import settings_from

URL = "https://collector.example.com:4318"
NAME = secret_name(OWN, "-", "penstock-system", "otlp-headers")
OTHER = secret_name(OWN, "-", "penstock-system", "otlp-headers-2")
WITH = {"collector": {"endpoint": URL, "credentials": True}}
AWS = {**ACCOUNT, "prefix": "plane-1"}
FAR = "us-central1"
CLOUDS = {"aws/model": AWS, "google/model": PROJECT}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("credentials", [True, False])
def test_functions_are_told_where_and_which_secret(tmp_path, cloud, credentials):
    given = {"collector": {"endpoint": URL, "credentials": credentials}}
    said = terraform.outputs(cloud, tmp_path, **CLOUDS[cloud], **given)
    assert {function.get("stage", key) for key, function in said["functions"].items()} == set(PIPELINE.stages)
    for function in said["functions"].values():
        found = settings_from({**function["environment"], "AWS_REGION": ACCOUNT["region"]}).collector
        assert (found.traces, found.secret) == (f"{URL}/v1/traces", NAME if credentials else "")
        assert not any("HEADERS" in name for name in function["environment"] if name.startswith("OTEL_"))


def read_on_google(model, who, name):
    path = f"projects/{NUMBER}/secrets/{NAMES.secret_prefix}{name}/versions/latest"
    return giving(model, who, Need(permission="secretmanager.versions.access", kind="project", name=GOOGLE, path=path))


def test_on_google_cloud_each_function_reads_it_and_reconcile_alone_the_planes_others(tmp_path):
    said = terraform.outputs("google/model", tmp_path, regions={FAR: {}}, **WITH, **PROJECT)
    assert said["secrets"]["otlp-headers"] == {"name": NAMES.secret_prefix + NAME, "region": NAMES.region}
    for key in said["functions"]:
        assert read_on_google(said, key, NAME), key
        assert bool(read_on_google(said, key, OTHER)) is (key == "reconcile"), key


def test_on_aws_each_function_reads_it_and_reconcile_alone_the_planes_others(tmp_path):
    said = terraform.outputs("aws/model", tmp_path, **WITH, **AWS)
    assert said["names"]["secrets"]["otlp-headers"] == f"plane-1/{NAME}"
    arn = f"arn:aws:secretsmanager:{ACCOUNT['region']}:{ACCOUNT['account']}:secret:plane-1"
    for stage, policy in said["policies"].items():
        assert iam.allowed(policy, "secretsmanager:GetSecretValue", f"{arn}/{NAME}-AbCdEf"), stage
        assert iam.allowed(policy, "secretsmanager:GetSecretValue", f"{arn}/{OTHER}-AbCdEf") is (stage == "reconcile")


def test_in_parameter_store_as_well(tmp_path):
    said = terraform.outputs("aws/model", tmp_path, secrets_store=PARAMETER_STORE, **WITH, **AWS)
    arn = f"arn:aws:ssm:{ACCOUNT['region']}:{ACCOUNT['account']}:parameter/plane-1"
    assert iam.allowed(said["policies"]["tick"], "ssm:GetParameter", f"{arn}/{NAME}")
    assert not iam.allowed(said["policies"]["tick"], "ssm:GetParameter", f"{arn}/{NAME}-2")


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"environment": {"tick": {"OTEL_EXPORTER_OTLP_HEADERS": "canary-1"}}}, "OTEL_…_HEADERS (collector)"),
        ({"environment": {"tick": {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "canary-1"}}}, "OTEL_…_HEADERS (collector)"),
        ({"collector": {"endpoint": "https://u:canary-1@collector.example.com"}}, "without credentials"),
        ({"secrets": {"otlp-headers": {"name": "x"}}}, "otlp-headers is made by collector"),
    ],
)
def test_credentials_in_a_variable_stop_the_plan(tmp_path, cloud, given, said):
    with pytest.raises(AssertionError) as refused:
        terraform.outputs(cloud, tmp_path, **CLOUDS[cloud], **given)
    assert said in terraform.text(refused)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_without_a_collector_there_is_no_secret_and_no_right(tmp_path, cloud):
    said = terraform.outputs(cloud, tmp_path, **CLOUDS[cloud])
    assert "otlp" not in json.dumps({name: value for name, value in said.items() if name != "arns"}).lower()
