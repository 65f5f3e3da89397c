"""A run that is interrupted: before one of its calls of a port, whatever a test says takes place as a whole."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.memory_plane import CLUSTER, MemoryPlane

from penstock.core.messages import Envelope, ReconcileDue
from penstock.wiring.run import run_message

PORTS = ("state", "secrets", "storage")


class Interrupted:
    """A port before whose calls something may happen."""

    def __init__(self, port: Any, before: Callable[[], None]) -> None:
        self._port, self._before = port, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._before()
            return found(*args, **kwargs)

        return call


class Clusters:
    """The plane's connection, each of whose calls is a place to be interrupted, too."""

    def __init__(self, clusters: Any, interrupted: Callable[[Any], Any]) -> None:
        self._clusters, self._interrupted = clusters, interrupted

    def connect(self, cluster: str, *, impersonate: str = "") -> Any:
        return self._interrupted(self._clusters.connect(cluster, impersonate=impersonate))


def interrupt(plane: MemoryPlane, run: Callable[[], object], happens: Callable[[], object], at: int) -> bool:
    """``run``, before whose call number ``at`` all of ``happens`` takes place; False where it has fewer calls."""
    deps, left, reached = plane.deps, [at], []

    def before() -> None:
        left[0] -= 1
        if left[0] == 0:
            reached.append(at)
            interrupted, plane.deps = plane.deps, deps
            happens()
            plane.deps = interrupted

    ports = {name: Interrupted(getattr(deps, name), before) for name in PORTS}
    clusters: Any = Clusters(deps.clusters, lambda port: Interrupted(port, before))
    plane.deps = replace(deps, clusters=clusters, **ports)
    try:
        run()
    finally:
        plane.deps = deps
    return bool(reached)


def at_each_call(
    make: Callable[[], MemoryPlane],
    run: Callable[[MemoryPlane], object],
    happens: Callable[[MemoryPlane], object],
    *,
    least: int = 20,
) -> Iterator[tuple[int, MemoryPlane]]:
    """Planes (``make`` gives a new one) whose ``run`` was interrupted before its call 1, 2 and so on.

    ``least``: so many calls there are at least, or this would be no test.
    """
    for at in itertools.count(1):
        plane = make()
        if not interrupt(plane, lambda plane=plane: run(plane), lambda plane=plane: happens(plane), at):
            assert at > least, f"{at - 1} calls"
            return
        yield at, plane


def fetched(plane: MemoryPlane, files: Mapping[str, str]) -> None:
    """A commit of exactly these files is fetched; whom that wakes never hears of it."""
    plane.push({**dict.fromkeys(plane.files.keys() - files.keys()), **files})
    while plane.step_stage("fetch"):
        pass
    while (delivery := plane.bus.receive("reconcile", wait=0)) is not None:
        plane.bus.ack(delivery)


def standing(plane: MemoryPlane, *commits: Mapping[str, str]) -> MemoryPlane:
    """The plane, which has reconciled all of these commits but the last, and has fetched that."""
    for files in commits[:-1]:
        plane.push({**dict.fromkeys(plane.files.keys() - files.keys()), **files})
        plane.settle()
    fetched(plane, commits[-1])
    return plane


def reconciles(name: str, why: str = "again") -> Callable[[MemoryPlane], None]:
    """One run of that Kustomization, whoever else is on the way."""

    def run(plane: MemoryPlane) -> None:
        message = ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why=why)
        envelope = Envelope(message=message, id=plane.clock.new_id(), traceparent="")
        outcome = run_message(plane.pipeline.stage("reconcile"), envelope, plane.deps, plane.bus)
        assert not outcome.where, outcome
        if outcome.kind == "retry":
            plane.publish(message, delay=outcome.delay)

    return run
