"""`penstock build` beside the real kustomize: time, memory and growth, whole processes side by side in one run.

`python tests/bench/bench_build.py [--full] [--runs N] [--directory DIR ...]` prints one JSON object a line (case,
value, unit, goal, ok). `--full`: 5,000 objects in kustomize too, which takes it minutes. `--directory`: real
kustomizations to compare as well. The objects are those of an application each (Deployment, Service, ConfigMap,
ServiceAccount), in a file each, below an overlay that uses the common fields.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).parents[2]
PENSTOCK = [str(Path(sys.executable).with_name("penstock")), "build"]
GOALS = {20: 1, 500: 3, 2000: 8, 5000: 40}
REAL_GOAL, WARM_GOAL, GROWTH_GOAL = 2, 30, 12
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # bytecode is compiled, as in an installed package
MIB = 1024  # ru_maxrss is in KiB

APPLICATION = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{0}
  labels:
    app: app-{0}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: app-{0}
  template:
    metadata:
      labels:
        app: app-{0}
    spec:
      serviceAccountName: app-{0}
      containers:
      - name: main
        image: registry.example.com/app:1.0
        args: ["--listen=:8080", "--level=info"]
        ports:
        - containerPort: 8080
          name: http
        envFrom:
        - configMapRef:
            name: app-{0}
        resources:
          requests: {{cpu: 100m, memory: 128Mi}}
          limits: {{memory: 256Mi}}
        readinessProbe:
          httpGet:
            path: /ready
            port: http
---
apiVersion: v1
kind: Service
metadata:
  name: app-{0}
spec:
  selector:
    app: app-{0}
  ports:
  - name: http
    port: 80
    targetPort: http
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: app-{0}
data:
  LEVEL: info
  ADDRESS: http://app-{0}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app-{0}
"""
OVERLAY = """\
namespace: production
namePrefix: prod-
resources:
- ../base
labels:
- pairs: {team: platform}
  includeTemplates: true
commonAnnotations: {owner: platform}
images:
- {name: registry.example.com/app, newTag: "2.0"}
configMapGenerator:
- {name: shared, literals: [region=eu]}
patches:
- target: {kind: Deployment, name: app-1.*}
  patch: |
    - {op: replace, path: /spec/replicas, value: 3}
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: app-2}
    spec:
      template:
        spec:
          containers:
          - name: main
            env: [{name: LEVEL, value: debug}]
"""


@dataclass(frozen=True)
class Run:
    """One process: seconds, and the most memory that it held, in MiB."""

    seconds: float
    memory: float


def write_fleet(directory: Path, objects: int) -> Path:
    """An overlay over a base of so many objects; the path to build."""
    count = objects // 4
    (directory / "base").mkdir(parents=True)
    (directory / "overlay").mkdir()
    for number in range(count):
        (directory / "base" / f"app-{number}.yaml").write_text(APPLICATION.format(number))
    names = "".join(f"- app-{number}.yaml\n" for number in range(count))
    (directory / "base" / "kustomization.yaml").write_text(f"resources:\n{names}")
    (directory / "overlay" / "kustomization.yaml").write_text(OVERLAY)
    return directory / "overlay"


def run(command: list[str], output: Path) -> Run:
    """One process from its start to its end; its standard output goes to a file."""
    with output.open("wb") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: exit status {process.returncode}")
    return Run(seconds=seconds, memory=used.ru_maxrss / MIB)


def compare(kustomize: str, path: Path, runs: int, scratch: Path) -> tuple[Run, Run]:
    """kustomize and penstock in turn: the medians of each. Both must print the same."""
    theirs, ours = [], []
    for _ in range(runs):
        theirs.append(run([kustomize, "build", str(path)], scratch / "theirs.yaml"))
        ours.append(run([*PENSTOCK, str(path)], scratch / "ours.yaml"))
    if (scratch / "theirs.yaml").read_bytes() != (scratch / "ours.yaml").read_bytes():
        raise SystemExit(f"{path}: the outputs differ")
    return median(theirs), median(ours)


def median(runs: list[Run]) -> Run:
    """Both medians."""
    return Run(
        seconds=statistics.median(one.seconds for one in runs), memory=statistics.median(one.memory for one in runs)
    )


