"""A stage killed at any call of a port, before or after its effect: the next ones converge, and delete nothing wrong."""

import random
from typing import Any

import pytest
from tests.memory_plane import MemoryPlane, OneCluster, config_map, kustomization, namespace

from penstock.wiring.run import run_message

PORTS = ("bus", "cluster", "git", "secrets", "state", "storage")
READS = frozenset(
    {"get", "list", "read", "due", "names", "digests", "resource_type", "refresh_discovery", "watch", "as_user"}
)


class Killed(BaseException):
    """The process is gone: no `finally` of it has any effect from here on."""


class Reaper:
    """Counts the calls that have an effect, and kills at one of them."""

    def __init__(self) -> None:
        self.count, self.at, self.after, self.dead = 0, -1, False, False

    def call(self, method: Any, name: str, args: Any, kwargs: Any) -> Any:
        if self.dead:
            raise Killed
        if name in READS:
            return method(*args, **kwargs)
        self.count += 1
        mine = self.count == self.at
        if mine and not self.after:
            self.dead = True
            raise Killed
        result = method(*args, **kwargs)
        if mine:
            self.dead = True
            raise Killed
        return result


class Mortal:
    """A port through which every call passes the reaper."""

    def __init__(self, port: Any, reaper: Reaper) -> None:
        self._port, self._reaper = port, reaper

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._reaper.call(found, name, args, kwargs)


class MortalPlane(MemoryPlane):
    """A MemoryPlane whose stages can be killed; messages in hand come back after their visibility timeout."""

    def __init__(self, **options: Any) -> None:
        self.reaper = Reaper()
        super().__init__(**options)

    def arm(self, at: int, *, after: bool) -> None:
        self.reaper.count, self.reaper.at, self.reaper.after = 0, at, after

    def step(self) -> bool:
        for stage in self.pipeline.stages.values():
            delivery = self.bus.receive(stage.name, wait=0) if stage.trigger == "topic" else None
            if delivery is None:
                continue
            try:
                outcome = run_message(stage, delivery.envelope, self._mortal(), Mortal(self.bus, self.reaper))
            except Killed:
                self.reaper.dead, self.reaper.at = False, -1
                return True
            if outcome.kind == "retry":
                self.bus.retry(delivery, delay=outcome.delay, error=outcome.error)
            else:
                self.bus.ack(delivery)
            return True
        return False

    def _mortal(self) -> Any:
        from dataclasses import replace

        clusters = OneCluster(Mortal(self.cluster, self.reaper))  # type: ignore[arg-type]
        others = {
            name: Mortal(getattr(self.deps, name), self.reaper) for name in ("git", "secrets", "state", "storage")
        }
        return replace(self.deps, clusters=clusters, **others)


FIRST = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps", dependsOn=[{"name": "infra"}]),
    "clusters/prod/infra.yaml": kustomization("infra", "infra"),
    "clusters/prod/old.yaml": kustomization("old", "old"),
    "infra/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
    "apps/moves.yaml": config_map("moves", key="1"),
    "old/x.yaml": config_map("x", key="1"),
    "clusters/prod/before.yaml": kustomization("before", "same", dependsOn=[{"name": "infra"}]),
    "same/same.yaml": config_map("same", key="1"),
}
SECOND: dict[str, str | None] = {
    "clusters/prod/old.yaml": None,
    "clusters/prod/before.yaml": None,
    "clusters/prod/after.yaml": kustomization("after", "same", dependsOn=[{"name": "infra"}]),
    "apps/a.yaml": config_map("a", key="2"),
    "apps/b.yaml": None,
    "apps/c.yaml": config_map("c", key="2"),
    "apps/moves.yaml": None,
    "infra/moves.yaml": config_map("moves", key="1"),
}


def started() -> MortalPlane:
    plane = MortalPlane()
    plane.push(FIRST)
    plane.settle()
    assert plane.config_map("x") == {"key": "1"}
    return plane


def uids(plane: MortalPlane) -> dict[str, str]:
    """Of what another Kustomization takes over: one object, and all of a Kustomization that is renamed."""
    found = {name: plane.live("v1", "ConfigMap", "apps", name) for name in ("moves", "same")}
    return {name: live["metadata"]["uid"] for name, live in found.items() if live is not None}


def check(plane: MortalPlane, before: dict[str, str]) -> None:
    assert plane.config_map("a") == {"key": "2"}
    assert plane.config_map("c") == {"key": "2"}
    assert plane.config_map("b") is None
    assert plane.config_map("x") is None
    assert uids(plane) == before, "it was deleted and made anew"
    assert not plane.known("Kustomization", "before")
    assert plane.live("v1", "Namespace", "", "apps") is not None
    for name in ("apps", "infra", "after"):
        assert plane.ready(name).startswith("True"), plane.ready(name)
    held = plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps")
    assert held is not None
    assert held["data"]["inventory"] == '["apps_a__ConfigMap@v1","apps_c__ConfigMap@v1"]'
    assert held["data"]["digest"] == plane.status("apps").inventory_digest


def converge(plane: MortalPlane) -> None:
    """Long enough for visibility timeouts, an abandoned Lease and the schedule."""
    for _ in range(6):
        plane.settle(seconds=200, most=4000)
        plane.clock.advance(200)
        plane.tick()
    plane.settle(seconds=200, most=4000)


def effects() -> int:
    """How many calls with an effect the second push makes."""
    plane = started()
    plane.arm(-1, after=False)
    plane.push(SECOND)
    plane.settle()
    return plane.reaper.count


TOTAL = effects()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, TOTAL + 1))
def test_killed_at(at: int, after: bool) -> None:
    plane = started()
    before = uids(plane)
    plane.push(SECOND)
    plane.arm(at, after=after)
    converge(plane)
    check(plane, before)


@pytest.mark.parametrize("seed", range(30))
def test_killed_again_and_again_with_duplicates(seed: int) -> None:
    chance = random.Random(seed)
    plane = started()
    before = uids(plane)
    plane.push(SECOND)
    for _ in range(6):
        plane.arm(chance.randint(1, TOTAL), after=chance.random() < 0.5)
        if chance.random() < 0.5:
            plane.push({})
        plane.settle(seconds=chance.choice([1, 40, 700]), most=4000)
    converge(plane)
    check(plane, before)
