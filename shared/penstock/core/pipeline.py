"""The topology, typed: which stage is triggered by what, publishes what, and may touch which ports.

The data is ``pipeline.json`` (read by wiring, the tests and Terraform alike); this module only reads its dict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.core.errors import Terminal
from penstock.core.messages import TOPICS, Message

FORMAT = 1
TRIGGERS = ("http", "schedule", "topic")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage. ``timeout``: seconds for one run; ``attempts``: deliveries before a dead letter; ``memory``: MiB.

    ``subscribes`` and ``publishes``: topics; ``ports``: fields of ports.deps.Deps that the stage may use; ``ordered``:
    whether messages of one key come one after the other, as they were published.
    """

    name: str
    trigger: str
    subscribes: tuple[str, ...]
    publishes: tuple[str, ...]
    timeout: float
    attempts: int
    memory: int
    ports: tuple[str, ...]
    ordered: bool = False


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

    def is_ordered(self, topic: str) -> bool:
        """Whether the stages that hear a topic want its messages in order: all of them do, or none."""
        return any(stage.ordered for stage in self.subscribers(topic))

    def order_of(self, message: Message) -> str:
        """The key within which a message keeps its place; "" where nobody who hears it asks for order."""
        return message.key if self.is_ordered(message.topic) else ""

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """The parsed pipeline.json. Raises Terminal naming the stage and the field that is wrong."""
        if value.get("format") != FORMAT:
            raise Terminal(f"pipeline.json has format {value.get('format')!r}; this release reads {FORMAT}")
        pipeline = cls(stages={name: _stage(name, entry) for name, entry in value["stages"].items()})
        for stage in pipeline.queues():
            _one_kind(pipeline, stage)
        return pipeline


def _one_kind(pipeline: Pipeline, stage: Stage) -> None:
    """A topic is ordered as a whole: on AWS it is then another kind of topic."""
    for topic in stage.subscribes:
        other = next((each for each in pipeline.subscribers(topic) if each.ordered != stage.ordered), None)
        if other is not None:
            hears = f"pipeline.json, stages.{stage.name}.ordered: {topic} is heard by {other.name} too"
            raise Terminal(f"{hears}, which says otherwise: give one of them a topic of its own")


def _stage(name: str, entry: Mapping[str, Any]) -> Stage:
    optional = {"ordered"}
    known = set(Stage.__dataclass_fields__) - {"name"} - optional
    if set(entry) - optional != known:
        wrong = sorted((set(entry) - optional) ^ known)
        raise Terminal(f"pipeline.json, stages.{name}: missing or unknown fields: {', '.join(wrong)}")
    if entry["trigger"] not in TRIGGERS:
        raise Terminal(f"pipeline.json, stages.{name}.trigger: {entry['trigger']!r} is none of {', '.join(TRIGGERS)}")
    ordered = entry.get("ordered", False)
    if not isinstance(ordered, bool) or (ordered and entry["trigger"] != "topic"):
        raise Terminal(
            f"pipeline.json, stages.{name}.ordered: true or false, and true only where topics feed the stage"
        )
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
        ordered=ordered,
    )
