"""Registries that the contract suite runs on: in memory, and the real one (Debian's docker-registry) in a process."""

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.adapters.registry.memory import MemoryRegistry, archive, manifest_of
from penstock.core.sources.oci import ImageName
from penstock.ports.registry import RemoteImage

USER, PASSWORD = "robot", "canary-registry-password"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuujZStvIVNwWmabTnn7IyzxQDOl3eXrqC"
"""Of PASSWORD."""

BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
REPOSITORY = "acme/fleet"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def login(host, basic=BASIC):
    return {".dockerconfigjson": json.dumps({"auths": {host: {"auth": basic}}}).encode()}


class MemoryServer:
    """In memory. ``private``: wants a login."""

    def __init__(self, *, private=False):
        self.registry, self.host = MemoryRegistry(), "registry.example.com"
        if private:
            self.registry.logins[f"{self.host}/{REPOSITORY}"] = BASIC

    def image(self, **more):
        name = ImageName(registry=self.host, repository=more.pop("repository", REPOSITORY))
        return RemoteImage(name=name, **more)

    def blob(self, data):
        return self.registry.put(data)

    def manifest(self, tag, manifest):
        return self.registry.push_manifest(f"{self.host}/{REPOSITORY}", tag, manifest)

    def push(self, tag, files, annotations=None):
        return self.manifest(tag, manifest_of(self.blob(archive(files)), annotations or {}))


class RealServer(MemoryServer):
    """docker-registry on loopback."""

    def __init__(self, folder: Path, *, private=False):
        self._private = private
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.registry, self.host = DistributionRegistry(), f"127.0.0.1:{port}"
        config = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
            "log": {"level": "error"},
        }
        if private:
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
            (folder / "htpasswd").write_text(f"{USER}:{BCRYPT}\n")
        self._config = folder / "config.yml"
        self._config.write_text(yaml.safe_dump(config))

    def __enter__(self):
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", int(self.host.rpartition(":")[2])), timeout=1):
                    return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError("docker-registry did not start")

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)

    def image(self, **more):
        return super().image(**{"insecure": True, "allowed_hosts": ("127.0.0.1",), **more})

    def blob(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        with self._send("POST", "blobs/uploads/") as answer:
            place = answer.headers["Location"]
        self._send("PUT", f"{place}&digest={digest}", data, "application/octet-stream").close()
        return digest, len(data)

    def manifest(self, tag, manifest):
        self.blob(b"{}")
        body = json.dumps(manifest).encode()
        media = INDEX_TYPE if "manifests" in manifest else MANIFEST_TYPE
        self._send("PUT", f"manifests/{tag}", body, media).close()
        return "sha256:" + hashlib.sha256(body).hexdigest()

    def _send(self, method, path, data=None, media=""):
        url = path if "://" in path else f"http://{self.host}/v2/{REPOSITORY}/{path}"
        headers = {"Content-Type": media} if media else {}
        if self._private:
            headers["Authorization"] = f"Basic {BASIC}"
        request = urllib.request.Request(url, data=data if data is not None else b"", method=method, headers=headers)
        return urllib.request.urlopen(request, timeout=10)


def missing():
    """Why the real registry is not tested here, or ""."""
    return (
        "" if shutil.which("docker-registry") else "docker-registry is not installed: apt-get install docker-registry"
    )
