"""What goes wrong in a schedule, and when: drawn by chance, written down, and played again in part.

A decision is asked for at a named place (``reconcile one 2, call 17``). Drawing, a seed says what happens there, and
what happened is kept as a Fault; playing, exactly the given faults happen. So a schedule is a list that can be shrunk.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """``kind``: see KINDS; ``where``: the place; ``what``: its outcome; ``at``: what was called there, for people."""

    kind: str
    where: str
    what: str
    at: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.what}" + (f"  ({self.at})" if self.at else "")


KINDS = (
    "killed",
    "repeated",
    "lost",
    "storage",
    "state",
    "API server",
    "bus and providers",
    "poison",
    "skew",
    "second plane",
)
"""Each may be part of a schedule or not: 1,024 combinations."""

WIDER = ("torn lists", "machines", "late copies", "hands", "redriven", "restored", "receivers", "sources")
"""Of schedules from WIDE on each may be part, too.

``torn lists``: what a list or the due index tells is older at its beginning than at its end, or not all of it yet;
``machines``: each run's clock is wrong by itself, up to five minutes either way; ``late copies``: a message comes again
half an hour later; ``hands``: somebody deletes or edits objects, inventories and Leases in the cluster; ``redriven``:
dead letters are given back, whatever they are; ``restored``: the plane's records are those of a backup all at once;
``receivers``, ``sources``: Receivers, and a source with a login, that come, move and go with the commits, and Secrets
of theirs that people replace, remove and make again.
"""
WIDE = 1 << 20

OVERLAP = "overlap"
"""Whose turn it is: part of every schedule."""


def kinds_of(seed: int) -> frozenset[str]:
    """The kinds of a schedule: 1,024 seeds in a row are every combination once."""
    chance = random.Random(f"kinds of {seed}")
    wider = [kind for kind in WIDER if seed >= WIDE and chance.random() < 0.4]
    return frozenset(kind for number, kind in enumerate(KINDS) if seed >> number & 1) | set(wider)


class Decisions:
    """``rates``: how probable each kind is where it is asked for; ``play``: the faults to play, instead of drawing."""

    def __init__(self, seed: int, rates: Mapping[str, float], play: Iterable[Fault] | None = None) -> None:
        self._chance, self._rates = random.Random(f"faults of {seed}"), rates
        self._play = None if play is None else {(each.kind, each.where): each.what for each in play}
        self.calm = False
        self.happened: list[Fault] = []

    def decide(self, kind: str, where: str, outcomes: Sequence[str], at: str = "") -> str:
        """One of ``outcomes``, or "": nothing happens here."""
        if self.calm or not outcomes:
            return ""
        if self._play is not None:
            what = self._play.get((kind, where), "")
        elif self._chance.random() >= self._rates.get(kind, 0.0):
            return ""
        else:
            what = self._chance.choice(outcomes)
        if what:
            self.happened.append(Fault(kind=kind, where=where, what=what, at=at))
        return what
