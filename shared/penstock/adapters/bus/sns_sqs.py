"""The bus on AWS: SNS topics in front of standard SQS queues, EventBridge Scheduler for what waits long.

Each topic of pipeline.json is an SNS topic, each stage that topics feed a queue that is subscribed to its topics with
raw delivery: the body of a message is the CloudEvent itself. SNS knows no delay, so a delayed message goes straight to
the queues of its subscribers: as a message timer up to 15 minutes, beyond that as a one-time schedule that publishes
to the topic and deletes itself. Nothing is merged and no order is kept: standard queues promise neither. What a stage
wants in order has a FIFO topic and FIFO queues, and goes out one by one.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from penstock.adapters.aws.clients import Answered
from penstock.adapters.bus.batches import batches
from penstock.adapters.bus.ordering import order_key
from penstock.adapters.bus.sqs_letters import all_taken, fifo
from penstock.adapters.bus.sqs_queue import SqsQueue
from penstock.core.errors import Refused
from penstock.core.messages import encode
from penstock.ports.bus import Dispatch

BATCH = 10
BATCH_BYTES = 250_000
"""SNS takes 262,144 bytes a request; this leaves room for ids."""
AT_ONCE = 8
"""Requests to a topic."""
LONGEST_TIMER = 900
"""Seconds: SQS's longest message timer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Message:
    topic: str
    ident: str
    body: str = field(repr=False)
    delay: int
    order: str

    @property
    def place(self) -> dict[str, str]:
        """What a FIFO topic wants; nothing for a standard one."""
        return fifo(self.order, self.ident) if self.order else {}


class SnsSqsBus(SqsQueue):
    """Bus and Queue (ports.bus) at once.

    A publisher needs ``sns:Publish`` on its topics, and for what it delays ``sqs:SendMessage`` on the subscribers'
    queues, ``scheduler:CreateSchedule`` and ``iam:PassRole`` for the scheduler's role.
    """

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Take all of them.

        Raises Terminal (too large; ordered and delayed) before any was taken, Transient where some may have been.
        """
        ready = [self._message(dispatch) for dispatch in messages]
        for topic in dict.fromkeys(message.topic for message in ready):
            mine = [message for message in ready if message.topic == topic]
            if self._pipeline.is_ordered(topic):
                for message in mine:  # of a batch a part may be taken
                    self._publish_now(topic, [message])
                continue
            self._publish_all(topic, _batches(m for m in mine if not m.delay))
            for batch in _batches(m for m in mine if 0 < m.delay <= LONGEST_TIMER):
                self._send_later(topic, batch)
            for message in mine:
                if message.delay > LONGEST_TIMER:
                    self._schedule(message)

    def _message(self, dispatch: Dispatch) -> _Message:
        envelope = dispatch.envelope
        return _Message(
            topic=envelope.message.topic,
            ident=envelope.id,
            body=encode(envelope).decode(),
            delay=max(0, math.ceil(dispatch.delay)),
            order=order_key(self._pipeline, dispatch),
        )

    def _publish_all(self, topic: str, batches: Sequence[Sequence[_Message]]) -> None:
        """A few requests at a time: one commit for a thousand clusters is a hundred of them."""
        if len(batches) <= 1:
            for batch in batches:
                self._publish_now(topic, batch)
            return
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(batches))) as pool:
            for _ in pool.map(lambda batch: self._publish_now(topic, batch), batches):
                pass

    def _publish_now(self, topic: str, batch: Sequence[_Message]) -> None:
        entries = [
            {"Id": str(number), "Message": message.body, **message.place} for number, message in enumerate(batch)
        ]
        arn = self._names.topic_arn(topic, ordered=self._pipeline.is_ordered(topic))
        answer = self._clients.call(
            "sns", "publish_batch", arn, {"TopicArn": arn, "PublishBatchRequestEntries": entries}
        )
        all_taken(answer, arn)

    def _send_later(self, topic: str, batch: Sequence[_Message]) -> None:
        entries = [
            {"Id": str(number), "MessageBody": message.body, "DelaySeconds": message.delay}
            for number, message in enumerate(batch)
        ]
        for stage in self._pipeline.subscribers(topic):
            queue = self._names.queue(stage.name)
            parameters = {"QueueUrl": self._url(queue), "Entries": entries}
            all_taken(self._clients.call("sqs", "send_message_batch", queue, parameters), queue)

    def _schedule(self, message: _Message) -> None:
        if not self._names.scheduler_role:
            raise Refused(
                f"a message to {message.topic} is delayed by {message.delay} s, more than SQS can: "
                "PENSTOCK_AWS_SCHEDULER_ROLE must name the role that EventBridge Scheduler publishes with"
            )
        due = self._clock.now() + timedelta(seconds=message.delay)
        group = self._names.schedule_group
        parameters = {
            "Name": f"{message.topic}-{hashlib.sha256(message.ident.encode()).hexdigest()[:32]}",
            "GroupName": group,
            "ScheduleExpression": _at(due),
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._names.topic_arn(message.topic),
                "RoleArn": self._names.scheduler_role,
                "Input": message.body,
            },
        }
        try:
            self._clients.call("scheduler", "create_schedule", group, parameters, expect={"ConflictException"})
        except Answered:
            return  # the first attempt at this call was taken, its answer was lost


def _at(due: datetime) -> str:
    whole = (due + timedelta(microseconds=999_999)).astimezone(UTC)
    return f"at({whole:%Y-%m-%dT%H:%M:%S})"


def _batches(messages: Iterable[_Message]) -> list[list[_Message]]:
    return list(batches(messages, lambda message: len(message.body), most=BATCH, most_bytes=BATCH_BYTES))
