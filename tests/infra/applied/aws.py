"""The AWS provider's types that this repository's modules use, on moto."""

from tests.infra.applied import aws_account as account
from tests.infra.applied import aws_lambda as functions
from tests.infra.applied import aws_messaging as messaging
from tests.infra.applied import aws_storage as storage
from tests.infra.applied.aws_place import AwsPlace
from tests.infra.applied.world import Kept, World

KINDS = {
    "aws_budgets_budget": account.Budget,
    "aws_cloudwatch_dashboard": account.Dashboard,
    "aws_cloudwatch_event_rule": messaging.EventRule,
    "aws_cloudwatch_event_target": messaging.EventTarget,
    "aws_cloudwatch_log_group": account.LogGroup,
    "aws_cloudwatch_log_metric_filter": account.MetricFilter,
    "aws_cloudwatch_metric_alarm": account.Alarm,
    "aws_dynamodb_table": storage.Table,
    "aws_eks_access_entry": Kept.of(  # moto's clusters have none
        "cluster_name",
        "principal_arn",
        id=lambda given, _: f"{given['cluster_name']}:{given['principal_arn']}",
    ),
    "aws_iam_role": account.Role,
    "aws_iam_role_policy": account.RolePolicy,
    "aws_kms_key": account.Key,
    "aws_lambda_event_source_mapping": functions.EventSourceMapping,
    "aws_lambda_function": functions.Function,
    "aws_lambda_function_event_invoke_config": functions.EventInvokeConfig,
    "aws_lambda_function_url": functions.FunctionUrl,
    "aws_lambda_permission": functions.Permission,
    "aws_s3_bucket": storage.Bucket,
    "aws_s3_bucket_lifecycle_configuration": storage.Lifecycle,
    "aws_s3_bucket_ownership_controls": storage.OwnershipControls,
    "aws_s3_bucket_policy": Kept.of(  # moto leaves its condition out: it would refuse every request, not those without TLS
        "bucket", id=lambda given, _: given["bucket"]
    ),
    "aws_s3_bucket_public_access_block": storage.PublicAccessBlock,
    "aws_s3_bucket_server_side_encryption_configuration": storage.Encryption,
    "aws_s3_object": storage.Object,
    "aws_scheduler_schedule_group": messaging.ScheduleGroup,
    "aws_secretsmanager_secret": account.Secret,
    "aws_sns_topic": messaging.Topic,
    "aws_sns_topic_policy": messaging.TopicPolicy,
    "aws_sns_topic_subscription": messaging.Subscription,
    "aws_sqs_queue": messaging.Queue,
    "aws_sqs_queue_policy": messaging.QueuePolicy,
    "aws_sqs_queue_redrive_allow_policy": Kept.of(
        "queue_url", id=lambda given, _: given["queue_url"]
    ),  # moto keeps none
}


def _caller(_config, place):
    found = place.client("sts").get_caller_identity()
    return {"id": place.account, "account_id": place.account, "arn": found["Arn"], "user_id": found["UserId"]}


def _region(_config, place):
    return {"id": place.region, "name": place.region, "region": place.region}


def _common(given, place):
    return {"region": place.region, **({"tags_all": given.get("tags") or {}} if "tags_all" in given else {})}


WORLD = World(KINDS, {"aws_caller_identity": _caller, "aws_region": _region}, AwsPlace, _common)
