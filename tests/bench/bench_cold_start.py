"""Cold start of functions/webhook: process start -> first 202 with its publish, against an empty function's answer.

Both run under functions-framework on this machine, one after the other in turn, each time as a new process; the
figure is the ratio of the medians. Bytecode is compiled, as in an installed package. `python tests/bench/bench_cold_start.py [runs]` prints one JSON object a line.
"""

import hashlib
import hmac
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "shared"))

from penstock.adapters.bus.sqlite import SqliteBus  # noqa: E402 - the path first
from penstock.adapters.clock.system import SystemClock  # noqa: E402
from penstock.core.flux.receiver import webhook_digest  # noqa: E402
from penstock.core.records import ReceiverRecord, receiver_key  # noqa: E402
from penstock.core.secrets.names import WEBHOOK, secret_name  # noqa: E402
from penstock.wiring import load_pipeline, open_state  # noqa: E402

GOAL = 1.5
RUNS = 7
TOKEN = b"cold-start"
BODY = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/fleet"}}).encode()
EMPTY = """
import functions_framework


@functions_framework.http
def webhook(request):
    return "", 202
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """A signed push, and the environment of a process that can verify it."""

    path: str
    headers: dict[str, str]
    environment: dict[str, str]


def seed(directory: Path) -> Push:
    """A plane's data directory with one Receiver in its index; the token stands in the environment."""
    digest = webhook_digest(TOKEN, "fleet", "flux-system")
    record = ReceiverRecord(
        cluster="production",
        namespace="flux-system",
        name="fleet",
        type="github",
        digest=digest,
        secret=secret_name(WEBHOOK, "production", "flux-system", "webhook-token"),
        events=("push",),
        resources=({"kind": "GitRepository", "namespace": "flux-system", "name": "fleet"},),
    )
    state = open_state(directory)
    state.put(receiver_key(digest, "production", "flux-system", "fleet"), record.to_value(), expected=None)
    state.close()
    secret = {"cluster": "production", "namespace": "flux-system", "name": "webhook-token"}
    return Push(
        path=f"/hook/{digest}",
        headers={
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "1",
            "x-hub-signature-256": "sha256=" + hmac.new(TOKEN, BODY, hashlib.sha256).hexdigest(),
        },
        environment={
            "PENSTOCK_BACKEND": "embedded",
            "PENSTOCK_DATA_DIR": str(directory),
            "PENSTOCK_SECRET_WEBHOOK": json.dumps({**secret, "stringData": {"token": TOKEN.decode()}}),
            "PYTHONPATH": str(ROOT / "shared"),
        },
    )


def published(directory: Path) -> int:
    """How many messages wait for fetch."""
    bus = SqliteBus(directory / "bus.db", load_pipeline(), SystemClock())
    count = bus.depth()["fetch"]
    bus.close()
    return count


def seconds_to_first_answer(source: Path, push: Push, bytecode: Path) -> float:
    """From the start of the process to its first 202. ``bytecode``: where compiled modules are kept."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "functions_framework", "--target", "webhook", "--source", str(source)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode), **push.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                return _answered(port, push, started)
            except (ConnectionError, http.client.HTTPException):
                if process.poll() is not None or time.perf_counter() - started > 60:
                    raise
                time.sleep(0.002)
    finally:
        process.terminate()
        process.wait(20)


def _answered(port: int, push: Push, started: float) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", push.path, body=BODY, headers=push.headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        return time.perf_counter() - started
    finally:
        connection.close()


def main(runs: int) -> int:
    """Print the figures; 0 where the goal is met."""
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bare = directory / "main.py"
        bare.write_text(EMPTY)
        for number in range(runs + 1):
            push = seed(directory / f"data{number}")
            figures = (
                seconds_to_first_answer(bare, push, directory),
                seconds_to_first_answer(ROOT / "functions" / "webhook" / "main.py", push, directory),
            )
            assert published(directory / f"data{number}") == 1
            if number:  # the first pair fills the caches
                empty.append(figures[0])
                ours.append(figures[1])
    ratio = statistics.median(ours) / statistics.median(empty)
    print(json.dumps(_line("cold start: empty function, first answer", statistics.median(empty), "s", None)))
    print(json.dumps(_line("cold start: webhook, first 202 with its publish", statistics.median(ours), "s", None)))
    print(json.dumps(_line("cold start: webhook to empty function", ratio, "ratio", GOAL)))
    return 0 if ratio <= GOAL else 1


def _line(case: str, value: float, unit: str, goal: float | None) -> dict[str, object]:
    return {"case": case, "value": round(value, 3), "unit": unit, "goal": goal, "ok": goal is None or value <= goal}


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS))
