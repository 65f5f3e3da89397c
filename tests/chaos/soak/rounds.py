"""A soak: rounds of people and accidents, each followed by a quiet point at which everything is looked at."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.soak import audit, checks
from tests.chaos.soak.aws import AwsPlane
from tests.chaos.soak.commits import Author
from tests.chaos.soak.fleet import CONFIG_MAP, FLUX, ROOT, Fleet, path_of
from tests.chaos.soak.google import GooglePlane
from tests.chaos.soak.plane import Plane, api
from tests.chaos.soak.serve import Second, ServedPlane
from tests.chaos.soak.world import CLUSTER, World, until

SETTLE = 420.0
"""Seconds after the last fault: the longest backoff is 300 s."""
MOST_REQUESTS = 2 * (len(checks.KINDS) + 2)
"""Of a sweep: one LIST a kind, one of inventories, a look at the Receiver's Secret; twice where intervals end apart."""
PLANES: Mapping[str, Callable[[World, str], Plane]] = {"serve": ServedPlane, "google": GooglePlane, "aws": AwsPlane}
PATIENCE = 180.0
"""Seconds in which what is due is done."""
PAUSES = (0.0, 0.3, 1.0, 2.0, 4.0)
DEEDS = {
    "commit": 30,
    "burst": 4,
    "forced push": 3,
    "revert": 3,
    "second plane": 1,
    "freeze": 2,
    "power cut": 1,
    "git away": 2,
    "rotate": 2,
    "suspend": 3,
    "ask": 2,
    "by hand": 4,
    "weather": 6,
    "wait": 8,
}
"""Of people and of the world, and how often; a plane has further ones of its own."""


