"""What the plane costs in the clouds: through moto's server, and Google's emulators.

Prints one JSON object a line: case, value, unit, goal, ok. ``bench_cloud.py [google|aws|embedded …] [--only hop,push,…]``.

hop      a message in, a stage that does nothing, a message out: the plane's own processor time, the client library's too
push     a signed push that changes 1 of 20 objects, from webhook to notify: by stage, processor and calls
rate     messages a second of each stage, one function at a time
fanout   one commit for 100 and 1,000 clusters: until all are published; and with one cluster that does not answer
memory   of each stage, in a process of its own, after its first work
cold     the import of each function as a ratio to `import functions_framework`, without which none answers on Google
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

import pytest  # noqa: E402 - after sys.path
from tests.bench import clouds  # noqa: E402 - see above
from tests.bench.cloud_memory import by_stage, story  # noqa: E402 - see above
from tests.bench.clouds import CALLS, Cloud, CloudPlane  # noqa: E402 - see above
from tests.memory_plane import URL, MemoryPlane, config_map  # noqa: E402 - see above
from tests.round_trips import BODY, declare, fleet, receiver  # noqa: E402 - see above

from penstock.adapters.bus.memory import MemoryBus  # noqa: E402 - see above
from penstock.adapters.bus.sqlite import SqliteBus  # noqa: E402 - see above
from penstock.adapters.cluster.memory import MemoryCluster  # noqa: E402 - see above
from penstock.adapters.state.sqlite import SqliteState  # noqa: E402 - see above
from penstock.core.errors import Transient  # noqa: E402 - see above
from penstock.core.messages import Outgoing, ReconcileDue, SourceChanged  # noqa: E402 - see above
from penstock.core.secrets.names import API_TOKEN  # noqa: E402 - see above
from penstock.wiring import load_pipeline  # noqa: E402 - see above

PROVIDERS = {"aws": clouds.on_aws, "google": clouds.on_google}
HOP_GOAL = 10.0
PUBLISHED_GOAL = 5.0
DEAD_GOAL = 1.1
WORKERS = 20
"""As many reconciles at once as Terraform's default gives."""
DEAD, DEAD_SECONDS = "c0000", 3.0
BY_THE_POLLER = {"sqs:receive_message", "sqs:delete_message"}


def tell(case: str, value: float, unit: str, goal: float | None = None) -> None:
    ok = goal is None or value <= goal
    print(json.dumps({"case": case, "value": round(value, 3), "unit": unit, "goal": goal, "ok": ok}), flush=True)


def hop(cloud: Cloud) -> None:
    """fetch is replaced by a stage that passes one message on, and does nothing else."""
    plane = CloudPlane(cloud)
    plane.settle()
    name = "penstock.stages.fetch"
    sys.modules.pop(name, None)
    passing = types.ModuleType(name)
    due = ReconcileDue(cluster="prod", namespace="flux-system", name="flux-system")
    passing.run = lambda _message, _deps: [Outgoing(message=due)]
    sys.modules[name] = passing
    try:
        for number in range(120):
            plane.publish(SourceChanged(cluster="prod", namespace="flux-system", name=f"n{number}"))
        cloud.runs.clear()
        while found := cloud.take("fetch"):
            for each in found:
                cloud.hand("fetch", each)
    finally:
        del sys.modules[name]
    mine = cloud.runs[20:]  # the first ones make connections
    tell(
        f"{cloud.name}: hop, the plane's own share, median of {len(mine)}",
        statistics.median(r.cpu for r in mine),
        "ms",
        HOP_GOAL,
    )
    tell(f"{cloud.name}: hop, with the emulator's answer to its publish", statistics.median(r.wall for r in mine), "ms")


