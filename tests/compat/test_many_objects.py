"""10,000 objects in one render, on the in-process API: planned, applied and kept within the memory of a function."""

import os
import subprocess
import sys
import textwrap

import pytest

CODE = """
import resource, sys, time
from dataclasses import replace
import yaml
from tests.memory_plane import MemoryPlane, kustomization, namespace
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig

count, server = int(sys.argv[1]), sys.argv[2]
plane = MemoryPlane()
data = open(server, "rb").read()
plane.deps = replace(plane.deps, clusters=KubeClusters(lambda _: Kubeconfig(data=data)))
documents = "---\\n".join(
    f"apiVersion: v1\\nkind: ConfigMap\\nmetadata:\\n  name: c{n}\\n  namespace: apps\\ndata:\\n  k: '{n}'\\n"
    for n in range(count)
)
plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps"), "apps/ns.yaml": namespace("apps"),
    **{f"apps/{n}.yaml": documents[n] for n in ()}, "apps/all.yaml": documents})
start = time.monotonic()
for _ in range(200):
    plane.settle(seconds=5)
    if plane.ready("apps").startswith(("True", "False")): break
first = time.monotonic() - start
print(plane.ready("apps"), len(plane.status("apps").inventory))
start = time.monotonic()
plane.push({"apps/all.yaml": documents.replace("k: '5'", "k: 'x'")})
plane.settle(seconds=5)
print(plane.ready("apps"))
print(first, time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