class Failed(AssertionError):
    """A quiet point that is none. ``problems``: each in a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Soak:
    """``seed``: what people do, when something breaks, and which requests meet a fault; ``on``: what the plane runs on."""

    def __init__(self, folder: Path, stack: ExitStack, seed: int, on: str = "serve") -> None:
        self.chance = random.Random(seed)
        self.world = World(folder, stack, str(seed))
        self.plane: Plane = PLANES[on](self.world, str(seed))
        self.second = Second(self.world)
        self.author = Author(random.Random(f"{seed} author"))
        self.fleet = Fleet()
        self.heads, self.commits = list[audit.Head](), dict[int, str]()
        self.log = audit.Log(self.world.parts.folder / "audit.log")
        self.begun, self.happened = time.monotonic(), Counter[str]()

    def tell(self, text: str) -> None:
        print(f"[{time.monotonic() - self.begun:6.1f} s] {text}", flush=True)

    def begin(self) -> None:
        self.fleet = self.author.first()
        self._push("the first commit", hook=False)
        self.plane.start()
        self._settled(self.fleet)
        checks.make_strangers(self.world)
        self.strangers = checks.strangers(self.world)
        self.tell("first sync")

    def round(self, length: int) -> None:
        """So many deeds, and a quiet point."""
        weights = {**DEEDS, **{name: each.weight for name, each in self.plane.accidents.items()}}
        drawn = self.chance.choices(list(weights), weights=list(weights.values()), k=length)
        self.play(["weather", *drawn])

    def play(self, deeds: Iterable[str]) -> None:
        """These, and a quiet point. ``commit: rename, move``: a commit of these edits."""
        for each in deeds:
            deed, _, edits = each.partition(": ")
            self.happened[deed] += 1
            if edits:
                self._commit(edits.split(", "))
            elif deed in self.plane.accidents:
                self.tell(self.plane.accidents[deed].happens(self.chance, self.author.resting) or f"no {deed} now")
            else:
                getattr(self, "_" + deed.replace(" ", "_"))()
            self._pause()
        self.quiet()

    def _pause(self) -> None:
        time.sleep(self.chance.choice(PAUSES))

    # what people do

    def _push(self, why: str, *, hook: bool = True, onto: str = "", pushed: bool = True) -> None:
        at = time.time()
        commit = self.world.repository.commit(self.fleet.files(self.world.room.url), why, onto=onto)
        self.commits[id(self.fleet)] = commit
        self.head = commit
        self.heads.append((at, self.fleet))
        if pushed:
            self.world.repository.push()
        answer = self._hook() if hook and pushed else "none sent"
        self.tell(f"{commit[:7]} {why} (webhook {answer})")

    def _hook(self) -> int:
        path, body, headers = self.world.delivery()
        return self.plane.ask("webhook", "POST", path, body, **headers)[0]

    def _commit(self, edits: Sequence[str] = ()) -> None:
        self.fleet = self.author.next(self.fleet, edits)
        self._push(self.author.told, hook=self.chance.random() < 0.8)

    def _burst(self) -> None:
        for _ in range(self.chance.randint(3, 6)):
            self._commit()

    def _revert(self) -> None:
        self.fleet = self.author.earlier() or self.fleet
        self._push("revert", hook=self.chance.random() < 0.8)

    def _forced_push(self) -> None:
        """History goes back, and may go on differently."""
        earlier = self.author.earlier()
        if earlier is None or id(earlier) not in self.commits:
            return
        onto, self.fleet = self.commits[id(earlier)], earlier
        if self.chance.random() < 0.5:
            self.fleet = self.author.next(earlier)
        self._push("forced push", onto=onto, hook=self.chance.random() < 0.8)

    def _rotate(self) -> None:
        self.world.rotate()
        self.tell("the Receiver's token is replaced")

    def _suspend(self) -> None:
        """By the plane's own switch; or resume."""
        names = [ROOT, *self.fleet.members]
        name, verb = checks.own_name(self.chance.choice(names)), self.chance.choice(("suspend", "suspend", "resume"))
        body = {"cluster": CLUSTER, "name": name, "who": "soak"}
        self.tell(f"{verb} {name}: {api(self.plane, 'POST', f'/{verb}', body)[0]}")

    def _ask(self) -> None:
        name = checks.own_name(self.chance.choice([ROOT, *self.fleet.members]))
        answer = api(self.plane, "POST", "/reconcile", {"cluster": CLUSTER, "name": name})
        self.tell(f"ask for {name}: {answer[0]}")

    def _by_hand(self) -> None:
        """Somebody with kubectl, and without a plan."""
        what = self.chance.choice(("object edited", "object deleted", "inventory edited", "lease deleted"))
        keys = [key for key in self.fleet.declared() if key[0] == CONFIG_MAP]
        key, owner = self.chance.choice(keys), checks.own_name(self.chance.choice([ROOT, *self.fleet.members]))
        kept = f"kustomization.{FLUX}.{owner}"
        merge = {"Content_Type": "application/merge-patch+json"}
        if what == "object edited":
            found = self.world.call("PATCH", path_of(key), {"data": {"value": "by hand"}}, **merge)
        elif what == "object deleted":
            found = self.world.call("DELETE", path_of(key))
        elif what == "inventory edited":
            found = self.world.call("PATCH", f"{checks.KEEPERS}/{kept}", {"data": {"inventory": "{}"}}, **merge)
        else:
            path = "/apis/coordination.k8s.io/v1/namespaces/penstock-system/leases"
            found = self.world.call("DELETE", f"{path}/{kept}")
        self.tell(f"by hand: {what} ({key[1]}/{key[2]}, {owner}): {found[0]}")

    # accidents

    def _weather(self) -> None:
        for each in (*self.world.weather(), *self.plane.weather()):
            each.share = self.chance.choice((0.0, 0.02, 0.1, 0.1, 0.3)) * each.most / 0.3
        told = (f"{each.name} {each.share:.0%}" for each in (*self.world.weather(), *self.plane.weather()))
        self.tell("weather: " + ", ".join(told))

    def _wait(self) -> None:
        time.sleep(self.chance.choice((3.0, 6.0)))

    def _second_plane(self) -> None:
        self.second.tries()
        self.tell("another plane tried")

    def _freeze(self) -> None:
        self.world.freeze(on=True)
        seconds = self.chance.choice((2, 5, 15))
        time.sleep(seconds)
        self.world.freeze(on=False)
        self.tell(f"API server frozen for {seconds} s")

    def _power_cut(self) -> None:
        self.world.power(on=False)
        self.tell("API server killed")
        self._pause()
        self.world.power(on=True)

    def _git_away(self) -> None:
        self.world.git_weather.away = True
        time.sleep(self.chance.choice((2.0, 6.0)))
        self.world.git_weather.away = False
        self.tell("Git server was away")

    # what must hold

    def quiet(self) -> None:
        """Mend all, and see."""
        strict = self.chance.random() < 0.5
        if strict:
            self._calm()
        self.fleet = self.author.marked(self.fleet)
        self._push("quiet point: " + self.author.told, hook=self.chance.random() < 0.7)
        self._pause()
        self._calm()
        self._settled(self.fleet, told=strict)
        self.author.settled()
        self._steady()

    def _calm(self) -> None:
        for each in (*self.world.weather(), *self.plane.weather()):
            each.calm()
        self.plane.calm()
        self._resume()

    def _resume(self) -> None:
        _, status = api(self.plane, "GET", "/status")
        for each in (status or {}).get("objects", ()):
            if each["kind"] == "Kustomization" and each.get("suspended"):
                api(self.plane, "POST", "/resume", {"cluster": CLUSTER, "name": each["name"], "who": "soak"})

    def _approve(self) -> None:
        _, status = api(self.plane, "GET", "/status")
        for name, digest in checks.stopped_prunes(status or {}):
            body = {"cluster": CLUSTER, "name": name, "prune": digest, "who": "soak"}
            self.tell(f"approve for {name}: {api(self.plane, 'POST', '/approve', body)[0]}")

    def _settled(self, fleet: Fleet, *, told: bool = False) -> None:
        begin, last = time.monotonic(), 0.0
        while True:
            problems = list(checks.differences(self.world, self.plane, fleet, self.head))
            if not problems and told:
                problems = list(checks.untold(self.world, fleet, self.head))
            passed = time.monotonic() - begin
            if not problems:
                break
            if passed > SETTLE:
                raise Failed(problems)
            if passed - last > 20:
                last = passed
                self.world.parts.tend()
                self._approve()
                self._resume()
                self.tell(f"not yet: {len(problems)}: {problems[0][:230]}")
            time.sleep(0.5)
        self.tell(f"settled after {passed:.0f} s: {len(fleet.members)} Kustomizations, {len(fleet.declared())} objects")
        self.log.read()
        problems = audit.judge(self.log, self.heads)
        problems += list(checks.told_twice(self.world, self.plane.excused)) + list(checks.bugs(self.plane))
        if hasattr(self, "strangers") and checks.strangers(self.world) != self.strangers:
            problems.append("an object of somebody else was touched")
        if problems:
            raise Failed(problems)

    def _steady(self) -> None:
        """Intervals pass, and nothing is written. The first look may show a newer revision in inventories."""
        self._sweep()
        begin = self.log.read()
        self._sweep()
        self.log.read()
        requests = self.log.since(begin)
        wrote = [f"written at rest: {each}" for each in requests if each.writes]
        verbs = Counter(each.verb for each in requests)
        noop = sum(audit.needless(self.log).values())
        self.tell(f"a sweep: {len(requests)} requests {dict(verbs)}; writes that changed nothing so far: {noop}")
        problems = [*wrote, *checks.differences(self.world, self.plane, self.fleet, self.head)]
        if len(requests) > self.plane.looks * MOST_REQUESTS:
            problems.append(f"{len(requests)} requests at rest: " + "; ".join(str(each) for each in requests)[:3000])
        if problems:
            raise Failed(problems)

    def _sweep(self) -> None:
        """All intervals are over now, and a tick later everybody has been looked at."""
        self._idle()
        with self.plane.records() as records:
            now = time.time()
            prefix = f"status/{CLUSTER}/Kustomization/"
            before = {each.key: each.due for each in records.list(prefix)}
            for each in records.list(prefix):
                records.put(each.key, each.value, expected=each.version, due=now)
            until(lambda: all((each.due or 0) > now for each in records.list(prefix)), f"a sweep of {len(before)}")
        self._idle()

    def _idle(self) -> None:
        """Until no message is due."""
        end = time.monotonic() + PATIENCE
        while busy := self.plane.busy():
            if time.monotonic() > end:
                raise Failed([f"busy for {PATIENCE:.0f} s: {busy}"])
            time.sleep(0.1)
