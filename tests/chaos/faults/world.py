"""A simulated world in which one schedule runs: machines, a bus, a cluster, people; one thing moves at a time."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.chaos.faults import flux_objects
from tests.chaos.faults.decisions import OVERLAP, Decisions, Fault
from tests.chaos.faults.ports import Faulty, MachineClock, told
from tests.chaos.faults.schedule import HANDS, SECRETS, Action, Schedule
from tests.chaos.stories import OWNERS
from tests.memory_plane import CLUSTER, MemoryPlane, OneCluster

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.cluster.memory_api import MemoryApi
from penstock.core.errors import Terminal
from penstock.core.messages import OWN_SOURCE, PLANE, Envelope, Event, ReconcileDue, SourceChanged, decode, encode
from penstock.core.notify import ledger
from penstock.core.reconcile.inventory import NAMESPACE
from penstock.core.records import (
    Approval,
    KustomizationStatus,
    ObjectRecord,
    Suspension,
    approval_key,
    object_key,
    status_key,
)
from penstock.core.resources import Gvk, ObjectRef
from penstock.core.tree import blob
from penstock.ports.bus import DeadLetter, Dispatch
from penstock.stages.api.actions import set_switch
from penstock.stages.fetch import opened
from penstock.stages.reconcile import source
from penstock.stages.reconcile.lease import MARGIN, SECONDS
from penstock.wiring.outcome import Outcome
from penstock.wiring.reports import announce
from penstock.wiring.run import run_message, run_tick

CALL = 0.01
"""Seconds that a call of a port takes."""
HIDDEN = 60.0
"""Seconds for which a taken message is hidden; a run that takes longer overlaps with its message's next."""
MOST_AT_ONCE = 4
EVERY = 60.0
"""The schedule of tick."""
OTHER = "e" * 32
LEASE = "coordination.k8s.io/v1"
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
LABEL = "kustomize.toolkit.fluxcd.io/name"
PORTS = ("git", "notifier", "secrets", "state", "storage")


class OtherPlane(MemoryPlane):
    """A second deployment."""

    def apply_plane(self, *, policy: Any = None, path: str = "clusters/prod", uid: str = OTHER) -> None:
        super().apply_plane(policy=policy, path=path, uid=uid)


class Killed(BaseException):
    """The process is gone."""


@dataclass(kw_only=True, slots=True, eq=False)
class Item:
    """A message in the queue of a stage. ``taken``: how often so far."""

    stage: str
    body: bytes
    due: float
    taken: int = 0
    number: int = 0


class FaultyBus:
    """Queues of one plane: wake-ups get lost, anything is delivered up to three times, in any order."""

    def __init__(self, plane: MemoryPlane, world: "World") -> None:
        self.plane, self.world = plane, world
        self.items: list[Item] = []
        self.dead: list[DeadLetter] = []
        self.published: dict[str, list[Event]] = {}
        self._count = 0

    def publish(self, messages: Sequence[Dispatch]) -> None:
        now = self.world.time
        for dispatch in messages:
            self._count += 1
            message, where = (
                dispatch.envelope.message,
                f"message {self._count} of plane {self.world.name_of(self.plane)}",
            )
            at = f"{message.topic} {message.key}"
            if isinstance(message, Event):
                self.published.setdefault(message.id, []).append(message)
                self.world.heard(self.plane, message)
            elif self.world.decide("lost", where, ("lost",), at):
                continue
            copies = self.world.decide("repeated", where, ("twice", "three times", "again after 100 s"), at)
            late = self.world.has("late copies") and self.world.decide(
                "late copies", where, ("after half an hour",), at
            )
            delays = {"": (0.0, 1_800.0) if late else (0.0,), "twice": (0.0, 0.0), "three times": (0.0,) * 3}.get(
                copies, (0.0, 100.0)
            )
            body = encode(dispatch.envelope)
            for stage in self.plane.pipeline.subscribers(message.topic):
                for extra in delays:
                    self._add(stage.name, body, now + dispatch.delay + extra)

    def poison(self, stage: str, body: bytes) -> None:
        self._add(stage, body, self.world.time)

    def _add(self, stage: str, body: bytes, due: float) -> None:
        self._count += 1
        self.items.append(Item(stage=stage, body=body, due=due, number=self._count))

    def take(self) -> tuple[Item, Envelope] | None:
        """One that is due; the oldest, or any."""
        due = sorted((i for i in self.items if i.due <= self.world.time), key=lambda i: (i.due, i.number))
        if not due:
            return None
        places = tuple(f"number {n} of those that wait" for n in range(1, len(due)))
        chosen = self.world.decide("repeated", f"delivery {self.world.deliveries}", places)
        self.world.deliveries += 1
        item = due[min(int(chosen.split()[1]), len(due) - 1) if chosen else 0]
        limits = self.plane.pipeline.stage(item.stage)
        if item.taken >= limits.attempts:
            self.bury(item, "its worker died each time")
            return None
        try:
            envelope = decode(item.body, attempt=item.taken + 1)
        except Terminal as error:
            self.bury(item, str(error))
            return None
        item.taken += 1
        item.due = self.world.time + HIDDEN
        return item, envelope

    def bury(self, item: Item, error: str) -> None:
        self.items.remove(item)
        letter = DeadLetter(receipt=str(item.number), stage=item.stage, body=item.body, error=error)
        self.dead.append(letter)
        announce(letter, self, self.world.clock, self.plane.telemetry)


