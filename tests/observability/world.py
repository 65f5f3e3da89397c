"""A fleet served by the real `penstock serve` process: the world of tests/deployed.py around it, signed pushes into it."""

import http.client
import os
import re
import subprocess
import sys
import threading
from contextlib import closing
from urllib.parse import urlsplit

from tests.deployed import REPLICAS, Story, World
from tests.docs.markdown import ROOT

from penstock.wiring import Runtime, settings_from


class Hourly(World):
    """Sources are looked at when somebody tells of them, not before."""

    def document(self):
        document = super().document()
        document["spec"]["source"]["interval"] = "1h"
        return document


class ServedFleet:
    """``more``: flags of serve; ``environment``: variables beside a plane's own. ``lines``: what it said so far."""

    def __init__(self, stack, directory, *more, **environment):
        self.world = Hourly(stack, directory)
        data = directory / "data"
        runtime = Runtime(settings_from({}, data_dir=data))
        stack.callback(runtime.close)
        self.story = Story(self.world, runtime, self.http, None)
        self.runtime, self.more, self.lines = runtime, more, []
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "shared"),
            "PYTHONUNBUFFERED": "1",
            **{
                name: value
                for stage in ("api", "fetch", "reconcile", "notify")
                for name, value in self.world.own(stage).items()
            },
            **environment,
        }
        self.command = [sys.executable, "-m", "penstock.cli", "serve", "--data-dir", str(data), "--port", "0"]
        stack.callback(self.stop)
        self.process = None

    def begin(self):
        """The Plane, the process, the first sync."""
        from penstock.cli.plane import change_plane

        change_plane(self.runtime, self.world.document())
        self.process = subprocess.Popen(
            [*self.command, "--log", "json", *self.more],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._synced = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._synced.wait(90), self.said()
        self.url = self.found(r"listening  (http://\S+)")
        self.story.until(lambda: self.world.replicas() == 3, "the first sync")
        self.story.until(self.story.receiver, "the Receiver to be indexed")

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("synced"):
                self._synced.set()
        self._synced.set()

    def said(self):
        return "".join(self.lines)

    def found(self, pattern):
        return re.search(pattern, self.said())[1]

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()

    def http(self, stage, method, path, headers, body):
        """A request to the plane; its answer as (status, headers, text)."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        with closing(connection):
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read().decode()

    def push(self, files):
        """Commit, and the delivery of GitHub; the status of the answer."""
        self.world.commit(files)
        return self.story.hook(self.world.canaries["hook"])

    def scale(self, number):
        """A push that changes one Deployment, until the chat room was told."""
        self.world.scale(number)
        assert self.story.hook(self.world.canaries["hook"]) == 202
        self.story.until(lambda: self.world.changes_told() == self.world.scaled, "the message")


__all__ = ["REPLICAS", "Hourly", "ServedFleet"]
