"""``python -m tests.chaos.soak``: a real plane, a real API server, a real Git server, and everything that goes wrong.

A seed decides what people do and which requests meet faults; which request comes when is the machine's.
"""

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.soak.rounds import PLANES, Failed, Soak


def main() -> int:
    """0 where all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--on", choices=sorted(PLANES), default="serve", help="what the plane runs on (default: serve)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what happens (default: by the clock)")
    parser.add_argument("--minutes", type=float, default=5.0, help="rounds begin for so long (default: 5)")
    parser.add_argument("--length", type=int, default=15, help="deeds of a round (default: 15)")
    parser.add_argument("--keep", type=Path, help="a folder for logs and records, which stays")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="penstock-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    rounds = 0
    print(f"seed {given.seed}, in {folder}", flush=True)
    failed: BaseException | None = None
    with ExitStack() as stack:
        soak = Soak(folder, stack, given.seed, given.on)
        try:
            soak.begin()
            end = time.monotonic() + given.minutes * 60
            while time.monotonic() < end:
                rounds += 1
                soak.tell(f"round {rounds}")
                soak.round(given.length)
        except (Failed, AssertionError) as error:
            failed = error
            soak.tell(f"FAILED in round {rounds}:\n{error}")
        happened = ", ".join(f"{number} {deed}" for deed, number in sorted(soak.happened.items()))
        faults = soak.world.faults() + soak.plane.faults()
        print(f"seed {given.seed}: {rounds} rounds, {len(soak.heads)} commits, {faults} faults; {happened}")
    if failed is None and given.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs and records: {folder}; again: python -m tests.chaos.soak --on {given.on} --seed {given.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
