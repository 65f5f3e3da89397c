"""SNS, SQS and EventBridge Scheduler: what is sent, and what becomes of what nobody finishes."""

import json
from dataclasses import replace

import pytest
from tests.aws.plane import NAMES, in_process, make_queues
from tests.contract.test_bus import ORDERED, PIPELINE, dispatch, due, event, source

from penstock.adapters.aws.names import AwsNames
from penstock.adapters.bus.sns_sqs import SnsSqsBus
from penstock.adapters.bus.sqs_letters import LOOK_SECONDS
from penstock.adapters.clock.memory import SimulatedClock
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.messages import encode
from penstock.wiring import load_pipeline


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def clients(clock):
    with in_process(clock) as made:
        make_queues(made, PIPELINE)
        yield made


@pytest.fixture
def bus(clients, clock):
    return SnsSqsBus(clients, NAMES, PIPELINE, clock, visibility=60)


@pytest.fixture
def calls(clients):
    """(operation, parameters) of what is sent."""
    sent = []
    for service in ("sns", "sqs", "scheduler"):
        clients.client(service).meta.events.register(
            f"provide-client-params.{service}", lambda params, model, **_: sent.append((model.name, params))
        )
    return sent


def operations(calls):
    return [name for name, _ in calls]


def all_names(bus, stage):
    found = []
    while delivery := bus.receive(stage, wait=0):
        found.append(delivery.envelope.message.name)
        bus.ack(delivery)
    return found


def test_what_goes_at_once_goes_through_the_topic_ten_a_request(bus, calls):
    bus.publish([dispatch(source(str(number))) for number in range(25)])
    assert operations(calls) == ["PublishBatch"] * 3
    assert {params["TopicArn"] for _, params in calls} == {
        "arn:aws:sns:eu-central-1:123456789012:plane-1-source-changed"
    }
    assert sorted(all_names(bus, "fetch"), key=int) == [str(number) for number in range(25)]


def test_large_messages_are_split_over_requests(bus, calls):
    bus.publish([dispatch(source("x" * 100_000)) for _ in range(5)])
    assert [len(params["PublishBatchRequestEntries"]) for _, params in calls] == [2, 2, 1]


def test_the_body_in_the_queue_is_the_cloud_event_itself(bus, clients):
    sent = dispatch(source())
    bus.publish([sent])
    (record,) = clients.client("sqs").receive_message(QueueUrl=bus._url("plane-1-fetch"))["Messages"]
    assert record["Body"].encode() == encode(sent.envelope)


@pytest.mark.parametrize(("delay", "seconds"), [(0.2, 1), (30, 30), (29.5, 30), (900, 900)])
def test_up_to_15_minutes_a_message_timer_waits_in_each_subscribers_queue(bus, calls, delay, seconds):
    bus.publish([dispatch(event(), delay=delay)])
    assert operations(calls) == ["SendMessageBatch"] * 2
    assert {params["QueueUrl"].rpartition("/")[2] for _, params in calls} == {"plane-1-notify", "plane-1-audit"}
    assert {params["Entries"][0]["DelaySeconds"] for _, params in calls} == {seconds}


def test_beyond_that_a_schedule_publishes_once_and_deletes_itself(bus, calls, clients, clock):
    later = dispatch(due(), delay=3_600.5)
    bus.publish([later])
    bus.publish([later])  # an answer that was lost: the same message again
    assert operations(calls) == ["CreateSchedule"] * 2
    (listed,) = clients.client("scheduler").list_schedules(GroupName="plane-1")["Schedules"]
    made = clients.client("scheduler").get_schedule(GroupName="plane-1", Name=listed["Name"])
    assert made["ScheduleExpression"] == f"at({clock.now():%Y-%m-%dT}{clock.now().hour + 1:02}:00:01)"
    assert (made["ScheduleExpressionTimezone"], made["FlexibleTimeWindow"]) == ("UTC", {"Mode": "OFF"})
    assert made["ActionAfterCompletion"] == "DELETE"
    assert made["Target"]["Arn"] == NAMES.topic_arn("reconcile-due")
    assert made["Target"]["RoleArn"] == NAMES.scheduler_role
    assert made["Target"]["Input"].encode() == encode(later.envelope)


def test_without_the_schedulers_role_a_long_delay_says_what_is_missing(clients, clock):
    names = AwsNames(region=NAMES.region, account=NAMES.account, bucket=NAMES.bucket, prefix=NAMES.prefix)
    with pytest.raises(Refused, match="PENSTOCK_AWS_SCHEDULER_ROLE"):
        SnsSqsBus(clients, names, PIPELINE, clock).publish([dispatch(due(), delay=901)])


