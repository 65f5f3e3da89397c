"""What a soak needs of a plane, whatever it runs on."""

import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from tests.chaos.soak.weather import Weather

from penstock.ports.state import State

Span = tuple[float, float]
"""From when until when, POSIX seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accident:
    """``weight``: how often, beside others; ``happens``: (chance, who is suspended in Git) -> what was done, or ""."""

    weight: int
    happens: Callable[[random.Random, Collection[str]], str]


class Plane(Protocol):
    """A running plane, and what can happen to it.

    ``accidents``: by name, those that make sense for it. ``excused``: spans in which nobody could know whether something
    had been told (a kill, records put back).
    """

    accidents: Mapping[str, Accident]
    excused: Sequence[Span]
    looks: int
    """At most so many processes look at a cluster, each with a discovery of its own."""

    def start(self) -> None:
        """All of it, until it takes requests."""

    def weather(self) -> Sequence[Weather]:
        """Of what it asks beside the world."""

    def calm(self) -> None:
        """Nothing goes wrong any more, and what was put off for later does not come."""

    def faults(self) -> int:
        """That have met its requests, beside the world's."""

    def busy(self) -> str:
        """Who works on a message, and what could be taken now; "" where there is neither."""

    def records(self) -> AbstractContextManager[State]:
        """The plane's records, beside its processes."""

    def ask(self, stage: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """webhook's or api's answer to a request; 0 where there is none."""

    def api_token(self) -> str:
        """An operator's."""

    def logs(self) -> Iterator[tuple[str, str]]:
        """Whose, and what stands in it."""


def api(plane: Plane, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    """An operator's request."""
    sent = b"" if body is None else json.dumps(body).encode()
    status, answer = plane.ask("api", method, path, sent, Authorization=f"Bearer {plane.api_token()}")
    return status, json.loads(answer) if answer else None
