"""`penstock serve`, as a process that can be killed and started again."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.chaos.soak import world
from tests.chaos.soak.plane import Accident, Span
from tests.chaos.soak.weather import Weather
from tests.chaos.soak.world import World, until
from tests.controlplane.process import free_ports

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.state.sqlite import SqliteState
from penstock.wiring.topology import load_pipeline

ROOT = Path(__file__).parents[3]


class Serve:
    """`penstock serve` on a directory; it can be killed and started again."""

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        self.folder, self.data, self.port = folder, folder / "data", free_ports(1)[0]
        folder.mkdir()
        (folder / "penstock.yaml").write_text(yaml.safe_dump(dict(document)))
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0

    def start(self) -> None:
        self.lives += 1
        command = [sys.executable, "-m", "penstock.cli", "serve", "--data-dir", str(self.data), "--log", "json"]
        command += ["--port", str(self.port), "-f", str(self.folder / "penstock.yaml")]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT / "shared"),
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
            **world.git_login(),
        }
        with self.log(self.lives).open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def log(self, life: int) -> Path:
        return self.folder / f"serve-{life}.log"

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def back_up(self, to: Path) -> None:
        with closing(sqlite3.connect(self.data / "state.db")) as live, closing(sqlite3.connect(to)) as copy:
            live.backup(copy)

    def restore(self, copy: Path) -> None:
        """Of a process that does not run."""
        for name in ("state.db-wal", "state.db-shm"):
            (self.data / name).unlink(missing_ok=True)
        (self.data / "state.db").write_bytes(copy.read_bytes())


def serve(of: World, name: str, kubeconfig: bytes, url: str) -> Serve:
    """A plane of its own on the world's cluster."""
    file = of.folder / f"{name}.kubeconfig"
    file.touch(mode=0o600)
    file.write_bytes(kubeconfig)
    made = Serve(of.folder / name, world.document(name, url, {"path": str(file)}))
    of.stack.callback(made.kill)
    return made


class Second:
    """Another plane's serve on the same cluster and repository, as another user, without proxies."""

    def __init__(self, of: World) -> None:
        self.world = of
        self.serve: Serve | None = None

    def tries(self) -> None:
        if self.serve is None:
            self.serve = serve(
                self.world, "second", self.world.control.kubeconfig_for(world.SECOND), self.world.repository.url
            )
        self.serve.start()
        time.sleep(10)
        self.serve.kill()


class ServedPlane:
    """See Plane: one process, which holds everything."""

    looks = 1

    def __init__(self, of: World, _seed: str) -> None:
        self.world, self.serve = of, serve(of, "first", of.identity(), of.url)
        self.excused = list[Span]()
        self.copy: Path | None = None
        self.accidents = {
            "kill": Accident(weight=8, happens=self._kill),
            "stop": Accident(weight=2, happens=self._stop),
            "restore": Accident(weight=2, happens=self._restore),
        }

    def start(self) -> None:
        """See Plane."""
        self.serve.start()
        until(lambda: self.ask("webhook", "GET", "/healthz")[0] == 200 or not self.serve.alive(), "serve listens")
        assert self.serve.alive(), self.serve.log(self.serve.lives).read_text()[-2000:]

    def weather(self) -> list[Weather]:
        """See Plane."""
        return []

    def calm(self) -> None:
        """See Plane."""

    def faults(self) -> int:
        """See Plane."""
        return 0

    def busy(self) -> str:
        """See Plane."""
        with closing(SqliteBus(self.serve.data / "bus.db", load_pipeline(), SystemClock())) as bus:
            backlog = bus.backlog()
        return f"{backlog} messages" if backlog else ""

    @contextmanager
    def records(self) -> Iterator[SqliteState]:
        """See Plane."""
        with closing(SqliteState(self.serve.data / "state.db")) as found:
            yield found

    def ask(self, _stage: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Plane."""
        return world.ask(self.serve.port, method, path, body, **headers)

    def api_token(self) -> str:
        """See Plane."""
        file = self.serve.data / "api-token"
        return file.read_text().split()[0] if file.exists() else "none"

    def logs(self) -> Iterator[tuple[str, str]]:
        """See Plane."""
        for life in range(1, self.serve.lives + 1):
            log = self.serve.log(life)
            yield log.name, log.read_text(errors="replace")

    def _kill(self, chance: random.Random, _resting: Collection[str]) -> str:
        self.serve.kill()
        now = time.time()
        self.excused.append((now - 1, now + 30))
        time.sleep(chance.choice((0.0, 0.3, 1.0, 2.0, 4.0)))
        self.start()
        return "kill -9 serve"

    def _stop(self, _chance: random.Random, _resting: Collection[str]) -> str:
        self.serve.stop()
        self.start()
        return "stop serve"

    def _restore(self, _chance: random.Random, resting: Collection[str]) -> str:
        """Copied at first, the copy put back later."""
        if self.copy is None and resting:
            return ""
        if self.copy is None:
            self.copy = self.world.folder / "copy.db"
            self.serve.back_up(self.copy)
            return "state.db copied"
        self.serve.kill()
        self.serve.restore(self.copy)
        self.copy.unlink()
        self.copy = None
        self.excused.append((0.0, time.time() + 60))
        self.start()
        return "state.db restored"
