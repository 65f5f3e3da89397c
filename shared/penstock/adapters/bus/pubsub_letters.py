"""Dead letters on Google Cloud, as topic ``<prefix>-<stage>-dead`` keeps them in the subscription of the same name.

What a stage gave up carries its reason. Of what Pub/Sub gave up nobody knows more than the function's log, under the
message's trace.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from penstock.adapters.bus.batches import batches
from penstock.adapters.bus.ordering import order_again
from penstock.adapters.google.client import Act, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.core.errors import Terminal
from penstock.core.messages import decode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter

PAGE = 100
ACKS = 1_000
ACKS_BYTES = 400_000
"""Pub/Sub takes 512 KiB of ids of deliveries a request; one has 100 to 250 bytes."""
EMPTY_PAGES = 2
"""Pub/Sub may answer a pull with nothing though there is something."""
ERROR = "error"
"""Attribute of what a stage gave up: the last error."""
DELIVERIES = "CloudPubSubDeadLetterSourceDeliveryCount"
"""Attribute that Pub/Sub adds to what it forwards to a dead letter topic."""


def entry(data: str, order: str) -> dict[str, str]:
    """A message as a request to publish has it. ``data``: Base64; ``order``: its ordering key, "" for none."""
    return {"data": data, **({"orderingKey": order} if order else {})}


class PubsubLetters:
    """See ports.bus.DeadLetters. Needs ``pubsub.subscriptions.consume`` on the dead letters' subscriptions."""

    def __init__(self, client: GoogleClient, names: GoogleNames, pipeline: Pipeline) -> None:
        self._client, self._names, self._pipeline = client, names, pipeline

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest of those that Pub/Sub shows."""
        found = [
            (str(each["message"].get("publishTime", "")), self._letter(stage.name, each))
            for stage in self._pipeline.queues()
            for each in self._look(stage.name, lambda _: False, most=limit)
        ]
        return tuple(letter for _, letter in sorted(found, key=lambda each: each[0])[:limit])

    def drop_dead_letter(self, letter: DeadLetter, *, again: bool) -> None:
        """Forget it, or publish it to its topic again; one that is gone already stays gone.

        Raises Terminal for one that cannot be read: nobody could take it again.
        """
        topic = self._names.topic(decode(letter.body).message.topic) if again else ""
        for each in self._look(letter.stage, lambda one: one["message"]["messageId"] == letter.receipt):
            if each["message"]["messageId"] != letter.receipt:
                continue
            if again:
                data = each["message"].get("data", "")
                self._publish(topic, [entry(data, order_again(self._pipeline, letter.body))])
            self._call(letter.stage, "acknowledge", {"ackIds": [each["ackId"]]})

    def _publish(self, topic: str, entries: Sequence[Mapping[str, Any]]) -> None:
        act = Act(permission="pubsub.topics.publish", resource=topic)
        self._client.call("POST", self._publish_url(topic), act, {"messages": list(entries)})

    def _publish_url(self, topic: str) -> str:
        return f"{self._names.endpoints.pubsub}/v1/{topic}:publish"

    def _look(self, stage: str, wanted: Callable[[Any], bool], *, most: int = 100_000) -> Iterator[dict[str, Any]]:
        """Messages until one is ``wanted``, or ``most`` were seen; afterwards all that were not are visible again."""
        seen: dict[str, dict[str, Any]] = {}
        found, empty = "", 0
        while len(seen) < most and not found and empty < EMPTY_PAGES:
            page = self._pull(stage, min(PAGE, most - len(seen)))
            new = [each for each in page if each["message"]["messageId"] not in seen]
            empty = 0 if new else empty + 1
            seen |= {each["message"]["messageId"]: each for each in new}
            found = next((each["ackId"] for each in new if wanted(each)), "")
        yield from seen.values()
        left = [each["ackId"] for each in seen.values() if each["ackId"] != found]
        for some in batches(left, len, most=ACKS, most_bytes=ACKS_BYTES):
            self._call(stage, "modifyAckDeadline", {"ackIds": some, "ackDeadlineSeconds": 0})

    def _pull(self, stage: str, most: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call(stage, "pull", {"maxMessages": most, "returnImmediately": True}).get(
            "receivedMessages", []
        )
        return found

    def _call(self, stage: str, verb: str, body: dict[str, Any]) -> Any:
        name = self._names.dead_subscription(stage)
        act = Act(permission="pubsub.subscriptions.consume", resource=name)
        return self._client.call("POST", f"{self._names.endpoints.pubsub}/v1/{name}:{verb}", act, body)

    @staticmethod
    def _letter(stage: str, received: dict[str, Any]) -> DeadLetter:
        message = received["message"]
        attributes = message.get("attributes", {})
        count = attributes.get(DELIVERIES, "")
        try:
            body = base64.b64decode(message.get("data", ""), validate=True)
            trace = decode(body).trace
        except (binascii.Error, Terminal):
            body, trace = message.get("data", "").encode(), ""
        where = f": the log of {stage} says why, trace {trace}" if trace else ""
        error = attributes.get(ERROR) or f"given up by Pub/Sub{f' after {count} deliveries' if count else ''}{where}"
        return DeadLetter(receipt=str(message["messageId"]), stage=stage, body=body, error=error)