class Process:
    """One run of a stage on a machine. Its thread moves only while the world waits for it."""

    def __init__(self, world: "World", plane: MemoryPlane, stage: str, found: tuple[Item, Envelope] | None) -> None:
        self.world, self.plane, self.stage, self.found = world, plane, plane.pipeline.stage(stage), found
        message = found[1].message if found else None
        subject = message.name if message is not None else ""
        self.message = message
        self.label = world.label(plane, stage, subject)
        self.calls, self.started, self.until = 0, world.time, 0.0
        self.done = self.dead = self.overtime = False
        self.attempts = found[0].taken if found else 1
        self.clock = MachineClock(world.clock, world.skew(plane, stage) + world.own_skew(self.label), self.wait)
        self.sent = False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._live, daemon=True).start()

    # as the world sees it

    def resume(self) -> None:
        """Let it run to its next stop, or to its end."""
        self.world.current = self
        self._go.release()
        self._back.acquire()
        self.world.current = None

    def kill(self) -> None:
        self.dead = True
        self.resume()

    @property
    def ready(self) -> bool:
        return self.until <= self.world.time

    def _live(self) -> None:
        self._go.acquire()
        try:
            with contextlib.suppress(Killed):
                if not self.dead:
                    self._run()
            self.world.ended(self)
            if self.found is not None and not self._has(self.found[0]):
                self.world.late.add(self.label)
        except BaseException as error:
            self.world.trouble.append(error)
        finally:
            self.done = True
            self._back.release()

    def _run(self) -> None:
        ports = {name: Faulty(name, getattr(self.plane.deps, name), self) for name in PORTS}
        clusters = OneCluster(Faulty("cluster", self.plane.cluster, self))  # type: ignore[arg-type]
        deps = replace(self.plane.deps, clusters=clusters, clock=self.clock, **ports)
        bus = Faulty("bus", self.plane.bus, self)
        if self.found is None:
            run_tick(self.stage, deps, bus)
            return
        item, envelope = self.found
        outcome = run_message(self.stage, envelope, deps, bus)
        if outcome.where:
            self.world.trouble.append(AssertionError(f"{outcome.error}: {outcome.where}"))
        self.before(("bus", "ack", ()))
        self._settle(item, outcome)

    def _has(self, item: Item) -> bool:
        """Whether nobody else has taken the message since."""
        return item in self.plane.bus.items and item.taken == self.attempts  # type: ignore[attr-defined]

    def _settle(self, item: Item, outcome: Outcome) -> None:
        bus: Any = self.plane.bus
        if not self._has(item):
            return
        if outcome.kind != "retry":
            bus.items.remove(item)
        elif item.taken >= self.stage.attempts:
            bus.bury(item, outcome.error)
        else:
            item.due = self.world.time + outcome.delay

    # as its ports see it

    def true_time(self) -> datetime:
        return self.world.clock.now().replace(microsecond=0)

    def before(self, at: tuple[str, str, tuple[Any, ...]]) -> None:
        """A place between two calls: time passes, others come in, it dies."""
        if self.dead:
            raise Killed
        self.calls += 1
        self.world.clock.advance(CALL)
        if self.world.others(self) and self.world.decide(OVERLAP, self.where, ("others go on",)):
            self.world.last = self
            self._pause()
        self._die("before its effect", at)

    def after(self, at: tuple[str, str, tuple[Any, ...]]) -> None:
        if at[0] == "notifier":
            self.world.told(self, certain=True)
        if at[:2] == ("state", "put"):
            self.world.recorded(self, at[2][0], at[2][1])
        if at[:2] == ("state", "delete"):
            self.world.forgotten(self, at[2][0])
        self._die("after its effect", at)

    def fault(self, kind: str, outcomes: tuple[str, ...], at: tuple[str, str, tuple[Any, ...]]) -> str:
        return self.world.decide(kind, self.where, outcomes, at)

    def torn(self, at: tuple[str, str, tuple[Any, ...]]) -> bool:
        return self.world.has("torn lists") and bool(self.fault("torn lists", ("torn",), at))

    def uncertain(self, at: tuple[str, str, tuple[Any, ...]]) -> None:
        """An effect took place whose answer is lost."""
        if at[0] == "notifier":
            self.world.told(self, certain=False)
        if at[0] == "cluster" and at[2] and isinstance(at[2][0], dict):
            self.world.unsure.add((self.label, at[2][0]["metadata"]["name"]))

    def publish_half(self, at: tuple[str, str, tuple[Any, ...]]) -> None:
        messages = at[2][0]
        self.plane.bus.publish(messages[: len(messages) // 2])

    def wait(self, seconds: float) -> None:
        self.until = self.world.time + seconds
        self._pause()
        limit = self.stage.timeout
        if self.world.time - self.started > limit and self.world.decide(
            "killed", f"{self.where} (timeout)", ("timeout",)
        ):
            self.dead = True
            raise Killed

    @property
    def where(self) -> str:
        return f"{self.label}, call {self.calls}"

    def _die(self, when: str, at: tuple[str, str, tuple[Any, ...]]) -> None:
        if self.world.decide("killed", f"{self.where} {when}", (when,), at):
            self.dead = True
            raise Killed

    def _pause(self) -> None:
        self._back.release()
        self._go.acquire()
        if self.dead:
            raise Killed


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change of the cluster. ``by``: label of the process; ``plane``: its plane's name.

    ``remembered``: whether the inventory of the Kustomization that did it had the object at that moment; ``held``:
    whether the run had its Lease, or had taken it so long ago that it may have run out under a slow request; ``buried``:
    whether nobody declared its Kustomization any more.
    """

    at: float
    plane: str
    by: str
    started: float
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    remembered: bool
    held: bool
    buried: bool


class AuditedApi(MemoryApi):
    """Writes down who changed what, and when."""

    def __init__(self) -> None:
        self.audit: list[Change] = []
        self.holders: dict[str, tuple[str, float]] = {}
        self.world: World | None = None
        super().__init__()

    def _record(self, gvk: Any, before: Any, after: Any) -> None:
        super()._record(gvk, before, after)
        if self.world is not None:
            by = self.world.current
            if by is not None and after is not None and after["kind"] == "Lease":
                self.holders.setdefault(after["spec"]["holderIdentity"], (by.label, self.world.time))
            name = getattr(by.message, "name", "") if by else ""
            self.audit.append(
                Change(
                    at=self.world.time,
                    plane=self.world.name_of(by.plane) if by else "",
                    by=by.label if by else "",
                    started=by.started if by else 0.0,
                    subject=getattr(by.message, "name", "") if by else "",
                    before=before,
                    after=after,
                    remembered=self._remembered(name, after or before),
                    held=by is not None and self._held(name, by),
                    buried=by is not None and _is_buried(by.plane, name),
                )
            )

    def _held(self, name: str, by: "Process") -> bool:
        assert self.world is not None
        lease = ObjectRef(
            group="coordination.k8s.io", kind="Lease", namespace=NAMESPACE, name=f"kustomization.flux-system.{name}"
        )
        found = self.read(lease)
        if found is not None and self.holders.get(found["spec"]["holderIdentity"], ("", 0.0))[0] == by.label:
            return True
        taken = [at for label, at in self.holders.values() if label == by.label]
        return bool(taken) and self.world.time - min(taken) > SECONDS - MARGIN

    def _remembered(self, name: str, manifest: dict[str, Any]) -> bool:
        inventory = self.read(
            ObjectRef(kind="ConfigMap", namespace=NAMESPACE, name=f"kustomization.flux-system.{name}")
        )
        ids = inventory["data"]["inventory"] if inventory is not None else ""
        return f'"apps_{manifest["metadata"]["name"]}__ConfigMap@v1"' in ids


@dataclass(kw_only=True)
class Telling:
    """One event: how often a provider certainly got it, and how often perhaps, or told and nobody wrote it down."""

    event: Event
    asked_for: bool
    told: int = 0
    uncertain: int = 0


class World:
    """``play``: see Decisions; ``audit``: every change of the cluster; ``tellings``: by event id.

    ``said``: every event that was published, and when; ``records``: when each run last wrote its Kustomization's status;
    ``failures``: (Kustomization, reason, revision) of those that a status remembers as told -> the first run that did;
    ``unsure``: (run, object) of those writes whose answer was lost; ``late``: runs whose message somebody else had taken
    by their end.
    """

    def __init__(self, schedule: Schedule, play: Iterable[Fault] | None = None) -> None:
        self.schedule = schedule
        self.decisions = Decisions(schedule.seed, schedule.rates, play)
        self.clock = SimulatedClock()
        self.begin = self.clock.now().timestamp()
        source.kept.clear()
        opened.kept.clear()  # or what an earlier schedule has read would not be read again
        self.api = AuditedApi()
        self.processes: list[Process] = []
        self.current: Process | None = None
        self.trouble: list[BaseException] = []
        self.labels: dict[str, int] = {}
        self.tellings: dict[str, Telling] = {}
        self.said: list[tuple[float, Event]] = []
        self.records: dict[str, float] = {}
        self.failures: dict[tuple[str, str, str], str] = {}
        self.late: set[str] = set()
        self.unsure: set[tuple[str, str]] = set()
        self.deliveries = 0
        self.pushed: list[tuple[float, dict[str, str]]] = []
        self.switches: list[tuple[float, str, bool]] = []
        self.poisoned: list[tuple[str, bytes]] = []
        self.skews: dict[str, float] = {}
        self.next_tick = self.time + EVERY
        self.backup: dict[str, tuple[str, float | None]] = {}
        self.restored = False
        self.maimed = set[str]()
        self.hands: set[str] = set()
        self.ticked = False
        """A tick has come to its end: from now on it is enough to run those that find something."""
        self.last: Process | None = None
        self.first = self._plane()
        self.second: MemoryPlane | None = None
        self.first.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
        self._prepare()
        self.api.world = self
        self.todo = list(schedule.actions)

    def _prepare(self) -> None:
        """What Flux objects need of the cluster, and of the other repository."""
        names = [name for kind, name in sorted(flux_objects.BY_HAND.items()) if self.has(kind)]
        if names:
            self.first.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        self.secrets = dict.fromkeys(names, 0)
        for name in names:
            self._keep_secret("make", name)
        if self.has("sources"):
            self.first.git.commit(flux_objects.SOURCE_URL, {"README.md": blob(b"extra")})

    def _keep_secret(self, verb: str, name: str) -> None:
        """Somebody makes, replaces or removes a Secret; who has to know a login knows the newest."""
        live = self.first.live("v1", "Secret", flux_objects.NAMESPACE, name)
        if live is not None:
            self.first.cluster.delete(live)
        if verb == "remove" or (verb == "replace" and live is None):
            return
        self.secrets[name] += 1
        made = flux_objects.secret(name, f"{name}-{self.secrets[name]}")
        self.first.cluster.create(made)
        if name == flux_objects.BY_HAND["sources"]:
            login = {key: value.encode() for key, value in made["stringData"].items()}
            self.first.git.require(flux_objects.SOURCE_URL, login)

    def _plane(self, like: MemoryPlane | None = None) -> MemoryPlane:
        plane = MemoryPlane(clock=self.clock) if like is None else OtherPlane(clock=self.clock)
        plane.cluster = MemoryCluster(self.api, longest_watch=0.0)
        if like is not None:
            plane.git = like.git
            plane.deps = replace(plane.deps, git=like.git)
        plane.bus = FaultyBus(plane, self)  # type: ignore[assignment]
        return plane

    @property
    def time(self) -> float:
        return self.clock.monotonic()

    @property
    def planes(self) -> tuple[MemoryPlane, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)

    def name_of(self, plane: MemoryPlane) -> str:
        return "one" if plane is self.first else "two"

    def decide(self, kind: str, where: str, outcomes: tuple[str, ...], at: Any = "") -> str:
        found = self.decisions.decide(kind, where, outcomes)
        if found:  # what is for people is made only where it is said
            self.decisions.happened[-1] = replace(
                self.decisions.happened[-1], at=told(at) if isinstance(at, tuple) else at
            )
        return found

    def label(self, plane: MemoryPlane, stage: str, subject: str) -> str:
        name = " ".join(filter(None, (stage, subject, "of plane two" if plane is self.second else "")))
        self.labels[name] = self.labels.get(name, 0) + 1
        return f"{name} {self.labels[name]}"

    def skew(self, plane: MemoryPlane, stage: str) -> float:
        """Of the clock of the machine that a stage is on: the same for all its runs."""
        key = f"the clock of {stage} of plane {self.name_of(plane)}"
        if key not in self.skews:
            found = self.decide("skew", key, ("5 minutes fast",))
            self.skews[key] = 300.0 if found else 0.0
        return self.skews[key]

    def own_skew(self, label: str) -> float:
        """Of the clock of one run's machine."""
        outcomes = ("5 minutes fast", "5 minutes slow", "100 s fast")
        found = self.has("machines") and self.decide("machines", f"the clock of {label}", outcomes)
        return {"5 minutes fast": 300.0, "5 minutes slow": -300.0, "100 s fast": 100.0}.get(found or "", 0.0)

    def has(self, kind: str) -> bool:
        """Whether the schedule has that kind; where it has not, nothing is drawn for it."""
        return kind in self.schedule.kinds

    # what people do

    def push(self, files: Any) -> None:
        """A commit of exactly these files; every plane's webhook hears of it."""
        plane = self.first
        plane.files.clear()
        self.pushed.append((self.time, dict(files)))
        plane.push(dict(files))
        if self.second is not None:
            self.second.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))

    def act(self, action: Action) -> None:
        if action.what == "push":
            self.push(action.files)
        elif action.what in ("suspend", "resume"):
            self._switch(action.name, on=action.what == "suspend")
        elif action.what == "ask":
            self.first.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=action.name, why="request"))
        elif action.what in HANDS:
            self._lay_hands_on(action)
        elif action.what in SECRETS:
            self._keep_secret(action.what, action.name)
        elif action.what == "redrive":
            self.redrive()
        elif action.what in ("back up", "restore"):
            self._back_up(restore=action.what == "restore")
        else:
            self.poisoned.append((action.name, action.body))
            self.first.bus.poison(action.name, action.body)  # type: ignore[attr-defined]

    def redrive(self) -> None:
        """Every dead letter is given back to its stage with all attempts anew; poison is one again."""
        bus: Any = self.first.bus
        letters, bus.dead = bus.dead, []
        for letter in letters:
            bus.poison(letter.stage, letter.body)

    def _back_up(self, *, restore: bool) -> None:
        """All records, due times included; versions never come again."""
        state = self.first.state
        if not restore:
            self.backup = {key: (text, due) for key, (text, _, due) in state._rows.items()}
        if not restore or not self.backup:
            return
        for key in list(state._rows):
            state.delete(key, expected=None)
        for key, (text, due) in self.backup.items():
            state.put(key, json.loads(text), expected=None, due=due)
        self.restored, self.ticked = True, False

    def _lay_hands_on(self, action: Action) -> None:
        """Somebody with kubectl, and without a plan."""
        self.hands.add(action.what)
        what, verb = action.what.split()
        plane, cluster = self.first, self.first.cluster
        if what == "lease":
            found = plane.live(LEASE, "Lease", NAMESPACE, f"kustomization.flux-system.{action.name}")
        elif what == "inventory":
            found = plane.live("v1", "ConfigMap", NAMESPACE, f"kustomization.flux-system.{action.name}")
        else:  # a field of ours: those that others add are theirs
            items = cluster.list(CONFIG_MAP, namespace="apps", label_selector=f"{LABEL}={action.name}").items
            found = next((each for each in items if each.get("data")), None)
        if found is None:
            return
        if what == "inventory":
            self.maimed.add(action.name)
        if verb == "deleted":
            cluster.delete(found)
        elif what == "inventory":
            cluster.replace({**found, "data": {**found["data"], "inventory": "{}"}})
        else:
            cluster.replace({**found, "data": dict.fromkeys(found["data"], "by hand")})

    def _switch(self, name: str, *, on: bool) -> None:
        plane = self.first
        if not plane.known("Kustomization", name):
            return
        target = (CLUSTER, "flux-system", name)
        suspension = Suspension(who="ann", why="", until="", since="2026-01-01T00:00:00Z") if on else None
        set_switch(plane.deps, target, suspension)
        self.switches.append((self.time, name, on))
        if not on:
            plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="request"))

    # what is heard

    def forgotten(self, process: Process, key: str) -> None:
        """A run has deleted a record: with a Kustomization's own its switch ends, whoever flipped that meanwhile."""
        if process.plane is self.first:
            gone = [name for name in OWNERS if key == object_key(CLUSTER, "Kustomization", "flux-system", name)]
            self.switches += [(self.time, name, False) for name in gone]

    def recorded(self, process: Process, key: str, value: Any) -> None:
        """A run has written a record."""
        if process.stage.name != "reconcile" or process.plane is not self.first or process.message is None:
            return
        name = process.message.name
        if key == status_key(CLUSTER, "Kustomization", "flux-system", name):
            self.records[process.label] = self.time
            told = value.get("summary", {}).get("told")
            if told:
                self.failures.setdefault((name, told["reason"], told["revision"]), process.label)

    def heard(self, plane: MemoryPlane, event: Event) -> None:
        if plane is self.first:
            self.said.append((self.time, event))
        if plane is self.first and event.id not in self.tellings:
            known = plane.state.get(object_key(CLUSTER, "Alert", "flux-system", "chat"))
            provider = plane.state.get(object_key(CLUSTER, "Provider", "flux-system", "chat"))
            asked = known is not None and provider is not None and event.cluster in (CLUSTER, PLANE, "")
            self.tellings[event.id] = Telling(event=event, asked_for=asked)

    def told(self, process: Process, *, certain: bool) -> None:
        """A provider got a notification; ``certain``: and the plane heard so."""
        telling = self.tellings.get(process.message.id) if isinstance(process.message, Event) else None
        if telling is None:
            return
        process.sent = True
        telling.told += 1
        telling.uncertain += not certain

    def ended(self, process: Process) -> None:
        """A run is over, in whatever way.

        A notification that nobody wrote down may be sent again, and one whose claim has run out meanwhile."""
        self.ticked |= process.stage.name == "tick" and not process.dead
        if process.sent:
            telling = self.tellings[process.message.id]  # type: ignore[union-attr]
            late = self.time - process.started > ledger.LEASE
            marks = [text for key, (text, _, _) in process.plane.state._rows.items() if f"/{telling.event.id}/" in key]
            if late or not any(f'"{ledger.SENT}"' in text for text in marks):
                telling.uncertain += 1

    # how time goes on

    def others(self, process: Process) -> bool:
        """Whether anybody else could move now."""
        return (
            len(self.processes) > 1
            or any(item.due <= self.time for plane in self.planes for item in plane.bus.items)  # type: ignore[attr-defined]
            or bool(self.todo and self.todo[0].at <= self.time)
        )

    def run(self) -> None:
        """The whole schedule, from the first sync on, until people and accidents have come to an end."""
        self.push(self.schedule.first)
        self._go_on(until=lambda: self.time > 30.0)
        if "second plane" in self.schedule.kinds and self.decide("second plane", "after the first sync", ("begins",)):
            self._go_on(until=self._owned)
            self.second = self._plane(self.first)
            self.second.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
        offset = self.time
        self.todo = [replace(each, at=each.at + offset) for each in self.todo]
        self._go_on(until=lambda: not self.todo)
        end = self.time + 60.0
        self._go_on(until=lambda: self.time > end)

    def _owned(self) -> bool:
        """Whether the first plane has the cluster."""
        return (
            self.first.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.flux-system") is not None
        )

    def calm(self, check: Callable[["World"], None]) -> None:
        """No more accidents; whoever is suspended is resumed. Within an hour all must be as ``check`` has it."""
        self.decisions.calm = True
        for name in sorted({name for _, name, on in self.switches if on}):
            self._switch(name, on=False)
        end = self.time + 3600.0
        while True:
            look = self.time + 120.0
            self._go_on(until=lambda look=look: self._rests() or (self.time > look and not self._busy()))
            try:
                return check(self)
            except AssertionError as error:
                if self.time > end or isinstance(error, flux_objects.Missed):
                    raise
            if self.restored:
                self._approve()
            self.still(30.0)

    def still(self, seconds: float) -> None:
        """Time passes."""
        end = self.time + seconds
        self._go_on(until=lambda: self.time >= end)

    def _approve(self) -> None:
        """Somebody allows what the plane will not delete by itself, since it has lost what it knew of it."""
        for name in OWNERS:
            asked = re.search(r"--prune (sha256:[0-9a-f]+)", self.first.ready(name))
            if asked:
                value = Approval(digest=asked[1], who="ann", when="2026-01-01T00:00:00Z").to_value()
                self.first.state.put(approval_key(CLUSTER, "flux-system", name), value, expected=None)
                self.act(Action(at=self.time, what="ask", name=name))

    def drain(self) -> None:
        """Until no message waits any more, however late it is."""
        end = self.time + 7200.0
        self._go_on(until=lambda: self.time > end or not (self.processes or self.first.bus.items))  # type: ignore[attr-defined]

    def _rests(self) -> bool:
        """Whether nothing waits, or is due within a minute."""
        if self.processes or any(plane.bus.items for plane in self.planes):  # type: ignore[attr-defined]
            return False
        return self._first_due() > self.time + 61.0

    def _busy(self) -> bool:
        """Whether anybody works, or could begin to."""
        items = (item for plane in self.planes for item in plane.bus.items)  # type: ignore[attr-defined]
        return bool(self.processes) or any(item.due <= self.time for item in items)

    def _first_due(self) -> float:
        if self.ticked and self.first.state.get(status_key(PLANE, *OWN_SOURCE)) is None:
            return self.time  # tick looks for the plane's own source
        dues = [due for _, _, due in self.first.state._rows.values() if due is not None]
        return min(dues, default=float("inf")) - self.begin - self.skew(self.first, "tick")

    def _go_on(self, *, until: Callable[[], bool]) -> None:
        for _ in range(200_000):
            if self.trouble:
                raise self.trouble[0]
            if until():
                return
            self._move()
        raise AssertionError("does not come to rest")

    def _move(self) -> None:
        """One step of whatever comes next."""
        while self.todo and self.todo[0].at <= self.time:
            self.act(self.todo.pop(0))
        self.processes = [each for each in self.processes if not each.done]
        if self.last is not None:  # others go on
            self.processes.remove(self.last)
            self.processes.append(self.last)
            self.last = None
            if not any(each.ready for each in self.processes[:-1]):
                self._start()
        for process in self.processes:
            if process.ready:
                process.resume()
                return
        if not self._start():
            self._pass()

    def _start(self) -> bool:
        if len(self.processes) < MOST_AT_ONCE:
            if self.time >= self.next_tick:
                self.next_tick = self.time + EVERY
                if self._first_due() <= self.time + 1.0 or not self.ticked:
                    self.processes.insert(0, Process(self, self.first, "tick", None))
                    return True
            for plane in self.planes:
                found = plane.bus.take()  # type: ignore[attr-defined]
                if found is not None:
                    self.processes.insert(0, Process(self, plane, found[0].stage, found))
                    return True
        return False

    def _pass(self) -> None:
        """On to the next moment at which something can happen."""
        bus_items = (item for plane in self.planes for item in plane.bus.items)  # type: ignore[attr-defined]
        moments = [item.due for item in bus_items] if len(self.processes) < MOST_AT_ONCE else []
        moments += [each.until for each in self.processes]
        moments += [each.at for each in self.todo[:1]]
        moments.append(max(self.next_tick, self.time + 0.5))
        later = [each for each in moments if each > self.time]
        if later:
            self.clock.advance(min(later) - self.time + 0.001)
        else:
            self.clock.advance(0.1)

    def close(self) -> None:
        """Nobody's thread is left."""
        for each in self.processes:
            if not each.done:
                each.kill()


def status_of(plane: MemoryPlane, name: str) -> KustomizationStatus:
    found = plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", name))
    return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()


def _is_buried(plane: MemoryPlane, name: str) -> bool:
    """Whether a Kustomization's record is a tombstone, or gone."""
    found = plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", name))
    return found is None or ObjectRecord.from_value(found.value).tombstone
