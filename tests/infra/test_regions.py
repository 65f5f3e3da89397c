"""A plane in two regions: the module once in each, names and settings as the adapters have them, rights by region."""

from dataclasses import replace

import pytest
from tests.aws.plane import NAMES
from tests.infra import iam, terraform
from tests.infra.test_topology import ACCOUNT, PIPELINE

from penstock.core.secrets.names import API_TOKEN
from penstock.wiring import settings_from

HOME, FAR = NAMES.region, "us-east-2"
QUEUES = {stage.name for stage in PIPELINE.queues()}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return terraform.outputs("aws/model", tmp_path_factory.mktemp("home"), regions=[FAR], **ACCOUNT)


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    given = {**ACCOUNT, "region": FAR, "home_region": HOME, "regions": [FAR]}
    return terraform.outputs("aws/model", tmp_path_factory.mktemp("far"), **given)


def test_a_further_region_has_what_works_on_its_clusters(home, far):
    assert set(home["functions"]) == set(home["policies"]) == set(PIPELINE.stages)
    assert set(far["functions"]) == set(far["policies"]) == QUEUES


def test_names_and_settings_are_those_of_the_adapters(home, far):
    names = replace(NAMES, home=HOME, regions=(FAR,))
    for said, region in ((home, HOME), (far, FAR)):
        at = names.at(region)
        assert (said["names"]["bucket"], said["names"]["table"]) == (at.bucket, at.table)
        assert said["arns"]["topics"] == {topic: at.topic_arn(topic) for topic in said["arns"]["topics"]}
        for function in said["functions"].values():
            settings = settings_from({**function["environment"], "AWS_REGION": region}).aws
            assert (settings.home, settings.regions, settings.bucket) == (HOME, (FAR,), NAMES.bucket)
    assert home["names"]["dashboard"] != far["names"]["dashboard"]
    assert far["names"]["secrets"] == {}, "the api's token is the plane's own"


def table(region):
    return f"arn:aws:dynamodb:{region}:{NAMES.account}:table/{NAMES.table}"


@pytest.mark.parametrize("stage", sorted(QUEUES))
def test_a_further_regions_functions_read_records_of_home_and_write_none(far, stage):
    policy, home = far["policies"][stage], table(HOME)
    assert iam.allowed(policy, "dynamodb:PutItem", table(FAR), {"dynamodb:LeadingKeys": ["status/prod"]})
    assert iam.allowed(policy, "dynamodb:GetItem", home, {"dynamodb:LeadingKeys": ["plane"]})
    for act in ("dynamodb:PutItem", "dynamodb:DeleteItem"):
        for key in ("status/-", "object/-", "status/prod", "object/prod", "plane", "sent", "receivers"):
            assert not iam.allowed(policy, act, home, {"dynamodb:LeadingKeys": [key]}), key
        assert not iam.allowed(policy, act, home)
    status = {"dynamodb:LeadingKeys": ["status/-"]}
    assert iam.allowed(policy, "dynamodb:GetItem", home, status) is (stage != "notify"), (
        "its index is all that it reads"
    )


def test_but_reconcile_writes_the_index_of_receivers(far):
    for stage, policy in far["policies"].items():
        for act in ("dynamodb:PutItem", "dynamodb:DeleteItem"):
            for key in ("receiver", "+receiver/ab/prod/flux-system/fleet"):
                assert iam.allowed(policy, act, table(HOME), {"dynamodb:LeadingKeys": [key]}) is (stage == "reconcile")


def secret(region, name):
    return f"arn:aws:secretsmanager:{region}:{NAMES.account}:secret:{NAMES.secret_path}{name}-AbCdEf"


def read(said, region, name):
    """The stages that read a secret of that region."""
    arn = secret(region, name)
    return {s for s, policy in said["policies"].items() if iam.allowed(policy, "secretsmanager:GetSecretValue", arn)}


def test_copies_of_secrets_are_made_in_the_clusters_region_alone(far):
    tag = {"aws:RequestTag/penstock.dev/owner": ["uid"]}
    for region, may in ((FAR, True), (HOME, False)):
        arn = secret(region, "fetch_far_a_b")
        assert iam.allowed(far["policies"]["reconcile"], "secretsmanager:CreateSecret", arn, tag) is may
        for reader in ("fetch", "notify", "webhook"):
            there = {reader, "reconcile"} & QUEUES
            assert read(far, region, f"{reader}_far_a_b") == (there if may else set())


