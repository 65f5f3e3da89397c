"""kill -9 in the middle of publishing and of working, many times: nothing accepted is lost, all work is done.

The workers are real processes on one bus file. Each writes what it was told is durable to its own log *after* the
bus said so; the parent kills it at a moment of its own choosing and starts the next.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.state.sqlite import SqliteState
from penstock.wiring import load_pipeline

ROOT = Path(__file__).parents[2]
KILLS = 30

PUBLISHER = """
import itertools, os, sys
from pathlib import Path
from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.core.messages import Envelope, SourceChanged
from penstock.ports.bus import Dispatch
from penstock.wiring import load_pipeline

bus = SqliteBus(Path(sys.argv[1]) / "bus.db", load_pipeline(), SystemClock())
log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in itertools.count():
    name = f"{os.getpid()}-{number}"
    message = SourceChanged(cluster="c", namespace="n", name=name)
    bus.publish([Dispatch(envelope=Envelope(message=message, id=name, traceparent=""))])
    os.write(log, (name + "\\n").encode())  # accepted: from here on it must not be lost
"""

WORKER = """
import os, sys, time
from pathlib import Path
from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.state.sqlite import SqliteState
from penstock.wiring import load_pipeline

bus = SqliteBus(Path(sys.argv[1]) / "bus.db", load_pipeline(), SystemClock())
state = SqliteState(Path(sys.argv[1]) / "state.db")
bus.give_back()
while True:
    delivery = bus.receive("fetch", wait=1)
    if delivery:
        state.put("done/" + delivery.envelope.id, {"attempt": delivery.envelope.attempt}, expected=None)
        bus.ack(delivery)
"""


def spawn(program, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], env=env)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for_progress(count, before, process):
    end = time.monotonic() + 20
    while count() <= before:
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < end, "no progress"
        time.sleep(0.002)


def test_nothing_that_was_accepted_is_lost_and_no_work_is_left_undone(tmp_path):
    chance = random.Random(20260101)
    log = tmp_path / "accepted"
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), SystemClock())
    state = SqliteState(tmp_path / "state.db")
    for _ in range(KILLS // 2):
        before = len(lines(log))
        publisher = spawn(PUBLISHER, tmp_path, log)
        wait_for_progress(lambda: len(lines(log)), before, publisher)
        time.sleep(chance.uniform(0, 0.02))
        kill(publisher)
    accepted = set(lines(log))
    waiting = bus.depth()["fetch"]
    assert waiting >= len(accepted)  # at most one more per kill: taken, but the process died before it knew
    assert waiting <= len(accepted) + KILLS

    for _ in range(KILLS - KILLS // 2):
        left = bus.depth()["fetch"]
        if not left:
            break
        worker = spawn(WORKER, tmp_path)
        wait_for_progress(lambda left=left: -bus.depth()["fetch"], -left, worker)
        time.sleep(chance.uniform(0, 0.005))
        kill(worker)
    worker = spawn(WORKER, tmp_path)
    end = time.monotonic() + 60
    while bus.depth()["fetch"]:
        assert time.monotonic() < end, f"{bus.depth()} left"
        time.sleep(0.02)
    kill(worker)
    done = {record.key.removeprefix("done/") for record in state.list("done/")}
    assert accepted <= done
    assert bus.dead_letters() == ()
    bus.close()
    state.close()


def test_processes_that_open_the_same_new_file_at_once_all_succeed(tmp_path):
    log = tmp_path / "accepted"
    publishers = [spawn(PUBLISHER, tmp_path, log) for _ in range(4)]
    try:
        end = time.monotonic() + 30
        while len({line.split("-")[0] for line in lines(log)}) < 4:
            assert all(process.poll() is None for process in publishers), "one could not open the file"
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        for process in publishers:
            kill(process)
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), SystemClock())
    assert bus.depth()["fetch"] >= len(lines(log))
    bus.close()
