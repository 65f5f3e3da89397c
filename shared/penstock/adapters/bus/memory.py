"""Queues in memory: fast, for tests and for runs that end with their process."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.adapters.bus.coalescing import merge_key, merged
from penstock.adapters.bus.ordering import order_again, order_key
from penstock.adapters.bus.visibility import VISIBILITY
from penstock.core.errors import Terminal
from penstock.core.messages import decode, encode
from penstock.core.pipeline import Pipeline, Stage
from penstock.ports.bus import DeadLetter, Delivery, Dispatch
from penstock.ports.clock import Clock


@dataclass(kw_only=True, slots=True)
class _Item:
    number: int
    stage: str
    body: bytes = field(repr=False)
    merge: str
    order: str
    due: float
    attempts: int = 0
    receipt: str = ""


class MemoryBus:
    """Bus and Queue (ports.bus) at once. Due times are the clock's; only ``wait`` is real time."""

    def __init__(self, pipeline: Pipeline, clock: Clock, *, visibility: float = VISIBILITY) -> None:
        self._pipeline, self._clock, self._visibility = pipeline, clock, visibility
        self._items: list[_Item] = []
        self._dead: list[DeadLetter] = []
        self._count = 0
        self._changed = threading.Condition()

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Take all of them, or (one is too large: Terminal) none."""
        ready = [(dispatch, order_key(self._pipeline, dispatch), encode(dispatch.envelope)) for dispatch in messages]
        with self._changed:
            for dispatch, order, body in ready:
                for stage in self._pipeline.subscribers(dispatch.envelope.message.topic):
                    self._add(stage, dispatch, order, body)
            self._changed.notify_all()

    def _add(self, stage: Stage, dispatch: Dispatch, order: str, body: bytes) -> None:
        due, merge = self._now() + dispatch.delay, merge_key(dispatch, order)
        for item in self._items:
            if merge and (item.stage, item.merge, item.attempts) == (stage.name, merge, 0):
                kept, other = (body, item.body) if due < item.due else (item.body, body)
                item.due, item.body = min(due, item.due), merged(kept, other)
                return
        self._items.append(_Item(number=self._next(), stage=stage.name, body=body, merge=merge, order=order, due=due))

    def receive(self, stage: str, *, wait: float) -> Delivery | None:
        """The next due message, or None after ``wait`` seconds of real time."""
        limits = self._pipeline.stage(stage)
        deadline = time.monotonic() + wait
        with self._changed:
            while True:
                delivery = self._take(limits)
                left = deadline - time.monotonic()
                if delivery is not None or left <= 0:
                    return delivery
                self._changed.wait(min([left, *self._seconds_to_next(stage)]))

    def _seconds_to_next(self, stage: str) -> list[float]:
        now = self._now()
        return [item.due - now for item in self._items if item.stage == stage and item.due > now]

    def _take(self, stage: Stage) -> Delivery | None:
        for item in sorted(self._items, key=lambda i: (i.due, i.number)):
            if item.stage != stage.name or item.due > self._now() or self._blocked(item):
                continue
            if item.attempts >= stage.attempts:
                self._bury(item, f"not finished in {item.attempts} attempts: its worker died or hung each time")
                continue
            try:
                envelope = decode(item.body, attempt=item.attempts + 1)
            except Terminal as error:
                self._bury(item, f"{error.reason}: {error}")
                continue
            item.attempts += 1
            item.due = self._now() + self._visibility
            item.receipt = f"{item.number}.{item.attempts}"
            return Delivery(receipt=item.receipt, stage=stage.name, envelope=envelope)
        return None

    def _blocked(self, item: _Item) -> bool:
        return bool(item.order) and any(
            other.stage == item.stage and other.order == item.order and other.number < item.number
            for other in self._items
        )

    def extend(self, delivery: Delivery, seconds: float) -> None:
        """Keep it invisible for ``seconds`` from now; an expired receipt is ignored."""
        with self._changed:
            for item in self._held(delivery):
                item.due = self._now() + seconds

    def ack(self, delivery: Delivery) -> None:
        """Gone for good; an expired receipt is ignored."""
        with self._changed:
            for item in self._held(delivery):
                self._items.remove(item)
            self._changed.notify_all()

    def retry(self, delivery: Delivery, *, delay: float, error: str) -> bool:
        """Visible again after ``delay``; False where it became a dead letter. An expired receipt is ignored."""
        with self._changed:
            for item in self._held(delivery):
                if item.attempts >= self._pipeline.stage(item.stage).attempts:
                    self._bury(item, error)
                    return False
                item.due, item.receipt = self._now() + delay, ""
            self._changed.notify_all()
            return True

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest first."""
        with self._changed:
            return tuple(self._dead[:limit])

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Forget them, or give them back to their stages; how many that were."""
        with self._changed:
            there = [letter for letter in letters if letter in self._dead]
            for letter in there:
                self._dead.remove(letter)
                if again:
                    self._items.append(self._anew(letter))
            self._changed.notify_all()
            return len(there)

    def _anew(self, letter: DeadLetter) -> _Item:
        order = order_again(self._pipeline, letter.body)
        return _Item(number=self._next(), stage=letter.stage, body=letter.body, merge="", order=order, due=self._now())

    def depth(self) -> dict[str, int]:
        """By stage, empty queues too."""
        with self._changed:
            stages = [item.stage for item in self._items]
        return {stage.name: stages.count(stage.name) for stage in self._pipeline.queues()}

    def _bury(self, item: _Item, error: str) -> None:
        self._items.remove(item)
        self._dead.append(DeadLetter(receipt=str(item.number), stage=item.stage, body=item.body, error=error))
        self._changed.notify_all()  # whoever was ordered behind it may go on

    def _held(self, delivery: Delivery) -> list[_Item]:
        return [item for item in self._items if item.receipt == delivery.receipt]

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _next(self) -> int:
        self._count += 1
        return self._count
