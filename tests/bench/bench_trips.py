"""What one push asks the stores of a plane in a cloud, request by request, and what of it waits for what.

Counts of a plane in memory, the same each time; ``--settled``: of a push some minutes after the one before. Each line has
the number of requests that it waited for, the call of the port, and its keys (``*``: all below). Then JSON objects:
case, value, unit, goal, ok.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from tests.round_trips import by_run, fanout, of_a_push, table, waits  # noqa: E402 - after sys.path

GOALS = {"requests": 32, "waits": 20, "for each cluster": 4.5}
CLUSTERS = 100


def tell(case: str, value: float, goal: float | None = None) -> None:
    ok = goal is None or value <= goal
    print(json.dumps({"case": case, "value": value, "unit": "requests", "goal": goal, "ok": ok}))


def main() -> int:
    asked = of_a_push(settled="--settled" in sys.argv)
    print(table(asked))
    for (stage, run), mine in by_run(asked).items():
        tell(f"push, {stage} (run {run})", len(mine))
        tell(f"push, {stage} (run {run}), of them wait for each other", waits(mine))
    tell("push, in all", len(asked), GOALS["requests"])
    tell("push, of them wait for each other", waits(asked), GOALS["waits"])
    many = fanout(CLUSTERS)
    tell(f"fan-out to {CLUSTERS} clusters, for each", round(len(many) / CLUSTERS, 2), GOALS["for each cluster"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
