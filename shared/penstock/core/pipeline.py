"""The topology, typed: which stage is triggered by what, publishes what, and may touch which ports.

The data is ``pipeline.json`` (read by wiring, the tests and Terraform alike); this module only reads its dict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.core.errors import Terminal
from penstock.core.messages import TOPICS

FORMAT = 1
TRIGGERS = ("http", "schedule", "topic")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage. ``timeout``: seconds for one run; ``attempts``: deliveries before a dead letter; ``memory``: MiB.

    ``subscribes`` and ``publishes``: topics; ``ports``: fields of ports.deps.Deps that the stage may use.
    """

    name: str
    trigger: str
    subscribes: tuple[str, ...]
    publishes: tuple[str, ...]
    timeout: float
    attempts: int
    memory: int
    ports: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """All stages by name, in the file's order."""

    stages: Mapping[str, Stage]

    def stage(self, name: str) -> Stage:
        """The stage of that name. Raises Terminal where there is none."""
        found = self.stages.get(name)
        if found is None:
            raise Terminal(f"pipeline.json has no stage {name!r} (it has {', '.join(self.stages)})")
        return found

    def subscribers(self, topic: str) -> tuple[Stage, ...]:
        """The stages that get a copy of each message of a topic."""
        return tuple(stage for stage in self.stages.values() if topic in stage.subscribes)

    def queues(self) -> tuple[Stage, ...]:
        """The stages that are fed by topics: each has a queue of its own."""
        return tuple(stage for stage in self.stages.values() if stage.trigger == "topic")

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """The parsed pipeline.json. Raises Terminal naming the stage and the field that is wrong."""
        if value.get("format") != FORMAT:
            raise Terminal(f"pipeline.json has format {value.get('format')!r}; this release reads {FORMAT}")
        return cls(stages={name: _stage(name, entry) for name, entry in value["stages"].items()})


def _stage(name: str, entry: Mapping[str, Any]) -> Stage:
    known = set(Stage.__dataclass_fields__) - {"name"}
    if set(entry) != known:
        wrong = sorted(set(entry) ^ known)
        raise Terminal(f"pipeline.json, stages.{name}: missing or unknown fields: {', '.join(wrong)}")
    if entry["trigger"] not in TRIGGERS:
        raise Terminal(f"pipeline.json, stages.{name}.trigger: {entry['trigger']!r} is none of {', '.join(TRIGGERS)}")
    for field in ("subscribes", "publishes"):
        unknown = sorted(set(entry[field]) - set(TOPICS))
        if unknown:
            raise Terminal(f"pipeline.json, stages.{name}.{field}: no message has topic {', '.join(unknown)}")
    return Stage(
        name=name,
        trigger=entry["trigger"],
        subscribes=tuple(entry["subscribes"]),
        publishes=tuple(entry["publishes"]),
        timeout=float(entry["timeout"]),
        attempts=int(entry["attempts"]),
        memory=int(entry["memory"]),
        ports=tuple(entry["ports"]),
    )
