"""Real threads at one plane: workers that take whatever comes, while commits arrive."""

import threading

import pytest
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

WORKERS = 4
COMMITS = 6


def files(number):
    """Objects that change with each commit, and one that moves to and fro."""
    here, there = ("one", "two") if number % 2 else ("two", "one")
    return {
        **{f"one/o{n}.yaml": config_map(f"one-{n}", key=str(number)) for n in range(4)},
        **{f"two/o{n}.yaml": config_map(f"two-{n}", key=str(number)) for n in range(4)},
        f"{here}/moves.yaml": config_map("moves", key=str(number)),
        f"{there}/moves.yaml": None,
    }


@pytest.mark.parametrize("attempt", range(5))
def test_workers_at_once_end_at_the_newest_commit(attempt):
    plane = MemoryPlane()
    start = {
        "clusters/prod/base.yaml": kustomization("base", "base"),
        "base/namespace.yaml": namespace("apps"),
        **{f"clusters/prod/{n}.yaml": kustomization(n, n, dependsOn=[{"name": "base"}]) for n in ("one", "two")},
        "one/moves.yaml": config_map("moves"),
        "two/moves.yaml": config_map("other"),
    }
    plane.push(start)
    plane.settle()
    uid = plane.live("v1", "ConfigMap", "apps", "moves")["metadata"]["uid"]
    over, trouble = threading.Event(), []

    def work():
        try:
            while not over.is_set():
                if not plane.step():
                    plane.clock.advance(0.01)
        except BaseException as error:
            trouble.append(error)
            raise

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for number in range(attempt, attempt + COMMITS):
        plane.push(files(number))
        over.wait(0.05)
    over.wait(0.5)
    over.set()
    for worker in workers:
        worker.join()
    for _ in range(8):
        plane.settle(seconds=100)
        plane.clock.advance(100)
        plane.tick()
    plane.settle()
    assert trouble == []
    last = attempt + COMMITS - 1
    for name in ("one", "two"):
        assert plane.ready(name).startswith("True"), plane.ready(name)
        for n in range(4):
            assert plane.config_map(f"{name}-{n}") == {"key": str(last)}
    moved = plane.live("v1", "ConfigMap", "apps", "moves")
    assert moved["metadata"]["uid"] == uid, "it was deleted and made anew"
    owner = "one" if last % 2 else "two"
    assert moved["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == owner
