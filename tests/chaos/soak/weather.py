"""What goes wrong between a plane and its servers, by chance."""

import random
import threading
import time
from collections.abc import Mapping

from tests.chaos.fault_proxy import (
    ASKING,
    CUT_AFTER,
    CUT_BEFORE,
    CUT_IN_THE_MIDDLE,
    CUT_IN_THE_REQUEST,
    SLOW,
    STALLS,
    STALLS_AFTER,
)

PASSING = {
    **dict.fromkeys(("429", "500", "503", *ASKING), 2),
    **dict.fromkeys((CUT_BEFORE, CUT_AFTER, CUT_IN_THE_MIDDLE, CUT_IN_THE_REQUEST), 4),
    SLOW: 4,
    STALLS: 1,
    STALLS_AFTER: 1,
}
AWAY = ("503", CUT_BEFORE)


class Weather:
    """A plan of a FaultProxy. ``share``: of requests that meet a fault, ``most`` of them; ``away``: all of them do.

    ``name``: to what; ``at``: when there were faults, POSIX seconds.
    """

    def __init__(self, seed: str, name: str, most: float = 0.3, passing: Mapping[str, int] = PASSING) -> None:
        self.name, self.most, self.passing = name, most, passing
        self.chance, self.lock = random.Random(f"{seed} {name}"), threading.Lock()
        self.share, self.away, self.at = 0.0, False, list[float]()

    def __call__(self, method: str, path: str) -> str:
        with self.lock:
            if not self.away and self.chance.random() >= self.share:
                return ""
            self.at.append(time.time())
            if self.away:
                return self.chance.choice(AWAY)
            found = self.chance.choices(list(self.passing), weights=list(self.passing.values()))[0]
        return "" if "watch=" in path and found in (CUT_AFTER, CUT_IN_THE_MIDDLE, STALLS_AFTER) else found

    def calm(self) -> None:
        self.share, self.away = 0.0, False