def report(case: str, value: float, unit: str, goal: str = "", *, ok: bool | None = None) -> None:
    """One figure. ``goal``: empty where it is only told."""
    print(
        json.dumps({"case": case, "value": round(value, 3), "unit": unit, "goal": goal or None, "ok": ok}), flush=True
    )


def report_pair(case: str, theirs: Run, ours: Run, goal: float) -> None:
    """Both times, their ratio and the memory."""
    report(f"{case}: kustomize", theirs.seconds, "s")
    report(f"{case}: penstock", ours.seconds, "s")
    ratio = theirs.seconds / ours.seconds
    report(f"{case}: kustomize's time / ours", ratio, "x", f">= {goal}", ok=ratio >= goal)
    report(f"{case}: memory", ours.memory, "MiB", f"<= {theirs.memory:.0f}", ok=ours.memory <= theirs.memory)


def warm_seconds(directory: Path, runs: int) -> float:
    """In a process that built the overlay before: the median time of a build after one file changed."""
    sys.path.insert(0, str(ROOT / "shared"))
    from penstock.core.tree import MemoryTree, blob  # the other cases measure processes without it
    from penstock.kustomize import ParseCache, build  # as above

    paths = (path for path in directory.rglob("*") if path.is_file())
    files = {path.relative_to(directory).as_posix(): blob(path.read_bytes()) for path in paths}
    cache = ParseCache()
    build(MemoryTree(files), "overlay", cache=cache).to_yaml()
    taken = []
    for number in range(runs):
        changed = APPLICATION.format(7).replace("replicas: 2", f"replicas: {number + 10}").encode()
        tree = MemoryTree({**files, "base/app-7.yaml": blob(changed)})
        started = time.perf_counter()
        text = build(tree, "overlay", cache=cache).to_yaml()
        taken.append(time.perf_counter() - started)
        if f"replicas: {number + 10}\n" not in text:
            raise SystemExit("the change is missing from the output")
    return statistics.median(taken)


def find_kustomize() -> str | None:
    """PENSTOCK_KUSTOMIZE, the tools' cache, or PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "penstock" / "tools"
    cached = sorted(map(str, cache.glob("kustomize-5.8.1-*/kustomize")))
    return os.environ.get("PENSTOCK_KUSTOMIZE") or next(iter(cached), None) or shutil.which("kustomize")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--directory", type=Path, action="append", default=[])
    args = parser.parse_args()
    kustomize = find_kustomize()
    if kustomize is None:
        raise SystemExit("no kustomize: `make tools`, or name one by PENSTOCK_KUSTOMIZE")
    with tempfile.TemporaryDirectory() as name:
        measure(kustomize, args, Path(name))


def measure(kustomize: str, args: argparse.Namespace, scratch: Path) -> None:
    """All cases, the small ones first."""
    paths = {objects: write_fleet(scratch / str(objects), objects) for objects in GOALS}
    ours: dict[int, Run] = {}
    run([*PENSTOCK, str(paths[500])], scratch / "ours.yaml")  # which writes the bytecode
    for objects, goal in GOALS.items():
        case = f"build of {objects:,} objects"
        if objects == 5000 and not args.full:
            ours[objects] = median([run([*PENSTOCK, str(paths[objects])], scratch / "ours.yaml") for _ in range(3)])
            report(f"{case}: penstock", ours[objects].seconds, "s")
            continue
        runs = args.runs if objects <= 500 else min(args.runs, 3) if objects <= 2000 else 1
        theirs, ours[objects] = compare(kustomize, paths[objects], runs, scratch)
        report_pair(case, theirs, ours[objects], goal)
        if objects == 500:
            base = theirs.seconds
    growth = ours[5000].seconds / ours[500].seconds
    report("build: 5,000 objects / 500 objects", growth, "x", f"<= {GROWTH_GOAL}", ok=growth <= GROWTH_GOAL)
    for path in args.directory:
        run([*PENSTOCK, str(path)], scratch / "ours.yaml")  # as above, of modules that only this one needs
        report_pair(f"build of {path.name}", *compare(kustomize, path, min(args.runs, 3), scratch), REAL_GOAL)
    warm = warm_seconds(scratch / "500", args.runs * 2)
    report("warm build of 500 objects, one file changed", warm, "s")
    report("warm: kustomize's time / ours", base / warm, "x", f">= {WARM_GOAL}", ok=base / warm >= WARM_GOAL)


if __name__ == "__main__":
    main()
