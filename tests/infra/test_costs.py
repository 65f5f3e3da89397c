"""What docs/operations.md says is there by the month is what the modules and the examples make: counted in real plans."""

import re
from collections import Counter

import pytest
from tests.aws.plane import empty_server
from tests.docs.test_operations import made
from tests.infra.applied import aws, github, google, run
from tests.infra.test_applied_aws import CLUSTER, zipped
from tests.infra.test_applied_google import BUDGET, VARIABLES

FAR = re.compile(r"us-central1|^module\.virginia\.")
"""Whose resources, in the examples of two regions, are the further one's."""
ALERT, METRIC, DASHBOARD = "alarms: metrics, or conditions", "metrics of the log", "dashboards"
JOB, KEY = "scheduler jobs", "KMS keys of the example"


@pytest.fixture
def bundle(tmp_path):
    return zipped(tmp_path / "bundle.zip", "1")


def of_aws(resources):
    found = Counter()
    for address, values in resources.items():
        match re.sub(r"\[.*", "", address).split(".")[-2]:
            case "aws_cloudwatch_metric_alarm":
                found[ALERT] += sum(bool(each["metric"]) for each in values["metric_query"]) or 1
            case "aws_cloudwatch_log_metric_filter":
                found[METRIC] += len(values["metric_transformation"])
            case "aws_cloudwatch_dashboard":
                found[DASHBOARD] += 1
            case "aws_kms_key":
                found[KEY] += 1
    return found


def of_google(resources):
    found = Counter()
    for address, values in resources.items():
        match re.sub(r"\[.*", "", address).split(".")[-2]:
            case "google_monitoring_alert_policy":
                found[ALERT] += len(values["conditions"])
            case "google_cloud_scheduler_job":
                found[JOB] += 1
            case "google_kms_crypto_key":
                found[KEY] += 1
    return found


def far(resources):
    return {address: values for address, values in resources.items() if FAR.search(address)}


def planned(folder, told, tmp_path, **given):
    return run.Configuration(run.copied(tmp_path) / "examples/terraform" / folder, told, **given).planned()


def assert_said(column, found):
    assert {name: number for name, number in made(column).items() if number} == dict(found)


def test_of_aws(tmp_path, bundle):
    with empty_server(), run.providers(aws=aws.WORLD, github=github.WORLD) as told:
        (tmp_path / "one").mkdir()
        assert_said(1, of_aws(planned("aws", told, tmp_path / "one", bundle=bundle, eks_cluster=CLUSTER)))
        (tmp_path / "two").mkdir()
        assert_said(3, of_aws(far(planned("aws-regions", told, tmp_path / "two", bundle=bundle))))


def test_of_google(tmp_path, bundle):
    with run.providers(google=google.world(), github=github.WORLD) as told:
        (tmp_path / "one").mkdir()
        assert_said(2, of_google(planned("google", told, tmp_path / "one", bundle=bundle, **VARIABLES, **BUDGET)))
        (tmp_path / "two").mkdir()
        assert_said(4, of_google(far(planned("google-regions", told, tmp_path / "two", bundle=bundle, **VARIABLES))))
