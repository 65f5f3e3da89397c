"""`penstock demo`: the whole journey of a signed push, on this machine, each step asserting what it shows."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from penstock.cli.demo.progress import Progress
from penstock.cli.demo.steps import STEPS, Failed
from penstock.cli.demo.world import World, real_cluster, simulated_cluster
from penstock.core.errors import PenstockError


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "demo",
        help="a signed push changes a cluster, end to end, on this machine",
        description=(
            "Starts a plane, a Git server and a small simulated cluster in this process (or uses the cluster that "
            "--kubeconfig names), pushes commits and shows what happens to them."
        ),
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the live account")
    parser.add_argument("--kubeconfig", default="", help="a real cluster: everything is made in fresh namespaces")
    parser.add_argument("--context", default="", help="of that kubeconfig")


def run(args: argparse.Namespace) -> int:
    """Tell the story; 0 when every step passed, 1 otherwise."""
    progress = Progress(sys.stderr if args.json else sys.stdout, quiet=args.json)
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as directory:
        make = real_cluster(args.kubeconfig, args.context) if args.kubeconfig else simulated_cluster()
        with make as cluster, World(Path(directory), cluster, progress) as world:
            results = _tell(world, progress)
    passed = sum(bool(result["ok"]) for result in results)
    if args.json:
        print(json.dumps({"steps": results, "passed": passed, "total": len(STEPS)}, indent=2))
    else:
        print(f"demo: {passed} of {len(STEPS)} steps passed", flush=True)
    return 0 if passed == len(STEPS) else 1


def _tell(world: World, progress: Progress) -> list[dict[str, object]]:
    """Every step in order; the first that fails ends the story, since the next ones build on it."""
    results: list[dict[str, object]] = []
    for number, step in enumerate(STEPS, start=1):
        title = (step.__doc__ or "").splitlines()[0].rstrip(".")
        progress.step(number, len(STEPS), title)
        started = time.monotonic()
        try:
            facts = step(world)
            world.settle()
            result: dict[str, object] = {"step": title, "ok": True, **facts}
        except (Failed, PenstockError, TimeoutError) as error:
            result = {"step": title, "ok": False, "error": str(error)}
        result["seconds"] = round(time.monotonic() - started, 3)
        progress.result(result)
        results.append(result)
        if not result["ok"]:
            break
    return results
