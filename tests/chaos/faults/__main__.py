"""``python -m tests.chaos.faults``: many schedules, on all processors; those that fail are shrunk and printed."""

import argparse
import multiprocessing
import os
import sys
import time

from tests.chaos.faults.shrink import Failure, run, shrunk

SHOWN = 5


def main() -> int:
    """0 where all hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1024, help="how many (1,024 are every combination of faults)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-shrink", action="store_true", help="print failures as they are")
    given = parser.parse_args()
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.schedules)
    began, failures = time.monotonic(), list[Failure]()
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        for done, failure in enumerate(pool.imap_unordered(run, seeds, chunksize=8), 1):
            failures += [failure] if failure else []
            if failure:
                print(f"schedule {failure.schedule.seed}: {failure.problem[:200]}", flush=True)
            if done % 128 == 0:
                print(f"{done} schedules, {len(failures)} failed, {time.monotonic() - began:.0f} s", flush=True)
    for failure in sorted(failures, key=lambda each: len(each.faults))[:SHOWN]:
        print(failure if given.no_shrink else shrunk(failure), end="\n\n", flush=True)
    print(f"{len(seeds)} schedules, {len(failures)} failed: {sorted(each.schedule.seed for each in failures)[:50]}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
