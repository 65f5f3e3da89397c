"""One plane's resources on AWS, as a Terraform module makes them, made in moto: in this process, or on its server."""

import contextlib
import functools
import json
import os
import urllib.request
from unittest import mock

import botocore.session
import moto.sqs.models
from moto import mock_aws
from moto.server import ThreadedMotoServer

from penstock.adapters.aws.clients import Clients
from penstock.adapters.aws.names import AwsNames
from penstock.wiring import load_pipeline

NAMES = AwsNames(
    region="eu-central-1",
    account="123456789012",
    bucket="acme-penstock",
    prefix="plane-1",
    scheduler_role="arn:aws:iam::123456789012:role/plane-1-scheduler",
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": NAMES.region,
    "PENSTOCK_BACKEND": "aws",
    "PENSTOCK_AWS_ACCOUNT": NAMES.account,
    "PENSTOCK_AWS_BUCKET": NAMES.bucket,
    "PENSTOCK_AWS_PREFIX": NAMES.prefix,
    "PENSTOCK_AWS_SCHEDULER_ROLE": NAMES.scheduler_role,
}


@functools.cache
def shared_session():
    """Keeps what botocore reads of its services' models, 0.3 s each; clients are each test's own."""
    return botocore.session.Session()


@contextlib.contextmanager
def in_process(clock=None):
    """moto in this process. ``clock``: SQS counts by it, a millisecond on at each look."""
    looks = 0

    def millis(*_):
        nonlocal looks
        looks += 1
        return clock.now().timestamp() * 1000 + looks * 0.001

    def seconds(*_):
        return millis() / 1000

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        own = botocore.session.Session
        stack.enter_context(mock.patch.object(botocore.session, "Session", return_value=shared_session()))
        # moto's Parameter Store asks boto3, which hooks itself into its session
        stack.enter_context(mock.patch.object(botocore.session, "get_session", lambda variables=None: own(variables)))
        stack.enter_context(mock_aws())
        if clock is not None:
            stack.enter_context(mock.patch.object(moto.sqs.models, "unix_time_millis", millis))
            stack.enter_context(mock.patch.object(moto.sqs.models, "unix_time", seconds))
        yield Clients(NAMES.region)


@contextlib.contextmanager
def empty_server():
    """moto's server with nothing on it, and this process's environment leading there; its host and port."""
    with mock.patch.dict(os.environ, ENVIRONMENT):
        running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        try:
            # what an earlier one of this process has made is still there
            asked = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST", data=b"")
            with urllib.request.urlopen(asked, timeout=60):
                pass
            with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}):
                yield host, port
        finally:
            running.stop()


@contextlib.contextmanager
def on_a_server():
    """As ``empty_server``, with the plane's resources."""
    with empty_server() as where:
        clients = Clients(NAMES.region)
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)
        yield where


def make_queues(clients, pipeline, *, names=NAMES):
    """A topic per topic; per stage a queue with its dead letter queue, subscribed with raw delivery."""
    sqs, sns = clients.client("sqs"), clients.client("sns")
    for topic in dict.fromkeys(topic for stage in pipeline.queues() for topic in stage.subscribes):
        ordered = pipeline.is_ordered(topic)
        name = names.topic_arn(topic, ordered=ordered).rpartition(":")[2]
        sns.create_topic(Name=name, Attributes={"FifoTopic": "true"} if ordered else {})
    for stage in pipeline.queues():
        ordered = stage.ordered
        fifo = {"FifoQueue": "true"} if ordered else {}
        kept = {"MessageRetentionPeriod": str(14 * 86_400), **fifo}
        dead = sqs.create_queue(QueueName=names.dead_queue(stage.name, ordered=ordered), Attributes=kept)["QueueUrl"]
        target = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = {"deadLetterTargetArn": target, "maxReceiveCount": stage.attempts}
        attributes = {"VisibilityTimeout": str(round(6 * stage.timeout)), "RedrivePolicy": json.dumps(redrive), **fifo}
        url = sqs.create_queue(QueueName=names.queue(stage.name, ordered=ordered), Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for topic in stage.subscribes:
            sns.subscribe(
                TopicArn=names.topic_arn(topic, ordered=ordered),
                Protocol="sqs",
                Endpoint=arn,
                Attributes={"RawMessageDelivery": "true"},
            )
    clients.client("scheduler").create_schedule_group(Name=names.schedule_group)


def make_table(clients, *, names=NAMES):
    """The table of records with its index of due times."""
    clients.client("dynamodb").create_table(
        TableName=names.table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in (("p", "S"), ("k", "S"), ("s", "S"), ("due", "N"))
        ],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "k", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [{"AttributeName": "s", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def make_bucket(clients, *, names=NAMES):
    """The bucket of artifacts."""
    clients.client("s3").create_bucket(
        Bucket=names.bucket, CreateBucketConfiguration={"LocationConstraint": names.region}
    )
