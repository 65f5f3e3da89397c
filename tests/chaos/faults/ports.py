"""Ports at which things go wrong, as their adapters would tell it: each call is a place where a schedule decides."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.state.together import one_by_one
from penstock.core.errors import Conflict, Transient
from penstock.ports.cluster import ApplyOptions
from penstock.ports.state import Reads

SLOW = {"slow by 5 s": 5.0, "slow by 40 s": 40.0, "slow by 130 s": 130.0}
"""Longer than a worker hides its message, and (two of the last) than a Lease lasts."""

_BUSY = ("503", "503 after its effect", *SLOW)
_ANSWERS = ("429", "500", "timeout", "timeout after its effect", "cut", "cut after its effect", *SLOW)
_READS = ("429", "500", "timeout", "cut", *SLOW)
KIND_OF = {
    "bus": "bus and providers",
    "cluster": "API server",
    "git": "storage",
    "notifier": "bus and providers",
    "secrets": "storage",
    "state": "state",
    "storage": "storage",
}
OUTCOMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("bus", "publish"): ("503", "503 after its effect", "503 in the middle", *SLOW),
    ("git", "resolve"): ("503", *SLOW),
    ("git", "checkout"): ("503", *SLOW),
    ("notifier", "send"): ("503", "timeout after its effect", "slow by 5 s"),
    ("secrets", "get"): ("503", *SLOW),
    ("secrets", "put"): _BUSY,
    ("state", "get"): ("503", *SLOW),
    ("state", "list"): ("503", *SLOW),
    ("state", "due"): ("503", *SLOW),
    ("state", "put"): ("conflict", "conflict after its effect", *_BUSY),
    ("state", "delete"): ("conflict", *_BUSY),
    ("storage", "get"): ("503", *SLOW),
    ("storage", "has"): ("503", *SLOW),
    ("storage", "put"): ("412 after its effect", *_BUSY),
    ("storage", "delete"): _BUSY,
    ("storage", "digests"): ("503", *SLOW),
    ("cluster", "get"): _READS,
    ("cluster", "list"): _READS,
    ("cluster", "apply"): ("conflict after its effect", *_ANSWERS),
    ("cluster", "create"): ("conflict after its effect", *_ANSWERS),
    ("cluster", "replace"): ("conflict after its effect", *_ANSWERS),
    ("cluster", "delete"): ("gone after its effect", *_ANSWERS),
    ("cluster", "can_i"): _READS,
}
TORN = {("state", "list"), ("state", "due"), ("storage", "digests")}
_FOR_CERTAIN = {("state", "put"), ("state", "delete")}
"""A conflict is an answer to ``expected`` only."""


class Faulty:
    """A port of one run."""

    def __init__(self, name: str, port: Any, caller: Any) -> None:
        self._name, self._port, self._caller = name, port, caller
        self._kind = KIND_OF[name]

    def __getattr__(self, method: str) -> Any:
        if method == "server_time":
            return self._caller.true_time()
        found = getattr(self._port, method)
        if not callable(found):
            return found
        name = self._name
        outcomes = OUTCOMES.get((name, method), ())

        def call(*args: Any, **kwargs: Any) -> Any:
            caller = self._caller
            at = (name, method, args)
            caller.before(at)
            possible = outcomes
            if (name, method) in _FOR_CERTAIN and kwargs.get("expected") is None:
                possible = tuple(each for each in outcomes if "conflict" not in each)
            what = caller.fault(self._kind, possible, at)
            if (name, method) in TORN and caller.torn(at):
                return _torn(lambda: found(*args, **kwargs), caller, method)
            result = _called(what, lambda: found(*args, **kwargs), caller, at) if what else found(*args, **kwargs)
            caller.after(at)
            return result

        setattr(self, method, call)
        return call

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """What is read together is no snapshot: others write between one of it and the next."""
        return one_by_one(self, keys, prefixes)


def _called(what: str, work: Callable[[], Any], caller: Any, at: tuple[str, str, tuple[Any, ...]]) -> Any:
    if what in SLOW:
        caller.wait(SLOW[what])
        return work()
    if what.startswith("timeout"):
        caller.wait(10.0)
    if what == "503 in the middle":
        caller.publish_half(at)
    if "after its effect" in what:
        work()
        caller.uncertain(at)
    if what.startswith("gone"):
        return False
    if what.startswith("412"):
        return False
    if what.startswith("conflict"):
        raise Conflict(f"{at[0]}.{at[1]}: {what}")
    raise Transient(f"{at[0]}.{at[1]}: {what}", retry_after=10.0 if what == "429" else None)


def _torn(work: Callable[[], Any], caller: Any, method: str) -> Any:
    """Pages of a list that were read one after the other, while others wrote; an index that does not have all yet."""
    first = work()
    if method == "due":
        return first[: len(first) // 2]
    caller.wait(2.0)
    if not first:
        return work()
    key = (lambda each: each) if isinstance(first[0], str) else (lambda each: each.key)
    middle = key(first[len(first) // 2])
    return (*(each for each in first if key(each) <= middle), *(each for each in work() if key(each) > middle))


class MachineClock:
    """The clock of the machine that a run is on: ``skew`` seconds from the true time."""

    def __init__(self, clock: SimulatedClock, skew: float, wait: Callable[[float], None]) -> None:
        self._clock, self._skew, self._wait = clock, timedelta(seconds=skew), wait

    def now(self) -> datetime:
        return self._clock.now() + self._skew

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._wait(max(0.0, seconds))

    def idle(self) -> AbstractContextManager[None]:
        return nullcontext()

    def new_id(self) -> str:
        return self._clock.new_id()


def told(at: tuple[str, str, tuple[Any, ...]]) -> str:
    """A call, for people: ``cluster.apply ConfigMap apps/o1``."""
    name, method, args = at
    said = [text for text in map(_argument, args) if text]
    return " ".join((f"{name}.{method}", *said))


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "kind" in value:
        return f"{value['kind']} {value['metadata'].get('namespace', '')}/{value['metadata']['name']}"
    if isinstance(value, ApplyOptions):
        return "as a dry-run" if value.dry_run else ""
    if isinstance(value, list | tuple) and value and hasattr(value[0], "envelope"):
        return ", ".join(f"{each.envelope.message.topic} {each.envelope.message.key}" for each in value[:4])
    return getattr(value, "kind", "")
