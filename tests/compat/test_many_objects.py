"""Thousands of objects in one render, on the in-process API: applied within the memory of a function, and all of them.

The plane runs in a process of its own, so that the memory is its alone.
"""

import json
import os
import subprocess
import sys

import pytest

from penstock.devcluster import DevCluster

MOST_MIB = 512
CODE = """
import json, sys
from dataclasses import replace
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig

count, data = int(sys.argv[1]), open(sys.argv[2], "rb").read()
plane = MemoryPlane()
plane.deps = replace(plane.deps, clusters=KubeClusters(lambda _: Kubeconfig(data=data)))
documents = [namespace("apps"), *(config_map(f"c{n}", k=str(n)) for n in range(count))]
plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps"), "apps/all.yaml": "---\\n".join(documents)})
plane.settle(seconds=5)
first = plane.ready("apps")
documents[-1] = config_map("changed", k="1")
plane.push({"apps/all.yaml": "---\\n".join(documents)})
plane.settle(seconds=5)
with open("/proc/self/status") as status:  # a child's ru_maxrss begins at its parent's
    mib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024
print(json.dumps([first, plane.ready("apps"), len(plane.status("apps").inventory), mib]))
"""


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_large_render_is_applied_in_one_run_and_pruned_in_the_next(count, tmp_path):
    with DevCluster(simulate=False) as cluster:
        (tmp_path / "kubeconfig").write_bytes(cluster.kubeconfig())
        command = [sys.executable, "-c", CODE, str(count), str(tmp_path / "kubeconfig")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, entries, mib = json.loads(done.stdout)
    assert first.startswith("True"), first
    assert second.startswith("True"), second
    assert entries == count + 1, "one came, one went"
    assert mib < MOST_MIB
