"""The threads of an embedded plane: workers per stage, a heartbeat for what they hold, the scheduler.

A worker takes one message at a time. So many of a stage work as there are places; who only waits for a cluster (health)
leaves its place to another thread. While its stage runs, the heartbeat keeps the message invisible to others; a
stage that runs far beyond its timeout loses it, as a function would. Stopping lets work in hand finish for a while
and gives back what does not.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from penstock.adapters.bus.visibility import VISIBILITY
from penstock.core.errors import PenstockError
from penstock.core.pipeline import Stage
from penstock.ports.bus import Delivery, Queue
from penstock.wiring.places import Places
from penstock.wiring.reports import announce
from penstock.wiring.runtime import Runtime

THREADS: Mapping[str, int] = {"reconcile": 4}
THREADS_OF_OTHERS = 2
WAITING: Mapping[str, int] = {"reconcile": 28}
"""Threads beyond the places of a stage: as many runs may wait without keeping anybody from work."""
TICK_SECONDS = 1.0
DEAD_LETTER_SECONDS = 10.0
"""How soon one is told that no worker here has made: that of a message whose workers all died."""
HEARTBEAT_SECONDS = VISIBILITY / 3
RECEIVE_SECONDS = 0.25
"""How long a worker waits for a message before it looks whether it should stop."""
COMPLAINT_SECONDS = 1.0
OVERTIME = 2.0
"""A run of more than this many times its stage's timeout is taken for hung."""
MOST_DEAD_LETTERS = 1_000


class Workers:
    """Runs the message stages and the scheduled ones of a Runtime whose bus is a Queue too."""

    def __init__(self, runtime: Runtime, *, threads: Mapping[str, int] = THREADS, places: Places | None = None) -> None:
        self._runtime = runtime
        self._places = places
        self._queue = cast("Queue", runtime.bus)
        self._stopping = threading.Event()
        self._nudge = threading.Event()
        self._held: dict[str, tuple[Delivery, float]] = {}
        self._lock = threading.Lock()
        self._announced: set[str] = set()
        stages = runtime.pipeline.stages.values()
        self._scheduled = tuple(stage for stage in stages if stage.trigger == "schedule")
        self._workers = [
            threading.Thread(target=self._work, args=(stage,), name=f"{stage.name}-{number}", daemon=True)
            for stage in runtime.pipeline.queues()
            for number in range(
                threads.get(stage.name, THREADS_OF_OTHERS) + (WAITING.get(stage.name, 0) if places else 0)
            )
        ]
        self._others = [
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._schedule, name="schedule", daemon=True),
        ]

    def start(self) -> None:
        """Start all threads."""
        for thread in (*self._workers, *self._others):
            thread.start()

    def stop(self, *, patience: float = 10.0) -> int:
        """Take no more, wait ``patience`` seconds for what runs, give back the rest: how many that were."""
        deadline = time.monotonic() + patience
        self._stopping.set()
        self._nudge.set()
        for thread in (*self._workers, *self._others):
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            left = [delivery for delivery, _ in self._held.values()]
        for delivery in left:
            self._queue.extend(delivery, 0)
        return len(left)

    def _work(self, stage: Stage) -> None:
        while not self._stopping.is_set():
            try:
                with self._place(stage):
                    stopping = self._stopping.is_set()
                    delivery = None if stopping else self._queue.receive(stage.name, wait=RECEIVE_SECONDS)
                    if delivery is not None:
                        self._handle(stage, delivery)
            except Exception as error:  # noqa: BLE001 - the bus itself: the message comes back by its visibility timeout
                self._complain(stage.name, error)

    def _place(self, stage: Stage) -> AbstractContextManager[None]:
        return self._places.taken() if self._places and stage.name in WAITING else nullcontext()

    def _handle(self, stage: Stage, delivery: Delivery) -> None:
        with self._lock:
            self._held[delivery.receipt] = (delivery, time.monotonic())
        try:
            outcome = self._runtime.run_message(stage.name, delivery.envelope)
        finally:
            with self._lock:
                del self._held[delivery.receipt]
        if not outcome.again:
            self._queue.ack(delivery)
        elif not self._queue.retry(delivery, delay=outcome.delay, error=f"{outcome.reason}: {outcome.error}"):
            self._nudge.set()

    def _beat(self) -> None:
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            self.beat()

    def beat(self) -> None:
        """Extend what is in hand, but for what has run far too long."""
        with self._lock:
            held = list(self._held.values())
        for delivery, since in held:
            if time.monotonic() - since > OVERTIME * self._runtime.pipeline.stage(delivery.stage).timeout:
                continue
            try:
                self._queue.extend(delivery, VISIBILITY)
            except PenstockError as error:
                self._complain("heartbeat", error)

    def _schedule(self) -> None:
        look_at = 0.0
        while not self._stopping.is_set():
            for stage in self._scheduled:
                self._runtime.run_tick(stage.name)
            if self._nudge.is_set() or time.monotonic() >= look_at:
                self._nudge.clear()
                look_at = time.monotonic() + DEAD_LETTER_SECONDS
                self._announce()
            self._nudge.wait(TICK_SECONDS)

    def _announce(self) -> None:
        port = self._runtime.port
        try:
            for letter in self._queue.dead_letters(limit=MOST_DEAD_LETTERS):
                if letter.receipt not in self._announced:
                    announce(letter, self._runtime.bus, port("clock"), port("telemetry"))
                    self._announced.add(letter.receipt)
        except Exception as error:  # noqa: BLE001 - see _complain
            self._complain("schedule", error)

    def _complain(self, who: str, error: Exception) -> None:
        """``error``: also a bug of ours, which must not end a thread: its stage would stand still without a word."""
        told = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__} in penstock itself"
        self._runtime.port("telemetry").record("bus unavailable", stage=who, outcome="failed", error=told)
        self._stopping.wait(COMPLAINT_SECONDS)
