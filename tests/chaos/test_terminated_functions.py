"""SIGTERM at a deployed function, and at `penstock serve`, in the middle of a message.

reconcile by the real functions-framework command; its API server keeps it waiting at a write, and remembers each one.
Cloud Run gives it 10 s, then kills it: either the message is finished and answered, or it is not answered, and the next
delivery finishes what stands half.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.chaos.fault_proxy import CUT_BEFORE, FaultProxy
from tests.functions.test_functions import pushed
from tests.google import plane as google
from tests.google.bundle import ask
from tests.memory_plane import config_map

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.memory import MemoryGit
from penstock.cli.plane import change_plane
from penstock.core.messages import PLANE, Envelope, ReconcileDue, SourceChanged, encode
from penstock.core.reconcile.inventory import NAMESPACE, from_config_map, inventory_name
from penstock.core.resources import Gvk
from penstock.core.tree import blob
from penstock.devcluster import DevCluster
from penstock.stages.reconcile import lease
from penstock.wiring import Runtime, settings_from

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:9/fleet.git"
NAMES = ("a", "b", "c")
TRACE = f"00-{'ab' * 16}-{'c' * 16}-01"
OBJECT = inventory_name("flux-system", "flux-system")
CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


class Gate:
    """A plan: of the writes of objects (no dry-runs), one passes, and the others wait until they are let go.

    ``written``: the names of those that passed; ``after``: what happens to those that waited.
    """

    def __init__(self):
        self.waits, self.go, self.after, self.written = threading.Event(), threading.Event(), "", []
        self._one = threading.Semaphore(1)

    def __call__(self, method, path):
        if method != "PATCH" or "dryRun" in path or "/namespaces/default/configmaps/" not in path:
            return ""
        if not self.go.is_set() and not self._one.acquire(blocking=False):
            self.waits.set()
            self.go.wait(60)
            if self.after:
                return self.after
        self.written.append(path.partition("?")[0].rpartition("/")[2])
        return ""


class World:
    """A plane on one machine's directory, whose reconcile is a function that is pushed to."""

    def __init__(self, stack, directory):
        self.dev = stack.enter_context(DevCluster())
        self.gate = Gate()
        stack.callback(self.gate.go.set)
        proxy = stack.enter_context(FaultProxy(self.dev.url, self.gate).running())
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_bytes(self.dev.kubeconfig().replace(self.dev.url.encode(), proxy.url.encode()))
        self.cluster = KubeClusters(lambda _: Kubeconfig(data=self.dev.kubeconfig())).connect("prod")
        self.environment = {
            "PENSTOCK_BACKEND": "embedded",
            "PENSTOCK_DATA_DIR": str(directory / "data"),
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
        }
        git = MemoryGit()
        files = {f"clusters/prod/{name}.yaml": config_map(name, "default", x="1") for name in NAMES}
        git.commit(URL, {path: blob(text.encode()) for path, text in files.items()})
        self.runtime = Runtime(settings_from(self.environment), instead={"git": lambda: git})
        stack.callback(self.runtime.close)
        clusters = [{"name": "prod", "path": "clusters/prod", "kubeConfig": {"path": str(kubeconfig)}}]
        document = {"apiVersion": "penstock.dev/v1alpha1", "kind": "Plane", "metadata": {"name": "t"}}
        change_plane(self.runtime, {**document, "spec": {"source": {"url": URL}, "clusters": clusters}})
        source = SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system")
        assert self.runtime.run_message("fetch", Envelope(message=source, id="1", traceparent=TRACE)).kind == "done"

    @contextlib.contextmanager
    def function(self):
        port = google.free_port()
        framework = str(Path(sys.executable).with_name("functions-framework"))
        source = ROOT / "functions/reconcile/main.py"
        command = [framework, "--target", "reconcile", "--source", str(source)]
        given = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "shared"), **self.environment}
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with google.process(command, port, env=given, cwd="/") as running:
            yield running, port

    def serve(self):
        command = [sys.executable, "-m", "penstock.cli", "serve", "--port", "0"]
        given = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "shared"), **self.environment}
        return subprocess.Popen(
            command, env=given, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def there(self, name):
        return self.cluster.get(CONFIG_MAP, "default", name)

    def lease(self):
        return self.cluster.get(lease.GVK, NAMESPACE, OBJECT)

    def let_the_lease_end(self):
        """As if its time had passed."""
        found = self.lease()
        past = (datetime.now(UTC) - timedelta(seconds=lease.SECONDS + 5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.cluster.replace({**found, "spec": {**found["spec"], "renewTime": past}})

    def owned(self):
        """The names in the inventory."""
        inventory = from_config_map(self.cluster.get(CONFIG_MAP, NAMESPACE, OBJECT))
        return sorted(ref.name for ref in inventory.entries)


class Delivery(threading.Thread):
    """One push of the root's wake-up; ``status``: of the answer, None where there was none."""

    def __init__(self, port):
        super().__init__()
        self.port, self.status = port, None
        self.start()

    def run(self):
        due = ReconcileDue(cluster="prod", namespace="flux-system", name="flux-system", why="request")
        push = pushed(encode(Envelope(message=due, id="2", traceparent=TRACE)))
        headers = {**push["headers"], "content-type": "application/json"}
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.status = ask(self.port, "POST", "/", json.dumps(push["json"]).encode(), headers)[0]

    def answer(self):
        self.join(60)
        return self.status


@pytest.fixture
def world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path)


def deliver(port):
    return Delivery(port).answer()


def test_work_in_hand_is_finished_and_answered(world):
    with world.function() as (running, port):
        delivery = Delivery(port)
        assert world.gate.waits.wait(60)
        running.send_signal(signal.SIGTERM)
        delivery.join(0.5)
        assert delivery.is_alive()
        world.gate.go.set()
        assert delivery.answer() == 204
        assert running.wait(10) == 0
    assert sorted(world.gate.written) == [*NAMES]
    assert world.lease()["spec"]["holderIdentity"] == ""
    with world.function() as (_, port):
        assert deliver(port) == 204
    assert sorted(world.gate.written) == [*NAMES], "what comes once more finds nothing to do"


def test_what_does_not_end_in_time_is_not_answered_and_the_next_deliveries_mend_it(world):
    with world.function() as (running, port):
        delivery = Delivery(port)
        assert world.gate.waits.wait(60)
        running.send_signal(signal.SIGTERM)
        delivery.join(0.5)
        os.killpg(running.pid, signal.SIGKILL)
        assert delivery.answer() is None
    world.gate.after = CUT_BEFORE
    world.gate.go.set()
    assert world.lease()["spec"]["holderIdentity"] != ""
    assert world.owned() == [*NAMES], "the inventory is written first: nothing that was applied is forgotten"
    while waiting := world.runtime.bus.receive("reconcile", wait=0):
        world.runtime.bus.ack(waiting)
    with world.function() as (_, port):
        assert deliver(port) == 204
        assert len(world.gate.written) == 1, "the Lease of who was killed still runs"
        assert world.runtime.bus.depth()["reconcile"] == 1, "so it looks again in a minute"
        world.let_the_lease_end()
        assert deliver(port) == 204
    assert {name for name in NAMES if world.there(name)} == {*NAMES}
    assert world.owned() == [*NAMES]
    assert world.lease()["spec"]["holderIdentity"] == ""


def test_penstock_serve_finishes_what_it_has_in_hand(world):
    with world.serve() as running:
        try:
            assert world.gate.waits.wait(60)
            running.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert running.poll() is None
            world.gate.go.set()
            assert running.wait(20) == 0
        finally:
            running.kill()
        assert "work in hand is finished or given back" in running.stdout.read()
    assert sorted(world.gate.written) == [*NAMES]
    assert world.owned() == [*NAMES]
    assert world.lease()["spec"]["holderIdentity"] == ""