def push(cloud: Cloud) -> None:
    """Warm; Git and the API server are in memory, and cost nothing."""
    plane = CloudPlane(cloud)
    plane.push(fleet())
    plane.settle()
    path, headers = receiver(plane)
    found: dict[str, list[clouds.Run]] = {}
    pushes = 8
    for number in range(pushes + 1):
        commit(plane, {"app/o000.yaml": config_map("o000", "default", x=f"{number + 1}")})
        cloud.runs.clear()
        CALLS.clear()
        assert cloud.post("webhook", path, headers, BODY) == 202
        plane.settle()
        assert plane.config_map("o000", "default") == {"x": f"{number + 1}"}
        if number:  # the first one makes connections
            for run in cloud.runs:
                found.setdefault(run.stage, []).append(run)
    for stage, runs in found.items():
        many = len(runs) / pushes
        tell(f"{cloud.name}: push, {stage}, runs", many, "runs")
        tell(f"{cloud.name}: push, {stage}, processor a run", statistics.median(r.cpu for r in runs), "ms")
        tell(f"{cloud.name}: push, {stage}, requests a run", statistics.mean(r.calls for r in runs), "requests")
        tell(f"{cloud.name}: push, {stage}, on the emulators", statistics.median(r.wall for r in runs), "ms")
    for what, count in sorted(CALLS.items()):
        if what not in BY_THE_POLLER:
            tell(f"{cloud.name}: push, requests {what}", count, "requests")


def commit(plane: MemoryPlane, files: dict[str, str]) -> None:
    """A commit that nobody has told the plane of."""
    from penstock.core.tree import blob

    plane.files.update(files)
    plane.git.commit(URL, {path: blob(text.encode()) for path, text in plane.files.items()}, subject="change")


def rate(cloud: Cloud, count: int = 30) -> None:
    """One function at a time, one message a call, nothing to do but to look."""
    plane = CloudPlane(cloud)
    plane.push(fleet())
    plane.settle()
    path, headers = receiver(plane)
    plane.secrets.put(API_TOKEN, {"token": b"api-token"}, owner="bench")
    bearer = {"authorization": "Bearer api-token"}
    work = {
        "webhook": lambda: cloud.post("webhook", path, headers, BODY),
        "api": lambda: cloud.post("api", "/status", bearer, b""),
        "tick": cloud.tick,
    }
    for stage, call in work.items():
        call()
        told(cloud, stage, count, call)
    drop(cloud)
    for stage in ("fetch", "reconcile", "notify"):
        for number in range(count):
            plane.publish(message(stage, number))
        waiting = [each for _ in range(count) for each in cloud.take(stage, 10)]
        cloud.runs.clear()
        started, hand = time.perf_counter(), 0.0
        for each in waiting:
            cloud.hand(stage, each)
        hand = time.perf_counter() - started
        tell(f"{cloud.name}: rate, {stage}", len(waiting) / hand, "messages/s")
        tell(f"{cloud.name}: rate, {stage}, processor a message", statistics.median(r.cpu for r in cloud.runs), "ms")
        drop(cloud)


def message(stage: str, number: int) -> object:
    from penstock.core.messages import Event

    if stage == "fetch":
        return SourceChanged(cluster="-", namespace="flux-system", name="flux-system")
    if stage == "reconcile":
        return ReconcileDue(cluster="prod", namespace="flux-system", name="app", why="artifact")
    return Event(
        id=f"e{number}", cluster="prod", api_version="kustomize.toolkit.fluxcd.io/v1", kind="Kustomization",
        namespace="flux-system", name="app", severity="info", reason="ReconciliationSucceeded", message=f"m{number}",
        timestamp="2026-01-01T00:00:00Z",
    )  # fmt: skip


def told(cloud: Cloud, stage: str, count: int, call) -> None:
    cloud.runs.clear()
    started = time.perf_counter()
    for _ in range(count):
        call()
    tell(f"{cloud.name}: rate, {stage}", count / (time.perf_counter() - started), "messages/s")
    tell(f"{cloud.name}: rate, {stage}, processor a message", statistics.median(r.cpu for r in cloud.runs), "ms")


def drop(cloud: Cloud) -> None:
    """Take away what waits, without a run."""
    for stage in cloud.pipeline.queues():
        while found := cloud.take(stage.name, 10):
            for each in found:
                cloud.forget(stage.name, each)


class Many:
    """Clusters in memory; one of them may not answer."""

    def __init__(self, count: int) -> None:
        self.clusters = {f"c{number:04}": MemoryCluster(longest_watch=0.0) for number in range(count)}
        self.dead = ""

    def connect(self, cluster: str, *, impersonate: str = "") -> MemoryCluster:
        if cluster == self.dead:
            time.sleep(DEAD_SECONDS)
            raise Transient(f"cluster {cluster} does not answer")
        return self.clusters[cluster]


