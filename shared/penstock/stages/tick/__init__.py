"""The stage that the schedule calls: what is due is published; then, once an hour, old artifacts are deleted."""

from penstock.stages.tick.collection import collect as afterwards
from penstock.stages.tick.waking import run

__all__ = ["afterwards", "run"]
