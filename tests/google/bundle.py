"""A function of the unpacked google.zip, started as the image that the buildpack makes of it starts it."""

import contextlib
import http.client
import os
import sys

from tests.google import plane
from tests.package import bundles

SETTINGS = {
    "PENSTOCK_BACKEND": "google",
    "GOOGLE_CLOUD_PROJECT": plane.PROJECT,
    "PENSTOCK_GOOGLE_REGION": "europe-west3",
    "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
    "STORAGE_EMULATOR_HOST": "127.0.0.1:9",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": "http://127.0.0.1:9",
}
"""Nothing listens there, unless a test says otherwise."""


def command(stage, port):
    """Of one function: command and environment. /workspace is the bundle, the command is what the build installs."""
    environment = {
        **SETTINGS,
        "FUNCTION_SOURCE": f"functions/{stage}/main.py",
        "FUNCTION_TARGET": stage,
        "HOST": "127.0.0.1",
        "PATH": os.defpath,
        "PORT": str(port),
        "PYTHONPATH": str(bundles.made("google").root),
        "PYTHONUNBUFFERED": "1",
    }
    return [sys.executable, "-S", str(bundles.layer() / "bin/functions-framework")], environment


@contextlib.contextmanager
def started(stage, *, log=None, port=None, **more):
    """A function and its port, a free one by default."""
    port = port or plane.free_port()
    words, environment = command(stage, port)
    root = bundles.made("google").root
    with plane.process(words, port, env={**environment, **more}, cwd=root, log=log) as running:
        yield running, port


def ask(port, method, path="/", body=b"", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read().decode()
