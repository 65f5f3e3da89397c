"""The bus on Google Cloud: Pub/Sub topics with push subscriptions, Cloud Tasks for what waits.

Each topic of pipeline.json is a Pub/Sub topic, each topic that a stage hears a push subscription to its function.
Pub/Sub knows no delay, so a delayed message is a task that publishes it to its topic when it is due: as exact as
Cloud Tasks is (about a second), at most 30 days ahead. Nothing is merged, and order is kept only by what a stage wants
in order: it carries an ordering key, and the stage's subscriptions heed it. What a stage gives up goes to its dead
letter topic with its reason as attribute ``error``; what Pub/Sub gives up comes there without.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.adapters.bus.ordering import order_key
from penstock.adapters.bus.pubsub_letters import ERROR, PubsubLetters, answered, entry
from penstock.adapters.google.client import Act, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.core.errors import Refused, Transient
from penstock.core.messages import encode
from penstock.core.pipeline import Pipeline
from penstock.ports.bus import DeadLetter, Dispatch
from penstock.ports.clock import Clock

LONGEST_DELAY = 30 * 86_400
ERROR_BYTES = 1_000
"""Pub/Sub takes 1,024 of an attribute's value."""
SCOPE = "https://www.googleapis.com/auth/pubsub"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Message:
    topic: str
    data: str = field(repr=False)
    delay: float
    order: str

    @property
    def entry(self) -> dict[str, str]:
        return entry(self.data, self.order)


class PubsubBus(PubsubLetters):
    """See ports.bus.Bus, and DeadLetters.

    A publisher needs ``pubsub.topics.publish`` on its topics (a stage that is pushed to also on its dead letter topic),
    and for what it delays ``cloudtasks.tasks.create`` on the queue and ``iam.serviceAccounts.actAs`` on the tasks'
    service account.
    """

    def __init__(self, client: GoogleClient, names: GoogleNames, pipeline: Pipeline, clock: Clock) -> None:
        super().__init__(client, names, pipeline)
        self._clock = clock

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Take all of them.

        Raises Terminal (too large; ordered and delayed) before any was taken, Transient where some may have been.
        """
        ready = [self._message(dispatch) for dispatch in messages]
        for topic in dict.fromkeys(message.topic for message in ready):
            mine = [message for message in ready if message.topic == topic]
            now = [message for message in mine if message.delay <= 0]
            for order in dict.fromkeys(message.order for message in now):
                self._publish(topic, [message.entry for message in now if message.order == order])
            for message in mine:
                if message.delay > 0:
                    self._schedule(message)

    def bury(self, letter: DeadLetter) -> None:
        """Publish it to its stage's dead letter topic, with its error; whoever has the message acknowledges it then."""
        error = letter.error.encode()[:ERROR_BYTES].decode(errors="ignore") or "unknown"
        entry = {"data": base64.b64encode(letter.body).decode(), "attributes": {ERROR: error}}
        self._publish(self._names.dead_topic(letter.stage), [entry])

    def _message(self, dispatch: Dispatch) -> _Message:
        topic = self._names.topic(dispatch.envelope.message.topic)
        order = order_key(self._pipeline, dispatch)
        if dispatch.delay > 0 and not self._names.tasks_account:
            raise Refused(
                f"a message to {topic} is delayed by {dispatch.delay:g} s: "
                "PENSTOCK_GOOGLE_TASKS_ACCOUNT must name the service account that Cloud Tasks publishes as"
            )
        data = base64.b64encode(encode(dispatch.envelope)).decode()
        return _Message(topic=topic, data=data, delay=min(dispatch.delay, LONGEST_DELAY), order=order)

    def _schedule(self, message: _Message) -> None:
        """Tasks have no names: those are looked up first, and one whose answer was lost may well publish twice."""
        queue = self._names.tasks_queue
        due = self._clock.now() + timedelta(seconds=message.delay)
        task = publishing_task(
            self._publish_url(message.topic), [message.entry], due=due, account=self._names.tasks_account
        )
        url = f"{self._names.endpoints.tasks}/v2/{queue}/tasks"
        act = Act(permission="cloudtasks.tasks.create", resource=queue)
        if not answered(self._client.call("POST", url, act, {"task": task}), "name"):
            raise Transient(f"what answered {act.permission} on {queue} is not Cloud Tasks: it gave no name")


def publishing_task(url: str, entries: Sequence[dict[str, str]], *, due: datetime, account: str) -> dict[str, Any]:
    """A task of Cloud Tasks (v2 ``Task``) that POSTs to Pub/Sub's publish endpoint ``url`` at ``due``."""
    body = json.dumps({"messages": list(entries)}, separators=(",", ":")).encode()
    return {
        "scheduleTime": due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "httpRequest": {
            "url": url,
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": base64.b64encode(body).decode(),
            "oauthToken": {"serviceAccountEmail": account, "scope": SCOPE},
        },
    }
