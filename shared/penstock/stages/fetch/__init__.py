"""The stage that looks at a source's head, keeps its tree as an artifact, and wakes whom that concerns."""

from penstock.stages.fetch.run import run

__all__ = ["run"]
