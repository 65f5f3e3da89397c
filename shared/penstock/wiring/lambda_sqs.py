"""Batches of SQS messages that Lambda hands over, with partial failures (``ReportBatchItemFailures``).

A message that must come again is made visible after its own backoff, then reported as failed: Lambda deletes the
others. At its last attempt it is told of, and goes to the dead letter queue with its error. A message whose function
was killed comes back by the queue's visibility timeout, and ends in the dead letter queue by its redrive policy.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from penstock.adapters.bus.sqs_queue import SqsQueue
from penstock.core.errors import PenstockError, Terminal
from penstock.ports.bus import DeadLetter
from penstock.wiring.reports import announce
from penstock.wiring.runtime import Runtime

Json = Mapping[str, Any]


def run_batch(runtime: Runtime, stage: str, event: Json, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Run each message; name those that must come again. ``seconds_left``: until Lambda kills this function.

    Of an ordered stage, what stands behind one that must come again is left to come after it.

    Raises Terminal for what is no batch of SQS messages: Lambda then keeps all of them.
    """
    records = event.get("Records")
    if not isinstance(records, list) or not all(map(_is_sqs, records)):
        raise Terminal(f"stage {stage} is fed by SQS: this event is no batch of its messages")
    limits = runtime.pipeline.stage(stage)
    enough = limits.timeout / 2
    failed: list[dict[str, str]] = []
    for number, record in enumerate(records):
        late = number > 0 and (seconds_left() < enough or (limits.ordered and bool(failed)))
        done = _given_back(runtime, stage, record) if late else _done(runtime, stage, record, seconds_left())
        if not done:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _is_sqs(record: Any) -> bool:
    """Whether it is a message with all that is needed of it: a batch is looked at before any of it is worked on."""
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:sqs":
        return False
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, Mapping) else None
    texts = (record.get(name) for name in ("messageId", "receiptHandle", "body"))
    return str(count).isdecimal() and all(isinstance(text, str) for text in texts)


def _done(runtime: Runtime, stage: str, record: Json, seconds: float) -> bool:
    queue = cast("SqsQueue", runtime.bus)
    body, attempt = _unwrapped(record["body"]), int(record["attributes"]["ApproximateReceiveCount"])
    receipt = record["receiptHandle"]
    try:
        try:
            delivery = queue.take(stage, receipt=receipt, body=body, attempt=attempt, seconds=seconds)
        except Terminal as error:  # poison
            return _give_up(runtime, DeadLetter(receipt=receipt, stage=stage, body=body.encode(), error=str(error)))
        outcome = runtime.run_message(stage, delivery.envelope)
        if not outcome.again:
            return True
        error_text = f"{outcome.reason}: {outcome.error}"
        if attempt >= runtime.pipeline.stage(stage).attempts:
            return _give_up(runtime, DeadLetter(receipt=receipt, stage=stage, body=body.encode(), error=error_text))
        queue.retry(delivery, delay=outcome.delay, error=error_text)
    except PenstockError as error:  # the bus itself: the message comes back by its visibility timeout
        runtime.port("telemetry").record("bus unavailable", stage=stage, outcome="failed", error=str(error))
    return False


def _given_back(runtime: Runtime, stage: str, record: Json) -> bool:
    """Never done. Where this fails the message comes back by its visibility timeout."""
    with contextlib.suppress(PenstockError):
        cast("SqsQueue", runtime.bus).give_back(stage, record["receiptHandle"])
    return False


def _give_up(runtime: Runtime, letter: DeadLetter) -> bool:
    """Told of first: a kill in between makes a second report of one id, never none."""
    announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))
    cast("SqsQueue", runtime.bus).bury(letter.stage, letter.receipt, letter.body.decode(), letter.error)
    return True


def tell_of_lost(runtime: Runtime, stage: str) -> None:
    """Tell of dead letters that SQS made by itself, since no function that had the message came to an end."""
    try:
        for letter in cast("SqsQueue", runtime.bus).lost():
            announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))
    except PenstockError as error:
        runtime.port("telemetry").record("bus unavailable", stage=stage, outcome="failed", error=str(error))


def _unwrapped(body: str) -> str:
    """The message; also out of SNS's envelope, where a subscription was made without raw delivery."""
    try:
        value = json.loads(body)
        if isinstance(value, dict) and value.get("Type") == "Notification" and "TopicArn" in value:
            message = str(value.get("Message", ""))
            message.encode()
            return message
    except (ValueError, RecursionError):  # poison: what becomes of it is decided where it is decoded
        return body
    return body
