"""Runs schedules; of one that fails, the smallest part that still does."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Self, TypeVar
from unittest import mock

from tests.chaos.faults.checks import check, check_state
from tests.chaos.faults.decisions import Fault
from tests.chaos.faults.schedule import Action, Schedule, made
from tests.chaos.faults.world import World

MOST_TRIES = 250

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """``problem``: what did not hold; ``faults``: what went wrong in that run."""

    schedule: Schedule
    faults: tuple[Fault, ...]
    problem: str

    def __str__(self) -> str:
        commits = [f"      0.0 s  push {each}" for each in [_first(self.schedule)]]
        actions = [f"  {each}" for each in (*commits, *self.schedule.actions)]
        faults = [f"  {fault}" for fault in self.faults]
        number = self.schedule.seed
        return "\n".join(
            (
                f"schedule {number}: {self.problem}",
                "what people do:",
                *actions,
                "what goes wrong:",
                *(faults or ["  nothing"]),
                f"again: .venv/bin/python -m tests.chaos.faults --seed {number}",
            )
        )


def _first(schedule: Schedule) -> str:
    return str(Action(at=0.0, what="push", files=schedule.first)).partition("push ")[2]


def outcome(schedule: Schedule, play: Sequence[Fault] | None = None) -> Failure | None:
    """Run it (``play``: with exactly these faults); None where all holds."""
    world = World(schedule, play)
    try:
        with in_order():
            world.run()
            world.calm(check_state)
            check(world)
    except AssertionError as error:
        return Failure(
            schedule=schedule, faults=tuple(world.decisions.happened), problem=str(error).split("\nassert")[0]
        )
    finally:
        world.close()
    return None


def run(seed: int) -> Failure | None:
    """The schedule of that number."""
    return outcome(made(seed))


def shrunk(failure: Failure, tries: int = MOST_TRIES) -> Failure:
    """A part of what happened, of which nothing can be left out (or ``tries`` are used up)."""
    best, left = failure, tries

    def fails(actions: Sequence[Action], faults: Sequence[Fault]) -> bool:
        nonlocal best, left
        if left <= 0:
            return False
        left -= 1
        found = outcome(replace(failure.schedule, actions=tuple(actions)), faults)
        if found is not None:
            best = found
        return found is not None

    if not fails(failure.schedule.actions, failure.faults):
        return failure  # it cannot be played again: that is said by the schedule as it was
    faults = _least(best.faults, lambda part: fails(best.schedule.actions, part))
    head = [each for each in best.schedule.actions if each.what == "push"][-1:]
    others = [each for each in best.schedule.actions if each not in head]
    _least(others, lambda part: fails(sorted([*part, *head], key=lambda a: a.at), faults))
    _least(best.faults, lambda part: fails(best.schedule.actions, part))
    return best


def _least(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Delta debugging: halves, quarters and so on are left out as long as it still fails."""
    kept, size = list(parts), max(1, len(parts) // 2)
    while kept:
        start, before = 0, len(kept)
        while start < len(kept):
            rest = kept[:start] + kept[start + size :]
            if fails(rest):
                kept = rest
            else:
                start += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return kept


class InOrder:
    """An executor that works at once: only runs overlap in a schedule, not the requests of one."""

    def __init__(self, max_workers: int = 0) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, work: Callable[[T], U], items: Sequence[T]) -> Iterator[U]:
        return iter([work(item) for item in items])

    def submit(self, work: Callable[..., U], *arguments: object) -> Future[U]:
        future: Future[U] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """Requests of one run are made one after the other."""
    with contextlib.ExitStack() as stack:
        for name in ("apply", "live", "rights"):
            where = f"penstock.stages.reconcile.{name}.parallel"
            stack.enter_context(mock.patch(where, lambda items, work: [work(item) for item in items]))
        for name in ("fetch.run", "notify.run", "notify.telling", "tick.putting_off"):
            stack.enter_context(mock.patch(f"penstock.stages.{name}.ThreadPoolExecutor", InOrder))
        yield
