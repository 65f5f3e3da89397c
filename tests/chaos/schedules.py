"""Overlapping runs under a seeded scheduler: which run makes its next call of a port is decided by chance.

Each run is a thread, of which one at a time moves; between any two calls of ports another may come in, time may pass
(a Lease expires), a commit may arrive, or the run may be killed. Messages are lost, delivered up to three times, and
in any order.
"""

import random
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.memory_plane import MemoryPlane, OneCluster

from penstock.adapters.state.together import one_by_one
from penstock.core.messages import Event
from penstock.ports.bus import Dispatch
from penstock.ports.state import Reads
from penstock.wiring.run import run_message

PORTS = ("git", "secrets", "state", "storage")
LOST, SWITCH, MOST_AT_ONCE = 0.2, 0.35, 3


class Killed(BaseException):
    """The process is gone."""


class Actor:
    """One run of a stage, which stops before calls of ports until it is let on."""

    def __init__(self, work: Callable[["Actor"], None], chance: random.Random) -> None:
        self.chance, self.done, self.dead = chance, False, False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work(self)
        except Killed:
            self.dead = True
        finally:
            self.done = True
            self._back.release()

    def resume(self) -> None:
        """Let it run to its next stop, or to its end."""
        self._go.release()
        self._back.acquire()

    def kill(self) -> None:
        """Let it die where it stands."""
        self.dead = True
        self.resume()

    def stop(self) -> None:
        """Called by the run itself: somebody else's turn, perhaps."""
        if self.dead:
            raise Killed
        if self.chance.random() < SWITCH:
            self._back.release()
            self._go.acquire()
            if self.dead:
                raise Killed


class Stopping:
    """A port whose every call is a place to stop."""

    def __init__(self, port: Any, actor: Actor) -> None:
        self._port, self._actor = port, actor

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """What is read together is no snapshot: each of it is a place to stop."""
        return one_by_one(self, keys, prefixes)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._actor.stop()
            return found(*args, **kwargs)

        return call


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A message that nobody has taken yet."""

    dispatch: Dispatch
    stage: str
    due: float


class ChaoticBus:
    """Loses some messages and delivers others more than once."""

    def __init__(self, plane: MemoryPlane, chance: random.Random) -> None:
        self.plane, self.chance, self.calm = plane, chance, False
        self.waiting: list[Waiting] = []

    def publish(self, messages: Any) -> None:
        now = self.plane.clock.now().timestamp()
        for dispatch in messages:
            if isinstance(dispatch.envelope.message, Event):
                self.plane.events.append(dispatch.envelope.message)
                continue
            copies = 1 if self.calm else 0 if self.chance.random() < LOST else self.chance.choice([1, 1, 2, 3])
            for stage in self.plane.pipeline.subscribers(dispatch.envelope.message.topic):
                found = Waiting(dispatch=dispatch, stage=stage.name, due=now + dispatch.delay)
                self.waiting += [found] * copies

    def take(self) -> Waiting | None:
        """Any one that is due."""
        now = self.plane.clock.now().timestamp()
        due = [each for each in self.waiting if each.due <= now]
        if not due:
            return None
        found = self.chance.choice(due)
        self.waiting.remove(found)
        return found


class ChaoticPlane(MemoryPlane):
    """A MemoryPlane whose runs overlap as ``chance`` says."""

    def __init__(self, seed: int, **options: Any) -> None:
        self.chance = random.Random(seed)
        self.actors: list[Actor] = []
        super().__init__(**options)
        self.bus = ChaoticBus(self, self.chance)  # type: ignore[assignment]

    def start(self) -> bool:
        """Begin with a message that is due."""
        found = self.bus.take()  # type: ignore[attr-defined]
        if found is None:
            return False
        self.actors.append(Actor(lambda actor: self._run(found, actor), self.chance))
        return True

    def _run(self, found: Waiting, actor: Actor) -> None:
        deps = replace(
            self.deps,
            clusters=OneCluster(Stopping(self.cluster, actor)),  # type: ignore[arg-type]
            clock=Stopping(self.clock, actor),
            **{name: Stopping(getattr(self.deps, name), actor) for name in PORTS},
        )
        stage = self.pipeline.stage(found.stage)
        outcome = run_message(stage, found.dispatch.envelope, deps, Stopping(self.bus, actor))
        if outcome.kind == "retry":
            again = found.dispatch.envelope
            self.bus.publish([Dispatch(envelope=again, delay=outcome.delay)])

    def move(self) -> None:
        """One step of whatever comes next."""
        self.actors = [actor for actor in self.actors if not actor.done]
        if len(self.actors) < MOST_AT_ONCE and self.chance.random() < 0.3 and self.start():
            return
        if self.actors:
            actor = self.chance.choice(self.actors)
            actor.kill() if self.chance.random() < 0.005 else actor.resume()
        elif not self.start():
            self.clock.advance(1.0)

    def chaos(self, commits: list[Mapping[str, str]], *, steps: int) -> None:
        """All these commits (whole trees), one after the other, while runs go on."""
        for files in commits:
            for path in set(self.files) - set(files):
                del self.files[path]
            self.push(dict(files))
            for _ in range(self.chance.randint(0, steps)):
                self.move()
                if self.chance.random() < 0.01:
                    self.clock.advance(self.chance.choice([5.0, 70.0, 200.0]))
                if self.chance.random() < 0.01:
                    self.tick()

    def calm(self, minutes: int = 45) -> None:
        """No more accidents; the schedule runs every minute."""
        self.bus.calm = True  # type: ignore[attr-defined]
        for _ in range(minutes):
            self.clock.advance(60.0)
            self.tick()
            for _ in range(5000):
                self.actors = [actor for actor in self.actors if not actor.done]
                if self.actors:
                    self.actors[0].resume()
                elif not self.start():
                    break
            else:
                raise AssertionError("does not come to rest")
