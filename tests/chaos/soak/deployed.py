"""What deployed planes have in common: each stage as two processes of the unpacked bundle, each with its own credentials."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.soak import world
from tests.chaos.soak.instance import Instance, Pool
from tests.chaos.soak.plane import Accident, Span
from tests.chaos.soak.weather import Weather
from tests.chaos.soak.world import World

from penstock.cli.plane import change_plane
from penstock.ports.state import Record, State
from penstock.wiring import Runtime, load_pipeline

INSTANCES = 2
"""Of each stage."""
TICKS = 5.0
"""Seconds between two calls of the scheduler."""
TOKEN = "api-canary"


class DeployedPlane(ABC):
    """See Plane. ``instance``: makes one of (stage, log). ``runtime``: an operator's, without any proxy, set when there is one."""

    looks = INSTANCES
    runtime: Runtime

    def __init__(self, of: World, name: str, instance: Callable[[str, Path], Instance]) -> None:
        self.world, self.excused, self.pipeline = of, list[Span](), load_pipeline()
        self.folder = of.folder / name
        logs = self.folder / "logs"
        logs.mkdir(parents=True)
        self.pools = {
            stage: Pool([instance(stage, logs / f"{stage}-{number}") for number in range(INSTANCES)])
            for stage in self.pipeline.stages
        }
        for each in self.all():
            of.stack.callback(each.kill)
        self.accidents = {
            "kill": Accident(weight=8, happens=self._kill),
            "kill all": Accident(weight=1, happens=self._kill_all),
            "restore": Accident(weight=2, happens=self._restore),
        }
        self.copy: tuple[Record, ...] = ()

    @abstractmethod
    def tick(self) -> None:
        """The scheduler's call."""

    def all(self) -> list[Instance]:
        """Instances of all stages."""
        return [each for pool in self.pools.values() for each in pool.instances]

    def working(self) -> list[str]:
        """Instances that have a request."""
        return [f"{each} works" for pool in self.pools.values() for each in pool.working()]

    def give(self, stage: str, environment: Mapping[str, str]) -> None:
        """What its instances are started with, beside the credentials that it alone has."""
        for each in self.pools[stage].instances:
            each.environment = {**environment, **self._own(stage)}

    def _own(self, stage: str) -> dict[str, str]:
        if stage == "api":
            return {"PENSTOCK_SECRET_API": world.secret("penstock-system", "api-token", {"token": TOKEN})}
        if stage == "fetch":
            return world.git_login()
        if stage == "reconcile":
            kubeconfig = self.world.identity().decode()
            return {"PENSTOCK_SECRET_KUBECONFIG": world.secret("flux-system", "kubeconfig", {"value": kubeconfig})}
        return {}

    def start(self) -> None:
        """See Plane."""
        self.begin(self.all())
        change_plane(self.runtime, world.document("first", self.world.url, {"secretRef": {"name": "kubeconfig"}}))
        stopping = threading.Event()
        self.world.stack.callback(stopping.set)
        threading.Thread(target=self._schedule, args=(stopping,), daemon=True).start()

    def begin(self, instances: Collection[Instance]) -> None:
        """Start these at a time."""
        threads = [threading.Thread(target=each.start) for each in instances]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(each.up for each in instances), "functions start"
        for pool in self.pools.values():
            pool.came_up()

    def _schedule(self, stopping: threading.Event) -> None:
        while not stopping.wait(TICKS):
            self.tick()

    @contextmanager
    def records(self) -> Iterator[State]:
        """See Plane."""
        yield self.runtime.port("state")

    def api_token(self) -> str:
        """See Plane."""
        return TOKEN

    def logs(self) -> Iterator[tuple[str, str]]:
        """See Plane."""
        for each in self.all():
            yield each.log.name, each.log.read_bytes().decode(errors="replace")

    def _kill(self, chance: random.Random, _resting: Collection[str]) -> str:
        one = chance.choice(self.all())
        self._killed([one], chance)
        return f"kill -9 {one.log.name}"

    def _kill_all(self, chance: random.Random, _resting: Collection[str]) -> str:
        self._killed(self.all(), chance)
        return "kill -9 all functions"

    def _restore(self, _chance: random.Random, resting: Collection[str]) -> str:
        """Copied at first, the copy put back later, with no function running."""
        if not self.copy and resting:
            return ""
        with self.records() as records:
            if not self.copy:
                self.copy = records.list("")
                return f"{len(self.copy)} records copied"
            for each in self.all():
                each.kill()
            for each in records.list(""):
                records.delete(each.key, expected=None)
            for each in self.copy:
                records.put(each.key, each.value, expected=None, due=each.due)
        self.copy = ()
        self.excused.append((0.0, time.time() + 60))
        self.begin(self.all())
        return "records restored"

    def _killed(self, instances: Collection[Instance], chance: random.Random) -> None:
        for each in instances:
            each.kill()
        if any(each.stage == "notify" for each in instances):
            self.excused.append((time.time() - 1, time.time() + 30))
        time.sleep(chance.choice((0.0, 0.3, 1.0, 2.0, 4.0)))
        self.begin(instances)


def away(store: Weather, chance: random.Random) -> str:
    """Nobody is there for a time that is longer than a client tries."""
    store.away = True
    time.sleep(chance.choice((1.0, 3.0, 8.0)))
    store.away = False
    return f"{store.name} away"