def test_of_the_planes_own_secrets_a_further_region_reads_what_its_clusters_need(far):
    for name in ("penstock_--_flux--system_kube", API_TOKEN):
        assert read(far, HOME, name) == {"reconcile"}
    assert read(far, HOME, "fetch_--_flux--system_fleet--token") == set()


def test_of_further_regions_secrets_home_reads_tokens_of_deliveries_alone(home):
    assert read(home, FAR, "webhook_far_a_b") == {"webhook"}
    for name in ("fetch_far_a_b", "notify_far_a_b", "penstock_far_a_b", "penstock_--_a_b"):
        assert read(home, FAR, name) == set()


def test_the_collectors_headers_are_at_home_for_every_function(tmp_path):
    given = {**ACCOUNT, "region": FAR, "home_region": HOME, "regions": [FAR]}
    given["collector"] = {"endpoint": "https://collector.example.com", "credentials": True}
    said = terraform.outputs("aws/model", tmp_path, **given)
    assert read(said, HOME, "penstock_--_penstock--system_otlp--headers") == QUEUES


def test_webhook_reads_which_cluster_is_where_only_if_there_are_several_regions(home, tmp_path):
    plane = {"dynamodb:LeadingKeys": ["plane"]}
    alone = terraform.outputs("aws/model", tmp_path, **ACCOUNT)
    for said, may in ((home, True), (alone, False)):
        assert iam.allowed(said["policies"]["webhook"], "dynamodb:GetItem", table(HOME), plane) is may
        assert not iam.allowed(said["policies"]["webhook"], "dynamodb:PutItem", table(HOME), plane)


def test_messages_are_put_off_in_their_region_alone(home, far):
    for said, here, there in ((home, HOME, FAR), (far, FAR, HOME)):
        for stage in ("fetch", "reconcile"):
            queue = f"arn:aws:sqs:{{}}:{NAMES.account}:{NAMES.prefix}-{stage}"
            assert iam.allowed(said["policies"][stage], "sqs:SendMessage", queue.format(here))
            assert not iam.allowed(said["policies"][stage], "sqs:SendMessage", queue.format(there))


def test_artifacts_of_home_are_read_there_and_not_written(far):
    arn = f"arn:aws:s3:::{NAMES.bucket}/artifacts/sha256/ab"
    for stage in QUEUES:
        assert iam.allowed(far["policies"][stage], "s3:GetObject", arn) is (stage in {"fetch", "reconcile"})
        assert not iam.allowed(far["policies"][stage], "s3:PutObject", arn)


def test_home_reaches_all_regions_and_nobody_a_third(home, far):
    topic = f"arn:aws:sns:{{}}:{NAMES.account}:{NAMES.prefix}-source-changed"
    for region in (HOME, FAR):
        assert iam.allowed(home["policies"]["webhook"], "sns:Publish", topic.format(region))
        assert iam.allowed(home["policies"]["tick"], "dynamodb:Query", f"{table(region)}/index/due")
        queue = f"arn:aws:sqs:{region}:{NAMES.account}:{NAMES.prefix}-fetch-dead"
        assert iam.allowed(home["policies"]["tick"], "sqs:ReceiveMessage", queue)
    for said in (home, far):
        for policy in said["policies"].values():
            assert "eu-west-1" not in str(policy)


@pytest.mark.parametrize(
    "given",
    [
        {"regions": [HOME]},
        {"regions": ["somewhere"]},
        {"region": FAR, "home_region": HOME, "regions": []},
    ],
)
def test_regions_that_cannot_be_stop_the_plan(tmp_path, given):
    with pytest.raises(AssertionError, match="regions are"):
        terraform.outputs("aws/model", tmp_path, **{**ACCOUNT, **given})


def test_more_than_iam_takes_stops_the_plan(tmp_path):
    regions = [f"eu-{side}-{number}" for side in ("north", "south", "west", "east") for number in range(1, 8)]
    with pytest.raises(AssertionError) as refused:
        terraform.outputs("aws/model", tmp_path, **{**ACCOUNT, "regions": regions})
    assert "10,240 characters of a role's policies" in terraform.text(refused)
