"""The consuming side of the bus on AWS: SQS queues and their dead letter queues.

In a function, Lambda takes messages and deletes them, and what is used here is ``take``, ``retry`` and ``bury``; a
process that polls uses all of it. A queue's redrive policy gives up a message after its stage's attempts
(``maxReceiveCount``); this adapter gives it up itself at the last attempt, so that the dead letter says why.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.aws.names import AwsNames
from penstock.adapters.bus.ordering import order_again
from penstock.adapters.bus.visibility import VISIBILITY
from penstock.core.errors import Terminal
from penstock.core.messages import decode, encode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter, Delivery
from penstock.ports.clock import Clock

LONGEST_VISIBILITY = 43_200
LONGEST_POLL = 20
LOOK_SECONDS = 5
"""How long dead letters are hidden from others while they are read."""
MOST_LETTERS = 100_000
"""More than SQS shows at a time."""
ERROR = "error"
"""Message attribute of a dead letter: the last error."""
LOST_RECEIPTS = frozenset(
    {"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValueException"}
)

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


class SqsQueue:
    """See ports.bus.Queue. ``visibility``: seconds for which ``receive`` hides a message."""

    def __init__(
        self, clients: Clients, names: AwsNames, pipeline: Pipeline, clock: Clock, *, visibility: float = VISIBILITY
    ) -> None:
        self._clients, self._names, self._pipeline, self._clock = clients, names, pipeline, clock
        self._visibility = visibility
        self._urls: dict[str, str] = {}
        self._held: dict[str, float] = {}
        """Receipt -> when it runs out. SQS may act on one that ran out, whoever has the message now."""
        self._lock = threading.Lock()

    def receive(self, stage: str, *, wait: float) -> Delivery | None:
        """The next message, or None after ``wait`` seconds. What cannot be read becomes a dead letter."""
        queue = self._queue(stage)
        deadline = self._clock.monotonic() + wait
        while True:
            left = min(LONGEST_POLL, max(0, round(deadline - self._clock.monotonic())))
            found = self._take(queue, count=1, visibility=self._visibility, wait=left)
            if not found:
                if left < LONGEST_POLL:
                    return None
                continue
            record = found[0]
            try:
                return self.take(
                    stage,
                    receipt=record["ReceiptHandle"],
                    body=record["Body"],
                    attempt=int(record["Attributes"]["ApproximateReceiveCount"]),
                    seconds=self._visibility,
                )
            except Terminal as error:
                self.bury(stage, record["ReceiptHandle"], record["Body"], f"{error.reason}: {error}")

    def take(self, stage: str, *, receipt: str, body: str, attempt: int, seconds: float) -> Delivery:
        """The delivery of a message that is hidden for ``seconds`` from now. Raises Terminal for a poison message."""
        envelope = decode(body.encode(), attempt=attempt)
        self._hold(receipt, seconds)
        return Delivery(receipt=receipt, stage=stage, envelope=envelope)

    def extend(self, delivery: Delivery, seconds: float) -> None:
        """Keep it invisible for ``seconds`` from now; an expired receipt is ignored."""
        if self._holds(delivery):
            self._hide(delivery, seconds)
            self._hold(delivery.receipt, seconds)

    def ack(self, delivery: Delivery) -> None:
        """Gone for good; an expired receipt is ignored."""
        if self._holds(delivery):
            self._delete(self._queue(delivery.stage), delivery.receipt)
            self._drop(delivery.receipt)

    def retry(self, delivery: Delivery, *, delay: float, error: str) -> bool:
        """Visible again after ``delay``; False where it became a dead letter. An expired receipt is ignored."""
        if not self._holds(delivery):
            return True
        if delivery.envelope.attempt >= self._pipeline.stage(delivery.stage).attempts:
            self.bury(delivery.stage, delivery.receipt, encode(delivery.envelope).decode(), error)
            return False
        self._hide(delivery, delay)
        self._drop(delivery.receipt)
        return True

    def bury(self, stage: str, receipt: str, body: str, error: str) -> DeadLetter:
        """Give a message of a stage's queue up: written to the dead letter queue with its error, then deleted."""
        dead = self._dead(stage)
        sent = self._send(dead, body, _mark(error), self._place(stage, body, once=f"given up {receipt}"))
        self._delete(self._queue(stage), receipt)
        self._drop(receipt)
        return DeadLetter(receipt=sent, stage=stage, body=body.encode(), error=error)

    def give_back(self, stage: str, receipt: str) -> None:
        """Visible to others at once: nobody works on it. It has used up an attempt all the same."""
        self._show(self._queue(stage), receipt)

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest first, as far as standard queues show them."""
        found: list[tuple[int, DeadLetter]] = []
        for stage in self._pipeline.queues():
            seen = self._look(stage.name, lambda _: True, most=limit)
            found += [(int(record["Attributes"]["SentTimestamp"]), self._letter(stage.name, record)) for record in seen]
            for record in seen:
                self._show(self._dead(stage.name), record["ReceiptHandle"])
        return tuple(letter for _, letter in sorted(found, key=lambda each: each[0])[:limit])

    def drop_dead_letter(self, letter: DeadLetter, *, again: bool) -> None:
        """Forget it, or give it back to its stage; one that is gone already stays gone."""
        for record in self._look(letter.stage, lambda each: each["MessageId"] == letter.receipt, only=1):
            if again:
                body, once = letter.body.decode(), f"redriven {letter.receipt}"
                self._send(self._queue(letter.stage), body, {}, self._place(letter.stage, body, once=once))
            self._delete(self._dead(letter.stage), record["ReceiptHandle"])

    def lost(self) -> Iterator[DeadLetter]:
        """Dead letters that SQS made, because no worker came to an end. Each is marked once the caller goes on."""
        for stage in self._pipeline.queues():
            dead = self._dead(stage.name)
            unmarked = self._look(stage.name, lambda each: ERROR not in each.get("MessageAttributes", {}), most=100)
            for record in unmarked:
                letter = self._letter(stage.name, record)
                yield letter
                place = self._place(stage.name, record["Body"], once=f"told of {letter.receipt}")
                self._send(dead, record["Body"], _mark(letter.error), place)
                self._delete(dead, record["ReceiptHandle"])

    def depth(self) -> dict[str, int]:
        """By stage, as SQS counts them (approximately)."""
        return {stage.name: self._count(self._queue(stage.name)) for stage in self._pipeline.queues()}

    def _letter(self, stage: str, record: Mapping[str, Any]) -> DeadLetter:
        attributes = record.get("MessageAttributes", {})
        attempts = self._pipeline.stage(stage).attempts
        error = attributes.get(ERROR, {}).get("StringValue") or (
            f"not finished in {attempts} attempts: its worker died or hung each time"
        )
        return DeadLetter(receipt=record["MessageId"], stage=stage, body=record["Body"].encode(), error=error)

    def _look(
        self,
        stage: str,
        wanted: Callable[[Mapping[str, Any]], bool],
        *,
        most: int = MOST_LETTERS,
        only: int = MOST_LETTERS,
    ) -> list[dict[str, Any]]:
        """The ``wanted`` ones (``only`` so many) among ``most`` messages of a dead letter queue, hidden for a while.

        The others are visible again.
        """
        dead = self._dead(stage)
        seen: dict[str, dict[str, Any]] = {}
        found: list[dict[str, Any]] = []
        while len(seen) < most and len(found) < only:
            page = self._take(dead, count=min(10, most - len(seen)), visibility=LOOK_SECONDS, wait=0)
            new = [record for record in page if record["MessageId"] not in seen]
            if not new:
                break
            seen |= {record["MessageId"]: record for record in new}
            found += [record for record in new if wanted(record)]
        kept = {record["MessageId"] for record in found}
        for name, record in seen.items():
            if name not in kept:
                self._show(dead, record["ReceiptHandle"])
        return found

    def _take(self, queue: str, *, count: int, visibility: float, wait: int) -> list[dict[str, Any]]:
        parameters = {
            "QueueUrl": self._url(queue),
            "MaxNumberOfMessages": count,
            "VisibilityTimeout": round(visibility),
            "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
            "MessageAttributeNames": [ERROR],
        }
        found: list[dict[str, Any]] = self._clients.call("sqs", "receive_message", queue, parameters).get(
            "Messages", []
        )
        return found

    def _queue(self, stage: str) -> str:
        return self._names.queue(stage, ordered=self._pipeline.stage(stage).ordered)

    def _dead(self, stage: str) -> str:
        return self._names.dead_queue(stage, ordered=self._pipeline.stage(stage).ordered)

    def _place(self, stage: str, body: str, *, once: str) -> dict[str, str]:
        """What a FIFO queue wants of a message, nothing for a standard one.

        ``once``: SQS drops a second one of it within five minutes, so a message that comes again needs another.
        """
        if not self._pipeline.stage(stage).ordered:
            return {}
        return fifo(order_again(self._pipeline, body.encode()) or "unreadable", once)

    def _send(self, queue: str, body: str, attributes: Mapping[str, Any], place: Mapping[str, str]) -> str:
        parameters = {"QueueUrl": self._url(queue), "MessageBody": body, "MessageAttributes": attributes, **place}
        return str(self._clients.call("sqs", "send_message", queue, parameters)["MessageId"])

    def _delete(self, queue: str, receipt: str) -> None:
        parameters = {"QueueUrl": self._url(queue), "ReceiptHandle": receipt}
        try:
            self._clients.call("sqs", "delete_message", queue, parameters, expect=LOST_RECEIPTS)
        except Answered:
            return

    def _hide(self, delivery: Delivery, seconds: float) -> None:
        self._show(self._queue(delivery.stage), delivery.receipt, after=seconds)

    def _show(self, queue: str, receipt: str, *, after: float = 0) -> None:
        parameters = {
            "QueueUrl": self._url(queue),
            "ReceiptHandle": receipt,
            "VisibilityTimeout": max(0, min(LONGEST_VISIBILITY, round(after))),
        }
        try:
            self._clients.call("sqs", "change_message_visibility", queue, parameters, expect=LOST_RECEIPTS)
        except Answered:
            return

    def _count(self, queue: str) -> int:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "Delayed", "NotVisible")]
        parameters = {"QueueUrl": self._url(queue), "AttributeNames": names}
        attributes = self._clients.call("sqs", "get_queue_attributes", queue, parameters)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def _hold(self, receipt: str, seconds: float) -> None:
        now = self._clock.monotonic()
        with self._lock:
            expired = [old for old, until in self._held.items() if until <= now]
            for old in expired:
                del self._held[old]
            self._held[receipt] = now + seconds

    def _drop(self, receipt: str) -> None:
        with self._lock:
            self._held.pop(receipt, None)

    def _holds(self, delivery: Delivery) -> bool:
        return self._held.get(delivery.receipt, -1.0) > self._clock.monotonic()

    def _url(self, queue: str) -> str:
        if queue not in self._urls:
            self._urls[queue] = f"{self._clients.client('sqs').meta.endpoint_url}/{self._names.account}/{queue}"
        return self._urls[queue]


def fifo(group: str, once: str) -> dict[str, str]:
    """Where a message stands in a FIFO queue or topic, and what makes it the same message."""
    return {"MessageGroupId": group, "MessageDeduplicationId": hashlib.sha256(once.encode()).hexdigest()}


def _mark(error: str) -> dict[str, Any]:
    """The error as an attribute that SQS takes: not empty, no control characters, of bounded length."""
    return {ERROR: {"DataType": "String", "StringValue": _UNPRINTABLE.sub("�", error)[:1_000] or "unknown"}}
