"""Processes of a function: started, killed, taken away, and started again elsewhere."""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tests.google import bundle
from tests.google.plane import free_port
from tests.package import bundles

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL, as Cloud Run's."""


class Instance(Protocol):
    """``up``: it takes requests; ``environment``: what it is started with."""

    stage: str
    log: Path
    up: bool
    environment: Mapping[str, str]

    def start(self) -> None:
        """And wait until it takes requests."""

    def kill(self) -> None:
        """In the middle of whatever it does."""

    def stop(self) -> bool:
        """As a platform takes an instance away: whether it came to an end by itself."""


class Pool:
    """A stage's instances, each of which has at most one request at a time."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.instances = instances
        self._chance, self._changed, self._busy = random.Random(len(instances)), threading.Condition(), set[Instance]()

    def working(self) -> list[str]:
        """Those who have a request."""
        with self._changed:
            return sorted(each.log.name for each in self._busy)

    def came_up(self) -> None:
        """One is there again."""
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def one(self, seconds: float) -> Iterator[Instance | None]:
        """That gets free within so long; None where none does."""
        found = self._free(time.monotonic() + seconds)
        try:
            yield found
        finally:
            with self._changed:
                self._busy -= {found}
                self._changed.notify_all()

    def _free(self, end: float) -> Instance | None:
        with self._changed:
            while not (found := [each for each in self.instances if each.up and each not in self._busy]):
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    return None
            chosen = self._chance.choice(found)
            self._busy.add(chosen)
            return chosen


class FunctionsFramework:
    """See Instance: of the unpacked bundle by the real functions-framework command, listening at ``port``."""

    def __init__(self, stage: str, log: Path) -> None:
        self.stage, self.log, self.environment = stage, log, dict[str, str]()
        self.home = log.with_name(f"home-of-{log.name}")  # gunicorn keeps a socket there
        self.home.mkdir()
        self._command, self._given = bundle.command(stage, 0)
        self._root = bundles.made("google").root
        self.process: subprocess.Popen[bytes] | None = None
        self.up, self.port = False, 0

    def start(self) -> None:
        """See Instance."""
        self.port = free_port()
        given = {**self._given, "HOME": str(self.home), **self.environment, "PORT": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._root,
                env=given,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + 120
        while not self._listens():
            assert self.process.poll() is None, f"{self.stage} does not start: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{self.stage} does not listen"
            time.sleep(0.05)
        self.up = True

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """See Instance."""
        self.up = False
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def stop(self) -> bool:
        """See Instance."""
        self.up = False
        if self.process is None:
            return True
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        ended = self.process.poll() is not None
        self.kill()
        return ended