def test_what_is_ordered_goes_out_one_by_one_to_a_fifo_topic(clients, clock, calls):
    make_queues(clients, ORDERED, names=replace(NAMES, prefix="plane-2"))
    bus = SnsSqsBus(clients, replace(NAMES, prefix="plane-2"), ORDERED, clock)
    del calls[:]
    bus.publish([dispatch(source(hint=hint), ident=hint) for hint in "123"] + [dispatch(source("other"), ident="4")])
    assert operations(calls) == ["PublishBatch"] * 4
    assert {params["TopicArn"].rpartition(":")[2] for _, params in calls} == {"plane-2-source-changed.fifo"}
    entries = [entry for _, params in calls for entry in params["PublishBatchRequestEntries"]]
    groups = [entry["MessageGroupId"] for entry in entries]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert len({entry["MessageDeduplicationId"] for entry in entries}) == 4


def test_what_is_published_again_after_a_lost_answer_comes_once(clients, clock):
    make_queues(clients, ORDERED, names=replace(NAMES, prefix="plane-2"))
    bus = SnsSqsBus(clients, replace(NAMES, prefix="plane-2"), ORDERED, clock)
    for _ in range(2):
        bus.publish([dispatch(source(), ident="one")])
    assert bus.depth()["automate"] == 1


def test_a_killers_dead_letter_of_an_ordered_stage_is_told_of_and_redriven(clients, clock):
    make_queues(clients, ORDERED, names=replace(NAMES, prefix="plane-2"))
    bus = SnsSqsBus(clients, replace(NAMES, prefix="plane-2"), ORDERED, clock, visibility=60)
    bus.publish([dispatch(source("killer"))])
    for _ in range(5):
        bus.receive("automate", wait=0)
        clock.advance(61)
    assert bus.receive("automate", wait=0) is None
    assert len(list(bus.lost())) == 1
    clock.advance(10)
    assert list(bus.lost()) == []
    (letter,) = bus.dead_letters()
    bus.drop_dead_letters([letter], again=True)
    assert bus.receive("automate", wait=0).envelope.attempt == 1
    assert bus.dead_letters() == ()


@pytest.mark.parametrize(
    ("service", "operation", "delay"), [("sns", "PublishBatch", 0), ("sqs", "SendMessageBatch", 5)]
)
def test_a_batch_that_was_taken_in_part_is_published_again(bus, clients, service, operation, delay):
    def refuse_one(parsed, **_):
        parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

    clients.client(service).meta.events.register(f"after-call.{service}.{operation}", refuse_one)
    with pytest.raises(Transient, match="refused 1: InternalError"):
        bus.publish([dispatch(source("a"), delay=delay), dispatch(source("b"), delay=delay)])


def test_a_topic_that_does_not_exist_is_named(clients, clock):
    names = AwsNames(region=NAMES.region, account=NAMES.account, bucket=NAMES.bucket, prefix="plane-2")
    with pytest.raises(NotFound, match="sns:Publish on arn:aws:sns:eu-central-1:123456789012:plane-2-source-changed"):
        SnsSqsBus(clients, names, PIPELINE, clock).publish([dispatch(source())])


@pytest.mark.parametrize("body", ["not ours", '{"type": "dev.penstock.source-changed.v9", "id": "1", "data": {}}'])
def test_poison_becomes_a_dead_letter_and_blocks_nobody(bus, clients, body):
    clients.client("sqs").send_message(QueueUrl=bus._url("plane-1-fetch"), MessageBody=body)
    bus.publish([dispatch(source("after"))])
    assert bus.receive("fetch", wait=0).envelope.message.name == "after"
    (letter,) = bus.dead_letters()
    assert letter.body == body.encode()
    assert letter.error


def test_a_dead_letter_that_sqs_made_is_told_once(bus, clock):
    bus.publish([dispatch(source("killer"))])
    for _ in range(3):
        bus.receive("fetch", wait=0)
        clock.advance(61)
    assert bus.receive("fetch", wait=0) is None
    assert [letter.error for letter in bus.lost()] == ["not finished in 3 attempts: its worker died or hung each time"]
    clock.advance(10)
    assert list(bus.lost()) == []
    assert len(bus.dead_letters()) == 1


