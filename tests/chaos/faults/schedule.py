"""One schedule: what people do and when, which faults may come, and how often. All of it follows from its number."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from tests.chaos.faults import flux_objects
from tests.chaos.faults.decisions import OVERLAP, kinds_of
from tests.chaos.stories import OWNERS, expected, story, tree
from tests.memory_plane import kustomization

POISON = (
    b"not ours",
    b'{"type": "dev.penstock.source-changed.v9", "id": "1", "data": {}}',
    b'{"type": "dev.penstock.reconcile-due.v1", "id": "2", "data": {"cluster": "prod"}}',
)
STAGES = ("fetch", "reconcile", "notify")
SECRETS = ("replace", "remove", "make")
HANDS = ("object deleted", "object edited", "inventory deleted", "inventory edited", "lease deleted")


def _flux(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    api = "notification.toolkit.fluxcd.io/v1beta3"
    metadata = {"name": name, "namespace": "flux-system"}
    return yaml.safe_dump({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})


ALERTS = {
    "clusters/prod/provider.yaml": _flux(
        "Provider", "chat", {"type": "generic", "address": "https://chat.example.com/hook"}
    ),
    "clusters/prod/alert.yaml": _flux(
        "Alert",
        "chat",
        {
            "providerRef": {"name": "chat"},
            "eventSources": [{"kind": "Kustomization", "name": "*"}, {"kind": "GitRepository", "name": "*"}],
        },
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """What somebody does at ``at`` (seconds): push ``files``, suspend, resume or ask for ``name``, send ``body``; see HANDS, SECRETS."""

    at: float
    what: str
    name: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        if self.what == "push":
            return f"{self.at:7.1f} s  push {expected(self.files)}"
        return f"{self.at:7.1f} s  {self.what} {self.name}" + (f" {self.body!r}" if self.body else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """``first``: the commit that is there when the plane begins; the last push of ``actions`` is the head."""

    seed: int
    kinds: frozenset[str]
    rates: Mapping[str, float]
    first: Mapping[str, str]
    actions: tuple[Action, ...]

    @property
    def commits(self) -> tuple[Mapping[str, str], ...]:
        return (self.first, *(each.files for each in self.actions if each.what == "push"))


def made(seed: int) -> Schedule:
    """The schedule of that number."""
    chance, kinds = random.Random(f"story of {seed}"), kinds_of(seed)
    trees = [{**ALERTS, **tree(model, chance)} for model in story(chance, least=1, most=2)]
    _depend(trees, chance)
    _suspend(trees, chance)
    flux_objects.declare(kinds, trees, random.Random(f"Flux objects of {seed}"))
    actions, at = [], 0.0
    for files in trees[1:]:
        at += chance.choice([0.3, 1.0, 3.0, 20.0, 200.0]) * chance.random()
        actions.append(Action(at=at, what="push", files=files))
    for _ in range(chance.choice([0, 0, 1, 2])):
        name, begin = chance.choice(OWNERS), chance.uniform(0, at + 5)
        actions.append(Action(at=begin, what="suspend", name=name))
        actions.append(Action(at=begin + chance.choice([1.0, 30.0, 400.0]), what="resume", name=name))
    if chance.choice([0, 1]):
        actions.append(Action(at=chance.uniform(0, at + 5), what="ask", name=chance.choice(OWNERS)))
    if "poison" in kinds:
        actions += [
            Action(at=chance.uniform(0, at + 5), what="poison", name=chance.choice(STAGES), body=body)
            for body in POISON
        ]
    actions += _wider(kinds, at, chance)
    actions += _secrets(kinds, at, random.Random(f"Secrets of {seed}"))
    actions.sort(key=lambda each: each.at)
    pace = chance.choice([0.4, 1.0, 2.5])
    rates = {
        "killed": 0.004 * pace,
        "repeated": 0.3,
        "lost": 0.2,
        "storage": 0.05 * pace,
        "state": 0.01 * pace,
        "API server": 0.02 * pace,
        "bus and providers": 0.1 * pace,
        "skew": 0.6,
        "second plane": 1.0,
        "torn lists": 0.1 * pace,
        "machines": 0.6,
        "late copies": 0.1,
    }
    wanted = {kind: rate for kind, rate in rates.items() if kind in kinds} | {OVERLAP: 0.05 * pace}
    return Schedule(seed=seed, kinds=kinds, rates=wanted, first=trees[0], actions=tuple(actions))


def _wider(kinds: frozenset[str], end: float, chance: random.Random) -> list[Action]:
    """What else somebody does, in schedules that have it."""
    found = []
    if "hands" in kinds:
        moments = [chance.uniform(0, end + 5) for _ in range(3)]
        found += [Action(at=at, what=chance.choice(HANDS), name=chance.choice(OWNERS)) for at in moments]
    if "redriven" in kinds:
        found += [Action(at=end + wait, what="redrive") for wait in (50.0, 200.0)]
    if "restored" in kinds:
        at = chance.uniform(0, end + 5)
        found += [Action(at=at, what="back up"), Action(at=at + chance.uniform(0, 300), what="restore")]
    return found


def _secrets(kinds: frozenset[str], end: float, chance: random.Random) -> list[Action]:
    """What somebody does to the Secrets that Flux objects refer to."""
    found = []
    for kind in sorted(kinds & flux_objects.BY_HAND.keys()):
        name = flux_objects.BY_HAND[kind]
        moments = [chance.uniform(0, end + 5) for _ in range(chance.choice([0, 1, 2]))]
        found += [Action(at=at, what="replace", name=name) for at in moments]
        if chance.random() < 0.4:
            at = chance.uniform(0, end + 5)
            found.append(Action(at=at, what="remove", name=name))
            found.append(Action(at=at + chance.choice([1.0, 30.0, 400.0]), what="make", name=name))
    return found


def _depend(trees: list[dict[str, str]], chance: random.Random) -> None:
    """Some Kustomizations wait for others, as long as those are there."""
    for after, before in (("two", "one"), ("three", "two")):
        if chance.random() < 0.3:
            for files in trees:
                mine, other = (f"clusters/prod/{name}.yaml" for name in (after, before))
                if mine in files and other in files:
                    files[mine] = kustomization(after, after, dependsOn=[{"name": before}])


def _suspend(trees: list[dict[str, str]], chance: random.Random) -> None:
    """A commit in between may suspend one that stays: what is removed while it is suspended leaves its objects."""
    for number, files in enumerate(trees[1:-1], 2):
        for owner in OWNERS:
            path = f"clusters/prod/{owner}.yaml"
            if all(path in each for each in (files, *trees[number:])) and chance.random() < 0.1:
                files[path] = kustomization(owner, owner, suspend=True)
