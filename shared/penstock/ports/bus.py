"""The bus port: wake-ups on topics, at least once, with delay; no deduplication promised.

Order is promised only to stages that pipeline.json calls ordered: messages of equal key come one after the other, as
they were published, and the next only once the one before is done or given up. They never merge and cannot be delayed.

A wake-up that nobody has taken yet may be merged with a later one of equal topic and key (the earlier due time
wins); one that is being worked on never is. Events never merge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock.core.messages import Envelope


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispatch:
    """One envelope on its way out. ``delay``: seconds."""

    envelope: Envelope
    delay: float = 0.0


class Bus(Protocol):
    """Where stages' messages go. Raises Transient when the bus cannot take them (then none or some were taken)."""

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Durably accept all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A message taken from a queue, invisible to others until ``ack``, ``retry`` or its visibility timeout."""

    receipt: str
    stage: str
    envelope: Envelope


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A message given up after its stage's last attempt. ``error``: the last error's reason and message."""

    receipt: str
    stage: str
    body: bytes
    error: str


class DeadLetters(Protocol):
    """What was given up, for whoever operates the plane. Every bus has it."""

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest, as far as the bus shows them."""

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Forget them, or (``again``) give them back to their stages with all attempts anew; how many that were.

        One that is gone already, or that the bus does not show now, is not counted. The requests grow with their
        number. Raises Terminal where one is to be given back that cannot be read, and the bus needs its topic.
        """


class Queue(DeadLetters, Protocol):
    """The consuming side, where the plane polls (embedded). In the clouds the provider pushes instead."""

    def receive(self, stage: str, *, wait: float) -> Delivery | None:
        """The next due message of a stage's subscription; waits at most ``wait`` seconds for one."""

    def extend(self, delivery: Delivery, seconds: float) -> None:
        """Keep it invisible for ``seconds`` from now."""

    def ack(self, delivery: Delivery) -> None:
        """Done: gone for good. Unknown or expired receipts are ignored."""

    def retry(self, delivery: Delivery, *, delay: float, error: str) -> bool:
        """Make it visible again after ``delay`` seconds; False where that was the last attempt (a dead letter)."""

    def depth(self) -> dict[str, int]:
        """Messages waiting or being worked on, by stage."""
