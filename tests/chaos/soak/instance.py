"""One process of a function: started, killed, taken away, and started again elsewhere."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.google import bundle
from tests.google.plane import free_port
from tests.package import bundles

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL, as Cloud Run's."""


class Instance:
    """Of the unpacked bundle by the real functions-framework command. ``up``: it takes connections at ``port``."""

    def __init__(self, stage: str, environment: Mapping[str, str], log: Path) -> None:
        self.stage, self.environment, self.log = stage, environment, log
        self.process: subprocess.Popen[bytes] | None = None
        self.up, self.port = False, 0

    def start(self) -> None:
        """And wait until it listens."""
        self.port = free_port()
        command, given = bundle.command(self.stage, self.port)
        root = bundles.made("google").root
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=root,
                env={**given, **self.environment},
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
        self.up = False
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def stop(self) -> bool:
        """As a platform takes an instance away: whether it came to an end by itself."""
        self.up = False
        if self.process is None:
            return True
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        ended = self.process.poll() is not None
        self.kill()
        return ended
