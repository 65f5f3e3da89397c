"""A fleet served by the real `penstock serve` process: a Git server, a simulated cluster, a chat room, signed pushes."""

import os
import re
import subprocess
import sys
import threading

from tests.google.test_deployed import ROOT, TOKEN, Deployed

from penstock.wiring import Runtime, settings_from


class ServedFleet(Deployed):
    """``more``: flags of serve; ``environment``: variables beside a plane's own."""

    def __init__(self, stack, directory, *more, **environment):
        self.stack, self.directory = stack, directory
        self.data = directory / "data"
        self.runtime = Runtime(settings_from({}, data_dir=self.data))
        stack.callback(self.runtime.close)
        self.work = directory / "work"
        self.build_world()
        command = [sys.executable, "-m", "penstock.cli", "serve", "--data-dir", str(self.data), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--log", "json", *more],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "shared"),
                "PYTHONUNBUFFERED": "1",
                "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        stack.callback(self.stop)
        self.lines = []
        self._synced = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._synced.wait(90), self.said()
        self.webhook = self.found(r"listening  (http://\S+)")

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("synced"):
                self._synced.set()

    def said(self):
        return "".join(self.lines)

    def found(self, pattern):
        return re.search(pattern, self.said())[1]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()

    def push(self, files):
        """Commit, and the delivery of GitHub; the status of the answer."""
        self.commit(files)
        return self.hook(TOKEN)
