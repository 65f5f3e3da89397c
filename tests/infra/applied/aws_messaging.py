"""Queues, topics, schedules: SQS, SNS, EventBridge and its Scheduler on moto."""

import json

from tests.infra.applied.aws_place import AwsKind, pairs

QUEUE = {
    "deduplication_scope": "DeduplicationScope",
    "fifo_queue": "FifoQueue",
    "fifo_throughput_limit": "FifoThroughputLimit",
    "message_retention_seconds": "MessageRetentionPeriod",
    "redrive_policy": "RedrivePolicy",
    "sqs_managed_sse_enabled": "SqsManagedSseEnabled",
    "visibility_timeout_seconds": "VisibilityTimeout",
}
"""Arguments that are attributes of a queue."""


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(text, like):
    """An attribute's text as the state has it."""
    if isinstance(like, bool):
        return text == "true"
    return int(text) if isinstance(like, int) else text


class Queue(AwsKind):
    service, replaced = "sqs", ("fifo_queue", "name")

    def put(self, given, before):
        attributes = {
            api: _text(given[name]) for name, api in QUEUE.items() if isinstance(given[name], (bool, int, str))
        }
        if before is None:
            url = self.client.create_queue(QueueName=given["name"], Attributes=attributes, tags=given["tags"])[
                "QueueUrl"
            ]
        else:
            url = before["url"]
            self.client.set_queue_attributes(
                QueueUrl=url, Attributes={k: v for k, v in attributes.items() if k != "FifoQueue"}
            )
            self.client.tag_queue(QueueUrl=url, Tags=given["tags"])
        now = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return {"id": url, "url": url, "arn": now["QueueArn"]}

    def now(self, state):
        found = self.client.get_queue_attributes(QueueUrl=state["url"], AttributeNames=["All"])["Attributes"]
        known = {name: api for name, api in QUEUE.items() if state[name] is not None}
        now = {name: _value(found[api], state[name]) for name, api in known.items() if api in found}
        gone = {name: None for name, api in known.items() if api not in found}
        return {**now, **gone, "tags": self.client.list_queue_tags(QueueUrl=state["url"]).get("Tags")}

    def delete(self, state):
        self.client.delete_queue(QueueUrl=state["url"])


class QueuePolicy(AwsKind):
    service, replaced = "sqs", ("queue_url",)

    def put(self, given, before):
        self.client.set_queue_attributes(QueueUrl=given["queue_url"], Attributes={"Policy": given["policy"]})
        return {"id": given["queue_url"]}

    def now(self, state):
        asked = {"QueueUrl": state["queue_url"], "AttributeNames": ["Policy"]}
        found = self.client.get_queue_attributes(**asked).get("Attributes", {}).get("Policy")
        return {"policy": found} if found else None

    def delete(self, state):
        self.client.set_queue_attributes(QueueUrl=state["queue_url"], Attributes={"Policy": ""})


class Topic(AwsKind):
    service, replaced = "sns", ("fifo_topic", "name")

    def put(self, given, before):
        attributes = {"KmsMasterKeyId": given["kms_master_key_id"]}
        if given["fifo_topic"]:
            attributes["FifoTopic"] = "true"
        made = self.client.create_topic(Name=given["name"], Attributes=attributes, Tags=pairs(given["tags"]))
        return {"id": made["TopicArn"], "arn": made["TopicArn"], "owner": self.place.account}

    def now(self, state):
        found = self.client.get_topic_attributes(TopicArn=state["arn"])["Attributes"]
        return {"kms_master_key_id": found.get("KmsMasterKeyId")}

    def delete(self, state):
        self.client.delete_topic(TopicArn=state["arn"])


class TopicPolicy(AwsKind):
    service, replaced = "sns", ("arn",)

    def put(self, given, before):
        self._set(given["arn"], given["policy"])
        return {"id": given["arn"], "owner": self.place.account}

    def now(self, state):
        found = self.client.get_topic_attributes(TopicArn=state["arn"])["Attributes"].get("Policy")
        return {"policy": found} if found else None

    def delete(self, state):
        """The provider puts back what a topic has from the start: all rights to its owner."""
        owner = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:*", "Resource": state["arn"]}
        owner["Condition"] = {"StringEquals": {"AWS:SourceOwner": self.place.account}}
        self._set(state["arn"], json.dumps({"Version": "2012-10-17", "Statement": [owner]}))

    def _set(self, arn, policy):
        self.client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class Subscription(AwsKind):
    service, replaced = "sns", ("endpoint", "protocol", "topic_arn")

    def put(self, given, before):
        raw = {"RawMessageDelivery": "true"} if given["raw_message_delivery"] else {}
        where = {"TopicArn": given["topic_arn"], "Protocol": given["protocol"], "Endpoint": given["endpoint"]}
        made = self.client.subscribe(**where, Attributes=raw, ReturnSubscriptionArn=True)["SubscriptionArn"]
        return {"id": made, "arn": made, "owner_id": self.place.account}

    def now(self, state):
        found = self.client.get_subscription_attributes(SubscriptionArn=state["arn"])["Attributes"]
        raw = found.get("RawMessageDelivery") == "true"
        return {"raw_message_delivery": raw or None, "endpoint": found["Endpoint"], "topic_arn": found["TopicArn"]}

    def delete(self, state):
        self.client.unsubscribe(SubscriptionArn=state["arn"])


class ScheduleGroup(AwsKind):
    service, replaced = "scheduler", ("name",)

    def put(self, given, before):
        if before is None:
            made = self.client.create_schedule_group(Name=given["name"], Tags=pairs(given["tags"]))
            return {"id": given["name"], "arn": made["ScheduleGroupArn"]}
        self.client.tag_resource(ResourceArn=before["arn"], Tags=pairs(given["tags"]))
        return {}

    def now(self, state):
        return {"arn": self.client.get_schedule_group(Name=state["name"])["Arn"]}

    def delete(self, state):
        self.client.delete_schedule_group(Name=state["name"])


class EventRule(AwsKind):
    service, replaced = "events", ("name",)

    def put(self, given, before):
        arguments = {"Name": given["name"], "Description": given["description"], "Tags": pairs(given["tags"])}
        made = self.client.put_rule(ScheduleExpression=given["schedule_expression"], **arguments)
        return {"id": given["name"], "arn": made["RuleArn"], "event_bus_name": "default"}

    def now(self, state):
        found = self.client.describe_rule(Name=state["name"])
        return {"schedule_expression": found["ScheduleExpression"], "description": found["Description"]}

    def delete(self, state):
        self.client.delete_rule(Name=state["name"])


class EventTarget(AwsKind):
    service, replaced = "events", ("rule", "target_id")

    def put(self, given, before):
        target = before["target_id"] if before else f"terraform-{given['rule']}"
        done = self.client.put_targets(Rule=given["rule"], Targets=[{"Id": target, "Arn": given["arn"]}])
        assert done["FailedEntryCount"] == 0, done
        return {"id": f"{given['rule']}-{target}", "target_id": target, "event_bus_name": "default"}

    def now(self, state):
        found = self.client.list_targets_by_rule(Rule=state["rule"])["Targets"]
        return next(({"arn": each["Arn"]} for each in found if each["Id"] == state["target_id"]), None)

    def delete(self, state):
        self.client.remove_targets(Rule=state["rule"], Ids=[state["target_id"]])