def fanout(cloud: Cloud, counts: tuple[int, ...] = (100, 1_000)) -> None:
    """One Kustomization in each cluster. Messages go through the cloud's bus; the records are in memory, as emulators
    answer one request at a time: how many a cloud's store would be asked is told beside.
    """
    for count in counts:
        many = Many(count)
        plane = CloudPlane(cloud, bus_only=True, clusters=many)
        declare(plane, many.clusters)
        commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x="0")})
        sync(plane)
        took, own = [], []
        for value in ("1", "2", "3"):
            commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x=value)})
            drop(cloud)
            before = time.process_time()
            took.append(wake(plane))
            own.append(time.process_time() - before)
        # moto takes 20 ms and more for each message of a batch, one at a time: there the plane's own part is the goal's
        goal = PUBLISHED_GOAL if cloud.name == "google" else None
        tell(f"{cloud.name}: fan-out to {count} clusters, until all are published", min(took), "s", goal)
        tell(f"{cloud.name}: fan-out to {count} clusters, processor time of that", min(own), "s", PUBLISHED_GOAL)
        if count == 100:
            dead(cloud, plane, many)
    records(cloud)


def embedded(counts: tuple[int, ...] = (100, 1_000)) -> None:
    """The same on one machine: bus and records are SQLite's files, on the disk of this machine."""
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as directory:
            many, plane = Many(count), MemoryPlane()
            declare(plane, many.clusters)
            commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x="0")})
            sync(plane)
            state = SqliteState(Path(directory) / "state.db")
            for record in plane.state.list(""):
                state.put(record.key, record.value, expected=None, due=record.due)
            plane.state, plane.deps = state, replace(plane.deps, state=state)
            plane.bus = SqliteBus(Path(directory) / "bus.db", plane.pipeline, plane.clock)
            took = []
            for value in ("1", "2", "3"):
                commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x=value)})
                took.append(wake(plane))
                assert plane.bus.depth()["reconcile"] == count
                while delivery := plane.bus.receive("reconcile", wait=0):
                    plane.bus.ack(delivery)
            tell(f"embedded: fan-out to {count} clusters, until all are published", min(took), "s", PUBLISHED_GOAL)
            plane.bus.close()
            state.close()


def sync(plane: MemoryPlane) -> None:
    """The first reconcile of all clusters, on a bus in memory: what is measured comes after it."""
    bus = MemoryBus(plane.pipeline, plane.clock)
    publish, plane.bus = plane.bus, bus
    plane.publish(SourceChanged(cluster="-", namespace="flux-system", name="flux-system"))
    while any(MemoryPlane.step_stage(plane, stage) for stage in ("fetch", "reconcile", "notify")):
        pass
    plane.bus = publish


def records(cloud: Cloud, count: int = 20) -> None:
    """What the cloud's own store is asked in one fan-out, and how many at a time."""
    many = Many(count)
    plane = CloudPlane(cloud, clusters=many)
    declare(plane, many.clusters)
    commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x="0")})
    drop(cloud)
    wake(plane)
    work_all(cloud, many, "0")
    commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x="1")})
    CALLS.clear()
    wake(plane)
    tell(f"{cloud.name}: fan-out, requests to the store by cluster", sum(CALLS.values()) / count, "requests")


def dead(cloud: Cloud, plane: CloudPlane, many: Many) -> None:
    """The time until all others are ready, with and without one that does not answer for three seconds."""
    times: dict[bool, list[float]] = {False: [], True: []}
    work_all(cloud, many, "3")
    for number in range(4, 10):
        commit(plane, {"clusters/all/a.yaml": config_map("a", "default", x=f"{number}")})
        wake(plane)
        many.dead = DEAD if number % 2 else ""
        times[bool(many.dead)].append(work_all(cloud, many, f"{number}", besides=DEAD))
        many.dead = ""
        drop(cloud)
    ratio = statistics.median(times[True]) / statistics.median(times[False])
    tell(f"{cloud.name}: {len(many.clusters)} clusters ready, {WORKERS} at once", statistics.median(times[False]), "s")
    tell(f"{cloud.name}: the others, where one cluster is dead", ratio, "ratio", DEAD_GOAL)


