"""Dashboards and alarms of both clouds ask for metrics that there are, with the labels that these have.

The names are the providers' published lists: CloudWatch metrics of Lambda and its URLs, SQS, SNS and EventBridge
Scheduler; Google Cloud metrics of Cloud Run, Pub/Sub and Cloud Tasks.
"""

import re

import pytest
from tests.docs.markdown import ROOT

AWS = {
    "AWS/Lambda": ("FunctionName", {"Invocations", "Errors", "Throttles", "Duration", "Url5xxCount"}),
    "AWS/SNS": ("TopicName", {"NumberOfNotificationsFailed"}),
    "AWS/Scheduler": ("ScheduleGroup", {"InvocationDroppedCount"}),
    "AWS/SQS": ("QueueName", {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}),
}
GOOGLE = {
    "run.googleapis.com/request_count": ("cloud_run_revision", {"response_code", "response_code_class"}),
    "run.googleapis.com/request_latencies": ("cloud_run_revision", {"response_code", "response_code_class"}),
    "pubsub.googleapis.com/subscription/num_undelivered_messages": ("pubsub_subscription", set()),
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": ("pubsub_subscription", set()),
    "pubsub.googleapis.com/subscription/push_request_count": (
        "pubsub_subscription",
        {"response_class", "response_code"},
    ),
    "cloudtasks.googleapis.com/queue/task_attempt_count": ("cloud_tasks_queue", {"response_code"}),
}
RESOURCE_LABELS = {
    "cloud_run_revision": {"service_name", "location"},
    "pubsub_subscription": {"subscription_id"},
    "cloud_tasks_queue": {"queue_id", "location"},
}


def text(provider):
    return "\n".join(path.read_text() for path in sorted((ROOT / "infra/terraform" / provider).rglob("*.tf")))


def test_cloudwatchs_are_there_with_their_dimension():
    found = text("aws")
    asked = set(
        re.findall(r'namespace\s*=\s*"(AWS/\w+)"\s*metric(?:_name)?\s*=\s*"(\w+)"\s*dimensions\s*=\s*{ (\w+) =', found)
    )
    asked |= set(re.findall(r'\["(AWS/\w+)", "(\w+)", "(\w+)",', found))
    for each in re.findall(r"for metric in \[([^\]]*)\]\s*:\s*\[\"(AWS/\w+)\", metric, \"(\w+)\"", found):
        asked |= {(each[1], name, each[2]) for name in re.findall(r'"(\w+)"', each[0])}
    assert len(asked) == 9
    for namespace, metric, dimension in asked:
        assert (dimension, metric in AWS[namespace][1]) == (AWS[namespace][0], True), (namespace, metric)
    assert {metric for _, metric, _ in asked} == {name for _, names in AWS.values() for name in names}


def filters():
    """Each filter of Cloud Monitoring, with the locals in it put in."""
    found = text("google").replace('\\"', '"')
    local = dict(re.findall(r'^\s*(\w+_metric)\s*=\s*"(.*)"$', found, re.MULTILINE))
    for line in found.splitlines():
        filled = re.sub(r"\${local\.(\w+_metric)}", lambda match: local.get(match[1], ""), line)
        yield from (part for part in re.split(r'",\s*"', filled) if "metric.type=" in part and "_metric " not in part)


@pytest.mark.parametrize("metric", sorted(GOOGLE))
def test_googles_are_all_used(metric):
    assert any(metric in each for each in filters())


def test_googles_are_there_with_their_labels():
    asked = 0
    for each in filters():
        names = re.findall(r'metric\.type="([^"]+)"', each)
        for name in names:
            asked += 1
            kind, labels = GOOGLE[name]
            assert set(re.findall(r"metric\.labels?\.(\w+)", each)) <= labels, each
            assert set(re.findall(r"resource\.labels?\.(\w+)", each)) <= RESOURCE_LABELS[kind], each
            assert set(re.findall(r'resource\.type="(\w+)"', each)) <= {kind}, each
    assert asked >= 6


def test_success_of_a_task_is_no_failure_whatever_it_is_called():
    (each,) = [each for each in filters() if "task_attempt_count" in each]
    (pattern,) = re.findall(r'response_code!=monitoring\.regex\.full_match\("([^"]+)"\)', each)
    for good in ("OK", "ok", "200", "204"):
        assert re.fullmatch(pattern, good)
    for bad in ("403", "UNAVAILABLE", "500", "NOT_FOUND", "2000"):
        assert not re.fullmatch(pattern, bad)
