"""The real Prometheus and promtool: Debian's package, installed or unpacked among the tools; and a newer one that takes
OpenTelemetry's metrics, as differences too, which Debian's (2.42) does not.
"""

import contextlib
import json
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from tests.google.plane import free_port, process

UNPACKED = Path(os.environ.get("PENSTOCK_TOOLS", Path.home() / ".cache/penstock/tools")) / "prometheus/usr/bin"


def program(name):
    """The path of ``prometheus`` or ``promtool``; skips loudly where it is missing."""
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    if not found:
        pytest.skip(f"{name} is not here: apt-get install prometheus (or apt-get download and dpkg -x to {UNPACKED})")
    return found


NEWER = "0.316.0"
"""The Go module's version of Prometheus 3.16."""


def newer():
    """The path of that one; skips loudly where it was not built (it takes a quarter of an hour)."""
    folder = UNPACKED.parents[2] / f"prometheus-{NEWER}-linux-amd64"
    if not (folder / "prometheus").exists():
        package = f"github.com/prometheus/prometheus/cmd/prometheus@v{NEWER}"
        pytest.skip(f"Prometheus with OTLP is not here: GOBIN={folder} go install -tags remove_all_sd {package}")
    return str(folder / "prometheus")


class Prometheus:
    """A running server."""

    def __init__(self, port):
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self.otlp = f"{self._url}/otlp"

    def api(self, path, **query):
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def query(self, expression):
        """The series that an expression gives now. Raises HTTPError (400) where it is none."""
        return self.api("query", query=expression)["result"]

    def take(self, body):
        """OTLP metrics, as a function sent them. Raises HTTPError where they are not taken."""
        headers = {"content-type": "application/x-protobuf"}
        request = urllib.request.Request(f"{self.otlp}/v1/metrics", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200

    def until(self, expression, seconds=60):
        """Its series, as soon as there are any."""
        end = time.monotonic() + seconds
        while not (found := self.query(expression)):
            assert time.monotonic() < end, f"no series for {expression}: {self.api('targets')}"
            time.sleep(0.3)
        return found


@contextlib.contextmanager
def prometheus(config, directory, *more, binary=None):
    """Prometheus on this configuration (a file), with more flags."""
    port = free_port()
    command = [
        binary or program("prometheus"),
        *more,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with process(command, port):
        _wait_ready(f"http://127.0.0.1:{port}/-/ready")
        yield Prometheus(port)


def _wait_ready(url, seconds=60):
    """It listens before it answers queries."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.HTTPError as error:
            error.close()
            assert time.monotonic() < end, "Prometheus does not become ready"
        time.sleep(0.2)