def wake(plane: MemoryPlane) -> float:
    """Seconds of the run of fetch that publishes what one commit concerns."""
    plane.publish(SourceChanged(cluster="-", namespace="flux-system", name="flux-system"))
    started = time.perf_counter()
    while not plane.step_stage("fetch"):
        time.sleep(0.01)
    return time.perf_counter() - started


def work_all(cloud: Cloud, many: Many, value: str, *, besides: str = "") -> float:
    """Until every cluster ``besides`` one has the value."""
    started, lock = time.perf_counter(), threading.Lock()
    left = {name for name in many.clusters if name != besides}

    def work() -> None:
        while left:
            found = cloud.take("reconcile")
            for each in found:
                cloud.hand("reconcile", each)
            with lock:
                done = {name for name in left if has(many.clusters[name], value)}
                left.difference_update(done)
            if not found:
                time.sleep(0.02)

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(work) for _ in range(WORKERS)]
        while left and time.perf_counter() - started < 600:
            time.sleep(0.02)
        took = time.perf_counter() - started
        for future in futures:
            future.result()
    assert not left, sorted(left)[:5]
    return took


def has(cluster: MemoryCluster, value: str) -> bool:
    from penstock.core.resources import Gvk

    found = cluster.get(Gvk(version="v1", kind="ConfigMap"), "default", "a")
    return bool(found) and found["data"]["x"] == value


COLD = """
import importlib.util, json, sys, time
started = time.process_time()
if {source!r}:
    spec = importlib.util.spec_from_file_location("function", {source!r})
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
else:
    import functions_framework
print(json.dumps(time.process_time() - started))
"""


def cold(provider: str, runs: int = 7) -> None:
    """Processor time; processes take turns, so that what else runs here meets all of them alike."""
    name = "main.py" if provider == "google" else "lambda_handler.py"
    stages = sorted(load_pipeline().stages)
    sources = {"": "", **{stage: str(ROOT / "functions" / stage / name) for stage in stages}}
    found: dict[str, list[float]] = {stage: [] for stage in sources}
    for number in range(runs + 1):
        for stage, source in sources.items():
            took = child(COLD.format(source=source), {"PYTHONPATH": str(ROOT / "shared")})
            if number:  # the first one compiles
                found[stage].append(took)
    base = min(found[""])
    tell(f"{provider}: import functions_framework", base * 1000, "ms")
    for stage in stages:
        tell(f"{provider}: import of {stage}", min(found[stage]) / base, "ratio", BUDGETS[provider])


def memory(cloud: Cloud) -> None:
    """The demo's story, a new process for every message: what a cold function takes."""
    for stage, runs in by_stage(story(cloud)):
        limit = load_pipeline().stage(stage).memory
        tell(f"{cloud.name}: memory of {stage}, the most", max(each.mib for each in runs), "MiB", limit)
        first = statistics.median(each.first for each in runs)
        tell(f"{cloud.name}: cold {stage}, its first message", first, "ms")


BUDGETS = {"aws": 0.7, "google": 1.45}
"""On Google functions_framework itself is one of it."""


def child(program: str, environment: dict[str, str]) -> float:
    """What a new process prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


CASES = {"hop": hop, "push": push, "rate": rate, "fanout": fanout, "memory": memory}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("providers", nargs="*", choices=[[], *PROVIDERS, "embedded"], default=[])
    parser.add_argument("--only", default="hop,push,rate,fanout,memory,cold")
    args = parser.parse_args()
    wanted = args.only.split(",")
    for provider in args.providers or [*PROVIDERS, "embedded"]:
        if provider == "embedded":
            if "fanout" in wanted:
                embedded()
            continue
        try:
            with PROVIDERS[provider]() as cloud, contextlib.ExitStack():
                for name, case in CASES.items():
                    if name in wanted:
                        case(cloud)
        except pytest.skip.Exception as skipped:
            print(f"bench_cloud {provider} skipped: {skipped}", file=sys.stderr)
        if "cold" in wanted:
            cold(provider)
    return 0


if __name__ == "__main__":
    sys.exit(main())
