import time
from datetime import UTC, timedelta

from penstock.adapters.clock.memory import START, SimulatedClock
from penstock.adapters.clock.system import SystemClock


def test_the_system_clock_is_utc_runs_forward_and_gives_fresh_ids():
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now().timestamp() - time.time()) < 5
    before = clock.monotonic()
    clock.sleep(0.01)
    clock.sleep(-1)
    assert clock.monotonic() - before >= 0.01
    ids = {clock.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(identity) == 32 and int(identity, 16) >= 0 for identity in ids)


def test_the_simulated_clock_moves_only_when_told():
    clock = SimulatedClock()
    clock.sleep(1.5)
    clock.sleep(-1)
    clock.advance(3600)
    assert clock.now() - START == timedelta(seconds=3601.5)
    assert clock.monotonic() == 3601.5
    assert SimulatedClock().new_id() == SimulatedClock().new_id()
    assert len({clock.new_id() for _ in range(10)}) == 10
