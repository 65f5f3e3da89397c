"""Everything a stage may use, as one value. A stage touches only the ports that pipeline.json gives it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a webhook's cold start need not load what only reconcile uses
    from penstock.ports.buckets import Buckets
    from penstock.ports.clock import Clock
    from penstock.ports.cluster import Clusters
    from penstock.ports.downloads import Downloads
    from penstock.ports.git import Git
    from penstock.ports.keys import Keys
    from penstock.ports.notifier import Notifier
    from penstock.ports.registry import Registry
    from penstock.ports.secrets import Secrets
    from penstock.ports.state import State
    from penstock.ports.storage import Storage
    from penstock.ports.telemetry import Telemetry

OF_MESSAGE = frozenset({"attempt", "lives", "pushed", "trace"})
"""Fields of Deps that are no ports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lives:
    """Of a process that works for its plane alone: its name, and those of the ones before it, which have ended.

    Both are empty where nobody can tell whether another one still works.
    """

    own: str = ""
    past: frozenset[str] = frozenset()

    def sign(self, ident: str) -> str:
        """A name for something of this life."""
        return f"{self.own}.{ident}" if self.own else ident

    def ended(self, name: str) -> bool:
        """Whether the life that signed this is over."""
        life, signed, _ = name.partition(".")
        return bool(signed) and life in self.past


@dataclass(frozen=True, kw_only=True, slots=True)
class Deps:
    """The ports. Those that a stage was not given raise Refused when they are used (wiring sees to it)."""

    buckets: "Buckets"
    clock: "Clock"
    clusters: "Clusters"
    downloads: "Downloads"
    git: "Git"
    keys: "Keys"
    notifier: "Notifier"
    registry: "Registry"
    secrets: "Secrets"
    state: "State"
    storage: "Storage"
    telemetry: "Telemetry"
    lives: Lives = field(default_factory=Lives)
    trace: str = ""
    """The trace id of the message being worked on."""
    attempt: int = 1
    """Which delivery of the message this is: above 1, an earlier one may have been cut short."""
    pushed: datetime | None = None
    """When the delivery came in to which all this goes back (UTC); None where it was no delivery."""
