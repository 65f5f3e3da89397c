"""Dead letters on Google Cloud: told of by the stage that gives up, or by ``tick`` where nobody came to an end.

At its last attempt, and for a message that cannot be read, a stage tells of the message, publishes it to its dead
letter topic with its reason as attribute ``error``, and acknowledges it. A message whose function died, hung or had no
free instance each time is moved by Pub/Sub itself, without that attribute: a subscription of the topic pushes it to
``tick``, which tells of it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from penstock.adapters.bus.pubsub import PubsubBus
from penstock.adapters.bus.pubsub_letters import ERROR
from penstock.adapters.google.names import GoogleNames, deliveries
from penstock.core.errors import PenstockError
from penstock.ports.bus import DeadLetter
from penstock.wiring.reports import announce
from penstock.wiring.runtime import Runtime

Json = Mapping[str, Any]


def give_up(runtime: Runtime, stage: str, body: bytes, error: str) -> bool:
    """Tell of the message in a push, and move it to its stage's dead letters.

    False where that cannot be done now: Pub/Sub then gives it again, or moves it. Told of first: a kill in between
    makes a second report of one id, never none.
    """
    push = _push(body)
    data = None if push is None else _data(push)
    if data is None:
        return False
    letter = DeadLetter(receipt="", stage=stage, body=data, error=error)
    try:
        _tell(runtime, letter)
        cast("PubsubBus", runtime.bus).bury(letter)
    except PenstockError as failure:
        runtime.port("telemetry").record("bus unavailable", stage=stage, outcome="failed", error=str(failure))
        return False
    return True


def tell_of_lost(runtime: Runtime, names: GoogleNames, teller: str, body: bytes) -> bool:
    """Tell of the dead letter in a push to stage ``teller``; False where the body is no push: the scheduler's call.

    A push that is not of this plane's dead letters is only recorded. Raises what the bus raises.
    """
    push = _push(body)
    if push is None:
        return False
    data = _data(push)
    everywhere = [names.at(region) for region in names.everywhere]
    for stage in runtime.pipeline.queues():
        ours = {each.lost_subscription(teller, stage.name) for each in everywhere}
        if push.get("subscription") in ours and data is not None:
            tried = f"not finished in {deliveries(stage.attempts)} deliveries"
            error = f"{tried}: its function died, hung, or was never free"
            if ERROR not in (push["message"].get("attributes") or {}):  # else its stage has told of it
                _tell(runtime, DeadLetter(receipt="", stage=stage.name, body=data, error=error))
            return True
    error = f"stage {teller} is pushed dead letters of its own plane, and nothing else"
    runtime.port("telemetry").record("message refused", stage=teller, outcome="failed", error=error)
    return True


def _tell(runtime: Runtime, letter: DeadLetter) -> None:
    announce(letter, runtime.bus, runtime.port("clock"), runtime.port("telemetry"))


def _push(body: bytes) -> Json | None:
    """Pub/Sub's wrapping of a message; None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    wrapped = value.get("message") if isinstance(value, Mapping) else None
    return cast("Json", value) if isinstance(wrapped, Mapping) else None


def _data(push: Json) -> bytes | None:
    """What was published; None where it is no base64."""
    try:
        return base64.b64decode(str(push["message"].get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        return None
