"""The consuming side of the bus on AWS: SQS queues. Their dead letter queues: sqs_letters.py.

In a function, Lambda takes messages and deletes them, and what is used here is ``take``, ``retry`` and ``bury``; a
process that polls uses all of it. A queue's redrive policy gives up a message after its stage's attempts
(``maxReceiveCount``); this adapter gives it up itself at the last attempt, so that the dead letter says why.
"""

import threading

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.aws.names import AwsNames
from penstock.adapters.bus.sqs_letters import LOST_RECEIPTS, SqsLetters, mark
from penstock.adapters.bus.visibility import VISIBILITY
from penstock.core.errors import Terminal
from penstock.core.messages import decode, encode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter, Delivery
from penstock.ports.clock import Clock

LONGEST_VISIBILITY = 43_200
LONGEST_POLL = 20


class SqsQueue(SqsLetters):
    """See ports.bus.Queue. ``visibility``: seconds for which ``receive`` hides a message."""

    def __init__(
        self, clients: Clients, names: AwsNames, pipeline: Pipeline, clock: Clock, *, visibility: float = VISIBILITY
    ) -> None:
        super().__init__(clients, names, pipeline)
        self._clock, self._visibility = clock, visibility
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
        sent = self._send(dead, body, mark(error), self._place(stage, body, once=f"given up {receipt}"))
        self._delete(self._queue(stage), receipt)
        self._drop(receipt)
        return DeadLetter(receipt=sent, stage=stage, body=body.encode(), error=error)

    def give_back(self, stage: str, receipt: str) -> None:
        """Visible to others at once: nobody works on it. It has used up an attempt all the same."""
        self._show(self._queue(stage), receipt)

    def depth(self) -> dict[str, int]:
        """By stage, as SQS counts them (approximately)."""
        return {stage.name: self._count(self._queue(stage.name)) for stage in self._pipeline.queues()}

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
