"""infra/terraform/aws and its examples, applied by the real terraform: on moto, through a provider of the tests."""

import json
import zipfile

import pytest
from tests.aws.plane import NAMES, empty_server
from tests.infra.applied import aws, github, run

from penstock.adapters.aws.clients import Clients
from penstock.wiring import load_pipeline

CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/prod"
BOUNDARY = "arn:aws:iam::111122223333:policy/bound"
COLLECTOR = {"endpoint": "https://otlp.example.com", "credentials": True}
LEFT_OUT = {"aws_eks_access_entry", "aws_s3_bucket_policy", "aws_sqs_queue_redrive_allow_policy"}
"""Types that moto does not have, or not as AWS has them: in the state alone (docs/aws.md)."""
PLANTED = {
    "a wrong type": ("queues.tf", "each.value.visibility", '"soon"', "a number is required"),
    "an unknown type": ("topics.tf", 'resource "aws_sns_topic" "topics"', 'resource "aws_sns_topik" "topics"', "aws_sns_topik"),
    "an unknown argument": ("topics.tf", "kms_master_key_id", "kms_key", 'An argument named "kms_key" is not expected'),
    "a missing argument": ("queues.tf", "  queue_url = aws_sqs_queue.dead", "  #", 'The argument "queue_url" is required'),
    "a missing block": ("storage.tf", "  rule {\n    object_ownership", "  dule {\n    object_ownership", 'Blocks of type "dule"'),
    "a reference to nothing": ("scheduler.tf", "aws_iam_role.scheduler.name", "aws_iam_role.schedule.name", "Reference to undeclared"),
    "a value of what is computed": ("scheduler.tf", "  name = local.model.names.schedule_group", '  arn = "x"\n  name = local.model.names.schedule_group', "arn: not for the configuration to say"),
    "a cycle": ("queues.tf", "message_retention_seconds = 14 * 86400", "message_retention_seconds = length(aws_sqs_queue.queues)", "Cycle"),
}  # fmt: skip
"""Found by terraform validate: file, what is right, what is planted, what is said."""
PLANTED_FOR_PLAN = {
    "an attribute that is not": ("queues.tf", "dead[each.key].id", "dead[each.key].link", "Unsupported attribute"),
    "a template of a list": ("topics.tf", "endpoint             = ", 'endpoint             = "${keys(local.tags)}" #', "string required"),
    "a for_each of what is not known": (
        "schedule.tf", 'resource "aws_lambda_permission" "schedule" {\n  for_each = local.scheduled',
        'resource "aws_lambda_permission" "schedule" {\n  for_each = { for rule in aws_cloudwatch_event_rule.schedule : rule.arn => rule }',
        "Invalid for_each argument",
    ),
    "a key that is not there": ("topics.tf", "topics[each.value.topic]", 'topics["gone"]', "Invalid index"),
    "a number of what is not known": (
        "budget.tf", "count = var.budget == null ? 0 : 1", 'count = length(aws_sqs_queue.dead["fetch"].arn)', "Invalid count argument"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    with empty_server(), run.providers(aws=aws.WORLD, github=github.WORLD) as told:
        yield told


@pytest.fixture
def bundle(tmp_path):
    return zipped(tmp_path / "aws.zip", "1")


@pytest.fixture
def account(told):
    """moto, emptied; a function that gives a client."""
    with empty_server():
        yield Clients(NAMES.region).client


def zipped(path, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("code.py", text)
    return str(path)


@pytest.mark.parametrize("planted", PLANTED | PLANTED_FOR_PLAN)
def test_terraform_sees_what_is_wrong(told, tmp_path, bundle, planted):
    file, right, wrong, said = (PLANTED | PLANTED_FOR_PLAN)[planted]
    path = run.copied(tmp_path) / "infra/terraform/aws" / file
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    config = run.Configuration(tmp_path / "examples/terraform/aws", told, bundle=bundle, eks_cluster=CLUSTER)
    done = config.validate() if planted in PLANTED else config.do("plan")
    assert done.returncode == 1
    told = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert said in told, told[-2000:]


def test_the_life_of_a_plane(account, told, tmp_path, bundle):
    """One configuration, applied, looked at, changed and destroyed: each apply takes seconds."""
    config = run.Configuration(
        run.copied(tmp_path) / "examples/terraform/aws",
        told,
        bundle=bundle,
        eks_cluster=CLUSTER,
        github_repository="fleet-infra",
        receiver_token="0123456789abcdef",
    )
    planned = config.plan()
    assert {*map(tuple, planned.values())} == {("create",)}
    config.apply()
    state = config.state()
    assert {*state} >= {*planned}
    assert run.unmade(state) == []
    assert config.plan() == {}, "applied twice"
    _change_bundle_and_sizes(account, config, tmp_path)
    _change_by_hand(account, config)
    _destroy(account, config)


def _change_bundle_and_sizes(account, config, directory):
    """Of what is there, functions alone are changed."""
    functions = {stage: f'module.plane.aws_lambda_function.stages["{stage}"]' for stage in load_pipeline().stages}
    before = config.replace("main.tf", "reconcile = { concurrency = 40, memory = 2048 }", "fetch = { memory = 2048 }")
    assert config.plan() == {
        functions["fetch"]: ["update"],
        functions["reconcile"]: ["update"],
        'module.plane.aws_lambda_event_source_mapping.queues["reconcile"]': ["update"],
    }
    (config.folder / "main.tf").write_text(before)
    config.variables["bundle"] = zipped(directory / "newer.zip", "2")
    bundles = {"module.plane.aws_s3_object.bundle": ["create", "delete"]}
    assert config.plan() == {**bundles, **{address: ["update"] for address in functions.values()}}
    digests = {each["CodeSha256"] for each in account("lambda").list_functions()["Functions"]}
    config.apply()
    assert not digests & {each["CodeSha256"] for each in account("lambda").list_functions()["Functions"]}


def _change_by_hand(account, config):
    """Terraform compares with what is there, not with its own state alone."""
    account("lambda").update_function_configuration(FunctionName="plane-1-fetch", Timeout=1)
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    role = f"plane-1-webhook-{NAMES.region}"
    account("iam").put_role_policy(RoleName=role, PolicyName="stage", PolicyDocument=json.dumps(nothing))
    account("cloudwatch").delete_alarms(AlarmNames=["plane-1-tick-silent"])
    assert config.plan() == {
        'module.plane.aws_lambda_function.stages["fetch"]': ["update"],
        'module.plane.aws_iam_role_policy.stages["webhook"]': ["update"],
        'module.plane.aws_cloudwatch_metric_alarm.schedule["tick"]': ["create"],
    }


def _destroy(account, config):
    """It stops at what is protected, and then can go on either way."""
    (bucket,) = (each["Name"] for each in account("s3").list_buckets()["Buckets"])
    account("s3").put_object(Bucket=bucket, Key="artifacts/sha256/x", Body=b"x")
    done = config.destroy()
    assert done.returncode == 1
    assert "DeletionProtectionEnabled" in done.stderr
    assert "BucketNotEmpty" in done.stderr
    account("dynamodb").describe_table(TableName="plane-1-state")
    account("s3").head_object(Bucket=bucket, Key="artifacts/sha256/x")
    config.replace("main.tf", 'prefix        = "plane-1"', 'prefix = "plane-1"\n  deletion_protection = false')
    config.apply()
    assert config.destroy().returncode == 0
    assert config.state() == {}
    assert {service: found for service, found in _left(account).items() if found} == {}


def _left(account):
    listed = {
        "cloudwatch": ("describe_alarms", "MetricAlarms"),
        "dynamodb": ("list_tables", "TableNames"),
        "events": ("list_rules", "Rules"),
        "iam": ("list_roles", "Roles"),
        "lambda": ("list_functions", "Functions"),
        "logs": ("describe_log_groups", "logGroups"),
        "s3": ("list_buckets", "Buckets"),
        "secretsmanager": ("list_secrets", "SecretList"),
        "sns": ("list_topics", "Topics"),
        "sqs": ("list_queues", "QueueUrls"),
    }
    return {service: getattr(account(service), call)().get(key) for service, (call, key) in listed.items()}


@pytest.mark.parametrize(
    ("given", "without"),
    [
        ({"secrets_store": "parameter-store", "reserve_concurrency": False}, "aws_secretsmanager_secret"),
        ({"home_region": "us-east-1", "regions": [NAMES.region]}, "aws_lambda_function_url"),
        (
            {"collector": COLLECTOR, "alarm_actions": ["arn:aws:sns:x"], "permissions_boundary": BOUNDARY},
            "aws_budget",
        ),
    ],
)
def test_other_inputs_are_planned(told, tmp_path, bundle, given, without):
    """From inputs alone to the arguments of every resource, with what is not known yet."""
    config = run.Configuration(
        run.caller(tmp_path, "aws", provider={"aws": {"region": NAMES.region}}, bundle=bundle, **given), told
    )
    types = {address.removeprefix("module.plane.").partition(".")[0] for address in config.plan()}
    assert "aws_lambda_function" in types
    assert not [name for name in types if name.startswith(without)]


def test_each_region_has_its_own(account, told, tmp_path, bundle):
    """Two instances of the module, each with the provider of its region: what is of the account is made once."""
    config = run.Configuration(run.copied(tmp_path) / "examples/terraform/aws-regions", told, bundle=bundle)
    config.apply()
    far = Clients("us-east-1").client
    functions = [
        {each["FunctionName"] for each in made("lambda").list_functions()["Functions"]} for made in (account, far)
    ]
    assert functions[1] == {f"plane-1-{stage}" for stage in ("fetch", "reconcile", "notify")}
    assert functions[0] == {f"plane-1-{stage}" for stage in load_pipeline().stages}
    assert {each["Name"] for each in account("s3").list_buckets()["Buckets"]} == {
        "acme-plane-1",
        "acme-plane-1-us-east-1",
    }


def test_every_type_is_somewhere():
    types = {name for kind, name in run.declared() if kind == "resource" and name.startswith("aws_")}
    assert types == {*aws.KINDS}


def test_what_is_in_the_state_alone_is_said():
    assert {name for name, kind in aws.KINDS.items() if not kind.real} == LEFT_OUT
    text = (run.ROOT / "docs/aws.md").read_text()
    assert [name for name in LEFT_OUT if f"`{name}`" not in text] == []
