"""Dead letters on AWS, as the queues ``<prefix>-<stage>-dead`` keep them; and the calls to queues that this rests on.

What a stage gave up carries its error as a message attribute. What SQS gave up has none until somebody has told of it.
A look at many costs a request for each ten, and so does dropping or giving back.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.aws.names import AwsNames
from penstock.adapters.bus.batches import batches
from penstock.adapters.bus.ordering import order_again
from penstock.core.errors import Transient
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter

LOOK_SECONDS = 30
"""How long dead letters are hidden from others while they are read: time for some thousands."""
MOST_LETTERS = 100_000
"""More than SQS shows at a time."""
MOST_TOLD = 1_000
"""Of one look for those that nobody has told of: a hundred requests, and tick looks again a minute later."""
BATCH = 10
BATCH_BYTES = 250_000
"""SQS takes 262,144 bytes a request; this leaves room for ids and errors."""
EMPTY_PAGES = 2
"""SQS may answer a look with nothing though there is something: it asks some of its servers."""
ERROR = "error"
"""Message attribute of a dead letter: the last error."""
LOST_RECEIPTS = frozenset(
    {"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValueException"}
)

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")

Record = Mapping[str, Any]
"""A message as SQS hands it over."""


class SqsLetters:
    """See ports.bus.DeadLetters.

    Needs ``sqs:ReceiveMessage``, ``ChangeMessageVisibility`` and ``DeleteMessage`` on the dead letters' queues, and
    ``SendMessage`` on the stages' to give back.
    """

    def __init__(self, clients: Clients, names: AwsNames, pipeline: Pipeline) -> None:
        self._clients, self._names, self._pipeline = clients, names, pipeline
        self._urls: dict[str, str] = {}

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest first, as far as standard queues show them."""
        found: list[tuple[int, DeadLetter]] = []
        for stage in self._pipeline.queues():
            seen = [record for page in self._look(stage.name, most=limit) for record in page]
            found += [(int(record["Attributes"]["SentTimestamp"]), self._letter(stage.name, record)) for record in seen]
            self._show_all(stage.name, seen)
        return tuple(letter for _, letter in sorted(found, key=lambda each: each[0])[:limit])

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Forget them, or give them back to their stages; how many that were. Those that are gone stay gone."""
        return sum(
            self._drop_of(stage, {letter.receipt for letter in letters if letter.stage == stage}, again=again)
            for stage in dict.fromkeys(letter.stage for letter in letters)
        )

    def _drop_of(self, stage: str, wanted: set[str], *, again: bool) -> int:
        """Page by page, so that no receipt runs out before its turn comes. The others are visible again afterwards."""
        done, others = 0, []
        for page in self._look(stage):
            mine = [record for record in page if record["MessageId"] in wanted]
            others += [record for record in page if record["MessageId"] not in wanted]
            for some in batches(mine, lambda record: len(record["Body"].encode()), most=BATCH, most_bytes=BATCH_BYTES):
                if again:
                    self._give_back(stage, some)
                self._delete_all(stage, some)
                done += len(some)
            if done == len(wanted):
                break
        self._show_all(stage, others)
        return done

    def lost(self) -> Iterator[DeadLetter]:
        """Dead letters that SQS made, because no worker came to an end. Each is marked once the caller goes on."""
        for stage in self._pipeline.queues():
            dead = self._dead(stage.name)
            seen = [record for page in self._look(stage.name, most=MOST_TOLD, empty=1) for record in page]
            self._show_all(stage.name, (record for record in seen if _is_told(record)))
            for record in seen:
                if _is_told(record):
                    continue
                letter = self._letter(stage.name, record)
                yield letter
                place = self._place(stage.name, record["Body"], once=f"told of {letter.receipt}")
                self._send(dead, record["Body"], mark(letter.error), place)
                self._delete(dead, record["ReceiptHandle"])

    def _letter(self, stage: str, record: Record) -> DeadLetter:
        attributes = record.get("MessageAttributes", {})
        attempts = self._pipeline.stage(stage).attempts
        error = attributes.get(ERROR, {}).get("StringValue") or (
            f"not finished in {attempts} attempts: its worker died or hung each time"
        )
        return DeadLetter(receipt=record["MessageId"], stage=stage, body=record["Body"].encode(), error=error)

    def _look(self, stage: str, *, most: int = MOST_LETTERS, empty: int = EMPTY_PAGES) -> Iterator[list[Record]]:
        """At most ``most`` messages of a dead letter queue, each once, hidden for a while; to ``empty`` empty pages."""
        dead, seen, without = self._dead(stage), set[str](), 0
        while len(seen) < most and without < empty:
            page = self._take(dead, count=min(BATCH, most - len(seen)), visibility=LOOK_SECONDS, wait=0)
            new = [record for record in page if record["MessageId"] not in seen]
            seen |= {record["MessageId"] for record in new}
            without = 0 if new else without + 1
            if new:
                yield new

    def _give_back(self, stage: str, records: Sequence[Record]) -> None:
        entries = [
            {
                "Id": str(number),
                "MessageBody": record["Body"],
                **self._place(stage, record["Body"], once=f"redriven {record['MessageId']}"),
            }
            for number, record in enumerate(records)
        ]
        queue = self._queue(stage)
        parameters = {"QueueUrl": self._url(queue), "Entries": entries}
        all_taken(self._clients.call("sqs", "send_message_batch", queue, parameters), queue)

    def _delete_all(self, stage: str, records: Sequence[Record]) -> None:
        """What is not deleted is shown again: it is only done twice."""
        dead = self._dead(stage)
        entries = [{"Id": str(n), "ReceiptHandle": record["ReceiptHandle"]} for n, record in enumerate(records)]
        parameters = {"QueueUrl": self._url(dead), "Entries": entries}
        self._clients.call("sqs", "delete_message_batch", dead, parameters)

    def _show_all(self, stage: str, records: Iterable[Record]) -> None:
        """Visible to others at once. What is refused was not ours any more, and is visible soon anyway."""
        dead = self._dead(stage)
        for some in batches(records, lambda _: 0, most=BATCH, most_bytes=1):
            entries = [
                {"Id": str(number), "ReceiptHandle": record["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, record in enumerate(some)
            ]
            parameters = {"QueueUrl": self._url(dead), "Entries": entries}
            self._clients.call("sqs", "change_message_visibility_batch", dead, parameters)

    def _take(self, queue: str, *, count: int, visibility: float, wait: int) -> list[Record]:
        parameters = {
            "QueueUrl": self._url(queue),
            "MaxNumberOfMessages": count,
            "VisibilityTimeout": round(visibility),
            "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
            "MessageAttributeNames": [ERROR],
        }
        found: list[Record] = self._clients.call("sqs", "receive_message", queue, parameters).get("Messages", [])
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

    def _url(self, queue: str) -> str:
        if queue not in self._urls:
            self._urls[queue] = f"{self._clients.client('sqs').meta.endpoint_url}/{self._names.account}/{queue}"
        return self._urls[queue]


def _is_told(record: Record) -> bool:
    return ERROR in record.get("MessageAttributes", {})


def fifo(group: str, once: str) -> dict[str, str]:
    """Where a message stands in a FIFO queue or topic, and what makes it the same message."""
    return {"MessageGroupId": group, "MessageDeduplicationId": hashlib.sha256(once.encode()).hexdigest()}


def mark(error: str) -> dict[str, Any]:
    """The error as an attribute that SQS takes: not empty, no control characters, of bounded length."""
    return {ERROR: {"DataType": "String", "StringValue": _UNPRINTABLE.sub("�", error)[:1_000] or "unknown"}}


def all_taken(answer: Mapping[str, Sequence[Mapping[str, str]]], where: str) -> None:
    """Raise Transient for a batch that was taken in part: that has status 200."""
    failed = answer.get("Failed") or []
    if failed:
        codes = ", ".join(sorted({entry.get("Code", "") for entry in failed}))
        raise Transient(
            f"{where} took {len(answer.get('Successful') or [])} messages and refused {len(failed)}: {codes}"
        )
