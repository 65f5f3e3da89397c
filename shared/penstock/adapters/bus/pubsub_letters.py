"""Dead letters on Google Cloud, as topic ``<prefix>-<stage>-dead`` keeps them in the subscription of the same name.

What a stage gave up carries its reason. Of what Pub/Sub gave up nobody knows more than the function's log, under the
message's trace.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.adapters.bus.batches import batches
from penstock.adapters.bus.ordering import order_again
from penstock.adapters.google.client import Act, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.core.errors import Terminal, Transient
from penstock.core.messages import decode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter

BATCH = 1_000
BATCH_BYTES = 5_000_000
"""Pub/Sub takes 1,000 messages and 10 MB a request to publish, in base64."""
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


MOST_LETTERS = 100_000

Received = Mapping[str, Any]
"""A message as Pub/Sub hands it over: ``ackId`` and ``message``."""


def entry(data: str, order: str) -> dict[str, str]:
    """A message as a request to publish has it. ``data``: Base64; ``order``: its ordering key, "" for none."""
    return {"data": data, **({"orderingKey": order} if order else {})}


def answered(answer: Any, name: str) -> Any:
    """A field of Google's answer; () where there is none: something in between has answered."""
    return (answer.get(name) if isinstance(answer, dict) else None) or ()


class PubsubLetters:
    """See ports.bus.DeadLetters. Needs ``pubsub.subscriptions.consume`` on the dead letters' subscriptions."""

    def __init__(self, client: GoogleClient, names: GoogleNames, pipeline: Pipeline) -> None:
        self._client, self._names, self._pipeline = client, names, pipeline

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest of those that Pub/Sub shows."""
        found: list[tuple[str, DeadLetter]] = []
        for stage in self._pipeline.queues():
            seen = [each for page in self._look(stage.name, most=limit) for each in page]
            found += [(str(each["message"].get("publishTime", "")), self._letter(stage.name, each)) for each in seen]
            self._show(stage.name, [each["ackId"] for each in seen])
        return tuple(letter for _, letter in sorted(found, key=lambda each: each[0])[:limit])

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Forget them, or publish them to their topics again; how many that were. Those that are gone stay gone.

        Raises Terminal, before any is taken, for one that cannot be read: nobody could take it again.
        """
        topics = {
            letter.receipt: self._names.topic(decode(letter.body).message.topic) if again else "" for letter in letters
        }
        return sum(
            self._drop_of(
                stage, {letter.receipt: topics[letter.receipt] for letter in letters if letter.stage == stage}
            )
            for stage in dict.fromkeys(letter.stage for letter in letters)
        )

    def _drop_of(self, stage: str, topics: Mapping[str, str]) -> int:
        """Page by page, so that no delivery runs out before its turn comes. The others are visible again afterwards.

        ``topics``: message id -> where it is published again, or "".
        """
        done, others = 0, []
        for page in self._look(stage):
            mine = [each for each in page if each["message"]["messageId"] in topics]
            others += [each["ackId"] for each in page if each["message"]["messageId"] not in topics]
            self._again(mine, topics)
            self._acknowledge(stage, [each["ackId"] for each in mine])
            done += len(mine)
            if done == len(topics):
                break
        self._show(stage, others)
        return done

    def _again(self, received: Sequence[Received], topics: Mapping[str, str]) -> None:
        """Publish to its topic what is to come again: one request for each ordering key."""
        found: dict[tuple[str, str], list[dict[str, str]]] = {}
        for each in received:
            topic, data = topics[each["message"]["messageId"]], each["message"].get("data", "")
            if topic:
                order = order_again(self._pipeline, base64.b64decode(data))
                found.setdefault((topic, order), []).append(entry(data, order))
        for (topic, _), entries in found.items():
            self._publish(topic, entries)

    def _publish(self, topic: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """As many requests as it takes. A request takes one ordering key: that of all ``entries``."""
        act = Act(permission="pubsub.topics.publish", resource=topic)
        for some in batches(entries, lambda one: len(one["data"]), most=BATCH, most_bytes=BATCH_BYTES):
            answer = self._client.call("POST", self._publish_url(topic), act, {"messages": some})
            if len(answered(answer, "messageIds")) != len(some):
                raise Transient(f"what answered {act.permission} on {topic} is not Pub/Sub: it gave no message ids")

    def _publish_url(self, topic: str) -> str:
        return f"{self._names.endpoints.pubsub}/v1/{topic}:publish"

    def _look(self, stage: str, *, most: int = MOST_LETTERS) -> Iterator[list[Received]]:
        """At most ``most`` messages, each once, hidden until their deliveries run out; to the second empty page."""
        seen, empty = set[str](), 0
        while len(seen) < most and empty < EMPTY_PAGES:
            page = self._pull(stage, min(PAGE, most - len(seen)))
            new = [each for each in page if each["message"]["messageId"] not in seen]
            seen |= {each["message"]["messageId"] for each in new}
            empty = 0 if new else empty + 1
            if new:
                yield new

    def _acknowledge(self, stage: str, ids: Sequence[str]) -> None:
        for some in batches(ids, len, most=ACKS, most_bytes=ACKS_BYTES):
            self._call(stage, "acknowledge", {"ackIds": some})

    def _show(self, stage: str, ids: Sequence[str]) -> None:
        for some in batches(ids, len, most=ACKS, most_bytes=ACKS_BYTES):
            self._call(stage, "modifyAckDeadline", {"ackIds": some, "ackDeadlineSeconds": 0})

    def _pull(self, stage: str, most: int) -> list[Received]:
        found: list[Received] = self._call(stage, "pull", {"maxMessages": most, "returnImmediately": True}).get(
            "receivedMessages", []
        )
        return found

    def _call(self, stage: str, verb: str, body: dict[str, Any]) -> Any:
        name = self._names.dead_subscription(stage)
        act = Act(permission="pubsub.subscriptions.consume", resource=name)
        return self._client.call("POST", f"{self._names.endpoints.pubsub}/v1/{name}:{verb}", act, body)

    @staticmethod
    def _letter(stage: str, received: Received) -> DeadLetter:
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
