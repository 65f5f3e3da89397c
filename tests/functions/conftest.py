"""Stages of the tests' own, put where wiring looks for stages; adapters in memory; nothing else is replaced."""

import sys
import types

import pytest

from penstock.adapters.bus.memory import MemoryBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.wiring import Runtime, Settings, functions, load_pipeline
from penstock.wiring.lazy import Once


@pytest.fixture
def as_stage(monkeypatch):
    """as_stage("fetch", run): that function is the stage of that name, for this test."""

    def put(name, run, **more):
        module = types.ModuleType(f"penstock.stages.{name}")
        module.run = run
        vars(module).update(more)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A Runtime on memory adapters; the one that functions use, too."""
    clock = SimulatedClock()
    made = Runtime(
        Settings(data_dir=tmp_path),
        instead={
            "bus": lambda: MemoryBus(load_pipeline(), clock),
            "clock": lambda: clock,
            "secrets": MemorySecrets,
            "state": MemoryState,
            "storage": MemoryStorage,
            "telemetry": MemoryTelemetry,
        },
    )
    monkeypatch.setattr(functions, "runtime", Once(lambda: made))
    return made
