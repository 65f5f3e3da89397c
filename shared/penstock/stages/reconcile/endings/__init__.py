"""How a run ends: finished, still waiting for health, waiting for dependencies, failed, or overtaken.

Whatever the ending, those who wait for this Kustomization are woken, and the due index gets its next time.
"""

from penstock.stages.reconcile.endings.failing import failed
from penstock.stages.reconcile.endings.finishing import finished
from penstock.stages.reconcile.endings.looking_again import ask, wake
from penstock.stages.reconcile.endings.waiting import (
    asks_source,
    held,
    outlives,
    superseded,
    waits_for_dependencies,
    waits_for_others,
)

__all__ = [
    "ask",
    "asks_source",
    "failed",
    "finished",
    "held",
    "outlives",
    "superseded",
    "waits_for_dependencies",
    "waits_for_others",
    "wake",
]