def test_a_teller_that_fails_is_asked_again(bus, clock):
    bus.publish([dispatch(source("killer"))])
    for _ in range(4):
        bus.receive("fetch", wait=0)
        clock.advance(61)
    assert next(bus.lost())  # and no more: the caller was killed
    clock.advance(LOOK_SECONDS + 1)
    assert len(list(bus.lost())) == 1


def test_dead_letters_of_many_pages(bus):
    bus.publish([dispatch(source(str(number))) for number in range(15)])
    while delivery := bus.receive("fetch", wait=0):
        bus.bury("fetch", delivery.receipt, encode(delivery.envelope).decode(), "x\x00" * 2_000)
    letters = bus.dead_letters()
    assert len(letters) == 15
    assert len(bus.dead_letters(limit=12)) == 12
    assert bus.drop_dead_letters(letters, again=True) == 15
    assert bus.depth()["fetch"] == 15
    assert bus.drop_dead_letters(letters, again=True) == 0


HUNDREDS = 230


def bury_hundreds(bus, clients, stage="fetch", **more):
    """As SQS moves them; their names are numbers."""
    url = bus._url(f"plane-1-{stage}-dead")
    bodies = [encode(dispatch(source(str(number))).envelope).decode() for number in range(HUNDREDS)]
    for first in range(0, HUNDREDS, 10):
        entries = [{"Id": str(n), "MessageBody": body, **more} for n, body in enumerate(bodies[first : first + 10])]
        clients.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)


@pytest.mark.parametrize("again", [True, False])
def test_hundreds_of_dead_letters_cost_a_few_requests_for_each_ten(bus, clients, calls, again):
    """Half of them are taken; the other half is there for the next look, at once."""
    bury_hundreds(bus, clients)
    letters = bus.dead_letters(limit=10_000)
    assert len(letters) == HUNDREDS
    calls.clear()
    assert bus.drop_dead_letters(letters[::2], again=again) == HUNDREDS // 2
    assert len(calls) <= 5 * HUNDREDS // 10, operations(calls)
    assert {letter.receipt for letter in bus.dead_letters(limit=10_000)} == {each.receipt for each in letters[1::2]}
    assert bus.depth()["fetch"] == (HUNDREDS // 2 if again else 0)


def test_one_that_nobody_has_told_of_is_found_behind_hundreds_that_were_told(bus, clients):
    told = {"error": {"DataType": "String", "StringValue": "told"}}
    bury_hundreds(bus, clients, MessageAttributes=told)
    body = encode(dispatch(source("untold")).envelope).decode()
    clients.client("sqs").send_message(QueueUrl=bus._url("plane-1-fetch-dead"), MessageBody=body)
    assert [letter.body.decode() for letter in bus.lost()] == [body]


def test_letters_that_are_given_back_in_part_stay(bus, clients):
    """What the stage's queue did not take is not deleted; nothing is lost."""
    bury_hundreds(bus, clients)

    def refuse_one(parsed, **_):
        parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

    clients.client("sqs").meta.events.register("after-call.sqs.SendMessageBatch", refuse_one)
    with pytest.raises(Transient, match="refused 1: InternalError"):
        bus.drop_dead_letters(bus.dead_letters(limit=10_000), again=True)
    assert bus._count("plane-1-fetch-dead") == HUNDREDS


def test_the_longest_invisibility_is_sqss(bus, calls):
    bus.publish([dispatch(source())])
    bus.extend(bus.receive("fetch", wait=0), 100_000)
    assert calls[-1][1]["VisibilityTimeout"] == 43_200


@pytest.mark.parametrize("stage", [stage.name for stage in load_pipeline().queues()])
def test_the_test_plane_is_what_the_documentation_asks_for(clock, stage):
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        url = SnsSqsBus(clients, NAMES, load_pipeline(), clock)._url(NAMES.queue(stage))
        found = clients.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    limits = load_pipeline().stage(stage)
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == limits.attempts
    assert int(found["VisibilityTimeout"]) == 6 * limits.timeout


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_have_the_regions_partition(region, partition):
    names = AwsNames(region=region, account="1", bucket="b")
    assert names.topic_arn("event") == f"arn:{partition}:sns:{region}:1:penstock-event"


def test_a_receipt_that_sqs_no_longer_knows_is_no_error(bus, clients):
    bus.publish([dispatch(source())])
    delivery = bus.receive("fetch", wait=0)
    clients.client("sqs").delete_message(QueueUrl=bus._url("plane-1-fetch"), ReceiptHandle=delivery.receipt)
    bus.extend(delivery, 60)
    bus._delete("plane-1-fetch", "another queue's")
    bus.ack(delivery)
    assert bus.depth()["fetch"] == 0
