"""What goes wrong between `serve` and its servers, by chance."""

import random
import threading

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
    """A plan of a FaultProxy. ``share``: of requests that meet a fault; ``away``: all of them do."""

    def __init__(self, seed: str) -> None:
        self.chance, self.lock = random.Random(seed), threading.Lock()
        self.share, self.away = 0.0, False

    def __call__(self, method: str, path: str) -> str:
        with self.lock:
            if self.away:
                return self.chance.choice(AWAY)
            if self.chance.random() >= self.share:
                return ""
            found = self.chance.choices(list(PASSING), weights=list(PASSING.values()))[0]
        return "" if "watch=" in path and found in (CUT_AFTER, CUT_IN_THE_MIDDLE, STALLS_AFTER) else found

    def calm(self) -> None:
        self.share, self.away = 0.0, False
