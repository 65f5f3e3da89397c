"""The deployed shape on Google's emulators: every stage as two processes from the unpacked bundle, each with its own credentials.

Topics, subscriptions and what else can be made there are made as in tests/google/test_deployed.py: by Terraform's module
where there is a terraform. Each store is behind a proxy of its own for notify: whether somebody was told is in there.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.soak import world
from tests.chaos.soak.deployed import DeployedPlane, away
from tests.chaos.soak.front import PUSHES, Front, Tally
from tests.chaos.soak.instance import FunctionsFramework, Pool
from tests.chaos.soak.plane import Accident
from tests.chaos.soak.weather import Weather
from tests.chaos.soak.world import World
from tests.google import plane as google
from tests.google.cloud_tasks import cloud_tasks
from tests.google.made import made
from tests.google.secret_manager import secret_manager

from penstock.wiring import Runtime, settings_from

MOST = 0.2
"""Of requests to a store that meet a fault: each is tried three times, and a run makes dozens."""
BACKOFF = {"minimumBackoff": "1s", "maximumBackoff": "10s"}
"""A tenth and less of the subscriptions' own, or a round would mostly wait."""
VARIABLES = {
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "storage": "STORAGE_EMULATOR_HOST",
    "tasks": "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS",
    "secrets": "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
}
EMULATED = {
    "pubsub": google.pubsub_command,
    "firestore": google.firestore_command,
    "storage": google.storage_command,
}


class GooglePlane(DeployedPlane):
    """See Plane."""

    def __init__(self, of: World, seed: str) -> None:
        super().__init__(of, "google", FunctionsFramework)
        self.emulators = dict[str, subprocess.Popen[bytes]]()
        self.tasks = of.stack.enter_context(cloud_tasks())
        self.bases = {name: self._emulator(name) for name in EMULATED}
        self.bases |= {"tasks": self.tasks.base, "secrets": of.stack.enter_context(secret_manager()).base}
        self.tally = Tally()
        self.stores = {name: Weather(seed, name, MOST) for name in VARIABLES}
        self.notified, self.pushes = Weather(seed, "notify's records", MOST), Weather(seed, "pushes", 0.3, PUSHES)
        self.proxies = {name: self._proxy(name, weather) for name, weather in self.stores.items()}
        self.proxy_of_notify = self._proxy("firestore", self.notified)
        self.fronts = {stage: self._front(stage, pool) for stage, pool in self.pools.items()}
        self.accidents |= {
            "take away": Accident(weight=3, happens=self._take_away),
            "stage away": Accident(weight=2, happens=self._stage_away),
            "store away": Accident(weight=4, happens=self._store_away),
            "frozen": Accident(weight=3, happens=self._frozen),
        }
        self._make()

    def _emulator(self, name: str) -> str:
        port = google.free_port()
        self.emulators[name] = self.world.stack.enter_context(google.process(EMULATED[name](port), port))
        return f"http://127.0.0.1:{port}"

    def _proxy(self, name: str, weather: Weather) -> FaultProxy:
        heard: Callable[[str, str, bytes], None] = self.tally.heard if name == "pubsub" else lambda *_: None
        return self.world.stack.enter_context(FaultProxy(self.bases[name], weather, heard=heard).running())

    def _front(self, stage: str, pool: Pool) -> Front:
        found = Front(stage, pool, self.pushes, self.tally)
        found.loses, found.seconds = stage != "notify", self.pipeline.stage(stage).timeout + 5
        self.world.stack.callback(found.close)
        return found

    def _make(self) -> None:
        """What functions find, and what each of them is given."""
        direct = _variables(self.bases)
        ports = {stage: front.port for stage, front in self.fronts.items()}
        self.made = self.world.stack.enter_context(made(self.folder, direct, ports))
        through = _variables({name: proxy.url for name, proxy in self.proxies.items()})
        own = _variables({"firestore": self.proxy_of_notify.url})
        for stage, given in self.made.environments.items():
            self.give(stage, {**given, **through, **(own if stage == "notify" else {})})
        published = _variables({"pubsub": self.proxies["pubsub"].url})  # counted, as everybody's
        self.runtime = Runtime(settings_from({**self.made.shell, **direct, **published}))
        self.heard = dict[str, list[str]]()
        for stage in self.pipeline.queues():
            for topic in stage.subscribes:
                names = self.runtime.settings.google
                end = names.subscription(stage.name, topic).rpartition("/")[2]
                self.heard.setdefault(names.topic(topic).rpartition("/")[2], []).append(end)
                google.retry(names, stage.name, topic, BACKOFF)

    def tick(self) -> None:
        """See DeployedPlane."""
        (stage,) = self.made.scheduled
        self.ask(stage, "POST", "/")

    def weather(self) -> list[Weather]:
        """See Plane."""
        return [*self.stores.values(), self.notified, self.pushes]

    def calm(self) -> None:
        """See Plane."""
        for front in self.fronts.values():
            front.calm()
        self._excuse()

    def faults(self) -> int:
        """See Plane."""
        proxies = [*self.proxies.values(), self.proxy_of_notify]
        return sum(len(each.happened) for each in [*proxies, *self.fronts.values()])

    def busy(self) -> str:
        """See Plane."""
        now = time.time()
        tasks = ["a task that is due" for due in list(self.tasks.undone.values()) if due <= now]
        return "; ".join([*tasks, *self.tally.left(self.heard), *self.working()])

    def ask(self, stage: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Plane."""
        return world.ask(self.fronts[stage].port, method, path, body, **headers)

    def _excuse(self) -> None:
        """A provider was told, and that it was could not be written down."""
        self.excused += [(at - 15, at + 15) for at in self.notified.at]
        self.notified.at.clear()

    def _take_away(self, chance: random.Random, _resting: Collection[str]) -> str:
        """Another one comes in its place, as when a bundle is deployed."""
        one = chance.choice(self.all())
        ended = one.stop()
        if not ended and one.stage == "notify":
            self.excused.append((time.time() - 1, time.time() + 30))
        self.begin([one])
        return f"SIGTERM for {one.log.name}" + ("" if ended else ", and SIGKILL")

    def _stage_away(self, chance: random.Random, _resting: Collection[str]) -> str:
        front = chance.choice(list(self.fronts.values()))
        front.away = True
        time.sleep(chance.choice((2.0, 6.0)))
        front.away = False
        return f"{front.stage} was away"

    def _store_away(self, chance: random.Random, _resting: Collection[str]) -> str:
        return away(chance.choice([*self.stores.values(), self.notified]), chance)

    def _frozen(self, chance: random.Random, _resting: Collection[str]) -> str:
        name = chance.choice(list(self.emulators))
        seconds = chance.choice((2, 5, 15))
        group = self.emulators[name].pid
        os.killpg(group, signal.SIGSTOP)
        if name == "firestore":
            self.notified.at.append(time.time())
        time.sleep(seconds)
        os.killpg(group, signal.SIGCONT)
        return f"{name} frozen for {seconds} s"


def _variables(bases: Mapping[str, str]) -> dict[str, Any]:
    """Where each is. The emulators' are of hosts."""
    return {VARIABLES[name]: base.removeprefix("http://") if name in EMULATED else base for name, base in bases.items()}
